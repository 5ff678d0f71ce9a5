//! The causal residual stack as one step.

use tocco_models::StateSpec;
use tocco_models::onnx::Attribute;

use super::Graph;
use crate::net::{Block, Shape, StreamTcn, TcnShape, values};
use crate::train::Settings;

/// What each block and the running mean keep.
pub(super) fn states(shape: &Shape) -> Vec<StateSpec> {
    let Shape::StreamTcn(shape) = shape else { return Vec::new() };
    let channels = shape.channels;
    let mut states: Vec<StateSpec> = (0..shape.dilations.len())
        .map(|block| StateSpec { name: format!("block{block}"), shape: vec![1, shape.block_context(block), channels] })
        .collect();
    if shape.memory_decay().is_some() {
        states.push(StateSpec { name: "memory".into(), shape: vec![1, 1, channels] });
    }
    states
}

impl Graph {
    /// Frames to the features of the newest one `[1, 1, channels]`.
    pub(super) fn stream_tcn(&mut self, net: &StreamTcn, settings: &Settings) -> String {
        let shape = net.shape();
        self.projection(&net.input, "x", settings);
        let mut x = "x".to_owned();
        for (index, block) in net.blocks.iter().enumerate() {
            x = self.block(index, block, &x, shape);
        }
        self.mix(net, &x)
    }

    /// One residual block; the name of its output.
    fn block(&mut self, index: usize, block: &Block, x: &str, shape: &TcnShape) -> String {
        let (channels, kernel, dilation) = (shape.channels, shape.kernel, shape.dilations[index]);
        let context = shape.block_context(index);
        let name = |part: &str| format!("b{index}_{part}");
        let (padded, next) = (name("padded"), format!("block{index}_next"));
        self.concat(&[&format!("block{index}"), x], &padded, 1);
        self.slice(&padded, &next, self.frames, self.frames + context);
        // All taps at once: gathered, weighted, summed. Measured in tract at 0.57 of the time of a slice, a product
        // and a sum for each tap, and no slower than a depthwise convolution.
        let frames = (0..kernel).flat_map(|tap| (0..self.frames).map(move |step| tap * dilation + step));
        #[expect(clippy::cast_possible_wrap, reason = "frames of a state")]
        let frames: Vec<i64> = frames.map(|frame| frame as i64).collect();
        let taps = values(&block.taps.val());
        let weights: Vec<f32> = taps.chunks_exact(channels).flat_map(|tap| tap.repeat(self.frames)).collect();
        self.builder.initializer_i64(&name("frames"), &[frames.len()], &frames);
        self.builder.initializer(&name("taps"), &[1, frames.len(), channels], &weights);
        let along_time = [("axis", Attribute::Int(1))];
        self.builder.node("Gather", &[&padded, &name("frames")], &[&name("gathered")], &along_time);
        self.builder.node("Mul", &[&name("gathered"), &name("taps")], &[&name("weighted")], &[]);
        self.reshape(&name("weighted"), &name("by_tap"), &[1, kernel, self.frames * channels]);
        self.builder.initializer_i64(&name("tap_axis"), &[1], &[1]);
        self.builder.node("ReduceSum", &[&name("by_tap"), &name("tap_axis")], &[&name("summed")], &[]);
        self.reshape(&name("summed"), &name("filtered"), &[1, self.frames, channels]);
        self.linear(&name("widen"), &name("filtered"), &name("wide"), &block.widen);
        self.builder.node("Relu", &[&name("wide")], &[&name("rectified")], &[]);
        self.linear(&name("narrow"), &name("rectified"), &name("narrowed"), &block.narrow);
        self.add(x, &name("narrowed"), &name("out"))
    }

    /// Newest features and their running mean.
    fn mix(&mut self, net: &StreamTcn, x: &str) -> String {
        self.builder.node("Relu", &[x], &["features"], &[]);
        self.slice("features", "newest", self.frames - 1, self.frames);
        let seen = match net.shape().memory_decay() {
            Some(decay) => {
                // The mean after all new frames at once: a row of powers times the old mean and the new frames.
                let steps = i32::try_from(self.frames).unwrap_or(i32::MAX);
                let row: Vec<f32> = std::iter::once(decay.powi(steps))
                    .chain((0..steps).rev().map(|age| (1.0 - decay) * decay.powi(age)))
                    .collect();
                self.builder.initializer("powers", &[1, 1, self.frames + 1], &row);
                self.concat(&["memory", "features"], "remembered", 1);
                self.builder.node("MatMul", &["powers", "remembered"], &["memory_next"], &[]);
                self.concat(&["newest", "memory_next"], "seen", 2);
                "seen"
            }
            None => "newest",
        };
        self.linear("mix", seen, "mixed", &net.mix);
        self.builder.node("Relu", &["mixed"], &["mixed_rectified"], &[]);
        "mixed_rectified".into()
    }
}
