//! A multi-scale convolutional recurrent network: filters along time, along frequency and square ones side by side
//! (as in Pons et al. 2016), two more convolutions, then gated recurrent units over the window.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation, s};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::convolutional::{Convolution, convolution};
use super::init::linear;
use super::stream_gru::GruLayer;

/// Sizes of the filters of the first layer: mels, frames.
const SCALES: [[usize; 2]; 3] = [[3, 3], [9, 1], [1, 9]];
/// Layers after the first. Each layer, the first too, halves the mels.
const DEEPER: usize = 2;

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MsCrnnShape {
    /// Frames in the window.
    pub frames: usize,
    /// Channels of each scale; twice as many in the layers after.
    pub channels: usize,
    /// Recurrent units.
    pub hidden: usize,
}

/// The network.
#[derive(Module, Debug)]
pub struct MsCrnn {
    /// The first layer, a convolution for each scale.
    pub scales: Vec<Convolution>,
    /// The layers after it.
    pub deeper: Vec<Convolution>,
    /// All numbers of a frame to what the units see.
    pub project: Linear,
    /// Over the frames of the window.
    pub units: GruLayer,
    #[module(skip)]
    shape: MsCrnnShape,
}

impl MsCrnnShape {
    /// Mels that are left of `mels` before the recurrent units.
    #[must_use]
    pub fn left(&self, mels: usize) -> usize {
        (0..=DEEPER).fold(mels, |mels, _| mels.div_ceil(2))
    }
}

impl MsCrnn {
    /// Random weights for windows of `mels` bands.
    pub(super) fn new(shape: &MsCrnnShape, mels: usize, rng: &mut StdRng, device: &Device) -> Self {
        let stride = [2, 1];
        let scales = SCALES.map(|kernel| convolution([1, shape.channels], kernel, stride, rng, device)).to_vec();
        let inner = 2 * shape.channels;
        let mut from = SCALES.len() * shape.channels;
        let mut deeper = Vec::new();
        for _ in 0..DEEPER {
            deeper.push(convolution([from, inner], [3, 3], stride, rng, device));
            from = inner;
        }
        Self {
            scales,
            deeper,
            project: linear(rng, inner * shape.left(mels), shape.hidden, 1.0, device),
            units: GruLayer::new(shape.hidden, shape.hidden, rng, device),
            shape: shape.clone(),
        }
    }

    /// Normalised windows `[batch, frames, mels]` to features `[batch, 1, hidden]`: what the units know at the end.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, mels] = frames.dims();
        let picture = frames.swap_dims(1, 2).reshape([batch, 1, mels, time]);
        let sides = self.scales.iter().map(|scale| scale.forward(picture.clone())).collect();
        let mut x = activation::relu(Tensor::cat(sides, 1));
        for layer in &self.deeper {
            x = activation::relu(layer.forward(x));
        }
        let [_, channels, high, _] = x.dims();
        let sequence = x.permute([0, 3, 1, 2]).reshape([batch, time, channels * high]);
        let states = self.units.forward(activation::relu(self.project.forward(sequence)));
        states.slice(s![.., time - 1..time, ..])
    }

    /// What the network was made as.
    #[must_use]
    pub fn shape(&self) -> &MsCrnnShape {
        &self.shape
    }
}
