//! Node by node: which part of a step graph computes the same on a whole sequence, and how it is written there.

use std::collections::{HashMap, HashSet};

use super::super::{Attribute, GraphBuilder, pb};
use super::{Flow, by_name, dim, floats, integers};
use crate::card::StateSpec;

/// Operators that work on each number for itself.
const UNARY: [&str; 16] = [
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Elu",
    "Selu",
    "Softplus",
    "HardSigmoid",
    "HardSwish",
    "Exp",
    "Log",
    "Sqrt",
    "Neg",
    "Abs",
    "Erf",
    "Identity",
];
/// Operators on two tensors, number by number.
const BINARY: [&str; 4] = ["Add", "Sub", "Mul", "Div"];

/// Goes through a step graph once.
pub(super) struct Translator<'a> {
    graph: &'a pb::GraphProto,
    weights: HashMap<&'a str, &'a pb::TensorProto>,
    states: &'a [StateSpec],
    /// Tensors of the step graph that have a whole-sequence form, by their name there.
    pub flows: HashMap<String, Flow>,
    /// Nodes of the whole-sequence graph.
    pub nodes: Vec<pb::NodeProto>,
    /// Nodes that stay as they are.
    pub tail: Vec<pb::NodeProto>,
    /// States that turned out to be the last frames of a flow.
    pub delayed: HashSet<String>,
    /// Weights that only the whole-sequence graph has.
    pub extra: Vec<pb::TensorProto>,
    /// Nodes already written as part of an earlier one, by index.
    done: HashSet<usize>,
    strided: bool,
}

impl<'a> Translator<'a> {
    pub fn new(graph: &'a pb::GraphProto, states: &'a [StateSpec], frames: Flow, strided: bool) -> Self {
        Self {
            graph,
            weights: by_name(&graph.initializer),
            states,
            flows: HashMap::from([("frames".to_owned(), frames)]),
            nodes: Vec::new(),
            tail: Vec::new(),
            delayed: HashSet::new(),
            extra: Vec::new(),
            done: HashSet::new(),
            strided,
        }
    }

    pub fn run(&mut self) {
        let graph = self.graph;
        for (index, step) in graph.node.iter().enumerate() {
            if !self.done.contains(&index) && self.translate(index, step).is_none() {
                self.tail.push(step.clone());
            }
        }
    }

    /// Whether all that leaves the trunk can be cut into steps: frame after frame, none of the past with it.
    pub fn cuts_whole(&self) -> bool {
        let leaves = |name| self.flows.get(name);
        wanted(self.graph, &self.tail).filter_map(leaves).all(|f| f.pending == 0 && f.shape[f.axis] == f.per_step)
    }

    /// Everything is recursive.
    pub fn give_up(&mut self) {
        self.flows.retain(|name, _| name == "frames");
        self.nodes.clear();
        self.extra.clear();
        self.delayed.clear();
        self.tail.clone_from(&self.graph.node);
    }

    /// Writes one node's whole-sequence form; `None` where there is none.
    fn translate(&mut self, index: usize, step: &pb::NodeProto) -> Option<()> {
        let output = step.output.first()?;
        match step.op_type.as_str() {
            "Concat" => self.concat(step, output),
            "Slice" => self.slice(step, output),
            "Gather" => self.taps(index, step),
            "Conv" => self.convolution(step, output),
            "MatMul" => self.product(step, output),
            "Transpose" => self.transpose(step, output),
            "Reshape" => self.flatten(step, output),
            op if BINARY.contains(&op) => self.binary(step, output),
            op if UNARY.contains(&op) && step.input.len() == 1 => {
                let flow = self.materialised(&step.input[0])?;
                self.copy(step, &[&flow.name], Flow { name: output.clone(), ..flow.clone() })
            }
            _ => None,
        }
    }

    /// Writes `step` with other inputs; `flow` is its output.
    fn copy(&mut self, step: &pb::NodeProto, inputs: &[&str], flow: Flow) -> Option<()> {
        let mut copy = step.clone();
        copy.input = inputs.iter().map(|&name| name.to_owned()).collect();
        copy.output = vec![flow.name.clone()];
        self.nodes.push(copy);
        self.flows.insert(step.output.first()?.clone(), flow);
        Some(())
    }

