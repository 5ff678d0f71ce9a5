//! A window of frames made one.

use tocco_models::onnx::Attribute;

use super::{Graph, values};
use crate::net::{Attention, Pooled, Tokens};
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, features]`.
    pub(super) fn pooled(&mut self, net: &Pooled, settings: &Settings) -> String {
        let mut x = self.normalised(settings).to_owned();
        if let Some(tokens) = &net.tokens {
            x = self.tokens(tokens, &x);
        }
        let shares = match &net.attention {
            Some(attention) => self.attention(attention, &x),
            None => {
                self.builder.initializer("shares", &[1, 1, self.frames], &vec![1.0 / self.frames as f32; self.frames]);
                "shares".into()
            }
        };
        self.builder.node("MatMul", &[&shares, &x], &["pooled"], &[]);
        let Some(layer) = &net.hidden else { return "pooled".into() };
        self.linear("hidden", "pooled", "hidden_sum", layer);
        self.builder.node("Relu", &["hidden_sum"], &["features"], &[]);
        "features".into()
    }

    /// How much each frame counts `[1, 1, frames]`.
    fn attention(&mut self, attention: &Attention, x: &str) -> String {
        self.linear("score_units", x, "score_sum", &attention.units);
        self.builder.node("Tanh", &["score_sum"], &["score_bent"], &[]);
        self.linear("score", "score_bent", "scores", &attention.score);
        self.builder.node("Transpose", &["scores"], &["scores_last"], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
        self.builder.node("Softmax", &["scores_last"], &["shares"], &[("axis", Attribute::Int(-1))]);
        "shares".into()
    }

    fn tokens(&mut self, tokens: &Tokens, x: &str) -> String {
        let places = tokens.places.val();
        let [time, width] = places.dims();
        self.linear("token", x, "token_frames", &tokens.input);
        self.builder.initializer("places", &[1, time, width], &values(&places));
        let mut x = self.add("token_frames", "places", "tokens");
        self.norm_constants(width);
        for (index, block) in tokens.blocks.iter().enumerate() {
            x = self.transformer_block(&format!("t{index}"), block, &x, time, width);
        }
        self.frame_norm("tokens_norm", &tokens.norm, &x)
    }
}
