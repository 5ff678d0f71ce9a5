//! Networks in tract.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::LaneId;
use tract_onnx::tract_core::internal::multithread::Executor;
use tract_onnx::tract_core::model::TypedRunnableModel;
use tract_onnx::tract_core::model::TypedSimpleState;
use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_core::runtime::RunOptions;

use super::{Loader, Runner, pulse};
use crate::card::{Card, NetworkKind, StateSpec};
use crate::error::{Error, Result};
use crate::onnx::{pb, sequence};

/// The most numbers in all tensors of a graph together: half a gigabyte.
const MOST_NUMBERS: usize = 1 << 27;

/// Steps over which a pulsed network is compared with the explicit one: at least as many frames as the longest state.
const COMPARED_STEPS: usize = 16;

/// A network that would make more numbers than this while it is compared is left as it is: a file must load at once.
const MOST_COMPARED: usize = 1 << 28;

/// How far both may lie apart.
const SAME: f32 = 1e-4;

/// A network, optimised and ready to run; its weights are shared.
#[derive(Debug)]
pub(super) struct Network {
    plan: Arc<TypedRunnableModel>,
    input_shape: Vec<usize>,
    /// Shapes of the states, in the order of the graph's inputs behind the first and of its outputs behind the first.
    state_shapes: Vec<Vec<usize>>,
    loader: Loader,
    /// Why it is not pulsed.
    not_pulsed: Option<String>,
}

impl Network {
    /// Checks the graph's inputs and outputs against the card and prepares it, by the loader that is asked for or, by
    /// rule, the quicker one of those that fit.
    pub(super) fn new(proto: &pb::ModelProto, card: &Card, loader: Option<Loader>) -> Result<Self> {
        let explicit = || Self::explicit(proto, card);
        let NetworkKind::Stream { frames_per_step, states } = &card.network else {
            return match loader {
                Some(Loader::Pulse) => Err(Error::NotRunnable("only a stream network can be pulsed".into())),
                _ => explicit(),
            };
        };
        if loader == Some(Loader::Explicit) {
            return explicit();
        }
        let mels = card.frontend.as_ref().map_or(0, |f| f.frame_size());
        // What a hostile graph may not do is found out here, before the other form of it is looked at.
        let mut plain = explicit()?;
        let pulse = Self::pulsed(proto, *frames_per_step, mels, states)
            .and_then(|pulse| pulse.same_as(&plain, card, states).map(|()| pulse));
        match (pulse, loader) {
            (Ok(pulse), _) => Ok(pulse),
            (Err(why), Some(_)) => Err(Error::NotRunnable(format!("it can't be pulsed: {why}"))),
            (Err(why), None) => {
                plain.not_pulsed = Some(why);
                Ok(plain)
            }
        }
    }

    /// The graph as it is: states go in and come out at every step.
    fn explicit(proto: &pb::ModelProto, card: &Card) -> Result<Self> {
        let mels = card.frontend.as_ref().map_or(0, |f| f.frame_size());
        let mut state_shapes = Vec::new();
        let input_shape = match &card.network {
            NetworkKind::Stream { frames_per_step, states } => {
                check_names(proto, states)?;
                state_shapes.extend(states.iter().map(|s| s.shape.clone()));
                vec![1, *frames_per_step, mels]
            }
            NetworkKind::Window { frames, .. } => vec![1, *frames, mels],
            NetworkKind::Audio { samples, .. } => vec![1, 1, *samples],
        };
        let shapes: Vec<&[usize]> =
            std::iter::once(input_shape.as_slice()).chain(state_shapes.iter().map(Vec::as_slice)).collect();
        // tract asserts in places; a hostile graph must not take the host down with it.
        let plan = guarded(|| prepare(proto, &shapes)).map_err(Error::NotRunnable)?;
        check_outputs(&plan, card.classes.len(), &state_shapes)?;
        Ok(Self { plan, input_shape, state_shapes, loader: Loader::Explicit, not_pulsed: None })
    }

    /// The graph through tract's pulse transform; the reason where that can't be done.
    fn pulsed(
        proto: &pb::ModelProto,
        frames_per_step: usize,
        mels: usize,
        states: &[StateSpec],
    ) -> std::result::Result<Self, String> {
        let parts = guarded(|| sequence::divide(proto, frames_per_step, mels, states, false))?;
        let plan = guarded(|| {
            let model = pulse::pulsed(proto, &parts, frames_per_step, mels)?;
            check_volumes(&model)?;
            runnable(model)
        })?;
        let state_shapes = parts.states.into_iter().map(|s| s.shape).collect();
        let input_shape = vec![1, frames_per_step, mels];
        Ok(Self { plan, input_shape, state_shapes, loader: Loader::Pulse, not_pulsed: None })
    }

