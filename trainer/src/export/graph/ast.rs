//! The patch transformer.

use super::{Graph, values};
use crate::net::Ast;
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, dim]`.
    pub(super) fn ast(&mut self, net: &Ast, settings: &Settings) -> String {
        let shape = net.shape();
        let [patch_mels, patch_frames] = shape.patch;
        let [high, wide] = shape.patches(settings.mean.len());
        let count = high * wide;
        let frames = self.normalised(settings);
        self.reshape(frames, "cut", &[wide, patch_frames, high, patch_mels]);
        let sorted = self.transpose("cut", "sorted", &[0, 2, 1, 3]);
        self.reshape(&sorted, "patches", &[1, count, patch_mels * patch_frames]);
        self.linear("embed", "patches", "embedded", &net.embed);
        self.builder.initializer("places", &[1, count, shape.dim], &values(&net.places.val()));
        self.builder.initializer("answer", &[1, 1, shape.dim], &values(&net.answer.val()));
        let placed = self.add("embedded", "places", "placed");
        self.concat(&["answer", &placed], "tokens", 1);
        self.norm_constants(shape.dim);
        let mut x = "tokens".to_owned();
        for (index, block) in net.blocks.iter().enumerate() {
            x = self.transformer_block(&format!("block{index}"), block, &x, 1 + count, shape.dim);
        }
        self.slice(&x, "answered", 0, 1);
        self.frame_norm("norm", &net.norm, "answered")
    }
}
