//! What is minimised: per frame, over the frames whose truth is known.

use burn::tensor::{Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};
use tocco_models::Task;

use crate::metrics::mean;

/// Nobody is surer than this: the power of an exact 0 has no gradient.
const SURE: f32 = 1e-6;
/// What is taken from the logit of a class that nobody listened for, so that softmax leaves it out.
const UNHEARD: f32 = 1e4;

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

/// What a teacher says of a batch.
pub(super) struct Taught {
    /// Its posterior at the temperature `[batch, time, classes]`.
    pub posterior: Tensor<3>,
    /// 1 for each frame that it says something about `[batch, time, 1]`.
    pub heard: Tensor<3>,
}

/// Which question the loss asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Which of the classes that somebody listened for (cross-entropy).
    CrossEntropy,
    /// For each class, whether it sounds (binary cross-entropy); what nobody listened for does not count.
    Binary,
    /// Both: in frames with one class also which, which learns the difference between near instruments quicker.
    Both,
}

/// How the loss is weighted.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighting {
    /// Which question it asks.
    pub kind: LossKind,
    /// Exponent of the focal loss (Lin et al. 2017); 0 for none.
    pub focal: f32,
    /// Weight of each class, of mean 1; empty where all count alike.
    pub classes: Vec<f32>,
}

/// Weights of classes by their effective numbers of recordings (Cui et al. 2019), of mean 1: `(1 - b) / (1 - b^n)`. A
/// class without recordings, as `none` that silence and noise teach, weighs 1.
fn class_weights(counts: &[usize], beta: f64) -> Vec<f32> {
    let of = |n: usize| (n > 0).then(|| (1.0 - beta) / (1.0 - beta.powf(n as f64)));
    let weights: Vec<Option<f64>> = counts.iter().map(|n| of(*n)).collect();
    let mean = mean(weights.iter().flatten().copied()).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "numbers around 1")]
    weights.iter().map(|w| w.map_or(1.0, |w| (w / mean) as f32)).collect()
}

/// Mean loss over the frames that count.
pub fn loss(logits: &Tensor<3>, batch: &Tensors, weighting: &Weighting) -> Tensor<1> {
    match weighting.kind {
        LossKind::CrossEntropy => cross_entropy(logits, batch, weighting),
        LossKind::Binary => each_for_itself(logits, batch, weighting),
        LossKind::Both => cross_entropy(logits, batch, weighting) + each_for_itself(logits, batch, weighting),
    }
}

/// Mean surprise at the teacher's answers, times the square of the temperature: so the gradients stay as large at every
/// temperature (Hinton et al. 2015).
pub(super) fn distillation(logits: &Tensor<3>, taught: &Taught, task: Task, temperature: f32) -> Tensor<1> {
    let logits = logits.clone() / temperature;
    let each = match task {
        Task::Technique => (activation::log_softmax(logits, 2) * taught.posterior.clone()).neg(),
        Task::Instruments => surprise(&logits, &taught.posterior),
    };
    mean_over(each.sum_dim(2), &taught.heard) * (temperature * temperature)
}

fn cross_entropy(logits: &Tensor<3>, batch: &Tensors, weighting: &Weighting) -> Tensor<1> {
    let heard_for = logits.clone() + (batch.known.clone() - 1.0) * UNHEARD;
    let logarithms = activation::log_softmax(heard_for, 2);
    let mut wrong = logarithms.clone() * (batch.distribution.clone() * batch.known.clone());
    if weighting.focal > 0.0 {
        wrong = wrong * (logarithms.exp().neg() + 1.0).clamp_min(SURE).powf_scalar(weighting.focal);
    }
    let each = weighting.apply(wrong).sum_dim(2).neg();
    mean_over(each, &batch.one_of)
}

fn each_for_itself(logits: &Tensor<3>, batch: &Tensors, weighting: &Weighting) -> Tensor<1> {
    let mut each = surprise(logits, &batch.targets);
    if weighting.focal > 0.0 {
        // The probability of what is not the case: p of an absent class, 1 - p of a sounding one.
        let wrong = (activation::sigmoid(logits.clone()) - batch.targets.clone()).abs();
        each = each * wrong.clamp_min(SURE).powf_scalar(weighting.focal);
    }
    // The sum over the classes, as a mean over the frames.
    let [_, _, classes] = logits.dims();
    mean_over(weighting.apply(each), &batch.known) * classes as f32
}

/// Binary cross-entropy of each logit: ln(1 + e^x) - x t, written so that no exponential overflows.
fn surprise(logits: &Tensor<3>, targets: &Tensor<3>) -> Tensor<3> {
    let softplus = activation::relu(logits.clone()) + (logits.clone().abs().neg().exp() + 1.0).log();
    softplus - logits.clone() * targets.clone()
}

impl Weighting {
    /// All classes and all frames count alike.
    #[must_use]
    pub fn plain(kind: LossKind) -> Self {
        Self { kind, focal: 0.0, classes: Vec::new() }
    }

    /// `class_balance`: the base of the effective numbers, 0 where all classes count alike; `recordings`: of each class.
    #[must_use]
    pub fn new(kind: LossKind, focal: f32, class_balance: f64, recordings: impl Iterator<Item = usize>) -> Self {
        let balanced = || class_weights(&recordings.collect::<Vec<_>>(), class_balance);
        Self { kind, focal, classes: if class_balance > 0.0 { balanced() } else { Vec::new() } }
    }

    fn apply(&self, each: Tensor<3>) -> Tensor<3> {
        if self.classes.is_empty() {
            return each;
        }
        let weights = TensorData::new(self.classes.clone(), [1, 1, self.classes.len()]);
        let device = each.device();
        each * Tensor::from_data(weights, &device)
    }
}

