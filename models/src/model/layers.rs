//! Linear layers and depthwise filters of a pulsed network as operators of our own: see [`super::kernels`] for why.
//!
//! Products with weights, and what follows them (bias, residual, rectifier), are joined in the ONNX graph before tract
//! reads it; a filter over time is joined with the ring that pulsing put before it, after that.

use std::collections::{HashMap, HashSet};

use tract_onnx::Onnx;
use tract_onnx::tract_core::ops::array::PadMode;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::internal::*;
use tract_pulse_opl::ops::{Delay, PulsePad};

use super::kernels::{Filter, Linear, Past};
use crate::onnx::pb;
use crate::onnx::sequence::{by_name, floats};

/// Name of the joined operator in a graph that only tract reads.
const JOINED: &str = "ToccoLinear";

/// And of a weighted sum of frames.
const WEIGHTED: &str = "ToccoWeighted";

/// tract's ONNX reader, which knows the joined operators too.
pub(super) fn reader() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register.insert(JOINED, |_, node| Ok((expand(ReadLinear { relu: has_relu(node) }), vec![])));
    onnx.op_register.insert(WEIGHTED, |_, _| Ok((expand(ReadWeighted), vec![])));
    onnx
}

fn has_relu(node: &pb::NodeProto) -> bool {
    node.attribute.iter().any(|a| a.name == "relu")
}

/// Joins each product with weights `[inputs, outputs]` and the bias, residual and rectifier behind it into one node,
/// and names each weighted sum of frames (`[1, 1, frames]` times `[1, frames, channels]`). `kept` are tensors that must
/// go on to exist.
pub(super) fn join_linear(graph: &mut pb::GraphProto, kept: &HashSet<&str>) {
    let nodes = std::mem::take(&mut graph.node);
    let weights = by_name(&graph.initializer);
    let mut gone = HashSet::new();
    let mut joined: HashMap<usize, pb::NodeProto> = HashMap::new();
    for (index, product) in nodes.iter().enumerate() {
        if let Some(node) = weighted_from(product, &weights) {
            joined.insert(index, node);
            continue;
        }
        let Some((last, node)) = joined_from(&nodes, index, product, &weights, kept) else { continue };
        gone.extend(last.0);
        // It stands where the last of them stood: there every input is known.
        joined.insert(last.1, node);
    }
    graph.node = nodes
        .into_iter()
        .enumerate()
        .filter_map(|(i, node)| joined.remove(&i).or_else(|| (!gone.contains(&i)).then_some(node)))
        .collect();
}

type Joined = ((Vec<usize>, usize), pb::NodeProto);

fn joined_from(
    nodes: &[pb::NodeProto],
    index: usize,
    product: &pb::NodeProto,
    weights: &HashMap<&str, &pb::TensorProto>,
    kept: &HashSet<&str>,
) -> Option<Joined> {
    let matrix = weights.get(product.input.get(1)?.as_str())?;
    let columns = *matrix.dims.get(1)?;
    if product.op_type != "MatMul" || matrix.dims.len() != 2 || weights.contains_key(product.input[0].as_str()) {
        return None;
    }
    let mut chain = vec![index];
    let mut output = product.output.first()?.clone();
    // The one node that reads a tensor.
    let reader = |name: &str| {
        let mut readers = nodes.iter().enumerate().filter(|(_, n)| n.input.iter().any(|i| i == name));
        let only = readers.next().filter(|_| !kept.contains(name))?;
        readers.next().is_none().then_some(only)
    };
    let other = |node: &pb::NodeProto, name: &str| node.input.iter().find(|input| *input != name).cloned();
    let mut node = pb::NodeProto { op_type: JOINED.into(), input: product.input.clone(), ..Default::default() };
    if let Some((at, add)) = reader(&output).filter(|(_, n)| n.op_type == "Add")
        && let Some(bias) =
            other(add, &output).filter(|name| weights.get(name.as_str()).is_some_and(|b| is_row(b, columns)))
    {
        node.input.push(bias);
        chain.push(at);
        output.clone_from(add.output.first()?);
        if let Some((at, add)) = reader(&output).filter(|(_, n)| n.op_type == "Add")
            && let Some(residual) = other(add, &output).filter(|name| !weights.contains_key(name.as_str()))
        {
            node.input.push(residual);
            chain.push(at);
            output.clone_from(add.output.first()?);
        }
    }
    if let Some((at, relu)) = reader(&output).filter(|(_, n)| n.op_type == "Relu") {
        node.attribute.push(pb::AttributeProto { name: "relu".into(), ..Default::default() });
        chain.push(at);
        output.clone_from(relu.output.first()?);
    }
    node.name = format!("Linear_{output}");
    node.output = vec![output];
    let last = *chain.last()?;
    Some(((chain, last), node))
}

