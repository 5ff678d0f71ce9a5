//! The exact filter for rates whose ratio is a fraction of small numbers: one product with a stored filter a sample.
//!
//! The sound falls between the output's samples at a handful of phases only (80 from 44.1 to 24 kHz), so a filter is
//! stored for each, and nothing is interpolated (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983,
//! 3.3).

use std::f64::consts::{PI, TAU};

use pulp::{Simd, WithSimd};
use rubato::{WindowFunction, calculate_cutoff};

use super::TAPS;
use crate::wide::{dot, dots, wide};

/// More phases than this are rubato's: their filters would not stay in a processor's cache.
const MOST_PHASES: u32 = 320;
/// Output samples of one phase that are made at once: as many as a processor has registers for.
const TOGETHER: usize = 3;
/// Filters are a multiple of it long, as registers are.
const LANES: usize = 8;

pub(super) struct Polyphase {
    /// `[phases, taps]`
    filters: Vec<f32>,
    taps: usize,
    phases: usize,
    /// Input samples from one output sample to the next, in parts of `phases`.
    step: usize,
    /// The last `taps - 1` samples before the chunk, and the chunk.
    heard: Vec<f32>,
    /// Where in `heard` the next output sample's filter starts, in parts of `phases`.
    at: usize,
}

impl Polyphase {
    /// A low-pass filter of about `taps` taps for chunks of `chunk` samples; `None` where the ratio of the rates is no
    /// fraction of small numbers.
    pub fn new(from: f64, to: f64, taps: usize, chunk: usize) -> Option<Self> {
        let (step, phases) = fraction(from, to)?;
        let taps = taps.next_multiple_of(LANES);
        let filters = filters(taps, phases, to / from);
        let heard = vec![0.0; taps - 1 + chunk];
        Some(Self { filters, taps, phases, step, heard, at: step })
    }

    /// The most samples that a chunk makes.
    pub fn most_made(&self) -> usize {
        let chunk = self.heard.len() + 1 - self.taps;
        chunk * self.phases / self.step + 1
    }

    /// Output samples, rounded down, that a sound takes through the filter.
    pub fn delay(&self) -> usize {
        self.taps * self.phases / (2 * self.step)
    }

    /// One chunk through the filter; the number of samples made.
    pub fn process(&mut self, chunk: &[f32], out: &mut [f32]) -> usize {
        let kept = self.taps - 1;
        self.heard.copy_within(chunk.len().., 0);
        self.heard[kept..].copy_from_slice(chunk);
        let made = wide(Pass(self, out));
        self.at -= chunk.len() * self.phases;
        made
    }

    /// Each phase's filter is read once for all output samples that fall on it, of which a long chunk has several.
    #[inline(always)]
    fn filter<S: Simd>(&mut self, simd: S, out: &mut [f32]) -> usize {
        let starts = (self.heard.len() + 1 - self.taps) * self.phases;
        let made = starts.saturating_sub(self.at).div_ceil(self.step).min(out.len());
        let (mut start, mut phase) = (self.at / self.phases, self.at % self.phases);
        let (whole, part) = (self.step / self.phases, self.step % self.phases);
        let (rounds, rest) = (made / self.phases, made % self.phases);
        for first in 0..made.min(self.phases) {
            let filter = &self.filters[phase * self.taps..][..self.taps];
            let heard = |at: usize| &self.heard[at..][..self.taps];
            let (mut next, mut at) = (first, start);
            let left = rounds + usize::from(first < rest);
            for _ in 0..left / TOGETHER {
                for sample in dots::<S, TOGETHER>(simd, std::array::from_fn(|i| heard(at + i * self.step)), filter) {
                    out[next] = sample;
                    next += self.phases;
                }
                at += TOGETHER * self.step;
            }
            for _ in 0..left % TOGETHER {
                out[next] = dot(simd, heard(at), filter);
                next += self.phases;
                at += self.step;
            }
            start += whole;
            phase += part;
            if phase >= self.phases {
                phase -= self.phases;
                start += 1;
            }
        }
        self.at += made * self.step;
        made
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.heard.fill(0.0);
        self.at = self.step;
    }
}

struct Pass<'a>(&'a mut Polyphase, &'a mut [f32]);

impl WithSimd for Pass<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        self.0.filter(simd, self.1)
    }
}

/// The ratio of two rates in whole Hz as a fraction of small numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are at most 384 kHz")]
fn fraction(from: f64, to: f64) -> Option<(usize, usize)> {
    if from.fract() != 0.0 || to.fract() != 0.0 {
        return None;
    }
    let (from, to) = (from as u32, to as u32);
    let (mut common, mut rest) = (from, to);
    while rest > 0 {
        (common, rest) = (rest, common % rest);
    }
    (to / common <= MOST_PHASES).then_some(((from / common) as usize, (to / common) as usize))
}

/// Half level as a share of half the lower rate: rubato's for the usual length. A filter that is longer since it takes more
/// samples a second falls as steeply, in Hz: with a cutoff of its own it would let pass what others do not.
pub fn cutoff() -> f32 {
    calculate_cutoff(TAPS, WindowFunction::BlackmanHarris2)
}

/// A windowed sinc for each phase, `[phases, taps]`: rubato's window and cutoff.
fn filters(taps: usize, phases: usize, ratio: f64) -> Vec<f32> {
    let cutoff = f64::from(cutoff()) * ratio.min(1.0);
    let tap = |phase: usize, tap: usize| {
        let at = (tap + 1) as f64 - phase as f64 / phases as f64;
        let turn = TAU * at / taps as f64;
        let window = 0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() - 0.011_68 * (3.0 * turn).cos();
        let x = PI * cutoff * (at - taps as f64 / 2.0);
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        sinc * window * window
    };
    let all: Vec<f64> = (0..phases).flat_map(|phase| (0..taps).map(move |i| tap(phase, i))).collect();
    let gain = phases as f64 / all.iter().sum::<f64>();
    #[expect(clippy::cast_possible_truncation, reason = "filter weights")]
    all.iter().map(|weight| (weight * gain) as f32).collect()
}
