//! Blocks of a transformer (Vaswani et al. 2017), each normalised in front (Xiong et al. 2020).

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation, s};
use rand::rngs::StdRng;

use super::init::linear;

/// Added to the variance before the root.
pub const NORM_EPSILON: f32 = 1e-5;
/// Units between the two layers of a block, for each number of its width.
const WIDENING: usize = 2;

/// Mean 0 and deviation 1 over the numbers of each frame, then a gain and a shift of each number (Ba et al. 2016).
#[derive(Module, Debug)]
pub struct FrameNorm {
    /// Factors `[width]`.
    pub gain: Param<Tensor<1>>,
    /// Summands `[width]`.
    pub shift: Param<Tensor<1>>,
}

impl FrameNorm {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        Self {
            gain: Param::from_tensor(Tensor::ones([width], device)),
            shift: Param::from_tensor(Tensor::zeros([width], device)),
        }
    }

    /// `[batch, time, width]` to the same shape.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let centred = x.clone() - x.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        let row = |numbers: &Param<Tensor<1>>| numbers.val().reshape([1, 1, width]);
        centred / (variance + NORM_EPSILON).sqrt() * row(&self.gain) + row(&self.shift)
    }
}

/// Attention of every frame to every frame, then two layers of units on each frame.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// In front of the attention.
    pub before_attention: FrameNorm,
    /// To queries, keys and values `[width, 3 * width]`.
    pub ask: Linear,
    /// From what the heads gathered `[width, width]`.
    pub gathered: Linear,
    /// In front of the units.
    pub before_units: FrameNorm,
    /// To the units.
    pub widen: Linear,
    /// From the units.
    pub narrow: Linear,
    #[module(skip)]
    heads: usize,
}

impl TransformerBlock {
    /// Random weights. `width` must be a multiple of `heads`.
    pub(super) fn new(width: usize, heads: usize, rng: &mut StdRng, device: &Device) -> Self {
        Self {
            before_attention: FrameNorm::new(width, device),
            ask: linear(rng, width, 3 * width, 0.6, device),
            // Small at first: the block starts near the identity.
            gathered: linear(rng, width, width, 0.3, device),
            before_units: FrameNorm::new(width, device),
            widen: linear(rng, width, WIDENING * width, 1.0, device),
            narrow: linear(rng, WIDENING * width, width, 0.3, device),
            heads,
        }
    }

    /// Attention heads.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// `[batch, time, width]` to the same shape.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, width] = x.dims();
        let each = width / self.heads;
        let asked = self.ask.forward(self.before_attention.forward(x.clone()));
        let part = |i: usize| {
            let part = asked.clone().slice(s![.., .., i * width..(i + 1) * width]);
            part.reshape([batch, time, self.heads, each]).swap_dims(1, 2)
        };
        let likeness = part(0).matmul(part(1).swap_dims(2, 3)) / (each as f32).sqrt();
        let gathered: Tensor<4> = activation::softmax(likeness, 3).matmul(part(2));
        let x = x + self.gathered.forward(gathered.swap_dims(1, 2).reshape([batch, time, width]));
        let units = activation::relu(self.widen.forward(self.before_units.forward(x.clone())));
        x + self.narrow.forward(units)
    }
}
