//! Convolutional networks over a whole log-mel window, as they are common in research: stacks of two-dimensional
//! convolutions with batch normalisation and maximum pooling, then dense layers.
//!
//! The shapes `ipt-v1`, `ipt-v2`, `ipt-v3` and `ipt-flute` are those that Brochec, Tanaka and Howie («Microphone-based
//! data augmentation for automatic recognition of instrumental playing techniques», ICMC 2024), Fiorini et al. (2025)
//! and Brochec et al. (2025) describe, written anew. They are here to be compared with.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Distribution, Tensor, TensorData, activation};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};

/// Slope of the leaky rectifier below zero.
pub const LEAK: f64 = 0.01;
/// Share of the channels that are silenced after each pooling, and of the units after each dense layer, in training.
const DROPOUT: f64 = 0.25;

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvShape {
    /// Frames in the window.
    pub frames: usize,
    /// Analysis windows whose mel bands lie side by side in a frame: the channels of the first layer.
    pub resolutions: usize,
    /// The picture `[mels, frames]` is stretched to this size first, by repetition and averages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretched: Option<[usize; 2]>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Units of the dense layers.
    pub dense: Vec<usize>,
    /// What stands between dense layers.
    pub between: Between,
}

/// Convolutions, each with batch normalisation and a leaky rectifier, then a maximum over fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Channels of each convolution.
    pub channels: Vec<usize>,
    /// Size of the filters: mels, frames.
    pub kernel: [usize; 2],
    /// Size of the fields: mels, frames.
    pub pool: [usize; 2],
}

/// What stands between dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Between {
    /// Nothing.
    Nothing,
    /// The exponential linear unit.
    Elu,
    /// Batch normalisation and the rectifier.
    NormRelu,
}

impl ConvShape {
    /// Of a picture `[mels, frames]`, what is left after the stages: `[channels, mels, frames]`. A dimension is 0 where
    /// a pooling is larger than what it pools.
    #[must_use]
    pub fn left(&self, mels: usize) -> [usize; 3] {
        let [mut high, mut wide] = self.stretched.unwrap_or([mels, self.frames]);
        let mut channels = self.resolutions;
        for stage in &self.stages {
            channels = stage.channels.last().copied().unwrap_or(channels);
            high /= stage.pool[0];
            wide /= stage.pool[1];
        }
        [channels, high, wide]
    }

    fn stage(channels: &[usize], kernel: [usize; 2], pool: [usize; 2]) -> Stage {
        Stage { channels: channels.to_vec(), kernel, pool }
    }

    /// `ipt-v1`: for 128 mels and 15 frames.
    #[must_use]
    pub fn ipt_v1() -> Self {
        let stage = Self::stage;
        Self {
            frames: 15,
            resolutions: 1,
            stretched: None,
            stages: vec![
                stage(&[40, 40], [2, 3], [2, 1]),
                stage(&[80, 80], [2, 3], [2, 3]),
                stage(&[160], [2, 2], [2, 1]),
                stage(&[160], [2, 2], [2, 2]),
                stage(&[160], [2, 2], [2, 1]),
                stage(&[160], [2, 2], [4, 2]),
            ],
            dense: vec![80, 40],
            between: Between::Nothing,
        }
    }

    /// `ipt-v2`: for 128 mels and 15 frames.
    #[must_use]
    pub fn ipt_v2() -> Self {
        Self::deep(1)
    }

    /// `ipt-v3`: as `ipt-v2`, with two convolutions in each stage.
    #[must_use]
    pub fn ipt_v3() -> Self {
        Self::deep(2)
    }

    fn deep(convolutions: usize) -> Self {
        let stage = |channels, pool| Self::stage(&vec![channels; convolutions], [2, 2], pool);
        Self {
            frames: 15,
            resolutions: 1,
            stretched: None,
            stages: vec![
                Self::stage(&[64, 64], [2, 3], [2, 1]),
                Self::stage(&[128, 128], [2, 3], [2, 3]),
                stage(256, [2, 1]),
                stage(256, [2, 2]),
                stage(512, [2, 1]),
                stage(512, [2, 1]),
                stage(512, [2, 2]),
            ],
            dense: vec![256, 128],
            between: Between::Elu,
        }
    }

    /// `ipt-flute`: three mel resolutions, stretched to 384 by 112.
    #[must_use]
    pub fn ipt_flute() -> Self {
        let stage = Self::stage;
        Self {
            frames: 15,
            resolutions: 3,
            stretched: Some([384, 112]),
            stages: vec![
                stage(&[40], [4, 4], [4, 2]),
                stage(&[80], [3, 3], [4, 2]),
                stage(&[160], [2, 2], [2, 2]),
                stage(&[160], [2, 2], [12, 14]),
            ],
            dense: vec![80, 40],
            between: Between::NormRelu,
        }
    }
}

/// One convolution with what belongs to it.
#[derive(Module, Debug)]
pub struct Convolution {
    /// Padded so that the picture keeps its size but for the stride; where that is uneven, the odd row lies behind.
    pub filter: Conv2d,
    /// Over each channel.
    pub norm: BatchNorm,
}

impl Convolution {
    /// `[batch, channels, high, wide]` to the same with other channels, smaller by the stride.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.filter.forward(x))
    }

    /// Rows before, columns before, rows behind, columns behind the picture.
    #[must_use]
    pub fn padding(&self) -> [usize; 4] {
        padding(self.filter.kernel_size)
    }
}

