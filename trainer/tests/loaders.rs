//! Both loaders of `stream` networks against the whole-sequence network on ONNX Runtime, over a minute of sound, and
//! back to the initial state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tocco_models::onnx::{self, Attribute, GraphBuilder, pb};
use tocco_models::{Card, Frontend, FrontendConfig, Loader, Model, NetworkKind, Runner, StateSpec, library};
use tocco_trainer::{audio, engine};

/// The largest difference of a logit.
const TOLERANCE: f32 = 1e-4;
const SECONDS: usize = 60;

/// A minute of frames as the model's frontend makes them `[frames, mels]`: recordings where they are, else strings
/// that are plucked here.
fn minute(card: &Card) -> Vec<f32> {
    let config = card.frontend.as_ref().unwrap();
    let wanted = SECONDS * 100 * config.mels;
    let mut frames = Vec::with_capacity(wanted);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/double-bass");
    let mut files: Vec<PathBuf> = ["arco", "pizz", "noises"]
        .iter()
        .filter_map(|kind| std::fs::read_dir(folder.join(kind)).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .collect();
    // Neighbours in the list are of different kinds and pitches.
    files.sort_by_key(|path| path.file_name().map(|n| n.to_string_lossy().bytes().rev().collect::<Vec<_>>()));
    for path in files {
        let sound = audio::decode(&path).unwrap();
        let mut frontend = Frontend::new(card.sample_rate, config, f64::from(sound.rate)).unwrap();
        frontend.push(&sound.samples, |frame| frames.extend_from_slice(frame));
        if frames.len() >= wanted {
            frames.truncate(wanted);
            return frames;
        }
    }
    println!("no recordings here: on sound that is made");
    let mut frontend = Frontend::new(card.sample_rate, config, 48_000.0).unwrap();
    frontend.push(&plucked(), |frame| frames.extend_from_slice(frame));
    frames.resize(wanted, config.log_floor.ln());
    frames
}

/// Strings plucked twice a second, with pauses and a little noise, at 48 kHz.
fn plucked() -> Vec<f32> {
    let mut seed = 1_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 16_777_216.0
    };
    let mut hz = 0.0;
    (0..SECONDS * 48_000 + 48_000)
        .map(|i| {
            if i % 24_000 == 0 {
                hz = 40.0 * (4.0 * random()).exp2();
            }
            let t = (i % 24_000) as f32 / 48_000.0;
            let partials = (1..=8_u8).map(|k| (std::f32::consts::TAU * hz * f32::from(k) * t).sin() / f32::from(k));
            0.3 * (-10.0 * t).exp() * partials.sum::<f32>() + 1e-4 * (random() - 0.5)
        })
        .collect()
}

/// The largest difference between a runner's logits and `expected`, one row a step.
fn difference(runner: &mut dyn Runner, frames: &[f32], per_step: usize, expected: &[f32], classes: usize) -> f32 {
    let mut logits = vec![0.0; classes];
    assert_eq!(frames.len() / per_step, expected.len() / classes);
    let mut worst = 0.0_f32;
    for (step, wanted) in frames.chunks_exact(per_step).zip(expected.chunks_exact(classes)) {
        runner.step(step, &mut logits).unwrap();
        for (a, b) in logits.iter().zip(wanted) {
            let distance = (a - b).abs();
            worst = worst.max(if distance.is_nan() { f32::INFINITY } else { distance });
        }
    }
    worst
}

