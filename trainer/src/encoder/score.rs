//! How good a head is on recordings, and how sure it may be.

use std::collections::BTreeMap;

use tocco_models::{NONE, Task};

use crate::metrics::{Confusion, Logits, mean_log_posterior};

/// Figures over recordings; a recording's posterior is the mean over its windows, of logarithms where one class sounds
/// at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    files: usize,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub macro_f1: f64,
    /// Mean over the classes other than `none` of the share of recordings that are recognised.
    pub macro_recall: f64,
    recalls: Vec<(String, f64)>,
    /// Mean negative log-likelihood.
    pub loss: f64,
    /// Which class was the likeliest where a single one sounds.
    pub confusion: Confusion,
}

impl Score {
    /// What the best weights are picked by.
    pub fn selection(&self) -> f64 {
        self.macro_f1 + self.macro_recall - self.loss
    }

    /// Adds the figures under the names that every training uses.
    pub fn note(&self, split: &str, metrics: &mut BTreeMap<String, f64>) {
        metrics.insert(format!("{split}/files"), self.files as f64);
        metrics.insert(format!("{split}/file_macro_f1"), self.macro_f1);
        metrics.insert(format!("{split}/file_macro_recall_without_none"), self.macro_recall);
        for (class, recall) in &self.recalls {
            metrics.insert(format!("{split}/file_recall/{class}"), *recall);
        }
    }
}

/// Scores recordings: the likeliest class where one sounds at a time, else every class from one half on.
pub(super) fn score(answers: &[Logits], task: Task, classes: &[String]) -> Score {
    let mut counts = vec![Counts::default(); classes.len()];
    let mut confusion = Confusion::new(classes);
    let mut loss = 0.0;
    for file in answers {
        let posterior = posterior(&file.values, classes.len(), task);
        let strongest = (0..classes.len()).max_by(|a, b| posterior[*a].total_cmp(&posterior[*b])).unwrap_or(0);
        for (class, count) in counts.iter_mut().enumerate() {
            let Some(sounds) = file.truth[class] else { continue };
            let claimed = match task {
                Task::Technique => class == strongest,
                Task::Instruments => posterior[class] >= 0.5,
            };
            count.add(sounds, claimed);
        }
        let mut sounding = (0..classes.len()).filter(|class| file.truth[*class] == Some(true));
        if let (Some(only), None) = (sounding.next(), sounding.next()) {
            confusion.add(only, strongest, 1);
        }
        loss += file.surprise(task, 1.0);
    }
    let present: Vec<usize> = (0..classes.len()).filter(|class| counts[*class].there > 0.0).collect();
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
    let f1: Vec<f64> = present.iter().map(|class| counts[*class].f1()).collect();
    let recalls: Vec<(String, f64)> =
        present.iter().map(|class| (classes[*class].clone(), counts[*class].recall())).collect();
    let of_notes: Vec<f64> = recalls.iter().filter(|(class, _)| class != NONE).map(|(_, recall)| *recall).collect();
    Score {
        files: answers.len(),
        macro_f1: mean(&f1),
        macro_recall: mean(&of_notes),
        recalls,
        loss: loss / answers.len().max(1) as f64,
        confusion,
    }
}

#[derive(Debug, Clone, Default)]
struct Counts {
    there: f64,
    claimed: f64,
    both: f64,
}

impl Counts {
    fn add(&mut self, there: bool, claimed: bool) {
        self.there += f64::from(u8::from(there));
        self.claimed += f64::from(u8::from(claimed));
        self.both += f64::from(u8::from(there && claimed));
    }

    fn f1(&self) -> f64 {
        2.0 * self.both / (self.there + self.claimed).max(1.0)
    }

    fn recall(&self) -> f64 {
        self.both / self.there.max(1.0)
    }
}

/// Mean over the windows: of the logarithms of a softmax, or of sigmoids.
fn posterior(logits: &[f32], classes: usize, task: Task) -> Vec<f64> {
    if task == Task::Technique {
        return mean_log_posterior(logits, classes);
    }
    let mut sum = vec![0.0_f64; classes];
    for window in logits.chunks_exact(classes) {
        for (s, x) in sum.iter_mut().zip(window) {
            *s += 1.0 / (1.0 + (-f64::from(*x)).exp());
        }
    }
    let windows = (logits.len() / classes).max(1) as f64;
    sum.iter().map(|s| s / windows).collect()
}
