//! A network in ONNX: a stream network as one step, new frames and states in, logits and next states out; the others as
//! they are, a whole window in and logits out.

mod ast;
mod cbam;
mod convolutional;
mod head;
mod ms_crnn;
mod pooled;
mod stream_gru;
mod stream_tcn;
mod summary;
mod transformer;

use tocco_models::NetworkKind;
use tocco_models::onnx::{Attribute, GraphBuilder, pb};

use crate::net::{Hearing, Net, Trunk, values};
use crate::train::Settings;

/// The network as an ONNX graph without a card, and what the card says of it.
///
/// Inputs: `frames` `[1, frames, frame_size]` as the frontend makes them (normalisation lies in the graph), and each
/// state; outputs: `logits` `[1, classes]` of the newest frame or the window, and each next state.
#[must_use]
pub fn onnx_model(net: &Net, settings: &Settings) -> (pb::ModelProto, NetworkKind) {
    let config = settings.net();
    let frames_per_step = settings.options.frames_per_step;
    let states = match &net.trunk {
        Trunk::StreamTcn(_) => stream_tcn::states(&config.shape),
        Trunk::StreamGru(trunk) => stream_gru::states(trunk),
        _ => Vec::new(),
    };
    let frames = match config.shape.hearing() {
        Hearing::Stream => frames_per_step,
        Hearing::Window { frames } => frames,
    };
    let mut graph = Graph { builder: GraphBuilder::new("tocco network"), frames };
    graph.builder.input("frames", &[1, frames, config.inputs]);
    for state in &states {
        graph.builder.input(&state.name, &state.shape);
    }
    graph.builder.output("logits", &[1, config.classes]);
    for state in &states {
        graph.builder.output(&state.output_name(), &state.shape);
    }
    let features = match &net.trunk {
        Trunk::StreamTcn(trunk) => graph.stream_tcn(trunk, settings),
        Trunk::StreamGru(trunk) => graph.stream_gru(trunk, settings),
        Trunk::Convolutional(trunk) => graph.convolutional(trunk, settings),
        Trunk::CbamCnn(trunk) => graph.cbam(trunk, settings),
        Trunk::MsCrnn(trunk) => graph.ms_crnn(trunk, settings),
        Trunk::Ast(trunk) => graph.ast(trunk, settings),
        Trunk::Summary(trunk) => graph.summary(trunk, settings),
        Trunk::Pooled(trunk) => graph.pooled(trunk, settings),
    };
    graph.head(&net.head, &features, config.classes);
    let kind = match config.shape.hearing() {
        Hearing::Stream => NetworkKind::Stream { frames_per_step, states },
        Hearing::Window { frames } => NetworkKind::Window { frames, frames_per_step },
    };
    (graph.builder.finish(), kind)
}

/// A graph in the making.
struct Graph {
    builder: GraphBuilder,
    /// Frames that go in at once.
    frames: usize,
}

impl Graph {
    /// `(frames - mean) / deviation * W + b`, with the normalisation folded into `W` and `b`.
    fn projection(&mut self, layer: &burn::nn::Linear, to: &str, settings: &Settings) {
        let [inputs, outputs] = layer.weight.dims();
        let mut weight = values(&layer.weight.val());
        let mut bias: Vec<f64> = bias(layer).iter().map(|b| f64::from(*b)).collect();
        for (input, row) in weight.chunks_exact_mut(outputs).enumerate() {
            let (mean, deviation) = (settings.mean[input], settings.deviation[input]);
            for (w, b) in row.iter_mut().zip(&mut bias) {
                *w /= deviation;
                *b -= f64::from(*w) * f64::from(mean);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
        let bias: Vec<f32> = bias.iter().map(|b| *b as f32).collect();
        self.pointwise("input", "frames", to, (inputs, outputs), &weight, &bias);
    }

    /// The frames with mean 0 and deviation 1 in each band, for networks that pad them with zeros.
    fn normalised(&mut self, settings: &Settings) -> &'static str {
        let size = settings.mean.len();
        let scale: Vec<f32> = settings.deviation.iter().map(|d| 1.0 / d).collect();
        self.builder.initializer("mean", &[1, 1, size], &settings.mean);
        self.builder.initializer("scale", &[1, 1, size], &scale);
        self.builder.node("Sub", &["frames", "mean"], &["centred"], &[]);
        self.builder.node("Mul", &["centred", "scale"], &["normalised"], &[]);
        "normalised"
    }

    fn reshape(&mut self, from: &str, to: &str, shape: &[usize]) {
        #[expect(clippy::cast_possible_wrap, reason = "small shapes")]
        let numbers: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let name = format!("{to}_shape");
        self.builder.initializer_i64(&name, &[numbers.len()], &numbers);
        self.builder.node("Reshape", &[from, &name], &[to], &[]);
    }

    fn linear(&mut self, name: &str, from: &str, to: &str, layer: &burn::nn::Linear) {
        let [inputs, outputs] = layer.weight.dims();
        self.pointwise(name, from, to, (inputs, outputs), &values(&layer.weight.val()), &bias(layer));
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

    /// One operator on one tensor.
    fn unary(&mut self, operator: &str, from: &str, to: &str) -> String {
        self.builder.node(operator, &[from], &[to], &[]);
        to.to_owned()
    }

    /// One operator on two tensors.
    fn binary(&mut self, operator: &str, a: &str, b: &str, to: &str) -> String {
        self.builder.node(operator, &[a, b], &[to], &[]);
        to.to_owned()
    }

    fn transpose(&mut self, from: &str, to: &str, order: &[i64]) -> String {
        self.builder.node("Transpose", &[from], &[to], &[("perm", Attribute::Ints(order.to_vec()))]);
        to.to_owned()
    }

    /// `ReduceMean` or `ReduceMax` along an axis, which stays with the size 1.
    fn reduce(&mut self, operator: &str, from: &str, to: &str, axis: i64) -> String {
        self.builder.node(operator, &[from], &[to], &[("axes", Attribute::Ints(vec![axis]))]);
        to.to_owned()
    }

    /// A number by a name of its own.
    fn number(&mut self, name: &str, value: f32) -> String {
        self.builder.initializer(name, &[1], &[value]);
        name.to_owned()
    }

    /// Normalised frames as one picture `[1, 1, mels, frames]`.
    fn picture(&mut self, settings: &Settings) -> String {
        let frames = self.normalised(settings);
        self.transpose(frames, "turned", &[0, 2, 1]);
        self.reshape("turned", "picture", &[1, 1, settings.mean.len(), self.frames]);
        "picture".into()
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
