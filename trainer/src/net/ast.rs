//! A small patch transformer: the audio spectrogram transformer (Gong et al. 2021) at a hundredth of its size, with
//! patchout in training (Koutini et al. 2022).
//!
//! `window -> patches -> tokens + their places, and one token for the answer -> blocks -> the answer's token`

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, Tensor, s};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::init::{linear, uniform};
use super::transformer::{FrameNorm, TransformerBlock};

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AstShape {
    /// Frames in the window.
    pub frames: usize,
    /// Size of a patch: mels, frames. They divide those of the window.
    pub patch: [usize; 2],
    /// Numbers in a token.
    pub dim: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of each block; they divide `dim`.
    pub heads: usize,
    /// Share of the patches that is heard in a training step.
    pub kept: f32,
}

impl AstShape {
    /// Patches of a window of `mels` bands: along mels, along time.
    #[must_use]
    pub fn patches(&self, mels: usize) -> [usize; 2] {
        [mels / self.patch[0], self.frames / self.patch[1]]
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct Ast {
    /// Patch to token `[mels * frames of a patch, dim]`; the numbers of a patch lie frame by frame.
    pub embed: Linear,
    /// Where each patch lies `[1, patches, dim]`, frame by frame.
    pub places: Param<Tensor<3>>,
    /// The token that becomes the answer `[1, 1, dim]`.
    pub answer: Param<Tensor<3>>,
    /// The blocks, in order.
    pub blocks: Vec<TransformerBlock>,
    /// After the last block.
    pub norm: FrameNorm,
    #[module(skip)]
    shape: AstShape,
}

impl Ast {
    /// Random weights for windows of `mels` bands.
    pub(super) fn new(shape: &AstShape, mels: usize, rng: &mut StdRng, device: &Device) -> Self {
        let dim = shape.dim;
        let patches = shape.patches(mels).iter().product();
        Self {
            embed: linear(rng, shape.patch.iter().product(), dim, 1.0, device),
            places: Param::from_tensor(uniform(rng, [1, patches, dim], 0.3, device)),
            answer: Param::from_tensor(uniform(rng, [1, 1, dim], 0.3, device)),
            blocks: (0..shape.layers).map(|_| TransformerBlock::new(dim, shape.heads, rng, device)).collect(),
            norm: FrameNorm::new(dim, device),
            shape: shape.clone(),
        }
    }

    /// Normalised windows `[batch, frames, mels]` to features `[batch, 1, dim]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, mels] = frames.dims();
        let [patch_mels, patch_frames] = self.shape.patch;
        let [high, wide] = self.shape.patches(mels);
        debug_assert!(high * patch_mels == mels && wide * patch_frames == time);
        let patches = frames.reshape([batch, wide, patch_frames, high, patch_mels]).swap_dims(2, 3).reshape([
            batch,
            wide * high,
            patch_frames * patch_mels,
        ]);
        let tokens = self.patchout(self.embed.forward(patches) + self.places.val());
        let answer = self.answer.val().expand([batch, 1, self.shape.dim]);
        let tokens = Tensor::cat(vec![answer, tokens], 1);
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens));
        self.norm.forward(tokens.slice(s![.., 0..1, ..]))
    }

    /// In training a random part of the tokens, the same of every window; else all of them.
    fn patchout(&self, tokens: Tensor<3>) -> Tensor<3> {
        let device = tokens.device();
        let count = tokens.dims()[1];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few dozen")]
        let kept = ((count as f32 * self.shape.kept).round() as usize).clamp(1, count);
        if !device.is_autodiff() || kept == count {
            return tokens;
        }
        let order = Tensor::<1>::random([count], Distribution::Uniform(0.0, 1.0), &device).argsort(0);
        tokens.select(1, order.slice(s![0..kept]))
    }

    /// What the network was made as.
    #[must_use]
    pub fn shape(&self) -> &AstShape {
        &self.shape
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn patches_are_left_out_in_training_alone() {
        let shape = AstShape { frames: 6, patch: [5, 3], dim: 4, layers: 1, heads: 2, kept: 0.5 };
        let tokens_heard = |device: &Device| {
            let net = Ast::new(&shape, 20, &mut StdRng::seed_from_u64(1), device);
            net.patchout(Tensor::zeros([2, 8, 4], device)).dims()
        };
        assert_eq!(tokens_heard(&Device::flex().autodiff()), [2, 4, 4]);
        assert_eq!(tokens_heard(&Device::flex()), [2, 8, 4]);
    }
}