/// A product with one row of weights on its left.
fn weighted_from(product: &pb::NodeProto, weights: &HashMap<&str, &pb::TensorProto>) -> Option<pb::NodeProto> {
    let [row, frames] = product.input.as_slice() else { return None };
    let is_row = product.op_type == "MatMul" && matches!(weights.get(row.as_str())?.dims.as_slice(), [1, 1, _]);
    (is_row && !weights.contains_key(frames.as_str())).then(|| pb::NodeProto {
        op_type: WEIGHTED.into(),
        input: vec![frames.clone(), row.clone()],
        ..product.clone()
    })
}

/// Whether a tensor is one number a column.
fn is_row(tensor: &pb::TensorProto, columns: i64) -> bool {
    let rows = tensor.dims.split_last();
    rows.is_some_and(|(last, before)| *last == columns && before.iter().all(|&d| d == 1)) && floats(tensor).is_some()
}

/// The joined node as tract reads it: frames, weights, and maybe bias and residual.
#[derive(Debug, Clone)]
struct ReadLinear {
    relu: bool,
}

impl Expansion for ReadLinear {
    fn name(&self) -> StaticName {
        "ReadLinear".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        s.given(&inputs[0].rank, move |s, rank| {
            let last = usize::try_from(rank)?.saturating_sub(1);
            for axis in 0..last {
                s.equals(&inputs[0].shape[axis], &outputs[0].shape[axis])?;
            }
            s.equals(&inputs[1].shape[1], &outputs[0].shape[last])
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let constant = |outlet: OutletId| {
            let fact = model.outlet_fact(outlet)?;
            fact.konst.clone().ok_or_else(|| TractError::msg("weights that are not constant"))
        };
        let weights = constant(inputs[1])?;
        let &[rows, columns] = weights.shape() else { return Err(TractError::msg("weights that are no matrix")) };
        let bias = inputs.get(2).map(|&outlet| constant(outlet)).transpose()?;
        let bias = bias.as_ref().map(|b| numbers(b)).transpose()?.unwrap_or_default();
        let layer = LinearOp(Arc::new(Linear::new(numbers(&weights)?, rows, columns, bias, self.relu)));
        let flows: TVec<OutletId> = std::iter::once(inputs[0]).chain(inputs.get(3).copied()).collect();
        model.wire_node(prefix, layer, &flows)
    }
}

fn numbers(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.try_as_plain_ram()?.as_slice::<f32>()
}

/// `[…, inputs]` (and a residual `[…, outputs]`) to `[…, outputs]`.
#[derive(Debug, Clone)]
struct LinearOp(Arc<Linear>);

impl PartialEq for LinearOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LinearOp {}

impl Op for LinearOp {
    fn name(&self) -> StaticName {
        "Linear".into()
    }

    op_as_typed_op!();
}

impl EvalOp for LinearOp {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = &inputs[0];
        let mut shape: TVec<usize> = x.shape().into();
        match shape.last_mut() {
            Some(last) if *last == self.0.inputs() => *last = self.0.outputs(),
            _ => return Err(TractError::msg("frames of another width")),
        }
        let residual = inputs.get(1).map_or(Ok::<&[f32], TractError>(&[]), |r| numbers(r))?;
        let mut y = Tensor::zero::<f32>(&shape)?;
        ensure!(residual.is_empty() || residual.len() == y.len());
        self.0.run(numbers(x)?, residual, y.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(y.into_tvalue()))
    }
}

impl TypedOp for LinearOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.clone();
        let last = shape.rank().checked_sub(1).ok_or_else(|| TractError::msg("a frame has an axis"))?;
        shape.set(last, self.0.outputs().to_dim());
        Ok(tvec!(f32::fact(shape)))
    }

    /// Every axis but the last goes through.
    fn axes_mapping(&self, inputs: &[&TypedFact], outputs: &[&TypedFact]) -> TractResult<AxesMapping> {
        let rank = inputs[0].rank();
        let letters: TVec<char> = ('a'..).take(rank + 1).collect();
        let mut axes: TVec<Axis> = tvec!();
        for (axis, &letter) in letters.iter().enumerate().take(rank - 1) {
            axes.push(Axis::natural(inputs.len(), outputs.len(), letter, axis));
        }
        axes.push(Axis::new(letters[rank - 1], inputs.len(), outputs.len()).input(0, rank - 1));
        let columns = Axis::new(letters[rank], inputs.len(), outputs.len()).output(0, rank - 1);
        axes.push(if inputs.len() > 1 { columns.input(1, rank - 1) } else { columns });
        AxesMapping::new(inputs.len(), outputs.len(), axes)
    }
}

