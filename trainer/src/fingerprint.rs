//! Finding recordings that are nearly the same sound, at other gains, after other silences, with another noise floor
//! or through a lossy coding: two of them on two sides of a split make every figure flatter.
//!
//! Two steps. A [`Fingerprint`] is the mean spectrum of a recording in quarter tones, which none of these changes
//! much; random hyperplanes hash it into a few tables (Charikar 2002), so that only recordings with like spectra are
//! ever compared and the work grows with their number, not with its square. What is alike then goes through
//! [`similarity`]: two takes of one note have the same spectrum, but their waves part within a fraction of a second;
//! two copies of one take agree to the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use realfft::RealFftPlanner;
use tocco_models::resample_all;

use crate::audio::Sound;

/// From this correlation on, two recordings count as nearly the same.
pub const NEARLY_THE_SAME: f32 = 0.95;

/// Lowest band, in Hz; six octaves are heard, which every coding leaves alone.
const LOWEST_HZ: f64 = 80.0;
const BANDS_PER_OCTAVE: usize = 24;
const BANDS: usize = 6 * BANDS_PER_OCTAVE;
/// Softer bands count as silent, in dB below the loudest: a noise floor must change nothing.
const DEEPEST_DB: f64 = 35.0;
/// Seconds of an analysis window, rounded up to a power of two of samples.
const WINDOW_S: f64 = 0.06;
/// Spectra that are less alike than this are not compared further.
const ALIKE: f32 = 0.9;
const TABLES: usize = 12;
/// How many others of one hash a recording is compared with: bounds the work where thousands are alike.
const MOST_PER_HASH: usize = 64;
/// Waves are compared at this rate, in samples a second.
const WAVE_RATE: f64 = 8000.0;
/// Waves are compared over so many seconds from where the sound begins.
const WAVE_S: f64 = 3.0;
/// How much of each sample is taken from the next: weight for the higher partials, which part first where two takes
/// are only alike. More of it, and a noise floor hides copies.
const PRE_EMPHASIS: f32 = 0.5;
/// Of the shorter of two waves, this part must overlap.
const OVERLAP: f64 = 0.7;

/// The mean spectrum of a recording: `BANDS` levels from 0 (silent) to 1 (the loudest band).
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint(Vec<f32>);

impl Fingerprint {
    /// Takes the fingerprint; `None` where the sound is silent in all bands.
    #[must_use]
    pub fn of(sound: &Sound) -> Option<Self> {
        let rate = f64::from(sound.rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand samples")]
        let size = ((WINDOW_S * rate) as usize).next_power_of_two();
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        let (mut input, mut output) = (fft.make_input_vec(), fft.make_output_vec());
        let window: Vec<f32> =
            (0..size).map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / size as f32).cos()).collect();
        let mut power = vec![0.0_f64; output.len()];
        let mut start = 0;
        while start < sound.samples.len() {
            let part = &sound.samples[start..sound.samples.len().min(start + size)];
            input.fill(0.0);
            for ((to, from), w) in input.iter_mut().zip(part).zip(&window) {
                *to = from * w;
            }
            // The lengths are the plan's own.
            if fft.process(&mut input, &mut output).is_err() {
                return None;
            }
            for (sum, bin) in power.iter_mut().zip(&output) {
                *sum += f64::from(bin.norm_sqr());
            }
            start += size / 2;
        }
        let bin = |hz: f64| hz * size as f64 / rate;
        let levels: Vec<f64> = (0..BANDS).map(|band| level(&power, bin(edge(band)), bin(edge(band + 1)))).collect();
        let loudest = levels.iter().copied().fold(0.0, f64::max);
        (loudest > 0.0).then(|| {
            let db = |level: f64| 10.0 * (level / loudest).max(1e-10).log10();
            #[expect(clippy::cast_possible_truncation, reason = "a number between 0 and 1")]
            Self(levels.into_iter().map(|l| (1.0 + db(l) / DEEPEST_DB).max(0.0) as f32).collect())
        })
    }
}

/// The lower edge of a band in Hz.
fn edge(band: usize) -> f64 {
    LOWEST_HZ * (band as f64 / BANDS_PER_OCTAVE as f64).exp2()
}

/// Mean power between two places in a spectrum, in bins; narrower bands than a bin are read between the bins.
fn level(power: &[f64], from: f64, to: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin of a short spectrum")]
    let (first, last) = (from.ceil() as usize, to.ceil() as usize);
    let at = |i: usize| power.get(i).copied().unwrap_or(0.0);
    if first < last {
        return (first..last).map(at).sum::<f64>() / (last - first) as f64;
    }
    let middle = f64::midpoint(from, to);
    let share = middle - middle.floor();
    at(first.saturating_sub(1)) * (1.0 - share) + at(first) * share
}

