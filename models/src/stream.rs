//! The way of the sound from an audio thread or callback to whoever runs the recognizer.
//!
//! Promises: the audio thread's half never waits, allocates or fails; what does not fit is left out and its
//! length is told, so that a position is always the number of samples since activation; a reset takes effect
//! at exactly its place in the sound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// How many gaps can wait. While this is full, the open gap grows.
const GAPS: usize = 64;

/// Sound was left out: the next sample after `written` samples of the ring has this position.
#[derive(Debug, Clone, Copy)]
struct Gap {
    written: u64,
    position: u64,
}

/// The newest reset. Written by the audio thread alone.
#[derive(Debug, Default)]
struct Resets {
    generation: AtomicU32,
    written: AtomicU64,
    position: AtomicU64,
}

/// The half that stays on the audio thread.
pub struct SoundInput {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    resets: Arc<Resets>,
    generation: u32,
    written: u64,
    position: u64,
    gap_open: bool,
}

/// The half that moves to where the recognizer runs.
pub struct SoundOutput {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
    resets: Arc<Resets>,
    generation: u32,
    read: u64,
    position: u64,
}

/// What comes next in the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// [`SoundInput::reset`] was called here; older sound was discarded.
    Reset {
        /// Position of the next sample, in samples since activation.
        position: u64,
    },
    /// So many samples are missing.
    Gap(u64),
    /// So many samples were written into the buffer.
    Sound(usize),
}

/// A pair with room for `capacity` samples.
#[must_use]
pub fn sound(capacity: usize) -> (SoundInput, SoundOutput) {
    let (samples_in, samples_out) = HeapRb::new(capacity.max(1)).split();
    let (gaps_in, gaps_out) = HeapRb::new(GAPS).split();
    let resets = Arc::new(Resets::default());
    let input = SoundInput {
        samples: samples_in,
        gaps: gaps_in,
        resets: Arc::clone(&resets),
        generation: 0,
        written: 0,
        position: 0,
        gap_open: false,
    };
    let output = SoundOutput { samples: samples_out, gaps: gaps_out, resets, generation: 0, read: 0, position: 0 };
    (input, output)
}

impl SoundInput {
    /// Writes a block of `length` samples, or leaves all of it out where there is no room.
    pub fn push(&mut self, length: usize, block: impl Iterator<Item = f32>) {
        let fits = self.samples.vacant_len() >= length && !(self.gap_open && self.gaps.is_full());
        if fits {
            if self.gap_open {
                let gap = Gap { written: self.written, position: self.position };
                self.gap_open = self.gaps.try_push(gap).is_err();
            }
            self.written += self.samples.push_iter(block.take(length)) as u64;
        } else {
            self.gap_open = true;
        }
        self.position += length as u64;
    }

    /// Counts `length` samples that are not to be heard.
    pub fn leave_out(&mut self, length: usize) {
        self.gap_open = true;
        self.position += length as u64;
    }

    /// From here on the recognizer starts from silence. Returns the new generation.
    pub fn reset(&mut self) -> u32 {
        self.gap_open = false;
        self.generation = self.generation.wrapping_add(1);
        // A reader that sees a part of these takes the generation as still changing and looks again.
        self.resets.written.store(self.written, Ordering::Release);
        self.resets.position.store(self.position, Ordering::Release);
        self.resets.generation.store(self.generation, Ordering::Release);
        self.generation
    }

    /// The generation of what is written now.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Samples since activation.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl SoundOutput {
    /// Samples that wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.samples.occupied_len()
    }

    /// Whether a reset comes next.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.resets.generation.load(Ordering::Acquire) != self.generation
    }

    /// The generation of what is read now.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Position of the next sample, in samples since activation.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What comes next, where anything does; sound goes to the start of `buffer`.
    pub fn next(&mut self, buffer: &mut [f32]) -> Option<Piece> {
        // Counted before the marks are looked at: a mark is written before the sound behind it, so none of
        // these samples can lie behind a mark that is not seen.
        let available = self.samples.occupied_len();
        if let Some(position) = self.take_reset() {
            return Some(Piece::Reset { position });
        }
        if let Some(lost) = self.take_gap() {
            return Some(Piece::Gap(lost));
        }
        let most = available.min(self.until_gap()).min(buffer.len());
        let taken = self.samples.pop_slice(&mut buffer[..most]);
        self.read += taken as u64;
        self.position += taken as u64;
        (taken > 0).then_some(Piece::Sound(taken))
    }

    /// Discards all but the newest `keep` samples and says how far the position moved. Where a reset waits,
    /// nothing: it discards what is older itself.
    pub fn drop_to_newest(&mut self, keep: usize) -> u64 {
        let before = self.position;
        // Counted before the marks are looked at, as in `next`.
        let mut surplus = self.samples.occupied_len().saturating_sub(keep);
        if self.is_reset() {
            return 0;
        }
        while surplus > 0 {
            let skipped = self.samples.skip(surplus.min(self.until_gap()));
            surplus -= skipped;
            self.read += skipped as u64;
            self.position += skipped as u64;
            self.take_gap();
        }
        self.position - before
    }

    fn take_reset(&mut self) -> Option<u64> {
        loop {
            let generation = self.resets.generation.load(Ordering::Acquire);
            if generation == self.generation {
                return None;
            }
            let written = self.resets.written.load(Ordering::Acquire);
            let position = self.resets.position.load(Ordering::Acquire);
            if self.resets.generation.load(Ordering::Acquire) != generation {
                continue;
            }
            self.discard_until(written);
            while self.gaps.try_peek().is_some_and(|gap| gap.position <= position) {
                self.gaps.try_pop();
            }
            self.generation = generation;
            self.position = position;
            return Some(position);
        }
    }

    fn discard_until(&mut self, written: u64) {
        let old = usize::try_from(written.saturating_sub(self.read)).unwrap_or(usize::MAX);
        self.read += self.samples.skip(old) as u64;
    }

    fn take_gap(&mut self) -> Option<u64> {
        let gap = *self.gaps.try_peek().filter(|gap| gap.written <= self.read)?;
        self.gaps.try_pop();
        let position = gap.position + (self.read - gap.written);
        let lost = position.saturating_sub(self.position);
        self.position += lost;
        Some(lost)
    }

    fn until_gap(&self) -> usize {
        self.gaps
            .try_peek()
            .map_or(usize::MAX, |gap| usize::try_from(gap.written.saturating_sub(self.read)).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
