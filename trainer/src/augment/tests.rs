#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cuts;
mod effects;
mod made;
mod notes;
mod scenes;

use std::f32::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use realfft::RealFftPlanner;

const RATE: u32 = 24_000;

fn sine(hz: f32, samples: u16) -> Vec<f32> {
    (0..samples).map(|i| (TAU * hz * f32::from(i) / RATE as f32).sin()).collect()
}

/// A note of many partials, a second long.
fn buzz(hz: f32) -> Vec<f32> {
    let partials = (1..40_u8).map(f32::from).filter(|k| k * hz < 0.45 * RATE as f32);
    let mut sound = vec![0.0; RATE as usize];
    for k in partials {
        for (cell, s) in sound.iter_mut().zip(sine(k * hz, 24_000)) {
            *cell += 0.2 * s / k;
        }
    }
    sound
}

/// Any sound: noise between -1 and 1.
fn hiss(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..length).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Level of the second half, in dB relative to a full sine.
fn level_db(samples: &[f32]) -> f32 {
    let half = &samples[samples.len() / 2..];
    10.0 * (2.0 * half.iter().map(|s| s * s).sum::<f32>() / half.len() as f32).log10()
}

/// Power in each Hz of a sound, over its middle; index is the frequency in units of `step_hz`.
fn spectrum(samples: &[f32]) -> (Vec<f32>, f32) {
    let size = 16_384.min(samples.len());
    let start = (samples.len() - size) / 2;
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(size);
    let mut wave: Vec<f32> = samples[start..start + size]
        .iter()
        .enumerate()
        .map(|(i, s)| s * (0.5 - 0.5 * (TAU * i as f32 / size as f32).cos()))
        .collect();
    let mut out = transform.make_output_vec();
    transform.process(&mut wave, &mut out).unwrap();
    (out.iter().map(|c| c.norm_sqr()).collect(), RATE as f32 / size as f32)
}

/// Energy between two frequencies, in dB.
fn band_db(samples: &[f32], from: f32, to: f32) -> f32 {
    let (power, step) = spectrum(samples);
    let sum: f32 =
        power.iter().enumerate().filter(|(k, _)| (from..to).contains(&(*k as f32 * step))).map(|(_, p)| p).sum();
    10.0 * (sum + 1e-20).log10()
}

/// The strongest frequency between two, refined by a parabola through the logarithms.
fn strongest_hz(samples: &[f32], from: f32, to: f32) -> f32 {
    let (power, step) = spectrum(samples);
    let within = |k: &usize| (from..to).contains(&(*k as f32 * step));
    let best = (1..power.len() - 1).filter(within).max_by(|a, b| power[*a].total_cmp(&power[*b])).unwrap();
    let [a, b, c] = [best - 1, best, best + 1].map(|k| (power[k] + 1e-20).ln());
    (best as f32 + 0.5 * (a - c) / (a - 2.0 * b + c)) * step
}

fn cents(from: f32, to: f32) -> f32 {
    1200.0 * (to / from).log2()
}
