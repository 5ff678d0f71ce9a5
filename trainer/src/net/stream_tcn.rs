//! Our main network: a causal residual stack that runs frame by frame.
//!
//! `log-mel frame -> projection -> residual blocks -> (features, their running mean) -> mix`
//!
//! Each block is a dilated depthwise filter over time and two pointwise layers. Everything is causal, and before
//! the first frame there are zeros inside the network: the whole-sequence network here and the step network that
//! is exported give the same numbers.
//!
//! Tensors are `[batch, time, channel]`: pointwise layers are then plain matrix products and the depthwise filter
//! is a handful of shifted multiply-adds, measured 3 times quicker on the CPU than a one-dimensional convolution.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation, s};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};
use super::{residual, scan};

/// Shape of the stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcnShape {
    /// Channels inside.
    pub channels: usize,
    /// Taps of the depthwise filters.
    pub kernel: usize,
    /// Distance between two taps in frames, one a block.
    pub dilations: Vec<usize>,
    /// Time constant of the running mean that the last layer sees beside the newest features, in frames; 0 for none.
    pub memory_frames: f32,
}

impl TcnShape {
    /// Frames of the past that one block keeps.
    #[must_use]
    pub fn block_context(&self, block: usize) -> usize {
        (self.kernel - 1) * self.dilations[block]
    }

    /// Frames that the blocks see, the newest included (the running mean sees further).
    #[must_use]
    pub fn receptive_field(&self) -> usize {
        1 + (0..self.dilations.len()).map(|b| self.block_context(b)).sum::<usize>()
    }

    /// What the running mean keeps of itself from one frame to the next; `None` where there is none.
    #[must_use]
    pub fn memory_decay(&self) -> Option<f32> {
        (self.memory_frames > 0.0).then(|| (-1.0 / self.memory_frames).exp())
    }

    /// Numbers that the last layer sees.
    #[must_use]
    pub fn mixed(&self) -> usize {
        if self.memory_frames > 0.0 { 2 * self.channels } else { self.channels }
    }
}

/// One residual block: `x + narrow(relu(widen(depthwise(x))))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Depthwise taps `[kernel, channels]`, the oldest frame first.
    pub taps: Param<Tensor<2>>,
    /// Pointwise, before the rectifier.
    pub widen: Linear,
    /// Pointwise, after the rectifier.
    pub narrow: Linear,
    #[module(skip)]
    dilation: usize,
}

impl Block {
    /// `[batch, time, channels]` to the same shape.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.on_processor(&x).unwrap_or_else(|| self.anywhere(x))
    }

    /// By hand; `None` where the tensors are not the processor's.
    fn on_processor(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let weights = residual::Weights {
            taps: self.taps.val(),
            widen: self.widen.weight.val(),
            widen_bias: self.widen.bias.as_ref()?.val(),
            narrow: self.narrow.weight.val(),
            narrow_bias: self.narrow.bias.as_ref()?.val(),
        };
        residual::forward(x, &weights, self.dilation)
    }

    /// By Burn's own operations, on any device.
    fn anywhere(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, channels] = x.dims();
        let [kernel, _] = self.taps.dims();
        let context = (kernel - 1) * self.dilation;
        let before = Tensor::zeros([batch, context, channels], &x.device());
        let padded = Tensor::cat(vec![before, x.clone()], 1);
        let taps = self.taps.val();
        let mut filtered: Option<Tensor<3>> = None;
        for tap in 0..kernel {
            let from = tap * self.dilation;
            let shifted = padded.clone().slice(s![.., from..from + time, ..]);
            let weight = taps.clone().slice(s![tap..tap + 1, ..]).reshape([1, 1, channels]);
            let term = shifted * weight;
            filtered = Some(match filtered {
                Some(sum) => sum + term,
                None => term,
            });
        }
        // A filter has at least one tap: NetConfig's kernel is checked where it is made.
        let filtered = filtered.unwrap_or_else(|| x.clone());
        x + self.narrow.forward(activation::relu(self.widen.forward(filtered)))
    }
}

/// The network over whole sequences.
#[derive(Module, Debug)]
pub struct StreamTcn {
    /// Normalised log-mel frame to channels.
    pub input: Linear,
    /// The residual blocks, in order.
    pub blocks: Vec<Block>,
    /// Features (and their running mean) to channels.
    pub mix: Linear,
    #[module(skip)]
    shape: TcnShape,
}

impl StreamTcn {
    /// Random weights for frames of `inputs` numbers.
    pub(super) fn new(config: &TcnShape, inputs: usize, rng: &mut StdRng, device: &Device) -> Self {
        let c = config.channels;
        let blocks = config
            .dilations
            .iter()
            .map(|&dilation| Block {
                taps: Param::from_tensor(uniform(rng, [config.kernel, c], 1.0 / config.kernel as f32, device)),
                widen: linear(rng, c, c, 1.0, device),
                // Small at first: the stack starts near the identity, so it trains without normalisation layers,
                // which would cost time at every step on stage.
                narrow: linear(rng, c, c, 0.3, device),
                dilation,
            })
            .collect();
        Self {
            input: linear(rng, inputs, c, 1.0, device),
            blocks,
            mix: linear(rng, config.mixed(), c, 1.0, device),
            shape: config.clone(),
        }
    }

    /// Normalised frames `[batch, time, inputs]` to features `[batch, time, channels]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let mut x = self.input.forward(frames);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = activation::relu(x);
        let seen = match self.shape.memory_decay() {
            Some(decay) => {
                let mean = scan::running_mean(&x, decay).unwrap_or_else(|| running_mean(x.clone(), decay));
                Tensor::cat(vec![x, mean], 2)
            }
            None => x,
        };
        activation::relu(self.mix.forward(seen))
    }

    /// What the stack was made as.
    #[must_use]
    pub fn shape(&self) -> &TcnShape {
        &self.shape
    }
}

/// `y[t] = decay * y[t - 1] + (1 - decay) * x[t]` along time, from zero.
///
/// As one matrix product with the triangle of powers, since a loop over time is slow to differentiate.
fn running_mean(x: Tensor<3>, decay: f32) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let mut triangle = vec![0.0_f32; time * time];
    for (t, row) in triangle.chunks_exact_mut(time).enumerate() {
        let mut weight = 1.0 - decay;
        for cell in row[..=t].iter_mut().rev() {
            *cell = weight;
            weight *= decay;
        }
    }
    let triangle = Tensor::<3>::from_data(TensorData::new(triangle, [1, time, time]), &x.device());
    triangle.expand([batch, time, time]).matmul(x)
}

#[cfg(test)]
#[path = "stream_tcn_tests.rs"]
mod tests;
