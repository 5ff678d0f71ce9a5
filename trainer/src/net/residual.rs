//! A residual block on the processor, forward and backward, written out by hand.
//!
//! Burn's own operations would write each of a dozen intermediate results of a block into memory of its own. Here a
//! thread takes a whole scene through the block while it lies in the processor's cache. Sums run in an order that does
//! not depend on the number of threads: equal inputs give equal results.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use pulp::Arch;
use rayon::prelude::*;

use super::matrix::{Matrix, add_product, set_product};

/// Scenes whose gradients of the weights are added up apart: threads that can help in a backward pass.
const SHARES: usize = 8;

/// What a block computes with, each as [`super::Block`] has it.
pub(super) struct Weights {
    /// Depthwise taps `[kernel, channels]`, the oldest frame first.
    pub taps: Tensor<2>,
    /// `[channels, hidden]`.
    pub widen: Tensor<2>,
    /// `[hidden]`.
    pub widen_bias: Tensor<1>,
    /// `[hidden, channels]`.
    pub narrow: Tensor<2>,
    /// `[channels]`.
    pub narrow_bias: Tensor<1>,
}

/// `x + narrow(relu(widen(depthwise(x))))` for `x` of `[batch, time, channels]`; `None` where the tensors are not the
/// processor's.
pub(super) fn forward(x: &Tensor<3>, weights: &Weights, dilation: usize) -> Option<Tensor<3>> {
    let [batch, time, channels] = x.dims();
    let [kernel, _] = weights.taps.dims();
    let [_, hidden] = weights.widen.dims();
    let sides = Sides { batch, time, channels, hidden, kernel, dilation };
    tracked(x, weights, sides).or_else(|| untracked(x, weights, sides))
}

/// With what the backward pass needs.
fn tracked(x: &Tensor<3>, weights: &Weights, sides: Sides) -> Option<Tensor<3>> {
    type B = Autodiff<Flex>;
    let inputs = [
        x.clone().try_into_primitive::<B>().ok()?,
        weights.taps.clone().try_into_primitive::<B>().ok()?,
        weights.widen.clone().try_into_primitive::<B>().ok()?,
        weights.widen_bias.clone().try_into_primitive::<B>().ok()?,
        weights.narrow.clone().try_into_primitive::<B>().ok()?,
        weights.narrow_bias.clone().try_into_primitive::<B>().ok()?,
    ];
    let nodes = inputs.each_ref().map(|input| input.node());
    let [x, taps, widen, widen_bias, narrow, narrow_bias] = inputs.map(|input| input.into_primitive().to_contiguous());
    let (out, filtered, hidden) =
        sides.forward(numbers(&x)?, &Numbers::of([&taps, &widen, &widen_bias, &narrow, &narrow_bias])?);
    let out = sides.tensor(out);
    let out = match Block.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(operation) => operation.finish(Saved { sides, x, taps, widen, narrow, filtered, hidden }, out),
        OpsKind::UnTracked(operation) => operation.finish(out),
    };
    Some(Tensor::from_primitive::<B>(out))
}

fn untracked(x: &Tensor<3>, weights: &Weights, sides: Sides) -> Option<Tensor<3>> {
    let x = x.clone().try_into_primitive::<Flex>().ok()?.to_contiguous();
    let flex = |tensor: &Tensor<2>| Some(tensor.clone().try_into_primitive::<Flex>().ok()?.to_contiguous());
    let flex_1 = |tensor: &Tensor<1>| Some(tensor.clone().try_into_primitive::<Flex>().ok()?.to_contiguous());
    let (taps, widen, narrow) = (flex(&weights.taps)?, flex(&weights.widen)?, flex(&weights.narrow)?);
    let (widen_bias, narrow_bias) = (flex_1(&weights.widen_bias)?, flex_1(&weights.narrow_bias)?);
    let (out, ..) = sides.forward(numbers(&x)?, &Numbers::of([&taps, &widen, &widen_bias, &narrow, &narrow_bias])?);
    Some(Tensor::from_primitive::<Flex>(sides.tensor(out)))
}

fn numbers(tensor: &FlexTensor) -> Option<&[f32]> {
    tensor.as_slice::<f32>()
}

/// The weights as plain numbers.
struct Numbers<'a> {
    taps: &'a [f32],
    widen: &'a [f32],
    widen_bias: &'a [f32],
    narrow: &'a [f32],
    narrow_bias: &'a [f32],
}

