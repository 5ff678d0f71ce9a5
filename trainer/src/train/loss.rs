//! What is minimised: per frame, over the frames whose truth is known.

use burn::tensor::{Tensor, activation};
use tocco_models::Task;

/// A batch on the device.
pub struct Tensors {
    /// Normalised log-mel frames `[batch, time, mels]`.
    pub frames: Tensor<3>,
    /// What should come out `[batch, time, classes]`: 1 for each class that sounds.
    pub targets: Tensor<3>,
    /// Target distribution for softmax `[batch, time, classes]`.
    pub distribution: Tensor<3>,
    /// Which frames count for «which of the classes» `[batch, time, 1]`.
    pub one_of: Tensor<3>,
    /// Which classes of which frames count for «does each class sound» `[batch, time, classes]`.
    pub known: Tensor<3>,
}

/// Mean loss over the frames that count.
///
/// `technique`: cross-entropy. `instruments`: each class answers for itself (binary cross-entropy), and in frames
/// with one class also against the others, which learns the difference between near instruments quicker.
pub fn loss(logits: &Tensor<3>, batch: &Tensors, task: Task) -> Tensor<1> {
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
    let each = softplus - logits.clone() * batch.targets.clone();
    // The sum over the classes, as a mean over the frames.
    let [_, _, classes] = logits.dims();
    mean_over(each, &batch.known) * classes as f32
}

fn mean_over(each: Tensor<3>, counts: &Tensor<3>) -> Tensor<1> {
    let total = counts.clone().sum() + 1e-6;
    (each * counts.clone()).sum() / total
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(numbers: &[f32], last: usize) -> Tensor<3> {
        let data = TensorData::new(numbers.to_vec(), [1, numbers.len() / last, last]);
        Tensor::from_data(data, &Device::flex())
    }

    fn value(logits: &[f32], task: Task) -> f32 {
        masked(logits, task, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    }

    fn masked(logits: &[f32], task: Task, known: &[f32]) -> f32 {
        let batch = Tensors {
            frames: tensor(&[0.0; 3], 1),
            targets: tensor(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2),
            distribution: tensor(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2),
            one_of: tensor(&[1.0, 1.0, 0.0], 1),
            known: tensor(known, 2),
        };
        loss(&tensor(logits, 2), &batch, task).into_scalar::<f32>()
    }

    #[test]
    fn right_is_cheap_wrong_is_dear_and_the_unclear_does_not_count() {
        for task in [Task::Technique, Task::Instruments] {
            let right = value(&[9.0, -9.0, -9.0, 9.0, 0.0, 0.0], task);
            let wrong = value(&[-9.0, 9.0, 9.0, -9.0, 0.0, 0.0], task);
            assert!(right < 0.01 && wrong > 10.0, "{task:?}: {right}, {wrong}");
            let unclear = value(&[9.0, -9.0, -9.0, 9.0, 50.0, -70.0], task);
            assert!((right - unclear).abs() < 1e-6, "{task:?}");
        }
    }

    #[test]
    fn a_class_that_nobody_listened_for_costs_nothing() {
        let known = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let each = |x: f32| {
            let logits = [3.0, x, 0.5, 0.5, 0.0, 0.0];
            masked(&logits, Task::Instruments, &known) - masked(&logits, Task::Technique, &known)
        };
        assert!((each(-7.0) - each(7.0)).abs() < 1e-5);
    }

    #[test]
    fn agrees_with_the_formula() {
        let got = value(&[0.3, -0.2, 1.0, 0.5, 0.0, 0.0], Task::Technique);
        let expected = ((1.0 + (-0.5_f32).exp()).ln() + (1.0 + 0.5_f32.exp()).ln()) / 2.0;
        assert!((got - expected).abs() < 1e-5, "{got} against {expected}");
    }
}
