//! From the host's sample rate to the model's, with a short delay and without allocating.

use std::cell::RefCell;

use audioadapter_buffers::direct::SequentialSlice;
use pulp::{Simd, WithSimd};
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use crate::error::{Error, Result};
use crate::wide::wide;

mod polyphase;
use polyphase::Polyphase;

/// Taps of the low-pass filter at an input rate of 48 kHz or less: 1.3 ms of delay.
const TAPS: usize = 128;
/// Chunks a second: sound waits at most 1.3 ms for its chunk to fill.
const CHUNKS_PER_SECOND: f64 = 750.0;
/// The same for a whole clip, which nobody waits for: the exact filter is quicker the longer its chunks are, as long as
/// they stay in a processor's cache.
const CLIP_CHUNKS_PER_SECOND: f64 = 20.0;
/// Input beyond this is no music but a fault: 24 dB over full scale.
const LOUDEST: f32 = 16.0;
/// Input under this is silence: keeps denormal numbers out of every filter behind.
const QUIETEST: f32 = 1e-12;

/// A finite, sane copy of samples: faults and denormals become silence.
struct Sane<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Sane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (to, &from) in self.to.iter_mut().zip(self.from) {
            let is_sound = from.abs() >= QUIETEST && from.is_finite();
            *to = if is_sound { from.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
        }
    }
}

/// A stretch of sound at the model's rate, with the moments at which it became known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub samples: &'a [f32],
    /// Input samples pushed when `samples[0]` became known.
    first: u64,
    /// How many more for each sample after that: 1 without resampling, 0 within a chunk.
    step: u64,
}

impl Known<'_> {
    /// Input samples that had been pushed when `samples[i]` became known.
    pub fn at(&self, i: usize) -> u64 {
        self.first + self.step * i as u64
    }
}

/// Converts a mono stream. The output does not depend on how the input was cut into blocks.
pub struct Resampler {
    from: f64,
    to: f64,
    /// Input samples pushed since the start.
    pushed: u64,
    filled: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Absent where both rates are equal.
    filter: Option<Filter>,
}

enum Filter {
    /// For rates like 44.1, 48 and 96 kHz.
    Exact(Polyphase),
    /// For any other.
    Interpolated(Box<Async<f32>>),
}

impl Filter {
    /// And how many samples it takes at once: that many a second, where that makes no difference to what comes out.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are at most 384 kHz")]
    fn new(from: f64, to: f64, chunks_per_second: f64) -> Result<(Self, usize)> {
        let taps = (TAPS as f64 * (from / 48_000.0).max(1.0)) as usize;
        let chunk = (from / chunks_per_second).round() as usize;
        if let Some(exact) = Polyphase::new(from, to, taps, chunk) {
            return Ok((Self::Exact(exact), chunk));
        }
        let chunk = (from / CHUNKS_PER_SECOND).round() as usize;
        let mut parameters =
            SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2).f_cutoff(polyphase::cutoff());
        parameters.interpolation = SincInterpolationType::Linear;
        parameters.oversampling_factor = 256;
        Async::new_sinc(to / from, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map(|sinc| (Self::Interpolated(Box::new(sinc)), chunk))
            .map_err(|_| Error::SampleRate(from))
    }

    /// The most samples that a chunk makes.
    fn most_made(&self) -> usize {
        match self {
            Self::Exact(exact) => exact.most_made(),
            Self::Interpolated(sinc) => sinc.output_frames_max(),
        }
    }

    /// Output samples that a sound takes through the filter.
    fn delay(&self) -> usize {
        match self {
            Self::Exact(exact) => exact.delay(),
            Self::Interpolated(sinc) => sinc.output_delay(),
        }
    }

    /// One chunk through the filter; the number of samples made.
    fn process(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        match self {
            Self::Exact(exact) => exact.process(input, output),
            Self::Interpolated(sinc) => convert(sinc, input, output),
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Exact(exact) => exact.reset(),
            Self::Interpolated(sinc) => sinc.reset(),
        }
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resampler({} -> {} Hz)", self.from, self.to)
    }
}

impl Resampler {
    /// From `from` Hz to `to` Hz.
    ///
    /// # Errors
    /// [`Error::SampleRate`] for a rate outside 8 to 384 kHz.
    pub fn new(from: f64, to: f64) -> Result<Self> {
        Self::in_chunks(from, to, CHUNKS_PER_SECOND)
    }

    fn in_chunks(from: f64, to: f64, chunks_per_second: f64) -> Result<Self> {
        for rate in [from, to] {
            if !(8_000.0..=384_000.0).contains(&rate) {
                return Err(Error::SampleRate(rate));
            }
        }
        if (from - to).abs() < 1e-6 {
            let copy = vec![0.0; 256];
            return Ok(Self { from, to, pushed: 0, filled: 0, input: copy, output: Vec::new(), filter: None });
        }
        let (filter, chunk) = Filter::new(from, to, chunks_per_second)?;
        let output = vec![0.0; filter.most_made()];
        Ok(Self { from, to, pushed: 0, filled: 0, input: vec![0.0; chunk], output, filter: Some(filter) })
    }

