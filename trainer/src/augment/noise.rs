//! Added noise. Levels are amplitudes of the RMS.

use std::f32::consts::TAU;

use rand::Rng;
use rand::rngs::StdRng;
use realfft::num_complex::Complex32;

use super::config::NoiseShares;
use super::gaussian;

/// Adds one of the noises, drawn by its share.
pub(super) fn add(samples: &mut [f32], level: f32, rate: f32, shares: &NoiseShares, rng: &mut StdRng) {
    let NoiseShares { coloured, hum, clicks, white, pink } = *shares;
    let mut point = rng.random_range(0..(coloured + hum + clicks + white + pink).max(1));
    let mut within = |share: u32| {
        let here = point < share;
        point = point.saturating_sub(share);
        here
    };
    if within(coloured) {
        add_coloured(samples, level, rng);
    } else if within(hum) {
        add_hum(samples, level, rate, rng);
    } else if within(clicks) {
        add_clicks(samples, level, rate, rng);
    } else if within(white) {
        samples.iter_mut().for_each(|s| *s += level * gaussian(rng));
    } else {
        add_pink(samples, level, rng);
    }
}

/// White noise through a one-pole filter: from white to brown.
fn add_coloured(samples: &mut [f32], level: f32, rng: &mut StdRng) {
    let pole = 1.0 - 10.0_f32.powf(rng.random_range(-2.0..0.0_f32));
    let scale = level * ((1.0 + pole) / (1.0 - pole)).sqrt() * (1.0 - pole);
    let mut state = 0.0;
    for sample in samples {
        state = pole * state + gaussian(rng);
        *sample += state * scale;
    }
}

/// Pink noise: low-passed noises of equal power, each two octaves under the one before.
fn add_pink(samples: &mut [f32], level: f32, rng: &mut StdRng) {
    /// From half the rate down to a few Hz.
    const POLES: usize = 7;
    let poles: [f32; POLES] = std::array::from_fn(|k| (-TAU * 0.5 / 4.0_f32.powi(i32::try_from(k).unwrap_or(0))).exp());
    let scales = poles.map(|p| level * (1.0 - p * p).sqrt() / (POLES as f32).sqrt());
    let mut states = [0.0_f32; POLES];
    for sample in samples {
        for ((state, pole), scale) in states.iter_mut().zip(&poles).zip(&scales) {
            *state = pole * *state + scale * gaussian(rng);
            *sample += *state;
        }
    }
}

/// Mains hum: each partial is a rotation, which costs two products a sample where a sine would cost many.
fn add_hum(samples: &mut [f32], level: f32, rate: f32, rng: &mut StdRng) {
    let mains = if rng.random() { 50.0 } else { 60.0 };
    for k in 1..=8_u8 {
        let turn = Complex32::from_polar(1.0, TAU * mains * f32::from(k) / rate);
        let mut phasor = Complex32::from_polar(level * rng.random::<f32>() / f32::from(k).sqrt(), 0.0);
        for sample in samples.iter_mut() {
            phasor *= turn;
            *sample += phasor.im;
        }
    }
}

/// Short bursts, as of fingers on wood, a few a second.
fn add_clicks(samples: &mut [f32], level: f32, rate: f32, rng: &mut StdRng) {
    let chance = f64::from(rng.random_range(0.5..6.0) / rate);
    let (mut burst, mut dull) = (0.0_f32, 0.0_f32);
    let decay = (-1.0 / (rate * rng.random_range(0.001..0.03_f32))).exp();
    let dullness = rng.random_range(0.0..0.95_f32);
    for sample in samples {
        if rng.random_bool(chance) {
            burst = 20.0 * level * rng.random::<f32>();
        }
        dull += (1.0 - dullness) * (gaussian(rng) * burst - dull);
        *sample += dull;
        burst *= decay;
    }
}

/// Adds a stretch of one of the recordings, from anywhere in it, round and round where it is short.
pub(super) fn add_background(samples: &mut [f32], recordings: &[Vec<f32>], level: f32, rng: &mut StdRng) {
    if recordings.is_empty() {
        return;
    }
    let recording = &recordings[rng.random_range(0..recordings.len())];
    let start = rng.random_range(0..recording.len().max(1));
    let stretch = || recording.iter().cycle().skip(start).take(samples.len());
    let power = stretch().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32;
    let scale = if power > 1e-12 { level / power.sqrt() } else { 0.0 };
    let added: Vec<f32> = stretch().map(|s| scale * s).collect();
    for (sample, add) in samples.iter_mut().zip(added) {
        *sample += add;
    }
}
