//! Whether a probability means what it says: reliability, expected calibration error, likelihood, and the temperature
//! that mends them.
//!
//! Expected calibration error and temperature scaling are those of Guo, Pleiss, Sun and Weinberger, «On Calibration of
//! Modern Neural Networks» (2017), with 15 bins of equal width.

use std::ops::RangeInclusive;

use serde::Serialize;
use tocco_models::Task;

use super::{Logits, argmax, mean, ratio};

const BINS: usize = 15;
/// Temperatures that are believed. A validation set without one error would ask for boundless confidence.
pub const TEMPERATURES: RangeInclusive<f64> = 0.7..=3.0;
/// No probability counts as smaller: one wrong certainty would be an infinite surprise. What 32-bit floats beside 1 keep
/// apart.
const LEAST: f64 = 1e-7;

/// Where probabilities lay between two edges of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bin {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub confidence: f64,
    /// The share of them that was right.
    pub right: f64,
}

/// What came out for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// How many answers were counted.
    pub count: u64,
    /// Expected calibration error of what the model decides for: the most probable class, or (any number at a time) every
    /// class from 0.5 on.
    pub expected_calibration_error: f64,
    /// Mean of the classes' errors below.
    pub class_mean: f64,
    /// Expected calibration error of each class's probability, absence included, in the model's order; none where nothing
    /// is known of the class.
    pub classes: Vec<Option<f64>>,
    /// Mean negative logarithm of the probability that the truth was given, in nats: an answer, or (any number at a
    /// time) a class of an answer.
    pub negative_log_likelihood: f64,
    /// Mean squared distance from the truth, summed over the classes (one at a time) or for each of them (any number).
    pub brier: f64,
    /// The reliability diagram of what the model decides for: 15 bins from 0 to 1.
    pub bins: Vec<Bin>,
}

/// Sums that make up one bin.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u64,
    confidence: f64,
    right: f64,
}

type Diagram = [Sum; BINS];

/// Collects probabilities and truths.
#[derive(Debug, Clone)]
pub struct Reliability {
    task: Task,
    decided: Diagram,
    classes: Vec<Diagram>,
    count: u64,
    /// What the means below are over.
    terms: u64,
    surprise: f64,
    squares: f64,
}

impl Reliability {
    /// Nothing collected yet.
    #[must_use]
    pub fn new(task: Task, classes: usize) -> Self {
        let empty = Diagram::default();
        Self { task, decided: empty, classes: vec![empty; classes], count: 0, terms: 0, surprise: 0.0, squares: 0.0 }
    }

    /// Takes one answer: a probability a class and whether it is there. With one class at a time, an answer without a
    /// known truth counts for nothing.
    pub fn add(&mut self, probabilities: &[f32], truth: &[Option<bool>]) {
        self.add_times(1, probabilities, truth);
    }

    /// [`Self::add`], so many times.
    pub fn add_times(&mut self, times: u32, probabilities: &[f32], truth: &[Option<bool>]) {
        let often = f64::from(times);
        let known = probabilities.iter().zip(truth).enumerate();
        let known = known.filter_map(|(c, (p, t))| Some((c, f64::from(*p), (*t)?)));
        match self.task {
            Task::Technique => {
                let Some(right) = truth.iter().position(|t| *t == Some(true)) else { return };
                let best = argmax(probabilities);
                take(&mut self.decided, times, f64::from(probabilities[best]), best == right);
                self.surprise -= often * f64::from(probabilities[right]).max(LEAST).ln();
                self.terms += u64::from(times);
                for (c, p, there) in known {
                    take(&mut self.classes[c], times, p, there);
                    self.squares += often * square(p, there);
                }
            }
            Task::Instruments => {
                for (c, p, there) in known {
                    take(&mut self.classes[c], times, p, there);
                    if p >= 0.5 {
                        take(&mut self.decided, times, p, there);
                    }
                    self.surprise -= often * (if there { p } else { 1.0 - p }).max(LEAST).ln();
                    self.squares += often * square(p, there);
                    self.terms += u64::from(times);
                }
            }
        }
        self.count += u64::from(times);
    }

