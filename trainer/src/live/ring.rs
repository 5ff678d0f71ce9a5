//! The way of the sound from the audio callback to the recognizer: a lock-free ring, and beside it the places where
//! something is missing.

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// How many gaps can wait. While this is full, the newest gap grows.
const GAPS: usize = 64;

/// `lost` samples are missing after `written` samples of the ring.
#[derive(Debug, Clone, Copy)]
struct Gap {
    written: u64,
    lost: u64,
}

/// The half that stays in the audio callback.
pub struct SoundInput {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    /// Samples that went into the ring.
    written: u64,
    /// Samples that were left out since.
    lost: u64,
}

/// The half that moves to where the recognizer runs.
pub struct SoundOutput {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
    read: u64,
}

/// What comes next in the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// So many samples are missing.
    Gap(u64),
    /// So many samples were written into the buffer.
    Sound(usize),
}

/// A pair with room for `capacity` samples.
pub fn sound(capacity: usize) -> (SoundInput, SoundOutput) {
    let (samples_in, samples_out) = HeapRb::new(capacity.max(1)).split();
    let (gaps_in, gaps_out) = HeapRb::new(GAPS).split();
    let input = SoundInput { samples: samples_in, gaps: gaps_in, written: 0, lost: 0 };
    (input, SoundOutput { samples: samples_out, gaps: gaps_out, read: 0 })
}

impl SoundInput {
    /// Writes a block of `length` samples, or leaves all of it out where there is no room. Never waits or allocates.
    pub fn push(&mut self, length: usize, block: impl Iterator<Item = f32>) {
        let fits = self.samples.vacant_len() >= length && (self.lost == 0 || !self.gaps.is_full());
        if !fits {
            self.lost += length as u64;
            return;
        }
        if self.lost > 0 && self.gaps.try_push(Gap { written: self.written, lost: self.lost }).is_ok() {
            self.lost = 0;
        }
        self.written += self.samples.push_iter(block.take(length)) as u64;
    }
}

impl SoundOutput {
    /// The next stretch of sound, as much as fits into `buffer`, or the gap before it. Nothing where nothing has come
    /// yet.
    pub fn next(&mut self, buffer: &mut [f32]) -> Option<Piece> {
        // A gap is written before the sound behind it: what is seen here of the sound has its gaps in place.
        let here = self.samples.occupied_len();
        let until_gap = match self.gaps.try_peek() {
            Some(gap) if gap.written <= self.read => {
                let lost = gap.lost;
                self.gaps.try_pop();
                return Some(Piece::Gap(lost));
            }
            Some(gap) => usize::try_from(gap.written - self.read).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let wanted = here.min(until_gap).min(buffer.len());
        let got = self.samples.pop_slice(&mut buffer[..wanted]);
        self.read += got as u64;
        (got > 0).then_some(Piece::Sound(got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_a_gap_at_its_place() {
        let (mut input, mut output) = sound(4);
        let mut buffer = [0.0; 8];
        assert_eq!(output.next(&mut buffer), None);
        input.push(3, [1.0, 2.0, 3.0].into_iter());
        input.push(2, [4.0, 5.0].into_iter());
        input.push(4, [6.0, 7.0, 8.0, 9.0].into_iter());
        assert_eq!(output.next(&mut buffer[..2]), Some(Piece::Sound(2)));
        input.push(2, [10.0, 11.0].into_iter());
        assert_eq!(output.next(&mut buffer), Some(Piece::Sound(1)));
        assert_eq!(buffer[0], 3.0);
        assert_eq!(output.next(&mut buffer), Some(Piece::Gap(6)));
        assert_eq!(output.next(&mut buffer), Some(Piece::Sound(2)));
        assert_eq!(buffer[..2], [10.0, 11.0]);
        assert_eq!(output.next(&mut buffer), None);
    }

    #[test]
    fn nothing_is_lost_uncounted_between_two_threads() {
        const BLOCKS: u64 = 20_000;
        let (mut input, mut output) = sound(100);
        let writer = std::thread::spawn(move || {
            for block in 0..BLOCKS {
                input.push(7, std::iter::repeat_n(block as f32, 7));
            }
            // Room again: the last gap is told with what comes after it.
            while input.samples.vacant_len() < 100 {
                std::thread::yield_now();
            }
            input.push(1, std::iter::once(BLOCKS as f32));
        });
        let (mut position, mut buffer) = (0, [0.0; 13]);
        while position <= 7 * BLOCKS {
            match output.next(&mut buffer) {
                Some(Piece::Gap(lost)) => position += lost,
                Some(Piece::Sound(length)) => {
                    for &sample in &buffer[..length] {
                        assert_eq!(sample, (position / 7) as f32, "the sample at {position}");
                        position += 1;
                    }
                }
                None => std::thread::yield_now(),
            }
        }
        assert!(writer.join().is_ok());
    }
}