    /// Whether it computes what the explicit one computes, over noise at least as long as the longest state, and again
    /// after a reset.
    fn same_as(&self, plain: &Self, card: &Card, states: &[StateSpec]) -> std::result::Result<(), String> {
        check_outputs(&self.plan, card.classes.len(), &self.state_shapes).map_err(|e| e.to_string())?;
        let longest = states.iter().flat_map(|s| s.shape.iter().copied()).max().unwrap_or(0);
        let steps = COMPARED_STEPS + longest.div_ceil(self.input_shape[1]);
        if volume(plain.plan.model()).saturating_add(volume(self.plan.model())).saturating_mul(steps) > MOST_COMPARED {
            return Err("it is too large, or its past too long, to be compared".into());
        }
        let difference = guarded(|| {
            let (mut mine, mut other) = (self.runner()?, plain.runner()?);
            let mut noise = 1_u32;
            let mut frames = vec![0.0; self.input_shape.iter().product()];
            let mut logits = [vec![0.0; card.classes.len()], vec![0.0; card.classes.len()]];
            let mut difference = 0.0_f32;
            for step in 0..steps + COMPARED_STEPS {
                if step == steps {
                    mine.reset()?;
                    other.reset()?;
                }
                for x in &mut frames {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Between the floor of a log-mel frame and full scale.
                    *x = -14.0 * ((noise >> 8) as f32 / 16_777_216.0);
                }
                mine.step(&frames, &mut logits[0])?;
                other.step(&frames, &mut logits[1])?;
                for (a, b) in logits[0].iter().zip(&logits[1]) {
                    let distance = (a - b).abs();
                    difference = difference.max(if distance.is_nan() { f32::INFINITY } else { distance });
                }
            }
            Ok::<f32, Error>(difference)
        })?;
        if difference <= SAME { Ok(()) } else { Err(format!("pulsed, its answers would be off by {difference:.1e}")) }
    }

    pub(super) fn loader(&self) -> Loader {
        self.loader
    }

    pub(super) fn not_pulsed(&self) -> Option<&str> {
        self.not_pulsed.as_deref()
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
            keeps_past: self.loader == Loader::Pulse,
        }))
    }
}

/// Runs what tract may give up on: a panic becomes a reason.
fn guarded<T, E: std::fmt::Display>(
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| "the engine gave up on it".to_owned())?
        .map_err(|e| format!("{e:#}"))
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
    let mut model = model.into_typed()?;
    check_volumes(&model)?;
    start_from_inputs(&mut model);
    runnable(model)
}

/// States come in at every step: recurrent operators (GRU, LSTM) must start from them each time. By default tract has
/// them go on from where their last step ended, which no reset of ours would reach.
pub(super) fn start_from_inputs(model: &mut TypedModel) {
    for node in &mut model.nodes {
        if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.reset_every_turn = true;
        }
        if let Some(gru) = node.op_as_mut::<GruSeq>() {
            gru.reset_every_turn = true;
        }
    }
}

fn runnable(model: TypedModel) -> TractResult<Arc<TypedRunnableModel>> {
    // One thread: the executor that tract would pick lies behind a lock of the whole process.
    let options = RunOptions { executor: Some(Executor::SingleThread), ..RunOptions::default() };
    model.into_optimized()?.into_runnable_with_options(&options)
}

/// Refuses a graph that would make absurdly large tensors, before the optimiser computes its constant ones.
fn check_volumes(model: &TypedModel) -> TractResult<()> {
    if volume(model) > MOST_NUMBERS {
        return Err(TractError::msg(format!("its tensors hold more than {MOST_NUMBERS} numbers")));
    }
    Ok(())
}

/// Numbers in all tensors whose shapes are known.
fn volume(model: &TypedModel) -> usize {
    let facts = model.nodes().iter().flat_map(|node| &node.outputs).map(|outlet| &outlet.fact);
    facts
        .filter_map(|fact| fact.shape.as_concrete())
        .map(|shape| shape.iter().fold(1_usize, |n, &d| n.saturating_mul(d)))
        .fold(0, usize::saturating_add)
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
    /// Whether the operators hold the past, beside `states`.
    keeps_past: bool,
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
        if self.keeps_past {
            // In place: nothing is allocated.
            self.state.reset_lanes(&[LaneId(0)]).map_err(|e| Error::Run(format!("{e:#}")))?;
        }
        Ok(())
    }
}
