//! The step network in ONNX: new frames and states in, logits and next states out.

use tocco_models::StateSpec;
use tocco_models::onnx::{Attribute, GraphBuilder, pb};

use crate::net::{Block, StreamTcn, values};
use crate::train::Settings;

/// The network as an ONNX graph without a card, and its states in the order of its inputs.
///
/// Inputs: `frames` `[1, frames_per_step, mels]` as the frontend makes them (normalisation lies in the weights), and
/// each state; outputs: `logits` `[1, classes]` of the newest frame, and each next state.
#[must_use]
pub fn step_model(net: &StreamTcn, settings: &Settings) -> (pb::ModelProto, Vec<StateSpec>) {
    let states = states(settings);
    let steps = settings.options.frames_per_step;
    let mut graph = Graph { builder: GraphBuilder::new("tocco stream network"), steps };
    graph.builder.input("frames", &[1, steps, settings.net.mels]);
    for state in &states {
        graph.builder.input(&state.name, &state.shape);
    }
    graph.builder.output("logits", &[1, settings.classes.len()]);
    for state in &states {
        graph.builder.output(&state.output_name(), &state.shape);
    }
    graph.projection(net, settings);
    let mut x = "x".to_owned();
    for (index, block) in net.blocks.iter().enumerate() {
        x = graph.block(index, block, &x, settings);
    }
    graph.head(net, settings, &x);
    (graph.builder.finish(), states)
}

fn states(settings: &Settings) -> Vec<StateSpec> {
    let channels = settings.net.channels;
    let mut states: Vec<StateSpec> = (0..settings.net.dilations.len())
        .map(|block| StateSpec {
            name: format!("block{block}"),
            shape: vec![1, settings.net.block_context(block), channels],
        })
        .collect();
    if settings.net.memory_decay().is_some() {
        states.push(StateSpec { name: "memory".into(), shape: vec![1, 1, channels] });
    }
    states
}

struct Graph {
    builder: GraphBuilder,
    steps: usize,
}

