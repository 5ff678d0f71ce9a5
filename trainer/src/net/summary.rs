//! Plain methods on a summary of the window: what convolutions and memory must beat.
//!
//! The summary of each band is its mean, its standard deviation, its maximum and its mean absolute change from frame
//! to frame. On it: nothing (a linear model), dense layers, or the responses of radial basis functions at the support
//! vectors of a machine that `train` fits (Cortes and Vapnik 1995).

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation, s};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};

/// Numbers that sum up a band.
pub const STATISTICS: usize = 4;
/// Added to a variance before its root: the slope of the root is boundless at zero.
pub const VARIANCE_FLOOR: f32 = 1e-4;

/// Shape of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SummaryShape {
    /// Frames in the window.
    pub frames: usize,
    /// What stands on the summary.
    pub on: OnSummary,
}

/// What stands on the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSummary {
    /// The head alone.
    Linear,
    /// Dense layers of so many units, with rectifiers.
    Mlp(Vec<usize>),
    /// Radial basis functions at so many support vectors.
    Svm(usize),
}

/// `exp(-|(x - centre) * scale - vector|^2)` for each support vector.
#[derive(Module, Debug)]
pub struct Kernel {
    /// What is taken from each number of a summary `[numbers]`.
    pub centre: Param<Tensor<1>>,
    /// Factor on each number; the width of the functions is in it `[numbers]`.
    pub scale: Param<Tensor<1>>,
    /// Centred and scaled `[vectors, numbers]`.
    pub vectors: Param<Tensor<2>>,
}

/// The model.
#[derive(Module, Debug)]
pub struct Summary {
    /// Dense layers, possibly none.
    pub layers: Vec<Linear>,
    /// Support vectors, where there are any.
    pub kernel: Option<Kernel>,
    #[module(skip)]
    shape: SummaryShape,
}

impl SummaryShape {
    /// Numbers that the head sees, for frames of `inputs` numbers.
    #[must_use]
    pub fn features(&self, inputs: usize) -> usize {
        match &self.on {
            OnSummary::Mlp(units) => units.last().copied().unwrap_or(STATISTICS * inputs),
            OnSummary::Linear => STATISTICS * inputs,
            OnSummary::Svm(vectors) => *vectors,
        }
    }
}

impl Summary {
    /// Random weights for frames of `inputs` numbers.
    pub(super) fn new(shape: &SummaryShape, inputs: usize, rng: &mut StdRng, device: &Device) -> Self {
        let mut numbers = STATISTICS * inputs;
        let (mut layers, mut kernel) = (Vec::new(), None);
        match &shape.on {
            OnSummary::Linear => {}
            OnSummary::Mlp(units) => {
                for &next in units {
                    layers.push(linear(rng, numbers, next, 1.0, device));
                    numbers = next;
                }
            }
            OnSummary::Svm(vectors) => {
                let width = (1.0 / numbers as f32).sqrt();
                kernel = Some(Kernel {
                    centre: Param::from_tensor(Tensor::zeros([numbers], device)),
                    scale: Param::from_tensor(Tensor::full([numbers], width, device)),
                    vectors: Param::from_tensor(uniform(rng, [*vectors, numbers], width, device)),
                });
            }
        }
        Self { layers, kernel, shape: shape.clone() }
    }

    /// Normalised windows `[batch, frames, inputs]` to features `[batch, 1, features]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let x = summaries(frames);
        match &self.kernel {
            Some(kernel) => kernel.forward(x),
            None => self.layers.iter().fold(x, |x, layer| activation::relu(layer.forward(x))),
        }
    }

    /// What the model was made as.
    #[must_use]
    pub fn shape(&self) -> &SummaryShape {
        &self.shape
    }
}

impl Kernel {
    /// `[batch, 1, numbers]` to `[batch, 1, vectors]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = (x - self.centre.val().unsqueeze()) * self.scale.val().unsqueeze();
        let vectors = self.vectors.val().unsqueeze::<3>();
        let lengths = vectors.clone().square().sum_dim(2).swap_dims(1, 2);
        let distance = x.clone().square().sum_dim(2) + lengths - x.matmul(vectors.swap_dims(1, 2)) * 2.0;
        distance.neg().exp()
    }
}

/// Windows `[batch, frames, inputs]` to `[batch, 1, 4 * inputs]`: all means, deviations, maxima, changes.
#[must_use]
pub fn summaries(frames: Tensor<3>) -> Tensor<3> {
    let time = frames.dims()[1];
    let mean = frames.clone().mean_dim(1);
    let variance = (frames.clone() - mean.clone()).square().mean_dim(1);
    let deviation = (variance + VARIANCE_FLOOR).sqrt();
    let later = frames.clone().slice(s![.., 1..time, ..]);
    let change = (later - frames.clone().slice(s![.., 0..time - 1, ..])).abs().mean_dim(1);
    Tensor::cat(vec![mean, deviation, frames.max_dim(1), change], 2)
}