    /// A flow whose zeros in front exist.
    fn materialised(&mut self, name: &str) -> Option<Flow> {
        let flow = self.flows.get(name)?.clone();
        if flow.pending == 0 {
            return Some(flow);
        }
        let padded = Flow { name: format!("{name}_padded"), pending: 0, ..flow.clone() };
        let pads: Vec<i64> =
            (0..2 * flow.shape.len()).map(|i| if i == flow.axis { dim(flow.pending) } else { 0 }).collect();
        let pads_name = format!("{name}_pads");
        self.integers(&pads_name, &pads);
        self.nodes.push(node("Pad", &[&flow.name, &pads_name], &padded.name, &[]));
        self.flows.insert(name.to_owned(), padded.clone());
        Some(padded)
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        let mut tensors = GraphBuilder::new("");
        tensors.initializer_i64(name, &[values.len()], values);
        self.extra.extend(tensors.finish().graph.into_iter().flat_map(|g| g.initializer));
    }

    fn constant(&self, step: &pb::NodeProto, input: usize) -> Option<Vec<i64>> {
        integers(self.weights.get(step.input.get(input)?.as_str())?)
    }

    /// State and new frames, one behind the other: zeros in front of the flow. Or flows side by side.
    fn concat(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let axis = axis(step, "axis", 0)?;
        let first = step.input.first()?;
        if let (Some(state), [_, new]) = (self.states.iter().find(|s| s.name == *first), step.input.as_slice()) {
            let flow = self.flows.get(new)?.clone();
            let past = *state.shape.get(axis)?;
            let same = |i: usize| i == axis || state.shape.get(i) == flow.shape.get(i);
            let fits = state.shape.len() == flow.shape.len() && (0..flow.shape.len()).all(same);
            let fresh = flow.axis == axis && flow.pending == 0 && flow.shape[axis] == flow.per_step;
            if !fits || !fresh || self.uses(first) != 1 || !self.is_end_of(state, output, flow.per_step, past, axis) {
                return None;
            }
            let mut shape = flow.shape.clone();
            shape[axis] += past;
            self.delayed.insert(state.name.clone());
            self.flows.insert(output.to_owned(), Flow { shape, pending: past, ..flow });
            return Some(());
        }
        let flows = step.input.iter().map(|name| self.materialised(name)).collect::<Option<Vec<_>>>()?;
        let mut joined = Flow { name: output.to_owned(), ..flows.first()?.clone() };
        if flows.iter().any(|f| !f.runs_with(&joined) || f.axis == axis || axis >= f.shape.len()) {
            return None;
        }
        joined.shape[axis] = flows.iter().map(|f| f.shape[axis]).sum();
        let names: Vec<&str> = flows.iter().map(|f| f.name.as_str()).collect();
        self.copy(step, &names, joined)
    }

    /// How many nodes read a tensor.
    fn uses(&self, name: &str) -> usize {
        self.graph.node.iter().flat_map(|n| &n.input).filter(|input| *input == name).count()
    }

    /// Whether the next state is the last `past` frames of `joined`; the node that cuts them is then done.
    fn is_end_of(&mut self, state: &StateSpec, joined: &str, new: usize, past: usize, axis: usize) -> bool {
        let next = state.output_name();
        let Some(index) = self.graph.node.iter().position(|n| n.output.contains(&next)) else { return false };
        let cut = &self.graph.node[index];
        let Some(range) =
            (cut.op_type == "Slice" && cut.input[0] == joined).then(|| self.range(cut, new + past)).flatten()
        else {
            return false;
        };
        let is_end = range == (axis, new, new + past) && self.uses(&next) == 0;
        if is_end {
            self.done.insert(index);
        }
        is_end
    }

