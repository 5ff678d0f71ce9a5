//! The log-mel frontend against librosa. The golden file is made by `tests/golden/make_frontend.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use tocco_models::{Frontend, FrontendConfig};
use tocco_tests::locate::repository;

const RATE: u32 = 24_000;
/// The largest difference allowed, in nepers of mel power; 1.7e-4 was measured.
const LARGEST_DIFFERENCE: f64 = 5e-4;

/// The same numbers as in `make_frontend.py`.
fn sound() -> Vec<f32> {
    let mut seed = 12_345_u32;
    let sample = |i: u32| {
        let t = f64::from(i) / f64::from(RATE);
        let rising = 0.3 * (std::f64::consts::TAU * (60.0 * t + 4000.0 * t * t)).sin();
        let steady = if t >= 0.5 { 0.2 * (std::f64::consts::TAU * 440.0 * t).sin() } else { 0.0 };
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(seed) / f64::from(1_u32 << 31) - 1.0;
        (rising + steady + 0.001 * noise) as f32
    };
    (0..RATE).map(sample).collect()
}

fn golden() -> Vec<f32> {
    let bytes = std::fs::read(repository().join("tests/golden/frontend_librosa.f32")).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn log_mel_equals_librosa() {
    let config = FrontendConfig::default();
    let mut frontend = Frontend::new(RATE, &config, f64::from(RATE)).unwrap();
    let mut frames = Vec::new();
    for block in sound().chunks(77) {
        frontend.push(block, |frame| frames.extend_from_slice(frame));
    }
    let golden = golden();
    let whole = golden.len() / config.mels;
    assert!(whole >= 95, "the golden file holds {whole} frames");
    assert_eq!(frames.len(), golden.len(), "frames: {} and {whole}", frames.len() / config.mels);
    let difference = frames.iter().zip(&golden).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    println!("largest difference from librosa over {whole} frames of {} bands: {difference:.2e} nepers", config.mels);
    assert!(difference < LARGEST_DIFFERENCE, "{difference}");
}
