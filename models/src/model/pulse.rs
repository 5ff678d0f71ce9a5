//! Convolutional `stream` networks through tract's pulse transform.
//!
//! The trunk of a step graph, everything whose states are nothing but the last frames of a signal, is written over a
//! whole sequence and pulsed: tract then keeps the past itself, in rings beside the operators, instead of joining and
//! cutting states at every step. What is recursive (a running mean, a GRU) is grafted behind it as the step graph has
//! it, with its states as inputs and outputs.

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_pulse::internal::{PulsedModel, PulsedModelExt, ToDim};

use super::layers;
use super::network::start_from_inputs;
use crate::onnx::pb;
use crate::onnx::sequence::Parts;
use crate::onnx::{untyped, value_info};

/// The pulsed graph. Inputs: `frames` `[1, frames_per_step, mels]` and the tail's states; outputs: the logits and the
/// tail's next states.
///
/// # Errors
/// Where there is nothing to gain, or tract can't pulse the trunk.
pub(super) fn pulsed(
    step: &pb::ModelProto,
    parts: &Parts,
    frames_per_step: usize,
    mels: usize,
) -> TractResult<TypedModel> {
    if parts.unrolled == 0 {
        return Err(TractError::msg("none of its states is the past of a convolution"));
    }
    let mut graph = parts.trunk.clone();
    layers::join_linear(&mut graph, &parts.cuts.iter().map(|(_, flow)| flow.name.as_str()).collect());
    let whole = pb::ModelProto { graph: Some(graph), metadata_props: Vec::new(), ..step.clone() };
    let mut trunk = layers::reader().model_for_proto_model(&whole)?;
    let time = trunk.symbols.sym("time");
    trunk.set_input_fact(0, f32::fact([1.to_dim(), time.to_dim(), mels.to_dim()]).into())?;
    let trunk = trunk.into_typed()?.into_decluttered()?;
    let pulsed = PulsedModel::new(&trunk, time, &frames_per_step.to_dim())?;
    for index in 0..parts.cuts.len() {
        let fact = pulsed.output_fact(index)?;
        if fact.stream.as_ref().is_none_or(|stream| stream.delay != 0) {
            return Err(TractError::msg(format!("its answer would come late: {fact:?}")));
        }
    }
    let mut model = pulsed.into_typed()?;
    layers::join_filters(&mut model)?;
    if parts.tail.is_empty() {
        let logits = parts.cuts.iter().position(|(name, _)| name == "logits");
        let logits = logits.ok_or_else(|| TractError::msg("nothing computes its logits"))?;
        let outlet = model.output_outlets()?[logits];
        model.select_output_outlets(&[outlet])?;
    } else {
        graft(&mut model, step, parts)?;
    }
    Ok(model)
}

/// Puts the recursive nodes behind the pulsed trunk.
fn graft(model: &mut TypedModel, step: &pb::ModelProto, parts: &Parts) -> TractResult<()> {
    let outputs = std::iter::once("logits".to_owned()).chain(parts.states.iter().map(|s| s.output_name()));
    let outputs: Vec<String> = outputs.collect();
    let cut = |name: &String| parts.cuts.iter().position(|(cut, _)| cut == name);
    let shapes = || {
        let cuts = parts.cuts.iter().map(|(name, flow)| (name.as_str(), flow.shape.as_slice()));
        cuts.chain(parts.states.iter().map(|s| (s.name.as_str(), s.shape.as_slice())))
    };
    let mut graph = pb::GraphProto {
        node: parts.tail.clone(),
        initializer: parts.initializers.clone(),
        input: shapes().map(|(name, shape)| value_info(name, shape)).collect(),
        output: outputs.iter().filter(|name| cut(name).is_none()).map(|name| untyped(name)).collect(),
        ..Default::default()
    };
    layers::join_linear(&mut graph, &outputs.iter().map(String::as_str).collect());
    let proto = pb::ModelProto { graph: Some(graph), metadata_props: Vec::new(), ..step.clone() };
    let mut tail = layers::reader().model_for_proto_model(&proto)?;
    for (index, (_, shape)) in shapes().enumerate() {
        tail.set_input_fact(index, f32::fact(shape).into())?;
    }
    let mut tail = tail.into_typed()?;
    start_from_inputs(&mut tail);
    let ends = model.output_outlets()?.to_vec();
    let mut there: HashMap<OutletId, OutletId> = HashMap::new();
    for (index, &outlet) in tail.input_outlets()?.iter().enumerate() {
        let inside = match ends.get(index) {
            Some(&end) => end,
            None => {
                let state = &parts.states[index - ends.len()];
                model.add_source(&state.name, f32::fact(&state.shape))?
            }
        };
        there.insert(outlet, inside);
    }
    for index in tail.eval_order()? {
        let node = tail.node(index);
        if node.op_is::<TypedSource>() {
            continue;
        }
        let inputs: TVec<OutletId> = node.inputs.iter().map(|outlet| there[outlet]).collect();
        let wires = model.wire_node(format!("tail.{}", node.name), node.op.clone(), &inputs)?;
        there.extend(wires.into_iter().enumerate().map(|(slot, wire)| (OutletId::new(index, slot), wire)));
    }
    let mut made = tail.output_outlets()?.iter().map(|outlet| there[outlet]);
    let outlets = outputs.iter().map(|name| cut(name).map_or_else(|| made.next(), |index| ends.get(index).copied()));
    let outlets = outlets.collect::<Option<Vec<_>>>().ok_or_else(|| TractError::msg("an output is missing"))?;
    model.select_output_outlets(&outlets)
}