    /// Axis, start and end of a `Slice` along one axis of `length`, in steps of one.
    fn range(&self, step: &pb::NodeProto, length: usize) -> Option<(usize, usize, usize)> {
        let [start, end, axis] = [1, 2, 3].map(|i| self.constant(step, i).filter(|v| v.len() == 1).map(|v| v[0]));
        let one = step.input.len() < 5 || self.constant(step, 4)? == [1];
        let at = |v: i64| usize::try_from(if v < 0 { v + dim(length) } else { v.min(dim(length)) }).ok();
        let (start, end) = (at(start?)?, at(end?)?);
        (one && start < end).then_some((usize::try_from(axis?).ok()?, start, end))
    }

    fn slice(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let along = usize::try_from(*self.constant(step, 3)?.first()?).ok()?;
        let flow = self.materialised(step.input.first()?)?;
        let (axis, start, end) = self.range(step, *flow.shape.get(along)?)?;
        let mut cut = Flow { name: output.to_owned(), ..flow.clone() };
        cut.shape[axis] = end - start;
        if axis != flow.axis {
            let mut inputs = vec![flow.name.as_str()];
            inputs.extend(step.input[1..].iter().map(String::as_str));
            return self.copy(step, &inputs, cut);
        }
        let length = flow.shape[axis];
        let names = ["start", "end", "axis", "step"].map(|part| format!("{output}_whole_{part}"));
        let (end, stride) = match (length - end, end - start) {
            // Shifted by some frames, none lost.
            (cut_off, kept) if kept >= flow.per_step => (if cut_off == 0 { i64::MAX } else { -dim(cut_off) }, 1),
            // The newest frame of each step.
            (0, 1) if self.strided => {
                cut.per_step = 1;
                (i64::MAX, dim(flow.per_step))
            }
            _ => return None,
        };
        for (name, value) in names.iter().zip([dim(start), end, dim(axis), stride]) {
            self.integers(name, &[value]);
        }
        let inputs: Vec<&str> = std::iter::once(flow.name.as_str()).chain(names.iter().map(String::as_str)).collect();
        self.copy(step, &inputs, cut)
    }

    /// A convolution over time of `[1, channels, time]`; zeros in front become its padding.
    fn convolution(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let flow = self.flows.get(step.input.first()?)?.clone();
        let kernel = self.weights.get(step.input.get(1)?.as_str())?;
        let [channels, _, taps] = *kernel.dims.as_slice() else { return None };
        let plain = |name: &str, value: i64| ints(step, name).is_none_or(|v| v.iter().all(|&i| i == value));
        let known = step.input.get(2).is_none_or(|bias| self.weights.contains_key(bias.as_str()));
        if flow.shape.len() != 3 || flow.axis != 2 || !plain("strides", 1) || !plain("pads", 0) || !known {
            return None;
        }
        if step.attribute.iter().any(|a| a.name == "auto_pad" && a.s != b"NOTSET") {
            return None;
        }
        let dilation = ints(step, "dilations").map_or(1, |d| d.first().copied().unwrap_or(1));
        let span = usize::try_from((taps - 1).checked_mul(dilation)?).ok()?;
        let mut shape = flow.shape.clone();
        shape[1] = usize::try_from(channels).ok()?;
        shape[2] = shape[2].checked_sub(span).filter(|&left| left >= flow.per_step)?;
        let mut padded = step.clone();
        padded.attribute.retain(|a| a.name != "pads" && a.name != "auto_pad");
        padded.attribute.push(super::super::build::attribute("pads", &Attribute::Ints(vec![dim(flow.pending), 0])));
        let mut inputs = vec![flow.name.as_str()];
        inputs.extend(step.input[1..].iter().map(String::as_str));
        self.copy(&padded, &inputs, Flow { name: output.to_owned(), shape, pending: 0, ..flow.clone() })
    }

