//! The whole-sequence form of a step network.
//!
//! A step graph takes a few new frames and its states. Where a state is nothing but the last frames of a signal
//! (`Concat(state, x)` along time, next state the end of it), it stands for the zeros before the first frame: left out,
//! the same graph computes a whole sequence, every convolution padded in front. Nodes that see any other state (a
//! running mean, a GRU) are recursive; they stay as they are, and the whole-sequence graph runs them in an ONNX `Scan`.

mod rules;

use std::collections::HashMap;

use super::{Attribute, GraphBuilder, pb, untyped, value_info};
use crate::card::{Card, NetworkKind, StateSpec};
use crate::error::{Error, Result};
use rules::Translator;

/// The symbol of the time axis: frames of the whole sequence.
const TIME: &str = "time";

/// A tensor that flows with time.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    /// Its name in the whole-sequence graph; in the step graph it is the key under which this is kept.
    pub name: String,
    /// Shape in one step.
    pub shape: Vec<usize>,
    /// The axis of time.
    pub axis: usize,
    /// New frames of it in a step; what `shape[axis]` holds beyond them are frames before.
    pub per_step: usize,
    /// Frames of zeros that belong before the first one and that no node has added yet.
    pub pending: usize,
}

/// A step graph in two parts: what computes the same on a whole sequence, and what is recursive.
#[derive(Debug)]
pub(crate) struct Parts {
    /// From `frames` `[1, time, mels]` to the [`Flow`]s of `cuts`. States are gone from it.
    pub trunk: pb::GraphProto,
    /// What leaves the trunk, with its name in the step graph: inputs of the tail, `logits` where there is no tail.
    pub cuts: Vec<(String, Flow)>,
    /// The recursive nodes as the step graph has them; empty where there are none.
    pub tail: Vec<pb::NodeProto>,
    /// States that only the tail knows, in the card's order.
    pub states: Vec<StateSpec>,
    /// States that the trunk has made superfluous.
    pub unrolled: usize,
    /// Weights, for the tail.
    pub initializers: Vec<pb::TensorProto>,
}

/// Divides a step graph. `frames` is `[1, frames_per_step, mels]`. With `strided`, the newest frame of each step is cut
/// out of a whole sequence by a stride; without, that node and all behind it count to the tail (tract's ONNX reader
/// knows no strides along an axis of unknown length).
///
/// # Errors
/// Where the graph is no step graph at all.
pub(crate) fn divide(
    proto: &pb::ModelProto,
    frames_per_step: usize,
    mels: usize,
    states: &[StateSpec],
    strided: bool,
) -> Result<Parts> {
    let Some(graph) = &proto.graph else { return Err(Error::NotOnnx("it holds no network".into())) };
    let frames = Flow {
        name: "frames".into(),
        shape: vec![1, frames_per_step, mels],
        axis: 1,
        per_step: frames_per_step,
        pending: 0,
    };
    let mut translator = Translator::new(graph, states, frames, strided);
    translator.run();
    if !translator.cuts_whole() {
        translator.give_up();
    }
    let Translator { flows, nodes, tail, delayed, extra, .. } = translator;

    let mut cuts: Vec<(String, Flow)> = Vec::new();
    for name in rules::wanted(graph, &tail) {
        if let Some(flow) = flows.get(name).filter(|_| cuts.iter().all(|(n, _)| n != name)) {
            cuts.push((name.to_owned(), flow.clone()));
        }
    }
    let unrolled = delayed.len();
    let states = states.iter().filter(|s| !delayed.contains(&s.name)).cloned().collect();
    let mut trunk = pb::GraphProto { name: "whole sequence".into(), node: nodes, ..Default::default() };
    trunk.input.push(symbolic_input(mels));
    for (_, flow) in &cuts {
        trunk.output.push(untyped(&flow.name));
    }
    trunk.initializer.extend(graph.initializer.iter().cloned().chain(extra));
    Ok(Parts { trunk, cuts, tail, states, unrolled, initializers: graph.initializer.clone() })
}

/// The whole-sequence ONNX model of a `stream` model: `frames` `[1, time, mels]` to `logits` `[steps, classes]`, one row
/// for each whole step of the sequence, from the initial (zero) states. `time` must be a multiple of the card's
/// `frames_per_step`.
///
/// # Errors
/// [`Error::CardMismatch`] where the card speaks of no `stream` network, or a tensor between the parts has its time
/// on an axis that can't be cut into steps.
pub fn whole_sequence(model: &pb::ModelProto, card: &Card) -> Result<pb::ModelProto> {
    let (NetworkKind::Stream { frames_per_step, states }, Some(frontend)) = (&card.network, &card.frontend) else {
        return Err(Error::CardMismatch("only a stream network has a whole-sequence form".into()));
    };
    let parts = divide(model, *frames_per_step, frontend.frame_size(), states, true)?;
    let mut whole = model.clone();
    whole.metadata_props.clear();
    let mut graph = parts.trunk.clone();
    graph.output = vec![untyped("logits_of_steps")];
    let answer = if parts.tail.is_empty() {
        parts.cuts.iter().find(|(name, _)| name == "logits").map(|(_, flow)| flow.name.clone())
    } else {
        Some(scan(&parts, &mut graph)?)
    };
    let answer = answer.ok_or_else(|| Error::CardMismatch("nothing computes its logits".into()))?;
    let classes = i64::try_from(card.classes.len()).unwrap_or(i64::MAX);
    reshape(&mut graph, &answer, "logits_of_steps", &[-1, classes]);
    whole.graph = Some(graph);
    Ok(whole)
}

