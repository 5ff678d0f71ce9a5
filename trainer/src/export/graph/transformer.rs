//! Blocks of a transformer.

use tocco_models::onnx::Attribute;

use super::{Graph, bias, values};
use crate::net::{FrameNorm, NORM_EPSILON, TransformerBlock};

impl Graph {
    /// What all norms of a graph share.
    pub(super) fn norm_constants(&mut self, width: usize) {
        // Means over a frame are products with this column: the operator for means has changed between versions.
        self.builder.initializer("mean_of_width", &[width, 1], &vec![1.0 / width as f32; width]);
        self.builder.initializer("norm_epsilon", &[1, 1, 1], &[NORM_EPSILON]);
    }

    /// One block `[1, time, width]`; the name of its output. Needs [`Graph::norm_constants`].
    pub(super) fn transformer_block(
        &mut self,
        at: &str,
        block: &TransformerBlock,
        x: &str,
        time: usize,
        width: usize,
    ) -> String {
        let name = |part: &str| format!("{at}_{part}");
        let normed = self.frame_norm(&name("attention_norm"), &block.before_attention, x);
        let heads = block.heads();
        let each = width / heads;
        let (weights, biases) = (values(&block.ask.weight.val()), bias(&block.ask));
        // Queries are scaled by their weights; keys come with time last.
        let root = (each as f32).sqrt().recip();
        for (i, (part, scale, order)) in
            [("query", root, [0, 2, 1, 3]), ("key", 1.0, [0, 2, 3, 1]), ("value", 1.0, [0, 2, 1, 3])].iter().enumerate()
        {
            let columns = i * width..(i + 1) * width;
            let rows = weights.chunks_exact(3 * width);
            let weight: Vec<f32> = rows.flat_map(|row| row[columns.clone()].iter().map(|w| w * scale)).collect();
            let bias: Vec<f32> = biases[columns.clone()].iter().map(|b| b * scale).collect();
            let (flat, by_head) = (name(&format!("{part}_flat")), name(&format!("{part}_by_head")));
            self.pointwise(&name(part), &normed, &flat, (width, width), &weight, &bias);
            self.reshape(&flat, &by_head, &[1, time, heads, each]);
            let order = [("perm", Attribute::Ints(order.to_vec()))];
            self.builder.node("Transpose", &[&by_head], &[&name(&format!("{part}_ready"))], &order);
        }
        self.builder.node("MatMul", &[&name("query_ready"), &name("key_ready")], &[&name("likeness")], &[]);
        self.builder.node("Softmax", &[&name("likeness")], &[&name("shares")], &[("axis", Attribute::Int(-1))]);
        self.builder.node("MatMul", &[&name("shares"), &name("value_ready")], &[&name("seen")], &[]);
        let back = [("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
        self.builder.node("Transpose", &[&name("seen")], &[&name("seen_by_time")], &back);
        self.reshape(&name("seen_by_time"), &name("seen_flat"), &[1, time, width]);
        self.linear(&name("gathered"), &name("seen_flat"), &name("told"), &block.gathered);
        let x = self.add(x, &name("told"), &name("attended"));
        let normed = self.frame_norm(&name("units_norm"), &block.before_units, &x);
        self.linear(&name("widen"), &normed, &name("wide"), &block.widen);
        self.builder.node("Relu", &[&name("wide")], &[&name("rectified")], &[]);
        self.linear(&name("narrow"), &name("rectified"), &name("narrowed"), &block.narrow);
        self.add(&x, &name("narrowed"), &name("out"))
    }

    /// Each frame to mean 0 and deviation 1, then its gain and shift. Needs [`Graph::norm_constants`].
    pub(super) fn frame_norm(&mut self, at: &str, norm: &FrameNorm, x: &str) -> String {
        let name = |part: &str| format!("{at}_{part}");
        let (gain, shift) = (values(&norm.gain.val()), values(&norm.shift.val()));
        self.builder.initializer(&name("gain"), &[1, 1, gain.len()], &gain);
        self.builder.initializer(&name("shift"), &[1, 1, shift.len()], &shift);
        self.builder.node("MatMul", &[x, "mean_of_width"], &[&name("mean")], &[]);
        self.builder.node("Sub", &[x, &name("mean")], &[&name("centred")], &[]);
        self.builder.node("Mul", &[&name("centred"), &name("centred")], &[&name("squares")], &[]);
        self.builder.node("MatMul", &[&name("squares"), "mean_of_width"], &[&name("variance")], &[]);
        self.add(&name("variance"), "norm_epsilon", &name("above_zero"));
        self.builder.node("Sqrt", &[&name("above_zero")], &[&name("deviation")], &[]);
        self.builder.node("Div", &[&name("centred"), &name("deviation")], &[&name("even")], &[]);
        self.builder.node("Mul", &[&name("even"), &name("gain")], &[&name("scaled")], &[]);
        self.add(&name("scaled"), &name("shift"), &name("out"))
    }
}
