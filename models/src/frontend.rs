//! The streaming log-mel frontend.

use pulp::{Simd, WithSimd};

use crate::card::FrontendConfig;
use crate::error::{Error, Result};
use crate::resampler::Resampler;
use crate::wide::{dot, wide};

mod power;
use power::PowerSpectrum;

/// Hops that are heard before the past is moved back to the beginning of its memory.
const HOPS_KEPT: usize = 8;

/// One mel band: the bins it covers and their weights, with zeros behind them up to a multiple of [`LANES`].
#[derive(Debug, Clone)]
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

/// Numbers that a register holds: what is shorter than a multiple would be summed one by one.
const LANES: usize = 8;

/// Log-mel frames from samples at the model's rate.
///
/// Frame `i` covers the samples `(i + 1) * hop - window .. (i + 1) * hop`; before the first sample there is
/// silence, so the first frame comes after one hop.
pub struct LogMel {
    config: FrontendConfig,
    bands: Vec<Band>,
    /// One for each window, the main one first.
    windows: Vec<Vec<f32>>,
    spectrum: PowerSpectrum,
    /// The past, oldest sample first: never fewer than `window` samples before `end`.
    history: Vec<f32>,
    /// Behind the newest sample in `history`.
    end: usize,
    /// Samples of the hop that is filling.
    filled: usize,
    /// Of each bin; behind the last, zeros that bands may reach into.
    power: Vec<f32>,
    frame: Vec<f32>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel").field("config", &self.config).finish_non_exhaustive()
    }
}

impl LogMel {
    /// For samples at `rate` Hz.
    ///
    /// # Errors
    /// [`Error::BadCard`] where a mel band would cover no bin of the spectrum.
    pub fn new(rate: u32, config: &FrontendConfig) -> Result<Self> {
        if config.window == 0
            || config.window > config.fft_size
            || config.hop == 0
            || config.hop > config.window
            || config.extra_windows.iter().any(|w| !(1..=config.window).contains(w))
        {
            return Err(Error::BadCard(format!("a frontend of {config:?} is not possible")));
        }
        let bins = config.fft_size / 2 + 1;
        Ok(Self {
            bands: mel_bands(rate, config)?,
            windows: std::iter::once(&config.window).chain(&config.extra_windows).map(|&w| hann(w)).collect(),
            history: vec![0.0; config.window + HOPS_KEPT * config.hop],
            end: config.window,
            filled: 0,
            spectrum: PowerSpectrum::new(config.fft_size),
            power: vec![0.0; bins + LANES],
            frame: vec![0.0; config.frame_size()],
            config: config.clone(),
        })
    }

    /// Takes one sample; at the end of each hop, the new frame of [`FrontendConfig::frame_size`] numbers.
    #[inline]
    pub fn push(&mut self, sample: f32) -> Option<&[f32]> {
        self.history[self.end] = sample;
        self.end += 1;
        self.filled += 1;
        if self.filled < self.config.hop {
            return None;
        }
        self.analyse();
        Some(&self.frame)
    }

    /// Takes many samples; calls back with each new frame, as [`Self::push`] answers it.
    pub fn push_all(&mut self, mut samples: &[f32], mut on_frame: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.config.hop - self.filled));
            self.history[self.end..][..now.len()].copy_from_slice(now);
            self.end += now.len();
            self.filled += now.len();
            samples = later;
            if self.filled == self.config.hop {
                self.analyse();
                on_frame(&self.frame);
            }
        }
    }

    /// Ends a hop. Kept out of [`Self::push`], so that a sample within a hop costs no call.
    #[inline(never)]
    fn analyse(&mut self) {
        self.filled = 0;
        let newest = &self.history[self.end - self.config.window..self.end];
        for (window, frame) in self.windows.iter().zip(self.frame.chunks_exact_mut(self.config.mels)) {
            let heard = &newest[newest.len() - window.len()..];
            self.spectrum.measure(heard, window, &mut self.power);
            wide(Mel { power: &self.power, bands: &self.bands, out: &mut *frame });
            for out in frame {
                *out = (*out + self.config.log_floor).ln();
            }
        }
        if self.end == self.history.len() {
            self.history.copy_within(self.end - self.config.window.., 0);
            self.end = self.config.window;
        }
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.history.fill(0.0);
        self.end = self.config.window;
        self.filled = 0;
    }
}

