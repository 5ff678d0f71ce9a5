//! Small hand-made models for the tests of this crate: they hear whether sound lies high or low.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::card::*;
use crate::onnx::{Attribute, GraphBuilder, encode, pb, with_card};

pub const MELS: usize = 16;
pub const STEP: usize = 2;

/// Classes high, low, none; 2 frames of 16 bands a step, one state of one frame.
pub fn card() -> Card {
    Card {
        format: CARD_FORMAT,
        name: "high or low".into(),
        task: Task::Technique,
        classes: vec!["high".into(), "low".into(), NONE.into()],
        sample_rate: 24_000,
        frontend: Some(FrontendConfig { mels: MELS, ..FrontendConfig::default() }),
        network: NetworkKind::Stream {
            frames_per_step: STEP,
            states: vec![StateSpec { name: "past".into(), shape: vec![1, 1, MELS] }],
        },
        temperature: 1.0,
        offsets: Vec::new(),
        thresholds: Vec::new(),
        data: Vec::new(),
        licence: "MIT OR Apache-2.0".into(),
        metrics: std::collections::BTreeMap::new(),
        reference: None,
    }
}

/// The newest frame's bands, averaged with the state's frame, then one linear layer: upper half against lower
/// half; `none` is a low constant.
pub fn graph() -> pb::ModelProto {
    let mut g = GraphBuilder::new("high_or_low");
    g.input("frames", &[1, STEP, MELS]).input("past", &[1, 1, MELS]);
    g.output("logits", &[1, 3]).output("past_next", &[1, 1, MELS]);
    let half = MELS / 2;
    let row = |band: usize| if band < half { [-1.0, 1.0, 0.0] } else { [1.0, -1.0, 0.0] };
    let weights: Vec<f32> = (0..MELS).flat_map(row).map(|w| w / half as f32).collect();
    g.initializer("w", &[MELS, 3], &weights).initializer("b", &[3], &[0.0, 0.0, -1.0]).initializer("half", &[], &[0.5]);
    g.initializer_i64("first", &[1], &[1]).initializer_i64("last", &[1], &[2]).initializer_i64("axis", &[1], &[1]);
    g.initializer_i64("flat", &[2], &[1, 16]);
    g.node("Slice", &["frames", "first", "last", "axis"], &["past_next"], &[]);
    g.node("Add", &["past_next", "past"], &["sum"], &[]);
    g.node("Mul", &["sum", "half"], &["mean"], &[]);
    g.node("Reshape", &["mean", "flat"], &["row"], &[]);
    g.node("Gemm", &["row", "w", "b"], &["logits"], &[("alpha", Attribute::Float(1.0))]);
    g.finish()
}

pub fn bytes() -> Vec<u8> {
    encode(&with_card(graph(), &card()).unwrap())
}

/// A sine of `hz`, `seconds` long.
pub fn sine(rate: f64, hz: f64, seconds: f64) -> Vec<f32> {
    (0..(rate * seconds) as usize)
        .map(|i| (0.3 * (std::f64::consts::TAU * hz * i as f64 / rate).sin()) as f32)
        .collect()
}