/// A weighted sum of frames as tract reads it: frames `[1, frames, channels]` and weights `[1, 1, frames]`.
#[derive(Debug, Clone)]
struct ReadWeighted;

impl Expansion for ReadWeighted {
    fn name(&self) -> StaticName {
        "ReadWeighted".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, 3)?;
        s.equals(&outputs[0].rank, 3)?;
        s.equals(&inputs[0].shape[0], &outputs[0].shape[0])?;
        s.equals(1.to_dim(), &outputs[0].shape[1])?;
        s.equals(&inputs[0].shape[2], &outputs[0].shape[2])
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let weights = model.outlet_fact(inputs[1])?.konst.clone();
        let weights = weights.ok_or_else(|| TractError::msg("weights that are not constant"))?;
        let shape = &model.outlet_fact(inputs[0])?.shape;
        ensure!(shape[0] == 1.to_dim() && shape[1] == weights.len().to_dim(), "a weight for each frame");
        model.wire_node(prefix, WeightedOp(numbers(&weights)?.into()), &inputs[..1])
    }
}

/// `[1, frames, channels]` to `[1, 1, channels]`: each frame times its weight, summed.
#[derive(Debug, Clone, PartialEq)]
struct WeightedOp(Arc<[f32]>);

impl Eq for WeightedOp {}

impl Op for WeightedOp {
    fn name(&self) -> StaticName {
        "Weighted".into()
    }

    op_as_typed_op!();
}

impl EvalOp for WeightedOp {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let &[1, frames, channels] = inputs[0].shape() else { return Err(TractError::msg("no frames")) };
        ensure!(frames == self.0.len() && channels > 0);
        let mut y = Tensor::zero::<f32>(&[1, 1, channels])?;
        let mut view = y.try_as_plain_ram_mut()?;
        let sums = view.as_slice_mut::<f32>()?;
        for (frame, weight) in numbers(&inputs[0])?.chunks_exact(channels).zip(self.0.iter()) {
            for (sum, x) in sums.iter_mut().zip(frame) {
                *sum += weight * x;
            }
        }
        Ok(tvec!(y.into_tvalue()))
    }
}

impl TypedOp for WeightedOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.clone();
        shape.set(1, 1.to_dim());
        Ok(tvec!(f32::fact(shape)))
    }
}

/// Puts each depthwise convolution of a pulsed model, with the ring and the padding before it, into one operator.
pub(super) fn join_filters(model: &mut TypedModel) -> TractResult<()> {
    let convolutions: Vec<usize> = model.nodes.iter().filter(|n| n.op_is::<Conv>()).map(|n| n.id).collect();
    for id in convolutions {
        let patch = filter_patch(model, model.node(id))?;
        if let Some(patch) = patch {
            patch.apply(model)?;
        }
    }
    model.compact()
}