    /// Feeds a block of any length and hands on every sample that comes out.
    pub fn push(&mut self, block: &[f32], mut on_sample: impl FnMut(f32)) {
        self.push_known(block, |known| known.samples.iter().for_each(|&s| on_sample(s)));
    }

    pub(crate) fn push_known(&mut self, mut block: &[f32], mut on_chunk: impl FnMut(Known<'_>)) {
        while !block.is_empty() {
            let take = block.len().min(self.input.len() - self.filled);
            let (now, later) = block.split_at(take);
            wide(Sane { from: now, to: &mut self.input[self.filled..] });
            block = later;
            let Some(filter) = &mut self.filter else {
                on_chunk(Known { samples: &self.input[..take], first: self.pushed + 1, step: 1 });
                self.pushed += take as u64;
                continue;
            };
            self.pushed += take as u64;
            self.filled += take;
            if self.filled == self.input.len() {
                self.filled = 0;
                let made = filter.process(&self.input, &mut self.output);
                on_chunk(Known { samples: &self.output[..made], first: self.pushed, step: 0 });
            }
        }
    }

    /// Input samples pushed since the start.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Jumps over a stretch of input that was lost: the filter starts from silence behind it.
    pub(crate) fn skip(&mut self, samples: u64) {
        let pushed = self.pushed + samples;
        self.reset();
        self.pushed = pushed;
    }

    /// How long a sound takes through the filter, in seconds (the wait for a chunk not counted).
    #[must_use]
    pub fn delay_s(&self) -> f64 {
        self.filter.as_ref().map_or(0.0, |filter| filter.delay() as f64 / self.to)
    }

    /// The longest that a sample waits for its chunk to fill, in seconds.
    #[must_use]
    pub fn chunk_s(&self) -> f64 {
        if self.filter.is_some() { self.input.len() as f64 / self.from } else { 0.0 }
    }

    /// Input rate over output rate.
    pub(crate) fn ratio(&self) -> f64 {
        self.from / self.to
    }

    /// Back to silence, position 0.
    pub fn reset(&mut self) {
        self.pushed = 0;
        self.filled = 0;
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }
}

/// One chunk through rubato's filter; the number of samples made.
fn convert(sinc: &mut Async<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let length = output.len();
    let (Ok(from), Ok(mut to)) =
        (SequentialSlice::new(input, 1, input.len()), SequentialSlice::new_mut(output, 1, length))
    else {
        return 0;
    };
    // Sizes are those the filter asked for, so it has nothing to refuse.
    sinc.process_into_buffer(&from, &mut to, None).map_or(0, |(_, made)| made)
}

/// A whole clip at another rate, in time with the original (the filter's delay is taken out).
///
/// # Errors
/// [`Error::SampleRate`] as [`Resampler::new`].
pub fn resample_all(samples: &[f32], from: f64, to: f64) -> Result<Vec<f32>> {
    thread_local! {
        /// Making the filter's table of cosines costs as much as resampling two seconds: a note.
        static KEPT: RefCell<Option<Resampler>> = const { RefCell::new(None) };
    }
    let same = |kept: &Resampler| kept.from.to_bits() == from.to_bits() && kept.to.to_bits() == to.to_bits();
    let mut resampler = match KEPT.take().filter(same) {
        Some(kept) => kept,
        None => Resampler::in_chunks(from, to, CLIP_CHUNKS_PER_SECOND)?,
    };
    let out = resample_with(&mut resampler, samples);
    resampler.reset();
    KEPT.set(Some(resampler));
    Ok(out)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of clips")]
fn resample_with(resampler: &mut Resampler, samples: &[f32]) -> Vec<f32> {
    let Resampler { from, to, .. } = *resampler;
    let wanted = (samples.len() as f64 * to / from).round() as usize;
    let mut late = (resampler.delay_s() * to).round() as usize;
    let mut out = Vec::with_capacity(wanted);
    let mut keep = |known: Known<'_>| {
        let early = late.min(known.samples.len());
        late -= early;
        let rest = &known.samples[early..];
        out.extend_from_slice(&rest[..rest.len().min(wanted - out.len())]);
    };
    resampler.push_known(samples, &mut keep);
    // What is still in the filter, and in a chunk that is not full.
    let rest = (resampler.delay_s() * from).ceil() as usize + 64;
    let chunk = resampler.input.len();
    let flush = (resampler.filled + rest).next_multiple_of(chunk) - resampler.filled;
    resampler.push_known(&vec![0.0; flush], &mut keep);
    out.resize(wanted, 0.0);
    out
}

#[cfg(test)]
#[path = "resampler_tests.rs"]
mod tests;
