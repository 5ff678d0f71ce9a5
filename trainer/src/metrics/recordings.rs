//! How good a network is on whole recordings while it learns: what picks the best weights, and the figures of a card.

use std::collections::BTreeMap;

use tocco_models::{NONE, Task};

use super::{Confusion, Logits, argmax, harmonic, mean, mean_log_posterior, ratio};

/// Which of the classes a network is taken to hear in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The one with the largest mean of the hops' log-softmax. Recordings in which no class sounds don't count.
    Likeliest,
    /// Each whose mean probability is one half or more, as a sigmoid gives it; what nobody knows doesn't count.
    Each,
}

impl Rule {
    /// `Likeliest` where at most one class sounds in each recording and nothing is unknown, and for techniques always.
    /// A training has one rule: `recordings` are all that it is judged by, the sounding and the known classes of each as
    /// bits.
    #[must_use]
    pub fn of(task: Task, classes: usize, mut recordings: impl Iterator<Item = (u128, u128)>) -> Self {
        let all = (0..classes).fold(0_u128, |all, class| all | 1 << class);
        let single = |(sounding, known): (u128, u128)| sounding.count_ones() <= 1 && known & all == all;
        if task == Task::Technique || recordings.all(single) { Self::Likeliest } else { Self::Each }
    }

    /// The task whose likelihood fits.
    fn likelihood(self) -> Task {
        match self {
            Self::Likeliest => Task::Technique,
            Self::Each => Task::Instruments,
        }
    }
}

/// Figures over recordings; a recording's posterior is the mean over its hops.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingScore {
    /// Recordings that count.
    pub recordings: usize,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub macro_f1: f64,
    /// Mean over the classes other than `none` of the share of recordings that are recognised.
    pub macro_recall: f64,
    /// Share of each class's recordings that are recognised; only classes that have some.
    pub recalls: Vec<(String, f64)>,
    /// Mean negative log-likelihood.
    pub loss: f64,
    /// Which class was the likeliest where a single one sounds.
    pub confusion: Confusion,
}

impl RecordingScore {
    /// Scores recordings of the `classes`.
    #[must_use]
    pub fn of(rule: Rule, answers: &[Logits], classes: &[String]) -> Self {
        let mut counts = vec![Counts::default(); classes.len()];
        let mut confusion = Confusion::new(classes);
        let (mut recordings, mut loss) = (0, 0.0);
        for answer in answers {
            let mut sounding = (0..classes.len()).filter(|class| answer.truth[*class] == Some(true));
            let (first, second) = (sounding.next(), sounding.next());
            if rule == Rule::Likeliest && first.is_none() {
                continue;
            }
            let posterior = posterior(&answer.values, classes.len(), rule);
            let likeliest = argmax(&posterior);
            for (class, count) in counts.iter_mut().enumerate() {
                let Some(sounds) = answer.truth[class] else { continue };
                let claimed = match rule {
                    Rule::Likeliest => class == likeliest,
                    Rule::Each => posterior[class] >= 0.5,
                };
                count.add(sounds, claimed);
            }
            if let (Some(only), None) = (first, second) {
                confusion.add(only, likeliest, 1);
            }
            recordings += 1;
            loss += answer.surprise(rule.likelihood(), 1.0);
        }
        let present = || classes.iter().zip(&counts).filter(|(_, count)| count.there > 0.0);
        let recalls: Vec<(String, f64)> = present().map(|(class, count)| (class.clone(), count.recall())).collect();
        Self {
            recordings,
            macro_f1: mean(present().map(|(_, count)| count.f1())).unwrap_or(0.0),
            macro_recall: mean(recalls.iter().filter(|(class, _)| class != NONE).map(|(_, r)| *r)).unwrap_or(0.0),
            recalls,
            loss: ratio(loss, recordings as f64),
            confusion,
        }
    }

    /// What the best weights are picked by. The loss weighs in, since a few dozen recordings give the same counts to
    /// weights that are far from equally sure.
    #[must_use]
    pub fn selection(&self) -> f64 {
        self.macro_f1 + self.macro_recall - self.loss
    }

