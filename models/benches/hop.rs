//! What one hop of sound costs, stage by stage and whole, for each shipped model.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't start has nothing to report")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tocco_models::{Card, Decider, Frontend, Model, Policy, Recognizer, Resampler, library};

const HOST_RATE: f64 = 48_000.0;

/// Noise at -20 dBFS, so that the gate is open and no shortcut for silence is taken.
fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..samples).map(|_| 0.17 * next()).collect()
}

/// Samples of the host in one decision hop of the model.
fn hop_of_host(card: &Card) -> usize {
    card.hop() * 48_000 / card.sample_rate as usize
}

fn stages(c: &mut Criterion) {
    for (name, bytes) in library::all() {
        let model = Model::from_bytes(bytes).unwrap();
        let card = model.card();
        let sound = noise(hop_of_host(card));
        let mut group = c.benchmark_group(format!("one hop of {name}"));

        let mut resampler = Resampler::new(HOST_RATE, f64::from(card.sample_rate)).unwrap();
        group.bench_function("resample", |b| b.iter(|| resampler.push(black_box(&sound), |s| _ = black_box(s))));

        if let Some(config) = &card.frontend {
            let mut frontend = Frontend::new(card.sample_rate, config, f64::from(card.sample_rate)).unwrap();
            let at_rate = noise(card.hop());
            group.bench_function("log-mel", |b| b.iter(|| frontend.push(black_box(&at_rate), |f| _ = black_box(f[0]))));
        }

        let mut runner = model.runner().unwrap();
        let per_step = card.reference.as_ref().map_or(0, |r| r.input.len() * card.classes.len() / r.output.len());
        if per_step > 0 {
            let input = vec![-5.0; per_step];
            let mut logits = vec![0.0; card.classes.len()];
            group.bench_function("network", |b| b.iter(|| runner.step(black_box(&input), &mut logits).unwrap()));
        }

        let hop_ms = card.hop() as f32 * 1000.0 / card.sample_rate as f32;
        let mut decider = Decider::new(card, hop_ms, &Policy::default()).unwrap();
        let posterior = vec![1.0 / card.classes.len() as f32; card.classes.len()];
        group.bench_function("decision", |b| b.iter(|| decider.decide(black_box(&posterior), true)));

        let mut recognizer = Recognizer::new(&model, HOST_RATE, &Policy::default()).unwrap();
        group.bench_function("whole", |b| {
            b.iter(|| recognizer.push(black_box(&sound), |d| _ = black_box(d.confidence)).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
