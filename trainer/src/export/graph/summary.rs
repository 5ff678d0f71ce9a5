//! Plain methods on a summary of the window.

use super::{Graph, values};
use crate::net::{Kernel, Summary, VARIANCE_FLOOR};
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, features]`.
    pub(super) fn summary(&mut self, net: &Summary, settings: &Settings) -> String {
        let frames = self.normalised(settings).to_owned();
        let summary = self.summaries(&frames);
        match &net.kernel {
            Some(kernel) => self.kernel(kernel, &summary),
            None => net.layers.iter().enumerate().fold(summary, |x, (index, layer)| {
                let sum = format!("layer{index}_sum");
                self.linear(&format!("layer{index}"), &x, &sum, layer);
                self.unary("Relu", &sum, &format!("layer{index}_out"))
            }),
        }
    }

    /// `[1, 1, 4 * inputs]`: all means, deviations, maxima, changes.
    fn summaries(&mut self, frames: &str) -> String {
        let mean = self.reduce("ReduceMean", frames, "band_mean", 1);
        let away = self.binary("Sub", frames, &mean, "band_away");
        let squares = self.binary("Mul", &away, &away, "band_squares");
        let variance = self.reduce("ReduceMean", &squares, "band_variance", 1);
        let floor = self.number("variance_floor", VARIANCE_FLOOR);
        let above_zero = self.add(&variance, &floor, "band_above_zero");
        let deviation = self.unary("Sqrt", &above_zero, "band_deviation");
        let most = self.reduce("ReduceMax", frames, "band_most", 1);
        self.slice(frames, "later", 1, self.frames);
        self.slice(frames, "earlier", 0, self.frames - 1);
        let step = self.binary("Sub", "later", "earlier", "band_step");
        let size = self.unary("Abs", &step, "band_step_size");
        let change = self.reduce("ReduceMean", &size, "band_change", 1);
        self.concat(&[&mean, &deviation, &most, &change], "summary", 2);
        "summary".into()
    }

    /// `exp(-|a - b|^2)`, with the square written out so that one product serves all support vectors.
    fn kernel(&mut self, kernel: &Kernel, summary: &str) -> String {
        let [count, numbers] = kernel.vectors.val().dims();
        let vectors = values(&kernel.vectors.val());
        let lengths: Vec<f32> = vectors.chunks_exact(numbers).map(|v| v.iter().map(|x| x * x).sum()).collect();
        let twice = values(&(kernel.vectors.val().transpose() * 2.0));
        self.builder.initializer("kernel_centre", &[1, 1, numbers], &values(&kernel.centre.val()));
        self.builder.initializer("kernel_scale", &[1, 1, numbers], &values(&kernel.scale.val()));
        self.builder.initializer("vectors_twice", &[numbers, count], &twice);
        self.builder.initializer("vector_lengths", &[1, 1, count], &lengths);
        self.builder.initializer_i64("kernel_axis", &[1], &[2]);
        let centred = self.binary("Sub", summary, "kernel_centre", "summary_centred");
        let x = self.binary("Mul", &centred, "kernel_scale", "summary_scaled");
        let squares = self.binary("Mul", &x, &x, "summary_squares");
        let length = self.binary("ReduceSum", &squares, "kernel_axis", "summary_length");
        let products = self.binary("MatMul", &x, "vectors_twice", "kernel_products");
        let near = self.binary("Sub", &products, "vector_lengths", "kernel_near");
        let negative = self.binary("Sub", &near, &length, "kernel_negative");
        self.unary("Exp", &negative, "kernel_responses")
    }
}
