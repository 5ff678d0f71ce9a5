//! What one hop of sound costs for each shipped model: stage by stage and whole, the network by each loader; and the
//! worst block that an audio thread can meet.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't start has nothing to report")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tocco_models::{Card, Decider, Frontend, Loader, Model, Policy, Recognizer, Resampler, library};

const HOST_RATE: f64 = 48_000.0;
const LOADERS: [Loader; 2] = [Loader::Explicit, Loader::Pulse];

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

        let input = vec![-5.0; card.step_input()];
        let mut logits = vec![0.0; card.classes.len()];
        for loader in LOADERS {
            let Ok(model) = Model::from_bytes_by(bytes, loader) else { continue };
            let mut runner = model.runner().unwrap();
            group.bench_function(format!("network, {loader:?}"), |b| {
                b.iter(|| runner.step(black_box(&input), &mut logits).unwrap());
            });
        }

        let hop_ms = card.hop() as f32 * 1000.0 / card.sample_rate as f32;
        let mut decider = Decider::new(card, hop_ms, &Policy::default()).unwrap();
        let posterior = vec![1.0 / card.classes.len() as f32; card.classes.len()];
        group.bench_function("decision", |b| b.iter(|| decider.decide(black_box(&posterior), true)));

        for loader in LOADERS {
            let Ok(model) = Model::from_bytes_by(bytes, loader) else { continue };
            let mut recognizer = Recognizer::new(&model, HOST_RATE, &Policy::default()).unwrap();
            group.bench_function(format!("whole, {loader:?}"), |b| {
                b.iter(|| recognizer.push(black_box(&sound), |d| _ = black_box(d.confidence)).unwrap());
            });
        }

        // A block of one chunk: most hold no step, the one that does holds a chunk, a frame and a step.
        let mut recognizer = Recognizer::new(&model, HOST_RATE, &Policy::default()).unwrap();
        let block = noise(64);
        group.bench_function("worst block of 64 samples", |b| {
            b.iter_custom(|hops| {
                let mut total = std::time::Duration::ZERO;
                for _ in 0..hops {
                    let mut decided = false;
                    while !decided {
                        let start = std::time::Instant::now();
                        recognizer.push(black_box(&block), |_| decided = true).unwrap();
                        if decided {
                            total += start.elapsed();
                        }
                    }
                }
                total
            });
        });
        group.finish();
    }
}

/// Loading, from bytes to checked and ready.
fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    for (name, bytes) in library::all() {
        group.bench_function(name, |b| b.iter(|| Model::from_bytes(black_box(bytes)).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, stages, load);
criterion_main!(benches);