fn padding(kernel: [usize; 2]) -> [usize; 4] {
    let [top, left] = kernel.map(|k| (k - 1) / 2);
    [top, left, kernel[0] - 1 - top, kernel[1] - 1 - left]
}

/// A dense layer with what belongs to it.
#[derive(Module, Debug)]
pub struct Dense {
    /// The layer.
    pub layer: Linear,
    /// Over each unit.
    pub norm: Option<BatchNorm>,
}

/// The network.
#[derive(Module, Debug)]
pub struct Convolutional {
    /// The convolutions of all stages.
    pub convolutions: Vec<Convolution>,
    /// The dense layers.
    pub dense: Vec<Dense>,
    #[module(skip)]
    shape: ConvShape,
}

impl Convolutional {
    /// Random weights for pictures of `mels` bands.
    pub(super) fn new(shape: &ConvShape, mels: usize, rng: &mut StdRng, device: &Device) -> Self {
        let mut channels = shape.resolutions;
        let mut convolutions = Vec::new();
        for stage in &shape.stages {
            for &next in &stage.channels {
                convolutions.push(convolution([channels, next], stage.kernel, [1, 1], rng, device));
                channels = next;
            }
        }
        let mut units: usize = shape.left(mels).iter().product();
        let mut dense = Vec::new();
        for &next in &shape.dense {
            let norm = (shape.between == Between::NormRelu).then(|| BatchNormConfig::new(next).init(device));
            dense.push(Dense { layer: linear(rng, units, next, 1.0, device), norm });
            units = next;
        }
        Self { convolutions, dense, shape: shape.clone() }
    }

    /// Normalised windows `[batch, frames, resolutions * mels]` to features `[batch, 1, units]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, numbers] = frames.dims();
        let resolutions = self.shape.resolutions;
        let mut x = frames.reshape([batch, time, resolutions, numbers / resolutions]).permute([0, 2, 3, 1]);
        if let Some(size) = self.shape.stretched {
            x = stretch(x, size);
        }
        let mut convolutions = self.convolutions.iter();
        for stage in &self.shape.stages {
            for (index, convolution) in convolutions.by_ref().take(stage.channels.len()).enumerate() {
                x = convolution.forward(x);
                // The rectifier rises everywhere, so the maximum may go first, and less is left to rectify.
                if index + 1 == stage.channels.len() {
                    x = max_pool2d(x, MaxPoolOptions::new(stage.pool));
                }
                x = activation::leaky_relu(x, LEAK);
            }
            x = silence(x);
        }
        let mut x: Tensor<2> = x.flatten(1, 3);
        for dense in &self.dense {
            x = dense.layer.forward(x);
            x = match (self.shape.between, &dense.norm) {
                (Between::Elu, _) => activation::elu(x, 1.0),
                (Between::NormRelu, Some(norm)) => {
                    let [batch, units] = x.dims();
                    let x = activation::relu(norm.forward(x));
                    silence(x.reshape([batch, units, 1, 1])).reshape([batch, units])
                }
                _ => x,
            };
        }
        let [batch, units] = x.dims();
        x.reshape([batch, 1, units])
    }

    /// What the network was made as.
    #[must_use]
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }
}

/// Random weights; `channels` in and out, sizes as mels and frames.
pub(super) fn convolution(
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    rng: &mut StdRng,
    device: &Device,
) -> Convolution {
    let [inputs, outputs] = channels;
    let [top, left, bottom, right] = padding(kernel);
    // Batch normalisation takes away whatever a bias would add.
    let config = Conv2dConfig::new(channels, kernel).with_stride(stride).with_bias(false);
    let mut filter = config.with_padding(PaddingConfig2d::Explicit(top, left, bottom, right)).init(device);
    let limit = (6.0 / (inputs * kernel[0] * kernel[1]) as f32).sqrt();
    filter.weight = Param::from_tensor(uniform(rng, [outputs, inputs, kernel[0], kernel[1]], limit, device));
    Convolution { filter, norm: BatchNormConfig::new(outputs).init(device) }
}

/// Silences whole channels at random in training, as Tompson et al. (2015) propose; elsewhere nothing.
fn silence(x: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    if !device.is_autodiff() {
        return x;
    }
    let [batch, channels, _, _] = x.dims();
    let kept = Tensor::<4>::random([batch, channels, 1, 1], Distribution::Bernoulli(1.0 - DROPOUT), &device);
    x * kept / (1.0 - DROPOUT)
}

/// `[batch, channels, high, wide]` to another size, as adaptive average pooling does it.
fn stretch(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, high, wide] = x.dims();
    let device = x.device();
    let matrix = |from: usize, to: usize| {
        Tensor::<4>::from_data(TensorData::new(stretching(from, to), [1, 1, to, from]), &device)
    };
    matrix(high, size[0]).matmul(x).matmul(matrix(wide, size[1]).swap_dims(2, 3))
}

/// The matrix `[to, from]` of adaptive average pooling: row `i` is the mean of `floor(i from / to)` up to and without
/// `ceil((i + 1) from / to)`.
#[must_use]
pub fn stretching(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let field = i * from / to..((i + 1) * from).div_ceil(to);
        let share = 1.0 / field.len() as f32;
        row[field].fill(share);
    }
    matrix
}