    /// A depthwise filter written as gathered, weighted and summed frames (`Gather`, `Mul`, `Reshape`, `ReduceSum`,
    /// `Reshape` on `[1, time, channels]`): a depthwise convolution over the whole sequence.
    fn taps(&mut self, index: usize, gather: &pb::NodeProto) -> Option<()> {
        let flow = self.flows.get(gather.input.first()?)?.clone();
        let [1, length, channels] = *flow.shape.as_slice() else { return None };
        let (frames, steps) = (self.constant(gather, 1)?, flow.per_step);
        let mut chain = vec![index];
        for op in ["Mul", "Reshape", "ReduceSum", "Reshape"] {
            let before = self.graph.node[*chain.last()?].output.first()?;
            let next = self.graph.node.iter().position(|n| n.op_type == op && n.input.first() == Some(before))?;
            if self.uses(before) != 1 {
                return None;
            }
            chain.push(next);
        }
        let node_at = |i: usize| &self.graph.node[chain[i]];
        let kernel = frames.len() / steps;
        let weights = self.weights.get(node_at(1).input.get(1)?.as_str())?;
        let values = floats(weights).filter(|v| v.len() == frames.len() * channels)?;
        let dilation = usize::try_from(frames.get(steps).map_or(0, |second| second - frames[0])).ok()?;
        let expected = (0..kernel).flat_map(|tap| (0..steps).map(move |step| dim(tap * dilation + step)));
        let equal_rows = |tap: &[f32]| tap.chunks_exact(channels).all(|row| row == &tap[..channels]);
        let is_filter = flow.axis == 1
            && axis(gather, "axis", 0) == Some(1)
            && frames.iter().copied().eq(expected)
            && length == (kernel - 1) * dilation + steps
            && self.constant(node_at(2), 1)? == [1, dim(kernel), dim(steps * channels)]
            && self.constant(node_at(3), 1)? == [1]
            && self.constant(node_at(4), 1)? == [1, dim(steps), dim(channels)]
            && values.chunks_exact(steps * channels).all(equal_rows);
        if !is_filter {
            return None;
        }
        let output = node_at(4).output.first()?.clone();
        let names = ["kernel", "turned", "convolved"].map(|part| format!("{output}_{part}"));
        let by_channel: Vec<f32> = (0..channels)
            .flat_map(|c| (0..kernel).map(move |tap| (tap, c)))
            .map(|(tap, c)| values[tap * steps * channels + c])
            .collect();
        let mut tensors = GraphBuilder::new("");
        tensors.initializer(&names[0], &[channels, 1, kernel], &by_channel);
        self.extra.extend(tensors.finish().graph.into_iter().flat_map(|g| g.initializer));
        let turn = [("perm", Attribute::Ints(vec![0, 2, 1]))];
        let convolution = [
            ("group", Attribute::Int(dim(channels))),
            ("dilations", Attribute::Ints(vec![dim(dilation.max(1))])),
            ("pads", Attribute::Ints(vec![dim(flow.pending), 0])),
        ];
        self.nodes.push(node("Transpose", &[&flow.name], &names[1], &turn));
        self.nodes.push(node("Conv", &[&names[1], &names[0]], &names[2], &convolution));
        self.nodes.push(node("Transpose", &[&names[2]], &output, &turn));
        self.done.extend(chain);
        let shape = vec![1, steps, channels];
        self.flows.insert(output.clone(), Flow { name: output, shape, pending: 0, ..flow });
        Some(())
    }

    /// A linear layer: a flow times weights, time not the axis that is summed.
    fn product(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let weight = step.input.get(1)?;
        let [rows, columns] = *self.weights.get(weight.as_str())?.dims.as_slice() else { return None };
        let flow = self.materialised(step.input.first()?)?;
        let last = flow.shape.len() - 1;
        if flow.axis == last || dim(flow.shape[last]) != rows {
            return None;
        }
        let mut made = Flow { name: output.to_owned(), ..flow.clone() };
        made.shape[last] = usize::try_from(columns).ok()?;
        self.copy(step, &[&flow.name, weight], made)
    }

