//! From the host's sample rate to the model's, with a short delay and without allocating.

use std::cell::RefCell;

use audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use crate::error::{Error, Result};

/// Taps of the low-pass filter at an input rate of 48 kHz or less: 1.3 ms of delay.
const TAPS: usize = 128;
/// Chunks a second: sound waits at most 1.3 ms for its chunk to fill.
const CHUNKS_PER_SECOND: f64 = 750.0;
/// Input beyond this is no music but a fault: 24 dB over full scale.
const LOUDEST: f32 = 16.0;
/// Input under this is silence: keeps denormal numbers out of every filter behind.
const QUIETEST: f32 = 1e-12;

/// A finite, sane copy of a sample: faults and denormals become silence.
fn sane(sample: f32) -> f32 {
    if !sample.is_finite() || sample.abs() < QUIETEST { 0.0 } else { sample.clamp(-LOUDEST, LOUDEST) }
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
    sinc: Option<Async<f32>>,
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
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are at most 384 kHz")]
    pub fn new(from: f64, to: f64) -> Result<Self> {
        for rate in [from, to] {
            if !(8_000.0..=384_000.0).contains(&rate) {
                return Err(Error::SampleRate(rate));
            }
        }
        if (from - to).abs() < 1e-6 {
            let copy = vec![0.0; 256];
            return Ok(Self { from, to, pushed: 0, filled: 0, input: copy, output: Vec::new(), sinc: None });
        }
        let chunk = (from / CHUNKS_PER_SECOND).round() as usize;
        let longer = (from / 48_000.0).max(1.0);
        let mut parameters =
            SincInterpolationParameters::new((TAPS as f64 * longer) as usize, WindowFunction::BlackmanHarris2);
        parameters.interpolation = SincInterpolationType::Linear;
        parameters.oversampling_factor = 256;
        let sinc = Async::new_sinc(to / from, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|_| Error::SampleRate(from))?;
        let output = vec![0.0; sinc.output_frames_max()];
        Ok(Self { from, to, pushed: 0, filled: 0, input: vec![0.0; chunk], output, sinc: Some(sinc) })
    }

    /// Feeds a block of any length and hands on every sample that comes out.
    pub fn push(&mut self, block: &[f32], mut on_sample: impl FnMut(f32)) {
        self.push_known(block, |known| known.samples.iter().for_each(|&s| on_sample(s)));
    }

    pub(crate) fn push_known(&mut self, mut block: &[f32], mut on_chunk: impl FnMut(Known<'_>)) {
        while !block.is_empty() {
            let take = block.len().min(self.input.len() - self.filled);
            let (now, later) = block.split_at(take);
            for (to, &from) in self.input[self.filled..].iter_mut().zip(now) {
                *to = sane(from);
            }
            block = later;
            let Some(sinc) = &mut self.sinc else {
                on_chunk(Known { samples: &self.input[..take], first: self.pushed + 1, step: 1 });
                self.pushed += take as u64;
                continue;
            };
            self.pushed += take as u64;
            self.filled += take;
            if self.filled == self.input.len() {
                self.filled = 0;
                let made = convert(sinc, &self.input, &mut self.output);
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
        self.sinc.as_ref().map_or(0.0, |sinc| sinc.output_delay() as f64 / self.to)
    }

    /// The longest that a sample waits for its chunk to fill, in seconds.
    #[must_use]
    pub fn chunk_s(&self) -> f64 {
        if self.sinc.is_some() { self.input.len() as f64 / self.from } else { 0.0 }
    }

    /// Input rate over output rate.
    pub(crate) fn ratio(&self) -> f64 {
        self.from / self.to
    }

    /// Back to silence, position 0.
    pub fn reset(&mut self) {
        self.pushed = 0;
        self.filled = 0;
        if let Some(sinc) = &mut self.sinc {
            sinc.reset();
        }
    }
}

/// One chunk through the filter; the number of samples made.
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
        None => Resampler::new(from, to)?,
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
    let mut keep = |sample: f32| {
        if late > 0 {
            late -= 1;
        } else if out.len() < wanted {
            out.push(sample);
        }
    };
    resampler.push(samples, &mut keep);
    let flush = ((resampler.delay_s() + 2.0 * resampler.chunk_s()) * from).ceil() as usize + 64;
    resampler.push(&vec![0.0; flush], &mut keep);
    out.resize(wanted, 0.0);
    out
}

#[cfg(test)]
#[path = "resampler_tests.rs"]
mod tests;