impl Graph {
    /// `x = (frames - mean) / deviation * W + b`, with the normalisation folded into `W` and `b`.
    fn projection(&mut self, net: &StreamTcn, settings: &Settings) {
        let channels = settings.net.channels;
        let mut weight = values(&net.input.weight.val());
        let mut bias: Vec<f64> = bias(&net.input).iter().map(|b| f64::from(*b)).collect();
        for (mel, row) in weight.chunks_exact_mut(channels).enumerate() {
            let (mean, deviation) = (settings.mean[mel], settings.deviation[mel]);
            for (w, b) in row.iter_mut().zip(&mut bias) {
                *w /= deviation;
                *b -= f64::from(*w) * f64::from(mean);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
        let bias: Vec<f32> = bias.iter().map(|b| *b as f32).collect();
        self.pointwise("input", "frames", "x", (settings.net.mels, channels), &weight, &bias);
    }

    /// One residual block; the name of its output.
    fn block(&mut self, index: usize, block: &Block, x: &str, settings: &Settings) -> String {
        let channels = settings.net.channels;
        let (kernel, dilation) = (settings.net.kernel, settings.net.dilations[index]);
        let context = settings.net.block_context(index);
        let name = |part: &str| format!("b{index}_{part}");
        let (padded, next) = (name("padded"), format!("block{index}_next"));
        self.concat(&[&format!("block{index}"), x], &padded, 1);
        self.slice(&padded, &next, self.steps, self.steps + context);
        // All taps at once: gathered, weighted, summed. Measured in tract at 0.57 of the time of a slice, a product
        // and a sum for each tap, and no slower than a depthwise convolution.
        let frames = (0..kernel).flat_map(|tap| (0..self.steps).map(move |step| tap * dilation + step));
        #[expect(clippy::cast_possible_wrap, reason = "frames of a state")]
        let frames: Vec<i64> = frames.map(|frame| frame as i64).collect();
        let taps = values(&block.taps.val());
        let weights: Vec<f32> = taps.chunks_exact(channels).flat_map(|tap| tap.repeat(self.steps)).collect();
        self.builder.initializer_i64(&name("frames"), &[frames.len()], &frames);
        self.builder.initializer(&name("taps"), &[1, frames.len(), channels], &weights);
        let along_time = [("axis", Attribute::Int(1))];
        self.builder.node("Gather", &[&padded, &name("frames")], &[&name("gathered")], &along_time);
        self.builder.node("Mul", &[&name("gathered"), &name("taps")], &[&name("weighted")], &[]);
        self.reshape(&name("weighted"), &name("by_tap"), &[1, kernel, self.steps * channels]);
        self.builder.initializer_i64(&name("tap_axis"), &[1], &[1]);
        self.builder.node("ReduceSum", &[&name("by_tap"), &name("tap_axis")], &[&name("summed")], &[]);
        self.reshape(&name("summed"), &name("filtered"), &[1, self.steps, channels]);
        let square = (channels, channels);
        self.linear(&name("widen"), &name("filtered"), &name("wide"), square, &block.widen);
        self.builder.node("Relu", &[&name("wide")], &[&name("rectified")], &[]);
        self.linear(&name("narrow"), &name("rectified"), &name("narrowed"), square, &block.narrow);
        self.add(x, &name("narrowed"), &name("out"))
    }

    /// Newest features and their running mean to logits.
    fn head(&mut self, net: &StreamTcn, settings: &Settings, x: &str) {
        let (channels, classes) = (settings.net.channels, settings.classes.len());
        self.builder.node("Relu", &[x], &["features"], &[]);
        self.slice("features", "newest", self.steps - 1, self.steps);
        let seen = match settings.net.memory_decay() {
            Some(decay) => {
                // The mean after all new frames at once: a row of powers times the old mean and the new frames.
                let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let row: Vec<f32> = std::iter::once(decay.powi(steps))
                    .chain((0..steps).rev().map(|age| (1.0 - decay) * decay.powi(age)))
                    .collect();
                self.builder.initializer("powers", &[1, 1, self.steps + 1], &row);
                self.concat(&["memory", "features"], "remembered", 1);
                self.builder.node("MatMul", &["powers", "remembered"], &["memory_next"], &[]);
                self.concat(&["newest", "memory_next"], "seen", 2);
                "seen"
            }
            None => "newest",
        };
        self.linear("mix", seen, "mixed", (settings.net.head_inputs(), channels), &net.mix);
        self.builder.node("Relu", &["mixed"], &["mixed_rectified"], &[]);
        self.linear("head", "mixed_rectified", "answers", (channels, classes), &net.head);
        self.reshape("answers", "logits", &[1, classes]);
    }

    fn reshape(&mut self, from: &str, to: &str, shape: &[usize]) {
        #[expect(clippy::cast_possible_wrap, reason = "small shapes")]
        let numbers: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let name = format!("{to}_shape");
        self.builder.initializer_i64(&name, &[numbers.len()], &numbers);
        self.builder.node("Reshape", &[from, &name], &[to], &[]);
    }

    fn linear(&mut self, name: &str, from: &str, to: &str, shape: (usize, usize), layer: &burn::nn::Linear) {
        self.pointwise(name, from, to, shape, &values(&layer.weight.val()), &bias(layer));
    }

    fn pointwise(&mut self, name: &str, from: &str, to: &str, shape: (usize, usize), weight: &[f32], bias: &[f32]) {
        let (weight_name, bias_name) = (format!("{name}_weight"), format!("{name}_bias"));
        let product = format!("{name}_product");
        self.builder.initializer(&weight_name, &[shape.0, shape.1], weight);
        self.builder.initializer(&bias_name, &[1, 1, shape.1], bias);
        self.builder.node("MatMul", &[from, &weight_name], &[&product], &[]);
        self.builder.node("Add", &[&product, &bias_name], &[to], &[]);
    }

    fn add(&mut self, a: &str, b: &str, to: &str) -> String {
        self.builder.node("Add", &[a, b], &[to], &[]);
        to.to_owned()
    }

    fn concat(&mut self, from: &[&str], to: &str, axis: i64) {
        self.builder.node("Concat", from, &[to], &[("axis", Attribute::Int(axis))]);
    }

    /// A stretch of time.
    fn slice(&mut self, from: &str, to: &str, start: usize, end: usize) {
        let names = ["start", "end", "axis"].map(|part| format!("{to}_{part}"));
        #[expect(clippy::cast_possible_wrap, reason = "frames of a state")]
        for (name, value) in names.iter().zip([start as i64, end as i64, 1]) {
            self.builder.initializer_i64(name, &[1], &[value]);
        }
        self.builder.node("Slice", &[from, &names[0], &names[1], &names[2]], &[to], &[]);
    }
}

fn bias(layer: &burn::nn::Linear) -> Vec<f32> {
    layer.bias.as_ref().map(|b| values(&b.val())).unwrap_or_default()
}