    /// Takes what another one collected.
    pub fn merge(&mut self, other: &Self) {
        let add = |into: &mut Diagram, from: &Diagram| {
            for (a, b) in into.iter_mut().zip(from) {
                *a =
                    Sum { count: a.count + b.count, confidence: a.confidence + b.confidence, right: a.right + b.right };
            }
        };
        add(&mut self.decided, &other.decided);
        self.classes.iter_mut().zip(&other.classes).for_each(|(a, b)| add(a, b));
        self.count += other.count;
        self.terms += other.terms;
        self.surprise += other.surprise;
        self.squares += other.squares;
    }

    /// The figures; `None` where nothing was collected.
    #[must_use]
    pub fn figures(&self) -> Option<Calibration> {
        let classes: Vec<Option<f64>> = self.classes.iter().map(error).collect();
        let terms = self.terms as f64;
        let bin = |sum: &Sum| Bin {
            count: sum.count,
            confidence: ratio(sum.confidence, sum.count as f64),
            right: ratio(sum.right, sum.count as f64),
        };
        (self.terms > 0).then(|| Calibration {
            count: self.count,
            expected_calibration_error: error(&self.decided).unwrap_or(0.0),
            class_mean: mean(classes.iter().flatten().copied()).unwrap_or(0.0),
            classes,
            negative_log_likelihood: self.surprise / terms,
            brier: self.squares / terms,
            bins: self.decided.iter().map(bin).collect(),
        })
    }
}

fn take(diagram: &mut Diagram, times: u32, p: f64, right: bool) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin from 0 to 14")]
    let bin = ((p * BINS as f64) as usize).min(BINS - 1);
    diagram[bin].count += u64::from(times);
    diagram[bin].confidence += f64::from(times) * p;
    diagram[bin].right += f64::from(if right { times } else { 0 });
}

fn square(p: f64, there: bool) -> f64 {
    (p - f64::from(u8::from(there))).powi(2)
}

/// Mean distance of confidence and share of right ones, each bin weighing what it holds.
fn error(diagram: &Diagram) -> Option<f64> {
    let count: u64 = diagram.iter().map(|b| b.count).sum();
    let apart: f64 = diagram.iter().map(|b| (b.confidence - b.right).abs()).sum();
    (count > 0).then(|| apart / count as f64)
}

/// What to add to each class's logits at a temperature so that the hops are called each class as often as it is there,
/// every recording weighing the same: the offsets under which the truth is least surprising (bias-corrected temperature
/// scaling, Alexandari, Kundaje and Shrikumar 2020). One more recording of each class than there are, recognised
/// right, keeps those of rare classes small.
#[must_use]
pub fn offsets(recordings: &[Logits], t: f32) -> Vec<f32> {
    const STEPS: usize = 40;
    let classes = recordings.first().map_or(0, |r| r.truth.len());
    let mut there = vec![1.0_f64; classes];
    recordings.iter().filter_map(|r| r.truth.iter().position(|t| *t == Some(true))).for_each(|c| there[c] += 1.0);
    let mut offsets = vec![0.0_f64; classes];
    for _ in 0..STEPS {
        let mut told = vec![1.0_f64; classes];
        for recording in recordings {
            let mean = recording.mean_posterior(f64::from(t), &offsets);
            told.iter_mut().zip(mean).for_each(|(sum, p)| *sum += p);
        }
        offsets
            .iter_mut()
            .zip(there.iter().zip(&told))
            .for_each(|(offset, (there, told))| *offset += (there / told).ln());
    }
    let middle = mean(offsets.iter().copied()).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "logarithms of ratios of counts")]
    offsets.iter().map(|offset| (offset - middle) as f32).collect()
}

/// The temperature within bounds under which the truth is least surprising, every recording weighing the same: golden
/// section over its logarithm. The negative log-likelihood is convex in the inverse temperature, so there is one valley.
#[must_use]
pub fn temperature(task: Task, recordings: &[Logits], bounds: &RangeInclusive<f64>) -> f32 {
    const STEPS: usize = 30;
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let surprise = |ln_t: f64| -> f64 { recordings.iter().map(|r| r.surprise(task, ln_t.exp())).sum() };
    let (mut low, mut high) = (bounds.start().ln(), bounds.end().ln());
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_a, mut at_b) = (surprise(a), surprise(b));
    for _ in 0..STEPS {
        if at_a <= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - golden * (high - low);
            at_a = surprise(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + golden * (high - low);
            at_b = surprise(b);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number within the bounds")]
    let t = ((low + high) / 2.0).exp() as f32;
    t
}