/// Pairs of recordings on different sides whose spectra are alike, the most alike first. `prints` holds each
/// recording's side and fingerprint.
#[must_use]
pub fn alike(prints: &[(usize, &Fingerprint)]) -> Vec<(usize, usize)> {
    let n = prints.len();
    if n < 2 {
        return Vec::new();
    }
    // What all recordings share tells nothing.
    let mean: Vec<f32> = (0..BANDS).map(|b| prints.iter().map(|(_, p)| p.0[b]).sum::<f32>() / n as f32).collect();
    let centred: Vec<Vec<f32>> = prints.iter().map(|(_, p)| unit(p.0.iter().zip(&mean).map(|(a, m)| a - m))).collect();
    let bits = (n.ilog2() + 4).clamp(8, 28);
    let mut random = StdRng::seed_from_u64(1);
    let mut pairs = BTreeSet::new();
    for _ in 0..TABLES {
        let planes: Vec<Vec<f32>> =
            (0..bits).map(|_| (0..BANDS).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
        let mut table: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (i, print) in centred.iter().enumerate() {
            let hash = planes.iter().fold(0, |hash, plane| (hash << 1) | u32::from(dot(print, plane) > 0.0));
            table.entry(hash).or_default().push(i);
        }
        for members in table.values() {
            for (at, &a) in members.iter().enumerate() {
                let others = members[at + 1..].iter().filter(|b| prints[**b].0 != prints[a].0);
                pairs.extend(others.take(MOST_PER_HASH).map(|&b| (a, b)));
            }
        }
    }
    let mut alike: Vec<(f32, (usize, usize))> = pairs
        .into_iter()
        .map(|(a, b)| (dot(&centred[a], &centred[b]), (a, b)))
        .filter(|(cosine, _)| *cosine >= ALIKE)
        .collect();
    alike.sort_by(|(a, at), (b, bt)| b.total_cmp(a).then(at.cmp(bt)));
    alike.into_iter().map(|(_, pair)| pair).collect()
}

fn unit(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let values: Vec<f32> = values.collect();
    let length = dot(&values, &values).sqrt().max(f32::MIN_POSITIVE);
    values.into_iter().map(|v| v / length).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The beginning of a recording's sound, ready to be compared.
#[derive(Debug, Clone)]
pub struct Wave {
    samples: Vec<f32>,
    /// Energy of all samples before each.
    energy: Vec<f64>,
}

impl Wave {
    /// Takes `WAVE_S` seconds from where the sound first comes within 30 dB of its loudest.
    ///
    /// # Errors
    /// The recording's rate can't be resampled from.
    pub fn of(sound: &Sound) -> Result<Self> {
        let mut samples = resample_all(&sound.samples, f64::from(sound.rate), WAVE_RATE)?;
        for i in (1..samples.len()).rev() {
            samples[i] -= PRE_EMPHASIS * samples[i - 1];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand samples")]
        let (frame, most) = ((0.02 * WAVE_RATE) as usize, (WAVE_S * WAVE_RATE) as usize);
        let energies: Vec<f32> = samples.chunks(frame).map(|f| dot(f, f)).collect();
        let loudest = energies.iter().copied().fold(0.0, f32::max);
        let begin = energies.iter().position(|e| *e >= loudest * 1e-3).unwrap_or(0) * frame;
        let samples: Vec<f32> = samples[begin.min(samples.len())..].iter().copied().take(most).collect();
        let mut sum = 0.0;
        let mut energy = vec![0.0];
        energy.extend(samples.iter().map(|s| {
            sum += f64::from(s * s);
            sum
        }));
        Ok(Self { samples, energy })
    }

    fn energy(&self, from: usize, to: usize) -> f64 {
        self.energy[to] - self.energy[from]
    }
}

/// The largest correlation of two waves over all shifts that leave enough of both, from 0 (nothing in common) to 1
/// (one is the other at another gain, perhaps turned over).
#[must_use]
pub fn similarity(a: &Wave, b: &Wave) -> f32 {
    let (n, m) = (a.samples.len(), b.samples.len());
    if n == 0 || m == 0 {
        return 0.0;
    }
    let size = (n + m).next_power_of_two();
    let Some(correlation) = correlate(&a.samples, &b.samples, size) else { return 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
    let least = ((n.min(m) as f64 * OVERLAP) as usize).max(1);
    let mut best = 0.0_f64;
    // `b` begins `lag` samples after `a`, or before it.
    let later = (0..n).map(|lag| (lag, 0, lag));
    let earlier = (1..m).map(|lag| (0, lag, size - lag));
    for (from_a, from_b, at) in later.chain(earlier) {
        let overlap = (n - from_a).min(m - from_b);
        if overlap < least {
            continue;
        }
        let energy = a.energy(from_a, from_a + overlap) * b.energy(from_b, from_b + overlap);
        if energy > 0.0 {
            best = best.max(f64::from(correlation[at]).abs() / energy.sqrt());
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number between 0 and 1")]
    let best = best.min(1.0) as f32;
    best
}

/// Sum over time of `a[t + lag] * b[t]` at index `lag`, negative lags counted from the end.
fn correlate(a: &[f32], b: &[f32], size: usize) -> Option<Vec<f32>> {
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let (mut input, mut output) = (forward.make_input_vec(), forward.make_output_vec());
        input[..samples.len()].copy_from_slice(samples);
        forward.process(&mut input, &mut output).ok().map(|()| output)
    };
    let (mut product, other) = (spectrum(a)?, spectrum(b)?);
    for (x, y) in product.iter_mut().zip(&other) {
        *x = *x * y.conj() / size as f32;
    }
    let mut sums = inverse.make_output_vec();
    inverse.process(&mut product, &mut sums).ok()?;
    Some(sums)
}
