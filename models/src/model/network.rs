//! Networks in tract.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::multithread::Executor;
use tract_onnx::tract_core::model::TypedRunnableModel;
use tract_onnx::tract_core::model::TypedSimpleState;
use tract_onnx::tract_core::runtime::RunOptions;

use super::Runner;
use crate::card::{Card, NetworkKind};
use crate::error::{Error, Result};
use crate::onnx::pb;

/// The most numbers in all tensors of a graph together: half a gigabyte.
const MOST_NUMBERS: usize = 1 << 27;

/// A network, optimised and ready to run; its weights are shared.
#[derive(Debug)]
pub(super) struct Network {
    plan: Arc<TypedRunnableModel>,
    input_shape: Vec<usize>,
    /// Shapes of the states, in the order of the graph's inputs behind the first and of its outputs behind the first.
    state_shapes: Vec<Vec<usize>>,
}

impl Network {
    /// Checks the graph's inputs and outputs against the card and prepares it.
    pub(super) fn new(proto: pb::ModelProto, card: &Card) -> Result<Self> {
        let mels = card.frontend.as_ref().map_or(0, |f| f.mels);
        let mut state_shapes = Vec::new();
        let input_shape = match &card.network {
            NetworkKind::Stream { frames_per_step, states } => {
                check_names(&proto, states)?;
                state_shapes.extend(states.iter().map(|s| s.shape.clone()));
                vec![1, *frames_per_step, mels]
            }
            NetworkKind::Window { frames, .. } => vec![1, *frames, mels],
            NetworkKind::Audio { samples, .. } => vec![1, 1, *samples],
        };
        let shapes: Vec<&[usize]> =
            std::iter::once(input_shape.as_slice()).chain(state_shapes.iter().map(Vec::as_slice)).collect();
        // tract asserts in places; a hostile graph must not take the host down with it.
        let plan = catch_unwind(AssertUnwindSafe(|| prepare(&proto, &shapes)))
            .map_err(|_| Error::NotRunnable("the engine gave up on it".into()))?
            .map_err(|e| Error::NotRunnable(format!("{e:#}")))?;
        check_outputs(&plan, card.classes.len(), &state_shapes)?;
        Ok(Self { plan, input_shape, state_shapes })
    }

    pub(super) fn runner(&self) -> Result<Box<dyn Runner>> {
        let failed = |e: TractError| Error::Run(format!("{e:#}"));
        let states = self
            .state_shapes
            .iter()
            .map(|shape| Tensor::zero::<f32>(shape).map(Tensor::into_tvalue))
            .collect::<TractResult<Vec<_>>>()
            .map_err(failed)?;
        Ok(Box::new(TractRunner {
            state: self.plan.spawn().map_err(failed)?,
            input_shape: self.input_shape.clone(),
            initial: states.clone(),
            states,
        }))
    }
}

/// Inputs that are no weights, in the graph's order.
fn inputs(graph: &pb::GraphProto) -> Vec<&str> {
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph.input.iter().map(|i| i.name.as_str()).filter(|name| !weights.contains(name)).collect()
}

fn check_names(proto: &pb::ModelProto, states: &[crate::card::StateSpec]) -> Result<()> {
    let Some(graph) = &proto.graph else { return Err(Error::NotOnnx("it holds no network".into())) };
    let wanted_in: Vec<&str> = std::iter::once("frames").chain(states.iter().map(|s| s.name.as_str())).collect();
    let next: Vec<String> = states.iter().map(crate::card::StateSpec::output_name).collect();
    let wanted_out: Vec<&str> = std::iter::once("logits").chain(next.iter().map(String::as_str)).collect();
    let outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    for (what, has, wants) in [("inputs", inputs(graph), wanted_in), ("outputs", outputs, wanted_out)] {
        if has != wants {
            return Err(Error::CardMismatch(format!("its {what} are {has:?}, the card says {wants:?}")));
        }
    }
    Ok(())
}

fn prepare(proto: &pb::ModelProto, shapes: &[&[usize]]) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = tract_onnx::onnx().model_for_proto_model(proto)?;
    if model.inputs.len() != shapes.len() {
        return Err(TractError::msg(format!("it has {} inputs, {} are known", model.inputs.len(), shapes.len())));
    }
    for (i, shape) in shapes.iter().enumerate() {
        model.set_input_fact(i, f32::fact(*shape).into())?;
    }
    // One thread: the executor that tract would pick lies behind a lock of the whole process.
    let options = RunOptions { executor: Some(Executor::SingleThread), ..RunOptions::default() };
    let model = model.into_typed()?;
    check_volumes(&model)?;
    model.into_optimized()?.into_runnable_with_options(&options)
}

/// Refuses a graph that would make absurdly large tensors, before the optimiser computes its constant ones.
fn check_volumes(model: &TypedModel) -> TractResult<()> {
    let mut total = 0_usize;
    for fact in model.nodes().iter().flat_map(|node| &node.outputs).map(|outlet| &outlet.fact) {
        let Some(shape) = fact.shape.as_concrete() else { continue };
        total =
            shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).map_or(usize::MAX, |n| total.saturating_add(n));
        if total > MOST_NUMBERS {
            return Err(TractError::msg(format!(
                "its tensors hold more than {MOST_NUMBERS} numbers (one is {shape:?})"
            )));
        }
    }
    Ok(())
}

fn check_outputs(plan: &TypedRunnableModel, classes: usize, states: &[Vec<usize>]) -> Result<()> {
    let facts = plan.model().outputs.iter().map(|&outlet| plan.model().outlet_fact(outlet));
    let shapes: Vec<Option<Vec<usize>>> =
        facts.map(|f| f.ok().and_then(|f| f.shape.as_concrete().map(<[usize]>::to_vec))).collect();
    let mismatch = |what: String| Err(Error::CardMismatch(what));
    match shapes.first() {
        Some(Some(shape)) if shape.iter().product::<usize>() == classes => {}
        other => return mismatch(format!("its output has the shape {other:?}, the card has {classes} classes")),
    }
    for (i, state) in states.iter().enumerate() {
        if shapes.get(i + 1).is_none_or(|s| s.as_ref() != Some(state)) {
            return mismatch(format!("next state {i} has the shape {:?}, the card says {state:?}", shapes.get(i + 1)));
        }
    }
    Ok(())
}

/// One network with its state, on tract.
struct TractRunner {
    state: TypedSimpleState,
    input_shape: Vec<usize>,
    initial: Vec<TValue>,
    states: Vec<TValue>,
}

impl Runner for TractRunner {
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> Result<()> {
        let failed = |e: TractError| Error::Run(format!("{e:#}"));
        let frames = Tensor::from_shape(&self.input_shape, input).map_err(failed)?;
        let mut inputs = tvec![frames.into_tvalue()];
        inputs.extend(self.states.iter().cloned());
        let mut outputs = self.state.run(inputs).map_err(failed)?;
        let newest = outputs[0].to_plain_array_view::<f32>().map_err(failed)?;
        for (to, from) in logits.iter_mut().zip(newest.iter()) {
            *to = *from;
        }
        for (state, next) in self.states.iter_mut().zip(outputs.drain(..).skip(1)) {
            *state = next;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.states.clone_from_slice(&self.initial);
        Ok(())
    }
}
