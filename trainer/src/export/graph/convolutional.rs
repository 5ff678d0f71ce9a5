//! Convolutions over a window.

use burn::nn::BatchNorm;
use tocco_models::onnx::Attribute;

use super::{Graph, bias, values};
use crate::net::{Between, Convolution, Convolutional, Dense, LEAK, stretching};
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, units]`.
    pub(super) fn convolutional(&mut self, net: &Convolutional, settings: &Settings) -> String {
        let shape = net.shape();
        let mels = settings.mean.len() / shape.resolutions;
        let frames = self.normalised(settings);
        self.reshape(frames, "pictures", &[1, self.frames, shape.resolutions, mels]);
        self.builder.node("Transpose", &["pictures"], &["picture"], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
        let mut x = "picture".to_owned();
        if let Some([high, wide]) = shape.stretched {
            self.builder.initializer("stretch_high", &[1, 1, high, mels], &stretching(mels, high));
            let across = transposed(&stretching(self.frames, wide), self.frames);
            self.builder.initializer("stretch_wide", &[1, 1, self.frames, wide], &across);
            self.builder.node("MatMul", &["stretch_high", &x], &["high"], &[]);
            self.builder.node("MatMul", &["high", "stretch_wide"], &["stretched"], &[]);
            x = "stretched".into();
        }
        let mut convolutions = net.convolutions.iter().enumerate();
        for (index, stage) in shape.stages.iter().enumerate() {
            for (number, convolution) in convolutions.by_ref().take(stage.channels.len()) {
                x = self.convolution(number, convolution, &x);
            }
            let pool = Attribute::Ints(stage.pool.map(whole).to_vec());
            let pooled = format!("pooled{index}");
            self.builder.node("MaxPool", &[&x], &[&pooled], &[("kernel_shape", pool.clone()), ("strides", pool)]);
            x = pooled;
        }
        let left: usize = shape.left(mels).iter().product();
        self.reshape(&x, "flat", &[1, 1, left]);
        net.dense.iter().enumerate().fold("flat".into(), |x, (i, dense)| self.dense(i, dense, &x, shape.between))
    }

    /// Filter and normalisation in one, then the leaky rectifier.
    fn convolution(&mut self, number: usize, convolution: &Convolution, x: &str) -> String {
        let filtered = self.filtered(&format!("c{number}"), convolution, x);
        let rectified = format!("c{number}_rectified");
        #[expect(clippy::cast_possible_truncation, reason = "a constant of two digits")]
        let leak = [("alpha", Attribute::Float(LEAK as f32))];
        self.builder.node("LeakyRelu", &[&filtered], &[&rectified], &leak);
        rectified
    }

    /// Filter and normalisation in one.
    pub(super) fn filtered(&mut self, name: &str, convolution: &Convolution, x: &str) -> String {
        let name = |part: &str| format!("{name}_{part}");
        let filter = &convolution.filter;
        let dims = filter.weight.dims();
        let mut weight = values(&filter.weight.val());
        let mut shift = filter.bias.as_ref().map(|b| values(&b.val())).unwrap_or_else(|| vec![0.0; dims[0]]);
        fold(&convolution.norm, &mut weight, &mut shift, false);
        self.builder.initializer(&name("weight"), &dims, &weight);
        self.builder.initializer(&name("bias"), &[dims[0]], &shift);
        let attributes = [
            ("kernel_shape", Attribute::Ints(filter.kernel_size.map(whole).to_vec())),
            ("pads", Attribute::Ints(convolution.padding().map(whole).to_vec())),
            ("strides", Attribute::Ints(filter.stride.map(whole).to_vec())),
        ];
        self.builder.node("Conv", &[x, &name("weight"), &name("bias")], &[&name("out")], &attributes);
        name("out")
    }

    fn dense(&mut self, index: usize, dense: &Dense, x: &str, between: Between) -> String {
        let name = |part: &str| format!("d{index}_{part}");
        let [inputs, units] = dense.layer.weight.dims();
        let (mut weight, mut shift) = (values(&dense.layer.weight.val()), bias(&dense.layer));
        if let Some(norm) = &dense.norm {
            fold(norm, &mut weight, &mut shift, true);
        }
        self.pointwise(&name("layer"), x, &name("sum"), (inputs, units), &weight, &shift);
        let operator = match between {
            Between::Nothing => return name("sum"),
            Between::Elu => "Elu",
            Between::NormRelu => "Relu",
        };
        self.builder.node(operator, &[&name("sum")], &[&name("out")], &[]);
        name("out")
    }
}

/// Batch normalisation after a layer as part of its weights. The outputs lie along the first axis of `weight`, or along
/// the last one where `outputs_last`.
fn fold(norm: &BatchNorm, weight: &mut [f32], shift: &mut [f32], outputs_last: bool) {
    let numbers = [norm.gamma.val(), norm.beta.val(), norm.running_mean.value(), norm.running_var.value()];
    let [gamma, beta, mean, variance] = numbers.map(|numbers| values(&numbers));
    let outputs = shift.len();
    let each = weight.len() / outputs;
    for (output, shift) in shift.iter_mut().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
        let scale = (f64::from(gamma[output]) / (f64::from(variance[output]) + norm.epsilon).sqrt()) as f32;
        *shift = (*shift - mean[output]) * scale + beta[output];
        for i in 0..each {
            weight[if outputs_last { i * outputs + output } else { output * each + i }] *= scale;
        }
    }
}

/// A matrix with `columns` columns, the other way round.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| matrix.chunks_exact(columns).map(move |row| row[c])).collect()
}

#[expect(clippy::cast_possible_wrap, reason = "the size of a filter")]
fn whole(size: usize) -> i64 {
    size as i64
}