fn filter_patch(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(conv) = node.op_as::<Conv>() else { return Ok(None) };
    let Some((source, span)) = pulsed_zeros(model, node.inputs[0]) else { return Ok(None) };
    let pool = &conv.pool_spec;
    let shape = model.outlet_fact(source)?.shape.clone();
    let (time, channel) = if pool.data_format.c_is_last() { (1, 2) } else { (2, 1) };
    let (&[kernel], dilation) = (pool.kernel_shape.as_slice(), pool.dilation(0)) else { return Ok(None) };
    // Pulsing has taken the constants out of the facts.
    let constants = [1, 2].map(|i| model.node(node.inputs.get(i)?.node).op_as::<Const>().map(|c| c.val().clone()));
    let [Some(weights), Some(bias)] = constants else { return Ok(None) };
    let fits = shape.rank() == 3
        && pool.data_format.has_n()
        && conv.group == pool.input_channels
        && conv.group == pool.output_channels
        && shape[channel] == conv.group.to_dim()
        && pool.stride(0) == 1
        && span == ((kernel - 1) * dilation, time)
        && conv.q_params.is_none()
        && conv.kernel_fmt == KernelFormat::OIHW
        && weights.len() == kernel * conv.group
        && model.outlet_fact(node.id.into())?.shape[time] == shape[time];
    if !fits {
        return Ok(None);
    }
    let channels = conv.group;
    let weights = numbers(&weights)?;
    let taps = (0..kernel).flat_map(|tap| (0..channels).map(move |c| weights[c * kernel + tap])).collect();
    let bias = match numbers(&bias)? {
        [all] => vec![*all; channels],
        each if each.len() == channels => each.to_vec(),
        _ => return Ok(None),
    };
    let mut patch = TypedModelPatch::default();
    let mut wire = patch.tap_model(model, source)?;
    if time == 2 {
        wire = patch.wire_node(format!("{}.frames", node.name), AxisOp::Move(2, 1), &[wire])?[0];
    }
    let filter = FilterOp(Arc::new(Filter::new(taps, bias, kernel, dilation)));
    wire = patch.wire_node(&node.name, filter, &[wire])?[0];
    if time == 2 {
        wire = patch.wire_node(format!("{}.channels", node.name), AxisOp::Move(1, 2), &[wire])?[0];
    }
    patch.shunt_outside(model, node.id.into(), wire)?;
    Ok(Some(patch))
}

/// What goes into a ring that only joins the past to new frames, with zeros before the first; the past's length and
/// the axis of time.
fn pulsed_zeros(model: &TypedModel, outlet: OutletId) -> Option<(OutletId, (usize, usize))> {
    let alone = |id: usize| model.node(id).outputs[0].successors.len() == 1;
    let mut node = model.node(outlet.node);
    let mut padded = None;
    if let Some(pad) = node.op_as::<PulsePad>() {
        let PadMode::Constant(value) = &pad.mode else { return None };
        let zero = numbers(value).ok()?.iter().all(|&v| v == 0.0);
        if !zero || !alone(node.id) || pad.after != 0.to_dim() || pad.before != pad.overlap {
            return None;
        }
        padded = Some((pad.before, pad.begin_input));
        node = model.node(node.inputs[0].node);
    }
    let delay = node.op_as::<Delay>()?;
    // The ring begins and resets to zeros, which are the padding.
    let zeros = padded.map_or(delay.zero_pad, |(before, begin)| before == delay.overlap && begin == delay.overlap);
    (delay.delay == 0 && zeros && alone(node.id)).then(|| (node.inputs[0], (delay.overlap, delay.axis)))
}

/// `[1, frames, channels]` to the same shape, filtered over time.
#[derive(Debug, Clone)]
struct FilterOp(Arc<Filter>);

impl PartialEq for FilterOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FilterOp {}

impl Op for FilterOp {
    fn name(&self) -> StaticName {
        "Filter".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FilterOp {
    not_out_of_plan!();

    fn state(&self, _: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(FilterState(self.0.past()))))
    }
}

impl TypedOp for FilterOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(inputs[0].shape.clone())))
    }
}

/// The frames that one runner's filter still needs.
#[derive(Debug, Clone)]
struct FilterState(Past);

impl OpState for FilterState {
    fn eval(&mut self, _: &EvalContext, op: &dyn Op, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let op = op.downcast_ref::<FilterOp>().ok_or_else(|| TractError::msg("no filter"))?;
        let x = &inputs[0];
        ensure!(x.shape().last() == Some(&op.0.channels()));
        let mut y = Tensor::zero::<f32>(x.shape())?;
        op.0.run(&mut self.0, numbers(x)?, y.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(y.into_tvalue()))
    }

    fn reset_lanes(&mut self, _: &[LaneId]) -> TractResult<()> {
        self.0.reset();
        Ok(())
    }
}