impl<'a> Numbers<'a> {
    fn of(tensors: [&'a FlexTensor; 5]) -> Option<Self> {
        let [taps, widen, widen_bias, narrow, narrow_bias] = tensors.map(numbers);
        Some(Self { taps: taps?, widen: widen?, widen_bias: widen_bias?, narrow: narrow?, narrow_bias: narrow_bias? })
    }
}

/// The gradients of the weights, one after the other.
struct Slopes<'a> {
    taps: &'a mut [f32],
    widen: &'a mut [f32],
    widen_bias: &'a mut [f32],
    narrow: &'a mut [f32],
    narrow_bias: &'a mut [f32],
}

/// The sides of a block's tensors.
#[derive(Debug, Clone, Copy)]
struct Sides {
    batch: usize,
    time: usize,
    channels: usize,
    hidden: usize,
    kernel: usize,
    dilation: usize,
}

impl Sides {
    fn tensor(&self, numbers: Vec<f32>) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(numbers, [self.batch, self.time, self.channels]))
    }

    /// Numbers in a scene inside and outside of the block; 1 where a scene has no frames, since slices are cut by it.
    fn scene(&self) -> (usize, usize) {
        ((self.time * self.hidden).max(1), (self.time * self.channels).max(1))
    }

    /// The block's output, and for the backward pass what its filter made and what its rectifier let through.
    fn forward(&self, x: &[f32], weights: &Numbers<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (wide, narrow) = self.scene();
        let frames = self.batch * self.time;
        let mut out = vec![0.0; frames * self.channels];
        let mut filtered = vec![0.0; frames * self.channels];
        let mut hidden = vec![0.0; frames * self.hidden];
        let arch = Arch::new();
        out.par_chunks_mut(narrow)
            .zip(filtered.par_chunks_mut(narrow))
            .zip(hidden.par_chunks_mut(wide))
            .zip(x.par_chunks(narrow))
            .for_each(|(((out, filtered), hidden), x)| {
                arch.dispatch(|| self.filter(x, weights.taps, filtered));
                arch.dispatch(|| repeat(hidden, weights.widen_bias));
                add_product(hidden, Matrix::new(filtered, self.time), Matrix::new(weights.widen, self.channels));
                arch.dispatch(|| {
                    hidden.iter_mut().for_each(|h| *h = h.max(0.0));
                    repeat(out, weights.narrow_bias);
                    add(out, x);
                });
                add_product(out, Matrix::new(hidden, self.time), Matrix::new(weights.narrow, self.hidden));
            });
        (out, filtered, hidden)
    }

    /// Frames between a tap and the newest.
    #[inline(always)]
    fn lag(&self, tap: usize) -> usize {
        (self.kernel - 1 - tap) * self.dilation
    }

    /// `out[t] = sum of taps[k] * x[t - lag(k)]`, silence before the start; `out` holds zeros.
    #[inline(always)]
    fn filter(&self, x: &[f32], taps: &[f32], out: &mut [f32]) {
        let c = self.channels;
        for (t, out) in out.chunks_exact_mut(c).enumerate() {
            for (tap, weights) in taps.chunks_exact(c).enumerate() {
                if let Some(from) = t.checked_sub(self.lag(tap)) {
                    multiply_add(out, &x[from * c..(from + 1) * c], weights);
                }
            }
        }
    }

    /// The gradient of [`Sides::filter`]'s input, added to `out`.
    #[inline(always)]
    fn filter_backward(&self, slope: &[f32], taps: &[f32], out: &mut [f32]) {
        let c = self.channels;
        for (t, out) in out.chunks_exact_mut(c).enumerate() {
            for (tap, weights) in taps.chunks_exact(c).enumerate() {
                let to = t + self.lag(tap);
                if to < self.time {
                    multiply_add(out, &slope[to * c..(to + 1) * c], weights);
                }
            }
        }
    }

    /// The gradient of [`Sides::filter`]'s taps, added to `out`.
    #[inline(always)]
    fn taps_backward(&self, slope: &[f32], x: &[f32], out: &mut [f32]) {
        let c = self.channels;
        for (tap, out) in out.chunks_exact_mut(c).enumerate() {
            let late = (self.lag(tap) * c).min(slope.len());
            for (slope, x) in slope[late..].chunks_exact(c).zip(x.chunks_exact(c)) {
                multiply_add(out, slope, x);
            }
        }
    }

    /// How many numbers the gradients of the weights are.
    fn weights(&self) -> usize {
        self.kernel * self.channels + 2 * self.channels * self.hidden + self.hidden + self.channels
    }

    fn split<'a>(&self, all: &'a mut [f32]) -> Slopes<'a> {
        let (taps, rest) = all.split_at_mut(self.kernel * self.channels);
        let (widen, rest) = rest.split_at_mut(self.channels * self.hidden);
        let (widen_bias, rest) = rest.split_at_mut(self.hidden);
        let (narrow, narrow_bias) = rest.split_at_mut(self.channels * self.hidden);
        Slopes { taps, widen, widen_bias, narrow, narrow_bias }
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone)]
struct Saved {
    sides: Sides,
    x: FlexTensor,
    taps: FlexTensor,
    widen: FlexTensor,
    narrow: FlexTensor,
    filtered: Vec<f32>,
    hidden: Vec<f32>,
}