#[test]
fn both_loaders_equal_the_whole_sequence_on_onnx_runtime() {
    let runtime = match engine::library(None) {
        Ok(runtime) => runtime,
        Err(why) => return common::skipped(&format!("{why:#}")),
    };
    // The techniques are convolutions alone; the instruments have a running mean behind them.
    for (name, bytes) in library::all() {
        let model = Model::from_bytes(bytes).unwrap();
        let card = model.card();
        let frames = minute(card);
        let whole = onnx::encode(&onnx::whole_sequence(&onnx::decode(bytes).unwrap(), card).unwrap());
        let mels = card.frontend.as_ref().unwrap().mels;
        let expected = engine::answers_to_sequence(&whole, &runtime, &frames, mels).unwrap();
        assert_eq!(model.loader(), Loader::Pulse, "{name}: {:?}", model.not_pulsed());
        for loader in [Loader::Explicit, Loader::Pulse] {
            let model = Model::from_bytes_by(bytes, loader).unwrap();
            let mut runner = model.runner().unwrap();
            let worst = difference(&mut *runner, &frames, card.step_input(), &expected, card.classes.len());
            println!("{name}, {loader:?}: {worst:.1e} over {} frames", frames.len() / mels);
            assert!(worst <= TOLERANCE, "{name}, {loader:?}: {worst}");
        }
    }
}

const GRU_MELS: usize = 16;
const HIDDEN: usize = 24;

/// Weights of a GRU and a linear layer behind it, random but always the same.
fn gru_weights(g: &mut GraphBuilder) {
    let mut seed = 7_u32;
    let mut random = |n: usize, scale: f32| -> Vec<f32> {
        let mut one = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            scale * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        (0..n).map(|_| one()).collect()
    };
    g.initializer("w", &[1, 3 * HIDDEN, GRU_MELS], &random(3 * HIDDEN * GRU_MELS, 0.1));
    g.initializer("r", &[1, 3 * HIDDEN, HIDDEN], &random(3 * HIDDEN * HIDDEN, 0.4));
    g.initializer("b", &[1, 6 * HIDDEN], &random(6 * HIDDEN, 0.3));
    g.initializer("head", &[HIDDEN, 3], &random(3 * HIDDEN, 1.0));
}

fn gru_attributes() -> [(&'static str, Attribute); 2] {
    let hidden = i64::try_from(HIDDEN).unwrap();
    [("hidden_size", Attribute::Int(hidden)), ("linear_before_reset", Attribute::Int(1))]
}

/// Frames a step: tract takes another operator for four and more.
const GRU_STEPS: [usize; 4] = [1, 2, 4, 8];

/// A step of some frames through a GRU whose state goes in and comes out.
fn gru_step(steps: usize) -> (pb::ModelProto, Card) {
    let mut g = GraphBuilder::new("gru step");
    g.input("frames", &[1, steps, GRU_MELS]).input("hidden", &[1, 1, HIDDEN]);
    g.output("logits", &[1, 3]).output("hidden_next", &[1, 1, HIDDEN]);
    gru_weights(&mut g);
    g.initializer_i64("flat", &[2], &[1, i64::try_from(HIDDEN).unwrap()]);
    g.node("Transpose", &["frames"], &["sequence"], &[("perm", Attribute::Ints(vec![1, 0, 2]))]);
    g.node("GRU", &["sequence", "w", "r", "b", "", "hidden"], &["", "hidden_next"], &gru_attributes());
    g.node("Reshape", &["hidden_next", "flat"], &["row"], &[]);
    g.node("MatMul", &["row", "head"], &["logits"], &[]);
    let mut card = common::card();
    card.frontend = Some(FrontendConfig { mels: GRU_MELS, ..FrontendConfig::default() });
    card.network = NetworkKind::Stream {
        frames_per_step: steps,
        states: vec![StateSpec { name: "hidden".into(), shape: vec![1, 1, HIDDEN] }],
    };
    (g.finish(), card)
}

fn gru_bytes(steps: usize) -> Vec<u8> {
    let (model, card) = gru_step(steps);
    onnx::encode(&onnx::with_card(model, &card).unwrap())
}

/// The same weights over a whole sequence of `frames`, written down for itself: logits of every frame.
fn gru_whole(frames: usize) -> Vec<u8> {
    let mut g = GraphBuilder::new("gru whole");
    g.input("frames", &[1, frames, GRU_MELS]).output("logits", &[frames, 3]);
    gru_weights(&mut g);
    g.initializer_i64("rows", &[2], &[-1, i64::try_from(HIDDEN).unwrap()]);
    g.node("Transpose", &["frames"], &["sequence"], &[("perm", Attribute::Ints(vec![1, 0, 2]))]);
    g.node("GRU", &["sequence", "w", "r", "b"], &["all"], &gru_attributes());
    g.node("Reshape", &["all", "rows"], &["row"], &[]);
    g.node("MatMul", &["row", "head"], &["logits"], &[]);
    onnx::encode(&g.finish())
}

#[test]
fn a_gru_equals_its_whole_sequence_on_onnx_runtime() {
    let runtime = match engine::library(None) {
        Ok(runtime) => runtime,
        Err(why) => return common::skipped(&format!("{why:#}")),
    };
    for steps in GRU_STEPS {
        let bytes = gru_bytes(steps);
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(model.loader(), Loader::Explicit);
        assert!(model.not_pulsed().unwrap().contains("past of a convolution"), "{:?}", model.not_pulsed());
        assert!(Model::from_bytes_by(&bytes, Loader::Pulse).is_err());
        let mut frames = minute(model.card());
        frames.truncate(frames.len() / (steps * GRU_MELS) * steps * GRU_MELS);
        let of_frames = engine::answers_to_sequence(&gru_whole(frames.len() / GRU_MELS), &runtime, &frames, GRU_MELS);
        // A step answers for the last of its frames.
        let of_steps = of_frames.unwrap();
        let expected: Vec<f32> =
            of_steps.chunks_exact(3 * steps).flat_map(|all| all[3 * (steps - 1)..].to_vec()).collect();
        let worst = difference(&mut *model.runner().unwrap(), &frames, steps * GRU_MELS, &expected, 3);
        println!("gru, {steps} frames a step, Explicit: {worst:.1e}");
        assert!(worst <= TOLERANCE, "{steps} frames: {worst}");
        // And the whole-sequence form that is derived from the step graph says the same as the one written down.
        let derived = onnx::whole_sequence(&onnx::decode(&bytes).unwrap(), model.card()).unwrap();
        let derived = engine::answers_to_sequence(&onnx::encode(&derived), &runtime, &frames, GRU_MELS).unwrap();
        assert_eq!(derived.len(), expected.len());
        let worst = derived.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= TOLERANCE, "derived, {steps} frames: {worst}");
    }
}

