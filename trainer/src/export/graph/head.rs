//! Features to logits.

use super::{Graph, values};
use crate::net::{HEAD_UNITS, Head};

impl Graph {
    /// Features `[1, 1, features]` to the output `logits` `[1, classes]`.
    pub(super) fn head(&mut self, head: &Head, features: &str, classes: usize) {
        match head {
            Head::Shared(layer) => {
                self.linear("head", features, "answers", layer);
                self.reshape("answers", "logits", &[1, classes]);
            }
            Head::Own(heads) => {
                self.linear("head_hidden", features, "head_units", &heads.hidden);
                self.builder.node("Relu", &["head_units"], &["head_rectified"], &[]);
                self.reshape("head_rectified", "head_by_class", &[1, classes, HEAD_UNITS]);
                self.builder.initializer("head_answer", &[1, classes, HEAD_UNITS], &values(&heads.answer.val()));
                self.builder.initializer("head_bias", &[1, classes], &values(&heads.bias.val()));
                self.builder.initializer_i64("head_axis", &[1], &[2]);
                self.builder.node("Mul", &["head_by_class", "head_answer"], &["head_weighted"], &[]);
                self.builder.node("ReduceSum", &["head_weighted", "head_axis"], &["head_summed"], &[]);
                self.reshape("head_summed", "head_flat", &[1, classes]);
                self.builder.node("Add", &["head_flat", "head_bias"], &["logits"], &[]);
            }
        }
    }
}