/// Adds the tail as a `Scan` over steps; the name of its stacked logits.
fn scan(parts: &Parts, graph: &mut pb::GraphProto) -> Result<String> {
    let mut body = pb::GraphProto { name: "one step".into(), node: parts.tail.clone(), ..Default::default() };
    let mut node = pb::NodeProto { op_type: "Scan".into(), name: "steps".into(), ..Default::default() };
    let mut zeros = GraphBuilder::new("");
    for state in &parts.states {
        let initial = format!("{}_initial", state.name);
        zeros.initializer(&initial, &state.shape, &vec![0.0; state.shape.iter().product()]);
        node.input.push(initial);
        body.input.push(value_info(&state.name, &state.shape));
        body.output.push(value_info(&state.output_name(), &state.shape));
        node.output.push(format!("{}_final", state.name));
    }
    for (name, flow) in &parts.cuts {
        if flow.shape[..flow.axis].iter().any(|&d| d != 1) || flow.shape[flow.axis] != flow.per_step {
            return Err(Error::CardMismatch(format!("«{name}» can't be cut into steps")));
        }
        // Only ones stand before time, so the steps lie one after the other in memory.
        let shape: Vec<i64> = std::iter::once(-1).chain(flow.shape.iter().map(|&d| dim(d))).collect();
        let cut = format!("{name}_in_steps");
        reshape(graph, &flow.name, &cut, &shape);
        node.input.push(cut);
        // An output that is a flow passes through the body under its own name: a graph needs a node for it.
        let inside = if body_passes(parts, name) { format!("{name}_slice") } else { name.clone() };
        if inside != *name {
            body.node.insert(0, rules::node("Identity", &[&inside], name, &[]));
        }
        body.input.push(value_info(&inside, &flow.shape));
    }
    body.output.push(untyped("logits"));
    node.output.push("logits_stacked".into());
    graph.initializer.extend(zeros.finish().graph.into_iter().flat_map(|g| g.initializer));
    node.attribute.push(pb::AttributeProto {
        name: "body".into(),
        r#type: pb::attribute_proto::AttributeType::Graph as i32,
        g: Some(body),
        ..Default::default()
    });
    node.attribute.push(super::build::attribute("num_scan_inputs", &Attribute::Int(dim(parts.cuts.len()))));
    graph.node.push(node);
    Ok("logits_stacked".into())
}

/// Whether a cut is at the same time an output of the body.
fn body_passes(parts: &Parts, name: &str) -> bool {
    name == "logits" || parts.states.iter().any(|s| s.output_name() == name)
}

fn reshape(graph: &mut pb::GraphProto, from: &str, to: &str, shape: &[i64]) {
    let name = format!("{to}_shape");
    let mut numbers = GraphBuilder::new("");
    numbers.initializer_i64(&name, &[shape.len()], shape);
    graph.initializer.extend(numbers.finish().graph.into_iter().flat_map(|g| g.initializer));
    graph.node.push(rules::node("Reshape", &[from, &name], to, &[]));
}

/// A dimension as ONNX writes it.
fn dim(d: usize) -> i64 {
    i64::try_from(d).unwrap_or(i64::MAX)
}

/// `frames` `[1, time, mels]`.
fn symbolic_input(mels: usize) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::dimension::Value;
    let mut info = value_info("frames", &[1, 1, mels]);
    if let Some(pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), .. }) = &mut info.r#type
        && let Some(shape) = &mut tensor.shape
    {
        shape.dim[1].value = Some(Value::DimParam(TIME.into()));
    }
    info
}

/// The numbers of an integer tensor.
pub(crate) fn integers(tensor: &pb::TensorProto) -> Option<Vec<i64>> {
    (tensor.data_type == pb::tensor_proto::DataType::Int64 as i32).then(|| {
        let raw = tensor.raw_data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b));
        raw.chain(tensor.int64_data.iter().copied()).collect()
    })
}

/// The numbers of a tensor of 32-bit floats; `None` where it is none.
#[must_use]
pub fn floats(tensor: &pb::TensorProto) -> Option<Vec<f32>> {
    (tensor.data_type == pb::tensor_proto::DataType::Float as i32).then(|| {
        let raw = tensor.raw_data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        raw.chain(tensor.float_data.iter().copied()).collect()
    })
}

/// Tensors by name.
pub(crate) fn by_name(tensors: &[pb::TensorProto]) -> HashMap<&str, &pb::TensorProto> {
    tensors.iter().map(|t| (t.name.as_str(), t)).collect()
}
