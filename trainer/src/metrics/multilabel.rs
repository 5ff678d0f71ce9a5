//! Any number of classes at a time: figures at thresholds, and the thresholds that suit best.

use serde::Serialize;

use super::{ClassFigures, Scored, confusion, harmonic, mean, ratio};

/// Figures of a whole evaluation where a class counts as heard from its threshold on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFigures {
    /// Recordings of which at least one class is known.
    pub count: u64,
    /// Precision over all classes together.
    pub micro_precision: f64,
    /// Recall over all classes together.
    pub micro_recall: f64,
    /// F1 over all classes together.
    pub micro_f1: f64,
    /// Mean precision of the classes that occur.
    pub macro_precision: f64,
    /// Mean recall of the classes that occur.
    pub macro_recall: f64,
    /// Mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Share of the known labels that are wrong.
    pub hamming_loss: f64,
    /// Share of recordings whose known labels are all right.
    pub exact_match: f64,
    /// Class by class, in the model's order.
    pub classes: Vec<ClassFigures>,
}

/// What one class's decisions came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub hits: f64,
    pub false_alarms: f64,
    pub misses: f64,
}

impl Counts {
    pub fn plus(self, other: &Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            false_alarms: self.false_alarms + other.false_alarms,
            misses: self.misses + other.misses,
        }
    }

    pub fn times(self, times: u32) -> Self {
        let times = f64::from(times);
        Self { hits: times * self.hits, misses: times * self.misses, false_alarms: times * self.false_alarms }
    }

    pub fn precision(self) -> f64 {
        ratio(self.hits, self.hits + self.false_alarms)
    }

    pub fn recall(self) -> f64 {
        ratio(self.hits, self.hits + self.misses)
    }

    pub fn f1(self) -> f64 {
        harmonic(self.precision(), self.recall())
    }
}

/// Figures where recording `r` is heard to hold class `c` when `heard(r, c)`, and counts `weights[r]` times.
#[must_use]
pub fn set_figures(
    classes: &[String],
    rows: &[Scored],
    weights: &[u32],
    heard: impl Fn(usize, usize) -> bool,
) -> SetFigures {
    let mut counts = vec![Counts::default(); classes.len()];
    let (mut recordings, mut exact, mut known, mut wrong) = (0_u64, 0.0, 0.0, 0.0);
    for (r, row) in rows.iter().enumerate() {
        let weight = f64::from(weights[r]);
        let (mut knows, mut errs) = (0.0, 0.0);
        for (c, count) in counts.iter_mut().enumerate() {
            let Some(there) = row.truth[c] else { continue };
            knows += weight;
            match (there, heard(r, c)) {
                (true, true) => count.hits += weight,
                (true, false) => count.misses += weight,
                (false, true) => count.false_alarms += weight,
                (false, false) => continue,
            }
            errs += if there == heard(r, c) { 0.0 } else { weight };
        }
        known += knows;
        wrong += errs;
        if knows > 0.0 {
            recordings += u64::from(weights[r]);
            exact += if errs == 0.0 { weight } else { 0.0 };
        }
    }
    let all = counts.iter().fold(Counts::default(), Counts::plus);
    let over = |value: fn(Counts) -> f64| {
        mean(counts.iter().filter(|c| c.hits + c.misses > 0.0).map(|c| value(*c))).unwrap_or(0.0)
    };
    let (macro_precision, macro_recall, macro_f1) = (over(Counts::precision), over(Counts::recall), over(Counts::f1));
    let of_class = |(name, c): (&String, &Counts)| ClassFigures {
        class: name.clone(),
        // Counted above in whole recordings.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of recordings")]
        support: (c.hits + c.misses) as u64,
        precision: c.precision(),
        recall: c.recall(),
        f1: c.f1(),
    };
    SetFigures {
        count: recordings,
        micro_precision: all.precision(),
        micro_recall: all.recall(),
        micro_f1: all.f1(),
        macro_precision,
        macro_recall,
        macro_f1,
        hamming_loss: ratio(wrong, known),
        exact_match: ratio(exact, recordings as f64),
        classes: classes.iter().zip(&counts).map(of_class).collect(),
    }
}

/// For each class the threshold with the best F1 on these recordings; among equals the one nearest to 0.5. 0.5 where no
/// recording holds the class. Thresholds lie midway between two scores that occur, or are the lowest or highest that
/// is allowed, 0.05 and 0.95.
#[must_use]
pub fn best_thresholds(rows: &[Scored], classes: usize) -> Vec<f32> {
    (0..classes).map(|c| best_threshold(rows, c)).collect()
}

/// Thresholds that are allowed.
const LOWEST: f32 = 0.05;
const HIGHEST: f32 = 0.95;

fn best_threshold(rows: &[Scored], class: usize) -> f32 {
    let mut scored: Vec<(f32, bool)> = rows.iter().filter_map(|r| Some((r.scores[class], r.truth[class]?))).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let there = scored.iter().filter(|(_, t)| *t).count() as f64;
    let (mut best, mut hits) = ((0.0, 0.5_f32), 0.0);
    for i in 0..scored.len() {
        hits += if scored[i].1 { 1.0 } else { 0.0 };
        let (this, next) = (scored[i].0, scored.get(i + 1).map_or(0.0, |s| s.0));
        let threshold = ((this + next) / 2.0).clamp(LOWEST, HIGHEST);
        // Equal scores can't be told apart, and a bound that lies elsewhere cuts elsewhere.
        if !(next < threshold && threshold <= this) {
            continue;
        }
        let f1 = ratio(2.0 * hits, there + (i + 1) as f64);
        if f1 > best.0 || (f1 == best.0 && f1 > 0.0 && (threshold - 0.5).abs() < (best.1 - 0.5).abs()) {
            best = (f1, threshold);
        }
    }
    best.1
}

impl SetFigures {
    /// The line above [`SetFigures::row`].
    #[must_use]
    pub fn heading() -> String {
        format!(
            "{:24} {:>8} {:>8} {:>8}  {:>8} {:>8} {:>8}  {:>8} {:>8}\n",
            "thresholds", "macro-P", "macro-R", "macro-F1", "micro-P", "micro-R", "micro-F1", "hamming", "exact"
        )
    }

    /// The figures over all classes in one line.
    #[must_use]
    pub fn row(&self, name: &str) -> String {
        format!(
            "{name:24} {:8.4} {:8.4} {:8.4}  {:8.4} {:8.4} {:8.4}  {:8.4} {:8.4}\n",
            self.macro_precision,
            self.macro_recall,
            self.macro_f1,
            self.micro_precision,
            self.micro_recall,
            self.micro_f1,
            self.hamming_loss,
            self.exact_match
        )
    }

    /// The classes that occur or were heard, a line each.
    #[must_use]
    pub fn class_lines(&self) -> String {
        confusion::class_lines(&self.classes)
    }
}