/// The power in each band of a spectrum.
struct Mel<'a> {
    /// Of each bin.
    power: &'a [f32],
    bands: &'a [Band],
    out: &'a mut [f32],
}

impl WithSimd for Mel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, band) in self.out.iter_mut().zip(self.bands) {
            *out = dot(simd, &self.power[band.first_bin..][..band.weights.len()], &band.weights);
        }
    }
}

/// Resampler and log-mel together: exactly what a [`crate::Recognizer`] hears.
#[derive(Debug)]
pub struct Frontend {
    resampler: Resampler,
    log_mel: LogMel,
}

impl Frontend {
    /// For sound at `sample_rate` Hz and a model that works at `card_rate` Hz.
    ///
    /// # Errors
    /// [`Error::SampleRate`], or [`Error::BadCard`] from [`LogMel::new`].
    pub fn new(card_rate: u32, config: &FrontendConfig, sample_rate: f64) -> Result<Self> {
        Ok(Self {
            resampler: Resampler::new(sample_rate, f64::from(card_rate))?,
            log_mel: LogMel::new(card_rate, config)?,
        })
    }

    /// Feeds a block of any length; calls back with each new frame of [`FrontendConfig::frame_size`] numbers.
    pub fn push(&mut self, samples: &[f32], mut on_frame: impl FnMut(&[f32])) {
        let Self { resampler, log_mel } = self;
        resampler.push_known(samples, |known| log_mel.push_all(known.samples, &mut on_frame));
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.resampler.reset();
        self.log_mel.reset();
    }
}

/// Periodic Hann window.
fn hann(length: usize) -> Vec<f32> {
    let turn = std::f64::consts::TAU / length as f64;
    #[expect(clippy::cast_possible_truncation, reason = "values between 0 and 1")]
    (0..length).map(|i| (0.5 - 0.5 * (turn * i as f64).cos()) as f32).collect()
}

/// Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
fn hz_to_mel(hz: f64) -> f64 {
    if hz < 1000.0 { hz * 3.0 / 200.0 } else { 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4_f64.ln() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp() }
}

/// Triangles between neighbouring points of the mel scale, each of area 1 over frequency (Slaney's norm).
fn mel_bands(rate: u32, config: &FrontendConfig) -> Result<Vec<Band>> {
    let (low, high) = (hz_to_mel(f64::from(config.fmin)), hz_to_mel(f64::from(config.fmax)));
    let point = |i: usize| mel_to_hz(low + (high - low) * i as f64 / (config.mels + 1) as f64);
    let bin_hz = f64::from(rate) / config.fft_size as f64;
    (0..config.mels)
        .map(|band| {
            let (left, centre, right) = (point(band), point(band + 1), point(band + 2));
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let rising = (hz - left) / (centre - left);
                let falling = (right - hz) / (right - centre);
                rising.min(falling).max(0.0) * 2.0 / (right - left)
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bins of a spectrum")]
            let (from, to) = ((left / bin_hz) as usize, (right / bin_hz) as usize);
            let inside: Vec<usize> = (from..=to.min(config.fft_size / 2)).filter(|&bin| weight(bin) > 0.0).collect();
            let (Some(&first_bin), Some(&last)) = (inside.first(), inside.last()) else {
                return Err(Error::BadCard(format!(
                    "mel band {band} ({left:.0} to {right:.0} Hz) lies between two bins of a transform of {} samples: \
                     take fewer bands or a longer transform",
                    config.fft_size
                )));
            };
            #[expect(clippy::cast_possible_truncation, reason = "filter weights")]
            let mut weights: Vec<f32> = (first_bin..=last).map(|bin| weight(bin) as f32).collect();
            weights.resize(weights.len().next_multiple_of(LANES), 0.0);
            Ok(Band { first_bin, weights })
        })
        .collect()
}

#[cfg(test)]
#[path = "frontend_tests.rs"]
mod tests;
