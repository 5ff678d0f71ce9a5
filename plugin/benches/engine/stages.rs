//! What one hop costs, stage by stage, and what loading takes.

use std::hint::black_box;
use std::time::Instant;

use tocco_models::{Decider, Frontend, Loader, Model, Policy, Recognizer, Resampler, library};

use super::table::{Table, percentile};

const HOST_RATE: u32 = 48_000;
/// Rounds of each measurement; the median of them is told.
const ROUNDS: usize = 2000;

/// Noise at -20 dBFS, so that the gate is open and no shortcut for silence is taken.
pub fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..samples).map(|_| 0.17 * next()).collect()
}

/// Median in us, after some rounds to warm up.
fn median_us(mut work: impl FnMut()) -> f32 {
    (0..ROUNDS / 10).for_each(|_| work());
    let mut times: Vec<f32> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f32() * 1e6
        })
        .collect();
    times.sort_by(f32::total_cmp);
    percentile(&times, 0.5)
}

/// Each stage of one hop, for each shipped model and loader.
pub fn measure(table: &mut Table) {
    for (name, bytes) in library::all() {
        let model = Model::from_bytes(bytes).unwrap();
        let card = model.card();
        let hop_ms = card.hop() as f32 * 1000.0 / card.sample_rate as f32;
        let sound = noise(card.hop() * (HOST_RATE / card.sample_rate) as usize);
        table.part(&format!("a hop of {name} ({hop_ms:.0} ms, 48 kHz)"), &["us, median", "share of the whole"]);
        let mut stages: Vec<(String, f32)> = Vec::new();

        let mut resampler = Resampler::new(f64::from(HOST_RATE), f64::from(card.sample_rate)).unwrap();
        stages.push(("resample".into(), median_us(|| resampler.push(black_box(&sound), |s| _ = black_box(s)))));
        if let Some(config) = &card.frontend {
            let mut frontend = Frontend::new(card.sample_rate, config, f64::from(card.sample_rate)).unwrap();
            let at_rate = noise(card.hop());
            let features = median_us(|| frontend.push(black_box(&at_rate), |f| _ = black_box(f[0])));
            stages.push(("features".into(), features));
        }
        let input = vec![-5.0; card.step_input()];
        let mut logits = vec![0.0; card.classes.len()];
        for loader in [Loader::Explicit, Loader::Pulse] {
            let Ok(by) = Model::from_bytes_by(bytes, loader) else { continue };
            let mut runner = by.runner().unwrap();
            let network = median_us(|| runner.step(black_box(&input), &mut logits).unwrap());
            let chosen = if loader == model.loader() { " (in use)" } else { "" };
            stages.push((format!("network, {loader:?}{chosen}"), network));
        }
        let mut decider = Decider::new(card, hop_ms, &Policy::default()).unwrap();
        let posterior = vec![1.0 / card.classes.len() as f32; card.classes.len()];
        stages.push(("decision".into(), median_us(|| _ = black_box(decider.decide(black_box(&posterior), true)))));
        let mut recognizer = Recognizer::new(&model, f64::from(HOST_RATE), &Policy::default()).unwrap();
        let whole = median_us(|| recognizer.push(black_box(&sound), |d| _ = black_box(d.confidence)).unwrap());
        stages.push(("whole".into(), whole));
        for (stage, us) in stages {
            table.row(&stage, &[format!("{us:.2}"), format!("{:.2}", us / whole)]);
        }
    }
}

/// From bytes to checked and ready, and one recognizer more.
pub fn load(table: &mut Table) {
    table.part("loading", &["ms"]);
    for (name, bytes) in library::all() {
        let mut times: Vec<f32> = (0..9)
            .map(|_| {
                let start = Instant::now();
                drop(black_box(Model::from_bytes(bytes).unwrap()));
                start.elapsed().as_secs_f32() * 1e3
            })
            .collect();
        times.sort_by(f32::total_cmp);
        table.row(name, &[format!("{:.1}", percentile(&times, 0.5))]);
        let model = Model::from_bytes(bytes).unwrap();
        let us = median_us(|| drop(Recognizer::new(&model, f64::from(HOST_RATE), &Policy::default()).unwrap()));
        table.row(&format!("{name}: one more recognizer"), &[format!("{:.2}", us / 1e3)]);
    }
}
