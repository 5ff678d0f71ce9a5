//! How the network learns, beside what it hears.

use serde::{Deserialize, Serialize};
use tocco_models::Task;

use super::loss::LossKind;
use super::optimizer::OptimizerKind;
use super::schedule::Schedule;

/// What is minimised, how far a step goes and when it is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Which question the loss asks; `None`: cross-entropy for techniques, both for instruments.
    pub loss: Option<LossKind>,
    /// Exponent of the focal loss (Lin et al. 2017): the surer an answer is right, the less it counts. 0 for none.
    pub focal: f32,
    /// Rare classes weigh more, by their effective numbers (Cui et al. 2019): near 1 by their inverse number, 0 not.
    pub class_balance: f64,
    /// What follows the gradients.
    pub optimizer: OptimizerKind,
    /// The course of the learning rate.
    pub schedule: Schedule,
    /// Share of the steps in which the learning rate rises.
    pub warm_up: f64,
    /// Validations without a better one after which a plateau halves the learning rate.
    pub plateau: usize,
    /// Validations without a better one after which the training ends; `None`: it makes all epochs.
    pub patience: Option<usize>,
    /// What happens to large gradients.
    pub clip: Clip,
    /// Share of the old mean that a step leaves in the averaged weights; 0: the newest weights are used.
    pub averaging: f32,
    /// Batches in a step: the gradients are the mean of theirs.
    pub accumulate: usize,
    /// Epochs at the start in which the head alone learns.
    pub freeze_trunk_epochs: usize,
    /// Share of the loss that is about the teacher's answers, where there is a teacher; the rest is about the labels.
    pub teacher_weight: f32,
    /// What the logits of both are divided by before they are compared: the higher, the more the lesser classes count.
    pub teacher_temperature: f32,
}

/// What happens to large gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clip {
    /// Those of a parameter are scaled so that their Euclidean norm is no more than this.
    Norm(f32),
    /// Each is cut off at this.
    Value(f32),
    /// Nothing.
    None,
}

impl std::str::FromStr for Clip {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let wrong = || format!("«{word}» is none of norm:1.0, value:1.0 and none");
        let (kind, number) = match word.split_once(':') {
            None if word == "none" => return Ok(Self::None),
            None => return Err(wrong()),
            Some((kind, number)) => (kind, number.parse().ok().filter(|n: &f32| n.is_finite() && *n > 0.0)),
        };
        match (kind, number) {
            ("norm", Some(most)) => Ok(Self::Norm(most)),
            ("value", Some(most)) => Ok(Self::Value(most)),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Norm(most) => write!(f, "norm:{most}"),
            Self::Value(most) => write!(f, "value:{most}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            loss: None,
            focal: 0.0,
            class_balance: 0.0,
            optimizer: OptimizerKind::default(),
            schedule: Schedule::Cosine,
            warm_up: 0.04,
            plateau: 4,
            patience: None,
            clip: Clip::Norm(1.0),
            averaging: 0.998,
            accumulate: 1,
            freeze_trunk_epochs: 0,
            teacher_weight: 0.5,
            teacher_temperature: 2.0,
        }
    }
}

impl Training {
    /// The loss that a task gets.
    #[must_use]
    pub fn loss_for(&self, task: Task) -> LossKind {
        self.loss.unwrap_or(match task {
            Task::Technique => LossKind::CrossEntropy,
            Task::Instruments => LossKind::Both,
        })
    }
}