    /// A flow with a flow in time with it, or with weights that are the same at all times.
    fn binary(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let [a, b] = step.input.as_slice() else { return None };
        let weight = |name: &String| self.weights.get(name.as_str()).map(|w| w.dims.clone());
        let (made, names) = match (weight(a), weight(b)) {
            (None, None) => {
                let (a, b) = (self.materialised(a)?, self.materialised(b)?);
                let same = a.runs_with(&b) && a.shape == b.shape;
                (same.then(|| a.clone())?, [a.name, b.name])
            }
            (None, Some(dims)) => {
                let a = self.materialised(a)?;
                (a.clone().spread(&dims)?, [a.name, b.clone()])
            }
            (Some(dims), None) => {
                let b = self.materialised(b)?;
                (b.clone().spread(&dims)?, [a.clone(), b.name])
            }
            (Some(_), Some(_)) => return None,
        };
        self.copy(step, &[&names[0], &names[1]], Flow { name: output.to_owned(), ..made })
    }

    fn transpose(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let flow = self.materialised(step.input.first()?)?;
        let perm = ints(step, "perm")?.iter().map(|&i| usize::try_from(i).ok()).collect::<Option<Vec<_>>>()?;
        let shape = perm.iter().map(|&i| flow.shape.get(i).copied()).collect::<Option<Vec<_>>>()?;
        let axis = perm.iter().position(|&i| i == flow.axis)?;
        self.copy(step, &[&flow.name], Flow { name: output.to_owned(), shape, axis, ..flow.clone() })
    }

    /// `[1, 1, numbers]` of one frame a step to `[1, numbers]`: over the sequence `[steps, numbers]`.
    fn flatten(&mut self, step: &pb::NodeProto, output: &str) -> Option<()> {
        let flow = self.materialised(step.input.first()?)?;
        let [1, 1, numbers] = *flow.shape.as_slice() else { return None };
        if flow.axis != 1 || self.constant(step, 1)? != [1, dim(numbers)] {
            return None;
        }
        let axes = format!("{output}_squeezed");
        self.integers(&axes, &[0]);
        self.nodes.push(node("Squeeze", &[&flow.name, &axes], output, &[]));
        let squeezed = Flow { name: output.to_owned(), shape: vec![1, numbers], axis: 0, ..flow };
        self.flows.insert(output.to_owned(), squeezed);
        Some(())
    }
}

impl Flow {
    /// Whether frame by frame both speak of the same moment.
    fn runs_with(&self, other: &Self) -> bool {
        self.axis == other.axis
            && self.per_step == other.per_step
            && self.shape.len() == other.shape.len()
            && self.shape[self.axis] == other.shape[other.axis]
    }

    /// Its shape after an operation with weights of the shape `dims`, which must not know time.
    fn spread(mut self, dims: &[i64]) -> Option<Self> {
        let before = self.shape.len().checked_sub(dims.len())?;
        for (i, &d) in dims.iter().enumerate() {
            let (axis, d) = (before + i, usize::try_from(d).ok()?);
            match self.shape[axis] {
                _ if d == 1 => {}
                _ if axis == self.axis => return None,
                mine if mine == d => {}
                1 => self.shape[axis] = d,
                _ => return None,
            }
        }
        Some(self)
    }
}

/// Tensors that the tail reads, and outputs of the graph that it does not make (logits, a next state that is simply
/// new frames).
pub(super) fn wanted<'g>(graph: &'g pb::GraphProto, tail: &'g [pb::NodeProto]) -> impl Iterator<Item = &'g str> {
    let made: HashSet<&str> = tail.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    let outputs = graph.output.iter().map(|o| o.name.as_str()).filter(move |name| !made.contains(name));
    tail.iter().flat_map(|n| &n.input).map(String::as_str).chain(outputs)
}

pub(super) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> pb::NodeProto {
    let mut nodes = GraphBuilder::new("");
    nodes.node(op, inputs, &[output], attributes);
    nodes.finish().graph.into_iter().flat_map(|g| g.node).next().unwrap_or_default()
}

fn ints<'n>(step: &'n pb::NodeProto, name: &str) -> Option<&'n [i64]> {
    step.attribute.iter().find(|a| a.name == name).map(|a| a.ints.as_slice())
}

/// A non-negative axis attribute.
fn axis(step: &pb::NodeProto, name: &str, default: i64) -> Option<usize> {
    let value = step.attribute.iter().find(|a| a.name == name).map_or(default, |a| a.i);
    usize::try_from(value).ok()
}