fn mean_over(each: Tensor<3>, counts: &Tensor<3>) -> Tensor<1> {
    let total = counts.clone().sum() + 1e-6;
    (each * counts.clone()).sum() / total
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor(numbers: &[f32], last: usize) -> Tensor<3> {
        let data = TensorData::new(numbers.to_vec(), [1, numbers.len() / last, last]);
        Tensor::from_data(data, &Device::flex())
    }

    fn value(logits: &[f32], weighting: &Weighting) -> f32 {
        masked(logits, weighting, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    }

    fn masked(logits: &[f32], weighting: &Weighting, known: &[f32]) -> f32 {
        let batch = Tensors {
            frames: tensor(&[0.0; 3], 1),
            targets: tensor(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2),
            distribution: tensor(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2),
            one_of: tensor(&[1.0, 1.0, 0.0], 1),
            known: tensor(known, 2),
        };
        loss(&tensor(logits, 2), &batch, weighting).into_scalar::<f32>()
    }

    #[test]
    fn right_is_cheap_wrong_is_dear_and_the_unclear_does_not_count() {
        for kind in [LossKind::CrossEntropy, LossKind::Binary, LossKind::Both] {
            for weighting in [Weighting::plain(kind), Weighting { kind, focal: 2.0, classes: vec![0.5, 1.5] }] {
                let right = value(&[9.0, -9.0, -9.0, 9.0, 0.0, 0.0], &weighting);
                let wrong = value(&[-9.0, 9.0, 9.0, -9.0, 0.0, 0.0], &weighting);
                assert!(right < 0.01 && wrong > 10.0, "{weighting:?}: {right}, {wrong}");
                let unclear = value(&[9.0, -9.0, -9.0, 9.0, 50.0, -70.0], &weighting);
                assert!((right - unclear).abs() < 1e-6, "{weighting:?}");
            }
        }
    }

    #[test]
    fn the_teachers_answers_are_the_cheapest_and_what_it_did_not_hear_is_free() {
        let cost = |task, logits: &[f32], posterior: &[f32]| {
            let taught = Taught { posterior: tensor(posterior, 2), heard: tensor(&[1.0, 0.0], 1) };
            distillation(&tensor(logits, 2), &taught, task, 2.0).into_scalar::<f32>()
        };
        for (task, posterior, right) in [
            // Twice the logits whose softmax is 0.8 and 0.2, or whose sigmoids are.
            (Task::Technique, [0.8, 0.2, 0.0, 0.0], [2.0 * 4.0_f32.ln(), 0.0, 0.0, 0.0]),
            (Task::Instruments, [0.8, 0.2, 0.0, 0.0], [2.0 * 4.0_f32.ln(), -2.0 * 4.0_f32.ln(), 0.0, 0.0]),
        ] {
            let best = cost(task, &right, &posterior);
            for change in [-0.3, 0.3] {
                let mut other = right;
                other[0] += change;
                assert!(cost(task, &other, &posterior) > best + 1e-3, "{task:?} {change}");
            }
            let mut unheard = right;
            unheard[2] = 9.0;
            assert!((cost(task, &unheard, &posterior) - best).abs() < 1e-6, "{task:?}");
        }
    }

    #[test]
    fn a_class_that_nobody_listened_for_costs_nothing() {
        let known = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        for kind in [LossKind::CrossEntropy, LossKind::Binary, LossKind::Both] {
            let cost = |a: f32, x: f32| masked(&[a, x, 0.5, 0.5, 0.0, 0.0], &Weighting::plain(kind), &known);
            assert!((cost(3.0, -7.0) - cost(3.0, 7.0)).abs() < 1e-5, "{kind:?}");
            let learns = cost(-3.0, 7.0) > cost(3.0, 7.0) + 0.1;
            assert_eq!(learns, kind != LossKind::CrossEntropy, "{kind:?}: which of one class it is, is no question");
        }
    }

    #[test]
    fn agrees_with_the_formulas() {
        let logits = [0.3, -0.2, 1.0, 0.5, 0.0, 0.0];
        let surprise = [(1.0 + (-0.5_f32).exp()).ln(), (1.0 + 0.5_f32.exp()).ln()];
        let wrong = surprise.map(|s| 1.0 - (-s).exp());
        let got = value(&logits, &Weighting::plain(LossKind::CrossEntropy));
        assert!((got - f32::midpoint(surprise[0], surprise[1])).abs() < 1e-5, "{got}");
        let weighting = Weighting { kind: LossKind::CrossEntropy, focal: 2.0, classes: vec![0.4, 1.6] };
        let got = value(&logits, &weighting);
        let expected = f32::midpoint(0.4 * surprise[0] * wrong[0].powi(2), 1.6 * surprise[1] * wrong[1].powi(2));
        assert!((got - expected).abs() < 1e-5, "{got} against {expected}");
    }

    #[test]
    fn rare_classes_weigh_more_up_to_the_inverse_of_their_number() {
        let all_alike = class_weights(&[10, 1000], 0.0);
        assert_eq!(all_alike, [1.0, 1.0]);
        let inverse = class_weights(&[10, 1000], 1.0 - 1e-9);
        assert!((inverse[0] / inverse[1] - 100.0).abs() < 0.1, "{inverse:?}");
        let between = class_weights(&[10, 1000], 0.999);
        assert!(between[0] > between[1] && between[0] < 100.0 * between[1], "{between:?}");
        let with_none = class_weights(&[10, 1000, 0], 0.999);
        assert_eq!(with_none, [between[0], between[1], 1.0], "what nobody recorded weighs as the others do on average");
    }
}
