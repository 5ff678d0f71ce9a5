//! The last layer: features to logits.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use rand::rngs::StdRng;

use super::init::{linear, uniform};

/// Units of each class's own head.
pub const HEAD_UNITS: usize = 16;

/// Features to logits.
#[derive(Module, Debug)]
pub enum Head {
    /// One layer for all classes.
    Shared(Linear),
    /// A small network for each class.
    Own(OwnHeads),
}

/// A hidden layer of [`HEAD_UNITS`] and an answer, for each class its own.
#[derive(Module, Debug)]
pub struct OwnHeads {
    /// Features to the units of all heads `[features, classes * units]`.
    pub hidden: Linear,
    /// Units to the answer of their head `[classes, units]`.
    pub answer: Param<Tensor<2>>,
    /// Added to each answer `[classes]`.
    pub bias: Param<Tensor<1>>,
}

impl Head {
    pub(super) fn new(own: bool, features: usize, classes: usize, rng: &mut StdRng, device: &Device) -> Self {
        if !own {
            return Self::Shared(linear(rng, features, classes, 0.3, device));
        }
        Self::Own(OwnHeads {
            hidden: linear(rng, features, classes * HEAD_UNITS, 1.0, device),
            answer: Param::from_tensor(uniform(rng, [classes, HEAD_UNITS], 0.3 / (HEAD_UNITS as f32).sqrt(), device)),
            bias: Param::from_tensor(Tensor::zeros([classes], device)),
        })
    }

    /// Features `[batch, time, features]` to logits `[batch, time, classes]`.
    #[must_use]
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Shared(layer) => layer.forward(features),
            Self::Own(heads) => {
                let [batch, time, _] = features.dims();
                let [classes, units] = heads.answer.dims();
                let hidden = activation::relu(heads.hidden.forward(features));
                let weighted =
                    hidden.reshape([batch * time, classes, units]) * heads.answer.val().reshape([1, classes, units]);
                weighted.sum_dim(2).reshape([batch, time, classes]) + heads.bias.val().reshape([1, 1, classes])
            }
        }
    }
}