impl Saved {
    /// The gradient of the block's input, and those of its weights one after the other, from that of its output.
    fn backward(&self, slope: &[f32]) -> Option<(Vec<f32>, Vec<f32>)> {
        let Sides { batch, time, channels, hidden, .. } = self.sides;
        let (wide, narrow) = self.sides.scene();
        let (x, taps) = (numbers(&self.x)?, numbers(&self.taps)?);
        let (weights_1, weights_2) = (numbers(&self.widen)?, numbers(&self.narrow)?);
        let together = batch.div_ceil(SHARES).max(1);
        let arch = Arch::new();
        let mut out = vec![0.0; slope.len()];
        let shares: Vec<Vec<f32>> = out
            .par_chunks_mut(together * narrow)
            .zip(slope.par_chunks(together * narrow))
            .zip(x.par_chunks(together * narrow))
            .zip(self.filtered.par_chunks(together * narrow))
            .zip(self.hidden.par_chunks(together * wide))
            .map(|((((out, slope), x), filtered), after)| {
                let mut sums = vec![0.0; self.sides.weights()];
                let mut inside = vec![0.0; wide];
                let mut before = vec![0.0; narrow];
                let scenes = out
                    .chunks_exact_mut(narrow)
                    .zip(slope.chunks_exact(narrow))
                    .zip(x.chunks_exact(narrow))
                    .zip(filtered.chunks_exact(narrow))
                    .zip(after.chunks_exact(wide));
                for ((((out, slope), x), filtered), after) in scenes {
                    let sums = self.sides.split(&mut sums);
                    add_product(sums.narrow, Matrix::new(after, time).t(), Matrix::new(slope, time));
                    set_product(&mut inside, Matrix::new(slope, time), Matrix::new(weights_2, hidden).t());
                    arch.dispatch(|| {
                        add_rows(sums.narrow_bias, slope);
                        for (slope, after) in inside.iter_mut().zip(after) {
                            *slope = if *after > 0.0 { *slope } else { 0.0 };
                        }
                        add_rows(sums.widen_bias, &inside);
                    });
                    add_product(sums.widen, Matrix::new(filtered, time).t(), Matrix::new(&inside, time));
                    set_product(&mut before, Matrix::new(&inside, time), Matrix::new(weights_1, channels).t());
                    arch.dispatch(|| {
                        self.sides.taps_backward(&before, x, sums.taps);
                        out.copy_from_slice(slope);
                        self.sides.filter_backward(&before, taps, out);
                    });
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0; self.sides.weights()];
        arch.dispatch(|| shares.iter().for_each(|share| add(&mut sums, share)));
        Some((out, sums))
    }
}

/// The block as one operation of the graph of gradients.
#[derive(Debug)]
struct Block;

impl Backward<Flex, 6> for Block {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 6>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let saved = ops.state;
        let sides = saved.sides;
        let slope = grads.consume::<Flex>(&ops.node).to_contiguous();
        // All are contiguous numbers of 32 bits: they were when the block was computed.
        let Some((out, mut sums)) = numbers(&slope).and_then(|slope| saved.backward(slope)) else {
            return;
        };
        let sums = sides.split(&mut sums);
        let tensor = |numbers: &[f32], rows: usize| {
            FlexTensor::from_data(TensorData::new(numbers.to_vec(), [rows, numbers.len() / rows]))
        };
        let vector = |numbers: &[f32]| FlexTensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]));
        let slopes = [
            sides.tensor(out),
            tensor(sums.taps, sides.kernel),
            tensor(sums.widen, sides.channels),
            vector(sums.widen_bias),
            tensor(sums.narrow, sides.hidden),
            vector(sums.narrow_bias),
        ];
        for (parent, slope) in ops.parents.iter().zip(slopes) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, slope);
            }
        }
    }
}

/// The same row again and again.
#[inline(always)]
fn repeat(out: &mut [f32], row: &[f32]) {
    out.chunks_exact_mut(row.len()).for_each(|out| out.copy_from_slice(row));
}

/// `out += x`
#[inline(always)]
fn add(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += x);
}

/// Adds every row to `sum`.
#[inline(always)]
fn add_rows(sum: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sum.len()) {
        add(sum, row);
    }
}

/// `out += x * y`
#[inline(always)]
fn multiply_add(out: &mut [f32], x: &[f32], y: &[f32]) {
    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
        *out += x * y;
    }
}