/// Bits of the logits of the first steps.
fn first_steps(runner: &mut dyn Runner, frames: &[f32], per_step: usize, classes: usize) -> Vec<u32> {
    let mut logits = vec![0.0; classes];
    let steps = frames.chunks_exact(per_step).take(100);
    steps
        .flat_map(|step| {
            runner.step(step, &mut logits).unwrap();
            logits.iter().map(|l| l.to_bits()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_loader_resets_exactly() {
    let mut models: Vec<(String, Arc<Model>)> = Vec::new();
    for (name, bytes) in library::all() {
        for loader in [Loader::Explicit, Loader::Pulse] {
            models.push((format!("{name} {loader:?}"), Model::from_bytes_by(bytes, loader).unwrap()));
        }
    }
    for steps in GRU_STEPS {
        models.push((format!("gru {steps}"), Model::from_bytes(&gru_bytes(steps)).unwrap()));
    }
    for (name, model) in models {
        let card = model.card();
        let (per_step, classes) = (card.step_input(), card.classes.len());
        let frames = minute(card);
        let mut runner = model.runner().unwrap();
        let first = first_steps(&mut *runner, &frames, per_step, classes);
        // After a few steps, an odd number of them, and ten thousand.
        for steps in [0, 1, 37, 10_000] {
            let mut logits = vec![0.0; classes];
            for step in frames.chunks_exact(per_step).rev().cycle().take(steps) {
                runner.step(step, &mut logits).unwrap();
            }
            runner.reset().unwrap();
            let again = first_steps(&mut *runner, &frames, per_step, classes);
            assert!(again == first, "{name}: after {steps} steps a reset leaves something behind");
        }
        let mut other = model.runner().unwrap();
        assert!(first_steps(&mut *other, &frames, per_step, classes) == first, "{name}: a second runner differs");
    }
}
