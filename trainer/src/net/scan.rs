//! The running mean on the processor: a walk over time instead of a product with a triangle of powers.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use pulp::Arch;
use rayon::prelude::*;

/// `y[t] = decay * y[t - 1] + (1 - decay) * x[t]` from zero, for `x` of `[batch, time, channels]`; `None` where the
/// tensor is not the processor's.
pub(super) fn running_mean(x: &Tensor<3>, decay: f32) -> Option<Tensor<3>> {
    let walk = Walk { sides: x.dims(), decay };
    if let Ok(x) = x.clone().try_into_primitive::<Flex>() {
        return Some(Tensor::from_primitive::<Flex>(walk.forward(&x)?));
    }
    let x = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
    let out = walk.forward(x.primitive())?;
    let out = match RunningMean.prepare::<NoCheckpointing>([x.node()]).compute_bound().stateful() {
        OpsKind::Tracked(operation) => operation.finish(walk, out),
        OpsKind::UnTracked(operation) => operation.finish(out),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(out))
}

#[derive(Debug, Clone)]
struct Walk {
    /// `[batch, time, channels]`
    sides: [usize; 3],
    decay: f32,
}

impl Walk {
    fn forward(&self, x: &FlexTensor) -> Option<FlexTensor> {
        self.over_scenes(x, |x, out| {
            let mut last: &[f32] = &[];
            for (x, out) in x.chunks_exact(self.sides[2]).zip(out.chunks_exact_mut(self.sides[2])) {
                self.next(x, last, out);
                last = out;
            }
        })
    }

    /// The same walk from the end to the start.
    fn backward(&self, slope: &FlexTensor) -> Option<FlexTensor> {
        self.over_scenes(slope, |slope, out| {
            let mut last: &[f32] = &[];
            for (slope, out) in slope.chunks_exact(self.sides[2]).zip(out.chunks_exact_mut(self.sides[2])).rev() {
                self.next(slope, last, out);
                last = out;
            }
        })
    }

    /// `out = (1 - decay) * x + decay * last`
    #[inline(always)]
    fn next(&self, x: &[f32], last: &[f32], out: &mut [f32]) {
        for (x, out) in x.iter().zip(&mut *out) {
            *out = (1.0 - self.decay) * x;
        }
        for (last, out) in last.iter().zip(out) {
            *out += self.decay * last;
        }
    }

    fn over_scenes(&self, x: &FlexTensor, walk: impl Fn(&[f32], &mut [f32]) + Sync) -> Option<FlexTensor> {
        let x = x.to_contiguous();
        let x = x.as_slice::<f32>()?;
        let mut out = vec![0.0; x.len()];
        let scene = (self.sides[1] * self.sides[2]).max(1);
        let arch = Arch::new();
        out.par_chunks_mut(scene).zip(x.par_chunks(scene)).for_each(|(out, x)| arch.dispatch(|| walk(x, out)));
        Some(FlexTensor::from_data(TensorData::new(out, self.sides)))
    }
}

#[derive(Debug)]
struct RunningMean;

impl Backward<Flex, 1> for RunningMean {
    type State = Walk;

    fn backward(self, ops: Ops<Walk, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let walk = ops.state;
        // The slope holds numbers of 32 bits, as what was walked over did.
        unary::<Flex, _>(ops.parents, ops.node, grads, |slope| walk.backward(&slope).unwrap_or(slope));
    }
}
