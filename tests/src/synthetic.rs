//! A model whose answers follow from its weights: `high` and `low` tones by the energy in the mel bands.

use tocco_models::onnx::{self, GraphBuilder};
use tocco_models::{Card, FrontendConfig, NetworkKind, Result, StateSpec, Task};

/// The classes in the model's order.
pub const CLASSES: [&str; 3] = ["high", "low", "none"];
/// Index of `high`.
pub const HIGH: usize = 0;
/// Index of `low`.
pub const LOW: usize = 1;

/// Bands below this one are low: with the default frontend about 1 kHz.
const SPLIT: usize = 24;
/// The energy that `none` claims: more than silence, less than any tone of the tests.
const NONE_ENERGY: f32 = 1e-3;
/// How much of its former logits the network keeps at each step.
const MEMORY: f32 = 0.6;
/// Where it is sure of itself, 9 % more energy make it twice as likely.
const SURE: f32 = 8.0;

/// A `stream` model with one state, as the bytes of an ONNX file.
///
/// `logits = 0.6 * memory + 0.4 * ln(energy of the high bands, of the low bands, of neither)`: it remembers, so that
/// a decision depends on all the sound before it.
///
/// # Errors
/// None that the fixed card and graph could cause.
pub fn model() -> Result<Vec<u8>> {
    with(MEMORY, 1.0 - MEMORY)
}

/// The same without memory and sure of itself: it answers as soon as it can, which is when most of the energy in the
/// newest analysis window is new.
///
/// # Errors
/// See [`model`].
pub fn at_once() -> Result<Vec<u8>> {
    with(0.0, SURE)
}

fn with(memory: f32, take: f32) -> Result<Vec<u8>> {
    let frontend = FrontendConfig::default();
    let mels = frontend.mels;
    let mut bands = vec![0.0; mels * CLASSES.len()];
    for band in 0..mels {
        bands[band * CLASSES.len() + if band < SPLIT { LOW } else { HIGH }] = 1.0;
    }
    let floor = frontend.log_floor;
    let mut graph = GraphBuilder::new("high_low");
    graph
        .input("frames", &[1, 1, mels])
        .input("memory", &[1, CLASSES.len()])
        .output("logits", &[1, CLASSES.len()])
        .output("memory_next", &[1, CLASSES.len()])
        .initializer("bands", &[mels, CLASSES.len()], &bands)
        .initializer("floor", &[1, CLASSES.len()], &[floor, floor, NONE_ENERGY])
        .initializer("keep", &[1, CLASSES.len()], &[memory; CLASSES.len()])
        .initializer("take", &[1, CLASSES.len()], &[take; CLASSES.len()])
        .initializer_i64("flat", &[2], &[1, -1])
        .node("Reshape", &["frames", "flat"], &["frame"], &[])
        .node("Exp", &["frame"], &["power"], &[])
        .node("MatMul", &["power", "bands"], &["energy"], &[])
        .node("Add", &["energy", "floor"], &["above"], &[])
        .node("Log", &["above"], &["level"], &[])
        .node("Mul", &["level", "take"], &["new"], &[])
        .node("Mul", &["memory", "keep"], &["old"], &[])
        .node("Add", &["new", "old"], &["logits"], &[])
        .node("Identity", &["logits"], &["memory_next"], &[]);
    let card = Card {
        format: tocco_models::CARD_FORMAT,
        name: "high and low".into(),
        task: Task::Technique,
        classes: CLASSES.map(String::from).to_vec(),
        sample_rate: 24_000,
        frontend: Some(frontend),
        network: NetworkKind::Stream {
            frames_per_step: 1,
            states: vec![StateSpec { name: "memory".into(), shape: vec![1, CLASSES.len()] }],
        },
        temperature: 1.0,
        offsets: Vec::new(),
        thresholds: Vec::new(),
        data: Vec::new(),
        licence: "MIT OR Apache-2.0".into(),
        metrics: std::collections::BTreeMap::new(),
        reference: None,
    };
    Ok(onnx::encode(&onnx::with_card(graph.finish(), &card)?))
}
