//! A recurrent network that runs frame by frame: a projection, then gated recurrent units (Cho et al. 2014) in the
//! form of ONNX's `GRU` with `linear_before_reset = 1`.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation, s};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruShape {
    /// Numbers that the first layer of units sees.
    pub channels: usize,
    /// Units in a layer.
    pub hidden: usize,
    /// Layers of units, one above the other.
    pub layers: usize,
}

/// One layer of units. Gates in the order update, reset, candidate.
#[derive(Module, Debug)]
pub struct GruLayer {
    /// From the layer below `[inputs, 3 * hidden]`, with its bias.
    pub below: Linear,
    /// From the units' own past `[hidden, 3 * hidden]`, with its bias.
    pub past: Linear,
}

impl GruLayer {
    pub(super) fn new(inputs: usize, hidden: usize, rng: &mut StdRng, device: &Device) -> Self {
        let limit = 1.0 / (hidden as f32).sqrt();
        let mut layer = |inputs: usize| Linear {
            weight: Param::from_tensor(uniform(rng, [inputs, 3 * hidden], limit, device)),
            bias: Some(Param::from_tensor(uniform(rng, [3 * hidden], limit, device))),
        };
        Self { below: layer(inputs), past: layer(hidden) }
    }

    /// `[batch, time, inputs]` to `[batch, time, hidden]`, from zero.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, _] = x.dims();
        let hidden = self.past.weight.dims()[0];
        // What comes from below is known for all times at once: one product instead of one a frame.
        let below = self.below.forward(x);
        let mut state = Tensor::<3>::zeros([batch, 1, hidden], &below.device());
        let mut states = Vec::with_capacity(time);
        for t in 0..time {
            let now = below.clone().slice(s![.., t..t + 1, ..]);
            let past = self.past.forward(state.clone());
            let part = |x: &Tensor<3>, gate: usize| x.clone().slice(s![.., .., gate * hidden..(gate + 1) * hidden]);
            let update = activation::sigmoid(part(&now, 0) + part(&past, 0));
            let reset = activation::sigmoid(part(&now, 1) + part(&past, 1));
            let candidate = (part(&now, 2) + reset * part(&past, 2)).tanh();
            state = candidate.clone() + update * (state - candidate);
            states.push(state.clone());
        }
        Tensor::cat(states, 1)
    }
}

/// The network over whole sequences.
#[derive(Module, Debug)]
pub struct StreamGru {
    /// Normalised log-mel frame to channels.
    pub input: Linear,
    /// The layers of units, from below.
    pub layers: Vec<GruLayer>,
}

impl StreamGru {
    /// Random weights for frames of `inputs` numbers.
    pub(super) fn new(config: &GruShape, inputs: usize, rng: &mut StdRng, device: &Device) -> Self {
        let input = linear(rng, inputs, config.channels, 1.0, device);
        let layers = (0..config.layers)
            .map(|layer| {
                let below = if layer == 0 { config.channels } else { config.hidden };
                GruLayer::new(below, config.hidden, rng, device)
            })
            .collect();
        Self { input, layers }
    }

    /// Normalised frames `[batch, time, inputs]` to features `[batch, time, hidden]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let x = activation::relu(self.input.forward(frames));
        self.layers.iter().fold(x, |x, layer| layer.forward(x))
    }
}
