//! Convolutions with attention: the convolutional block attention module of Woo et al. (2018) after each of a few
//! residual blocks. It weighs the channels, then the places of the picture.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::convolutional::{Convolution, convolution};
use super::init::linear;

/// Channels for each unit that decides about channels.
const REDUCTION: usize = 8;
/// Size of the filter that decides about places.
const PLACES: [usize; 2] = [7, 7];

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CbamShape {
    /// Frames in the window.
    pub frames: usize,
    /// Channels of each stage; each halves the picture.
    pub channels: Vec<usize>,
}

/// One stage: `x = relu(halve(x))`, then `relu(x + attention(filter(x)))`.
#[derive(Module, Debug)]
pub struct CbamStage {
    /// With steps of two, which is quicker on stage than a maximum over fields.
    pub halve: Convolution,
    /// Of the residual block.
    pub filter: Convolution,
    /// Channels to few units.
    pub squeeze: Linear,
    /// Units to the weight of each channel.
    pub excite: Linear,
    /// Mean and maximum over the channels to the weight of each place.
    pub places: Convolution,
}

impl CbamStage {
    fn new(from: usize, to: usize, rng: &mut StdRng, device: &Device) -> Self {
        let units = (to / REDUCTION).max(2);
        Self {
            halve: convolution([from, to], [3, 3], [2, 2], rng, device),
            filter: convolution([to, to], [3, 3], [1, 1], rng, device),
            squeeze: linear(rng, to, units, 1.0, device),
            excite: linear(rng, units, to, 0.3, device),
            places: convolution([2, 1], PLACES, [1, 1], rng, device),
        }
    }

    /// `[batch, from, high, wide]` to `[batch, to, ceil(high / 2), ceil(wide / 2)]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = activation::relu(self.halve.forward(x));
        let y = self.filter.forward(x.clone());
        let y = y.clone() * self.channel_weights(&y);
        let seen = Tensor::cat(vec![y.clone().mean_dim(1), y.clone().max_dim(1)], 1);
        let y = y * activation::sigmoid(self.places.forward(seen));
        activation::relu(x + y)
    }

    /// `[batch, channels, 1, 1]`
    fn channel_weights(&self, x: &Tensor<4>) -> Tensor<4> {
        let [batch, channels, high, wide] = x.dims();
        let flat = x.clone().reshape([batch, channels, high * wide]);
        let seen = Tensor::cat(vec![flat.clone().mean_dim(2), flat.max_dim(2)], 2).swap_dims(1, 2);
        let weights = self.excite.forward(activation::relu(self.squeeze.forward(seen))).sum_dim(1);
        activation::sigmoid(weights).reshape([batch, channels, 1, 1])
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct CbamCnn {
    /// The stages, in order.
    pub stages: Vec<CbamStage>,
    #[module(skip)]
    shape: CbamShape,
}

impl CbamCnn {
    /// Random weights.
    pub(super) fn new(shape: &CbamShape, rng: &mut StdRng, device: &Device) -> Self {
        let from = std::iter::once(1).chain(shape.channels.iter().copied());
        let stages = from.zip(&shape.channels).map(|(from, &to)| CbamStage::new(from, to, rng, device)).collect();
        Self { stages, shape: shape.clone() }
    }

    /// Normalised windows `[batch, frames, mels]` to features `[batch, 1, channels]`: the mean over all places.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, mels] = frames.dims();
        let picture = frames.swap_dims(1, 2).reshape([batch, 1, mels, time]);
        let x = self.stages.iter().fold(picture, |x, stage| stage.forward(x));
        let [_, channels, high, wide] = x.dims();
        x.reshape([batch, channels, high * wide]).mean_dim(2).swap_dims(1, 2)
    }

    /// What the network was made as.
    #[must_use]
    pub fn shape(&self) -> &CbamShape {
        &self.shape
    }
}
