//! The last layer: features to logits.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::rngs::StdRng;

use super::init::{linear, uniform};
use super::values;

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

    /// The same head with the weights of `older`, a head of the same kind on the same features, for each class that it
    /// had: `places[class]` is the class's number there.
    #[must_use]
    pub fn keeping(self, older: &Self, places: &[Option<usize>]) -> Self {
        match (self, older) {
            (Self::Shared(new), Self::Shared(old)) => Self::Shared(keep_layer(new, old, places, 1)),
            (Self::Own(new), Self::Own(old)) => Self::Own(OwnHeads {
                hidden: keep_layer(new.hidden, &old.hidden, places, HEAD_UNITS),
                answer: keep(new.answer, &old.answer, places, HEAD_UNITS),
                bias: keep(new.bias, &old.bias, places, 1),
            }),
            (new, _) => new,
        }
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

fn keep_layer(new: Linear, old: &Linear, places: &[Option<usize>], units: usize) -> Linear {
    let bias = match (new.bias, &old.bias) {
        (Some(new), Some(old)) => Some(keep(new, old, places, units)),
        (new, _) => new,
    };
    Linear { weight: keep(new.weight, &old.weight, places, units), bias }
}

/// Weights `[..., classes * units]`, those of a class beside each other, with the older ones where there are some.
fn keep<const D: usize>(
    new: Param<Tensor<D>>,
    old: &Param<Tensor<D>>,
    places: &[Option<usize>],
    units: usize,
) -> Param<Tensor<D>> {
    let old = values(&old.val());
    new.map(|tensor| {
        let mut numbers = values(&tensor);
        let width = places.len() * units;
        let older = old.len() / (numbers.len() / width);
        for (row, old) in numbers.chunks_exact_mut(width).zip(old.chunks_exact(older)) {
            for (mine, place) in row.chunks_exact_mut(units).zip(places) {
                if let Some(place) = place {
                    mine.copy_from_slice(&old[place * units..(place + 1) * units]);
                }
            }
        }
        let data = TensorData::new(numbers, tensor.shape());
        let kept = Tensor::from_data(data, &tensor.device());
        if tensor.is_require_grad() { kept.require_grad() } else { kept }
    })
}
