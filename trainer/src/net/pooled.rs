//! A window of frames made one: blocks of a transformer where asked for, a mean or an attention over time, and a hidden
//! layer where asked for. Made for the frames that a pretrained encoder gives.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};
use super::transformer::{FrameNorm, TransformerBlock};

/// How frames become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// All alike.
    Mean,
    /// Weighted by what each says (Ilse et al. 2018).
    Attention,
}

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PooledShape {
    /// Frames in the window.
    pub frames: usize,
    /// Blocks of a transformer before the pooling.
    pub blocks: usize,
    /// Numbers in a frame inside the blocks; a multiple of `heads`.
    pub width: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// How frames become one.
    pub pooling: Pooling,
    /// Units of the layer after the pooling; without them the head sees what was pooled.
    pub hidden: Option<usize>,
}

/// What a transformer begins with.
#[derive(Module, Debug)]
pub struct Tokens {
    /// Normalised frame to the blocks' width.
    pub input: Linear,
    /// Added to each frame by its place `[frames, width]`.
    pub places: Param<Tensor<2>>,
    /// The blocks, in order.
    pub blocks: Vec<TransformerBlock>,
    /// After the last block.
    pub norm: FrameNorm,
}

/// How much each frame counts.
#[derive(Module, Debug)]
pub struct Attention {
    /// Frame to units.
    pub units: Linear,
    /// Units to one number.
    pub score: Linear,
}

/// The network over windows.
#[derive(Module, Debug)]
pub struct Pooled {
    /// Blocks of a transformer, where there are any.
    pub tokens: Option<Tokens>,
    /// Absent where all frames count alike.
    pub attention: Option<Attention>,
    /// The layer after the pooling.
    pub hidden: Option<Linear>,
}

/// Units that score a frame.
const SCORE_UNITS: usize = 64;

impl Pooled {
    /// Random weights for frames of `inputs` numbers, and how many features come out.
    pub(super) fn new(shape: &PooledShape, inputs: usize, rng: &mut StdRng, device: &Device) -> (Self, usize) {
        let width = if shape.blocks > 0 { shape.width } else { inputs };
        let tokens = (shape.blocks > 0).then(|| Tokens {
            input: linear(rng, inputs, width, 1.0, device),
            places: Param::from_tensor(uniform(rng, [shape.frames, width], 0.1, device)),
            blocks: (0..shape.blocks).map(|_| TransformerBlock::new(width, shape.heads, rng, device)).collect(),
            norm: FrameNorm::new(width, device),
        });
        let attention = (shape.pooling == Pooling::Attention).then(|| Attention {
            units: linear(rng, width, SCORE_UNITS, 0.6, device),
            score: linear(rng, SCORE_UNITS, 1, 0.3, device),
        });
        let hidden = shape.hidden.map(|units| linear(rng, width, units, 1.0, device));
        (Self { tokens, attention, hidden }, shape.hidden.unwrap_or(width))
    }

    /// Normalised windows `[batch, frames, inputs]` to features `[batch, 1, features]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let mut x = frames;
        if let Some(tokens) = &self.tokens {
            let [time, width] = tokens.places.dims();
            x = tokens.input.forward(x) + tokens.places.val().reshape([1, time, width]);
            x = tokens.blocks.iter().fold(x, |x, block| block.forward(x));
            x = tokens.norm.forward(x);
        }
        let pooled = match &self.attention {
            Some(attention) => {
                let scores = attention.score.forward(attention.units.forward(x.clone()).tanh());
                activation::softmax(scores, 1).swap_dims(1, 2).matmul(x)
            }
            None => x.mean_dim(1),
        };
        match &self.hidden {
            Some(layer) => activation::relu(layer.forward(pooled)),
            None => pooled,
        }
    }
}
