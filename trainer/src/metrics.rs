//! Figures: what a model said against what was there.
//!
//! Macro figures are means over the classes that occur in the data, each class weighing the same; micro figures count
//! every decision alike. A class that was never predicted has a precision of 0; F1 is the harmonic mean of precision
//! and recall. The numbers agree with scikit-learn's: `trainer/tests/golden`.

mod bootstrap;
mod calibration;
mod confusion;
mod events;
mod logits;
mod multilabel;
mod ranking;
mod recordings;

pub use bootstrap::{Bootstrap, Interval};
pub use calibration::{Bin, Calibration, Reliability, TEMPERATURES, offsets, temperature};
pub use confusion::{ClassFigures, Confusion, Figures};
pub use events::{Event, EventFigures, Heard, Hop, Judge, STABLE_S, within};
pub use logits::{Logits, mean_log_posterior};
pub use multilabel::{SetFigures, best_thresholds, set_figures};
pub use ranking::{ClassRanking, Ranking, average_precision, mean_average_precision, mean_roc_auc, ranking, roc_auc};
pub use recordings::{RecordingScore, Rule};

/// One recording: how strongly each class was heard, and whether it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// A number a class, the larger the surer; the mean probability of the recording.
    pub scores: Vec<f32>,
    /// Whether the class is there; `None` where nobody checked: it then counts for nothing.
    pub truth: Vec<Option<bool>>,
}

/// The index of the largest number; the first of equals.
#[must_use]
pub fn argmax<T: PartialOrd>(numbers: &[T]) -> usize {
    (0..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

/// `part / whole`, and 0 of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Harmonic mean; 0 where both are.
fn harmonic(a: f64, b: f64) -> f64 {
    ratio(2.0 * a * b, a + b)
}

/// The mean of what is there, `None` of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u32), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}