    /// Adds the figures under the names that every training uses, e.g. `test/file_recall/bowed`.
    pub fn note(&self, split: &str, metrics: &mut BTreeMap<String, f64>) {
        metrics.insert(format!("{split}/files"), self.recordings as f64);
        metrics.insert(format!("{split}/file_macro_f1"), self.macro_f1);
        metrics.insert(format!("{split}/file_macro_recall_without_none"), self.macro_recall);
        for (class, recall) in &self.recalls {
            metrics.insert(format!("{split}/file_recall/{class}"), *recall);
        }
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
        harmonic(ratio(self.both, self.claimed), self.recall())
    }

    fn recall(&self) -> f64 {
        ratio(self.both, self.there)
    }
}

/// Mean over the hops: of the logarithms of a softmax, or of sigmoids.
fn posterior(logits: &[f32], classes: usize, rule: Rule) -> Vec<f64> {
    if rule == Rule::Likeliest {
        return mean_log_posterior(logits, classes);
    }
    let mut sum = vec![0.0_f64; classes];
    for hop in logits.chunks_exact(classes) {
        for (s, x) in sum.iter_mut().zip(hop) {
            *s += 1.0 / (1.0 + (-f64::from(*x)).exp());
        }
    }
    let hops = (logits.len() / classes).max(1) as f64;
    sum.iter().map(|s| s / hops).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<String> {
        ["flute", "oboe", "tuba"].map(str::to_owned).to_vec()
    }

    /// Two hops that say the same.
    fn heard(logits: [f32; 3], truth: [Option<bool>; 3]) -> Logits {
        Logits { values: [logits, logits].concat(), truth: truth.to_vec() }
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn one_class_a_recording_is_the_likeliest_even_where_none_is_probable() {
        let answers = [heard([-2.0, -3.0, -4.0], [YES, NO, NO]), heard([-2.0, -3.0, -4.0], [NO, YES, NO])];
        let score = RecordingScore::of(Rule::Likeliest, &answers, &classes());
        assert_eq!(score.recalls, [("flute".to_owned(), 1.0), ("oboe".to_owned(), 0.0)]);
        assert_eq!((score.recordings, score.confusion.count(1, 0)), (2, 1));
        assert!((score.macro_f1 - f64::midpoint(2.0 / 3.0, 0.0)).abs() < 1e-9, "{}", score.macro_f1);
        // Noise, in which no instrument plays, says nothing of which is likeliest.
        let noisy = [&answers[..], &[heard([9.0, 0.0, 0.0], [NO; 3])]].concat();
        assert_eq!(RecordingScore::of(Rule::Likeliest, &noisy, &classes()), score);
    }

    #[test]
    fn one_recording_of_two_classes_or_half_known_is_enough_to_judge_each_class_for_itself() {
        let of = |task, recordings: &[(u128, u128)]| Rule::of(task, 3, recordings.iter().copied());
        let singles = [(0b001, u128::MAX), (0b100, 0b111), (0, u128::MAX)];
        assert_eq!(of(Task::Instruments, &singles), Rule::Likeliest);
        for other in [(0b011, u128::MAX), (0b010, 0b010)] {
            assert_eq!(of(Task::Instruments, &[&singles[..], &[other]].concat()), Rule::Each);
            assert_eq!(of(Task::Technique, &[other]), Rule::Likeliest);
        }
    }

    #[test]
    fn of_several_classes_each_is_judged_for_itself_and_the_unknown_counts_for_nothing() {
        let answers = [heard([3.0, 3.0, -3.0], [YES, YES, NO]), heard([3.0, -3.0, 3.0], [None, YES, None])];
        let score = RecordingScore::of(Rule::Each, &answers, &classes());
        assert_eq!(score.recalls, [("flute".to_owned(), 1.0), ("oboe".to_owned(), 0.5)]);
        assert!((score.macro_f1 - f64::midpoint(1.0, 2.0 / 3.0)).abs() < 1e-9, "{}", score.macro_f1);
        // Three sure and right answers, then one that is sure and wrong; the two that nobody knows cost nothing.
        let (right, wrong) = ((-3.0_f64).exp().ln_1p(), 3.0_f64.exp().ln_1p());
        assert!((score.loss - f64::midpoint(3.0 * right, wrong)).abs() < 1e-6, "{}", score.loss);
    }
}
