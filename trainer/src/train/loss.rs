//! What is minimised: per frame, over the frames whose truth is known.

use burn::tensor::{Tensor, activation};
use tocco_models::Task;

/// A batch on the device.
pub(super) struct Tensors {
    /// Normalised log-mel frames `[batch, time, mels]`.
    pub frames: Tensor<3>,
    /// What should come out `[batch, time, classes]`: 1 for each class that sounds.
    pub targets: Tensor<3>,
    /// Target distribution for softmax `[batch, time, classes]`.
    pub distribution: Tensor<3>,
    /// Which frames count for «which of the classes» `[batch, time, 1]`.
    pub one_of: Tensor<3>,
    /// Which frames count for «does each class sound» `[batch, time, 1]`.
    pub known: Tensor<3>,
}

/// Mean loss over the frames that count.
///
/// `technique`: cross-entropy. `instruments`: each class answers for itself (binary cross-entropy), and in frames
/// with one class also against the others, which learns the difference between near instruments quicker.
pub(super) fn loss(logits: &Tensor<3>, batch: &Tensors, task: Task) -> Tensor<1> {
    let against_others = cross_entropy(logits, batch);
    match task {
        Task::Technique => against_others,
        Task::Instruments => against_others + each_for_itself(logits, batch),
    }
}

fn cross_entropy(logits: &Tensor<3>, batch: &Tensors) -> Tensor<1> {
    let logarithms = activation::log_softmax(logits.clone(), 2);
    let each = (logarithms * batch.distribution.clone()).sum_dim(2).neg();
    mean_over(each, &batch.one_of)
}

fn each_for_itself(logits: &Tensor<3>, batch: &Tensors) -> Tensor<1> {
    // ln(1 + e^x) - x t, written so that no exponential overflows.
    let softplus = activation::relu(logits.clone()) + (logits.clone().abs().neg().exp() + 1.0).log();
    let each = (softplus - logits.clone() * batch.targets.clone()).sum_dim(2);
    mean_over(each, &batch.known)
}

fn mean_over(each: Tensor<3>, counts: &Tensor<3>) -> Tensor<1> {
    let total = counts.clone().sum() + 1e-6;
    (each * counts.clone()).sum() / total
}
