//! Figures against those of scikit-learn and mir_eval (`tests/golden/make.py`), and what must hold for any input.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

use proptest::prelude::*;
use serde_json::Value;
use tocco_models::{ClassSet, Task};
use tocco_trainer::metrics::{
    Confusion, Event, Heard, Hop, Judge, Logits, Reliability, Scored, SetFigures, average_precision, best_thresholds,
    mean_average_precision, mean_roc_auc, offsets, ranking, roc_auc, set_figures, temperature,
};

fn golden(part: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    all[part].clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
}

fn near(got: f64, wanted: &Value, what: &str) {
    let wanted = wanted.as_f64().unwrap();
    assert!((got - wanted).abs() < 1e-6, "{what}: {got}, scikit-learn says {wanted}");
}

#[allow(clippy::cast_possible_truncation, reason = "probabilities and logits are 32-bit floats")]
fn floats(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|n| n as f32).collect()
}

fn truths(value: &Value) -> Vec<Option<bool>> {
    numbers(value).into_iter().map(|n| Some(n > 0.0)).collect()
}

fn scored(part: &Value) -> Vec<Scored> {
    let (scores, truth) = (part["scores"].as_array().unwrap(), part["truth"].as_array().unwrap());
    scores.iter().zip(truth).map(|(s, t)| Scored { scores: floats(s), truth: truths(t) }).collect()
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

fn at(rows: &[Scored], threshold: f32) -> SetFigures {
    let classes = names(rows[0].scores.len());
    set_figures(&classes, rows, &vec![1; rows.len()], |r, c| rows[r].scores[c] >= threshold)
}

#[test]
fn several_classes_at_a_time_are_scikit_learns() {
    let golden = golden("several");
    let rows = scored(&golden);
    let ranking = ranking(&names(5), &rows);
    for (c, class) in ranking.classes.iter().enumerate() {
        near(class.average_precision.unwrap(), &golden["average_precision"][c], "average precision");
        near(class.roc_auc.unwrap(), &golden["roc_auc"][c], "area");
    }
    let precisions = numbers(&golden["average_precision"]);
    let map = mean_average_precision(&rows, 5)(&vec![1; rows.len()]).unwrap();
    assert!((map - precisions.iter().sum::<f64>() / 5.0).abs() < 1e-9);
    assert!((ranking.mean_average_precision.unwrap() - map).abs() < 1e-12);
    for (text, threshold) in [("0.2", 0.2), ("0.3", 0.3), ("0.5", 0.5)] {
        let (got, wanted) = (at(&rows, threshold), &golden["at"][text]);
        for (got, name) in [
            (got.hamming_loss, "hamming_loss"),
            (got.exact_match, "exact_match"),
            (got.micro_precision, "micro_precision"),
            (got.micro_recall, "micro_recall"),
            (got.micro_f1, "micro_f1"),
            (got.macro_precision, "macro_precision"),
            (got.macro_recall, "macro_recall"),
            (got.macro_f1, "macro_f1"),
        ] {
            near(got, &wanted[name], &format!("{name} at {text}"));
        }
        for (c, class) in got.classes.iter().enumerate() {
            near(class.f1, &wanted["class_f1"][c], "F1 of a class");
            near(class.recall, &wanted["class_recall"][c], "recall of a class");
        }
    }
    let mut reliability = Reliability::new(Task::Instruments, 5);
    rows.iter().for_each(|row| reliability.add(&row.scores, &row.truth));
    near(reliability.figures().unwrap().brier, &golden["brier"], "Brier score");
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let sum: f32 = logits.iter().map(|x| x.exp()).sum();
    logits.iter().map(|x| x.exp() / sum).collect()
}

fn logits_of(part: &Value, truth: impl Fn(&Value) -> Vec<Option<bool>>) -> Vec<Logits> {
    let (logits, truths) = (part["logits"].as_array().unwrap(), part["truth"].as_array().unwrap());
    logits.iter().zip(truths).map(|(l, t)| Logits { values: floats(l), truth: truth(t) }).collect()
}

#[test]
fn one_class_at_a_time_is_scikit_learns() {
    let golden = golden("one");
    let rows = logits_of(&golden, |t| (0..4).map(|c| Some(t.as_u64() == Some(c))).collect());
    let mut confusion = Confusion::new(&names(4));
    let mut reliability = Reliability::new(Task::Technique, 4);
    for row in &rows {
        let truth = row.truth.iter().position(|t| *t == Some(true)).unwrap();
        confusion.add(truth, tocco_trainer::metrics::argmax(&row.values), 1);
        reliability.add(&softmax(&row.values), &row.truth);
    }
    let figures = confusion.figures();
    near(figures.accuracy, &golden["accuracy"], "accuracy");
    near(figures.macro_precision, &golden["macro_precision"], "macro-precision");
    near(figures.macro_recall, &golden["macro_recall"], "macro-recall");
    near(figures.macro_f1, &golden["macro_f1"], "macro-F1");
    let calibration = reliability.figures().unwrap();
    near(calibration.negative_log_likelihood, &golden["log_loss"], "log loss");
    near(calibration.brier, &golden["brier"], "Brier score");
    let fitted = temperature(Task::Technique, &rows, &(0.1..=10.0));
    assert!((f64::from(fitted) - golden["temperature"].as_f64().unwrap()).abs() < 1e-3, "{fitted}");
}

#[test]
fn the_temperature_of_sigmoids_is_that_of_the_least_log_loss() {
    let golden = golden("sigmoids");
    let rows = logits_of(&golden, truths);
    let fitted = temperature(Task::Instruments, &rows, &(0.1..=10.0));
    assert!((f64::from(fitted) - golden["temperature"].as_f64().unwrap()).abs() < 1e-3, "{fitted}");
    let held = temperature(Task::Instruments, &rows, &(0.1..=0.5));
    assert!((held - 0.5).abs() < 1e-3, "the valley lies beyond the bound: {held}");
    let mut reliability = Reliability::new(Task::Instruments, 3);
    for row in &rows {
        let sigmoid: Vec<f32> = row.values.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
        reliability.add(&sigmoid, &row.truth);
    }
    near(reliability.figures().unwrap().negative_log_likelihood, &golden["log_loss"], "log loss");
}

/// A network that knows nothing must say what counting alone tells: one class nine times as likely as the other.
#[test]
fn offsets_are_the_counts_where_nothing_else_is_known() {
    let row = |class: usize| Logits { values: vec![0.0; 8], truth: vec![Some(class == 0), Some(class == 1)] };
    let rows: Vec<Logits> = (0..10).map(|i| row(usize::from(i == 0))).collect();
    let [often, rarely] = offsets(&rows, 1.0)[..] else { panic!("an offset a class") };
    near(f64::from(often - rarely), &serde_json::json!(9.0_f64.ln()), "offset");
}

/// A note of 10 ms at each onset, long enough to hold a hop.
fn events(onsets: &[f64]) -> Vec<Event> {
    onsets.iter().map(|s| Event { class: 0, start_s: *s, end_s: s + 0.01 }).collect()
}

#[test]
fn onsets_are_matched_as_mir_eval_does() {
    let golden = golden("onsets");
    let (truth, told) = (events(&numbers(&golden["truth"])), events(&numbers(&golden["told"])));
    for (text, tolerance_s) in [("0.02", 0.02), ("0.05", 0.05), ("0.2", 0.2)] {
        let mut judge = Judge::new(&names(1), tolerance_s);
        judge.add(&truth, &Heard { hops: Vec::new(), told: told.clone(), duration_s: 8.0 });
        let all = judge.all();
        let pairs = golden["pairs"][text].as_f64().unwrap();
        assert!((all.recall * truth.len() as f64 - pairs).abs() < 1e-9, "within {text} s: {} of {pairs}", all.recall);
        assert!((all.precision * told.len() as f64 - pairs).abs() < 1e-9);
    }
}

/// 15 answers of confidence 0.9, 12 of them right, and 5 of 0.6, 4 right: by hand (15 * 0.1 + 5 * 0.2) / 20.
#[test]
fn calibration_error_by_hand() {
    let mut reliability = Reliability::new(Task::Technique, 2);
    for i in 0..20 {
        let (p, right) = if i < 15 { (0.9, i < 12) } else { (0.6, i < 19) };
        reliability.add(&[p, 1.0 - p], &[Some(right), Some(!right)]);
    }
    let figures = reliability.figures().unwrap();
    assert!((figures.expected_calibration_error - 0.125).abs() < 1e-6, "{}", figures.expected_calibration_error);
    let bins: Vec<_> = figures.bins.iter().filter(|b| b.count > 0).map(|b| (b.count, b.right)).collect();
    assert_eq!(bins, [(5, 0.8), (15, 0.8)]);
}

/// A hop every 20 ms that is known 30 ms after the sound it speaks of.
fn hops(seconds: f64, active: impl Fn(f64) -> Option<usize>) -> Vec<Hop> {
    (0_u32..)
        .map(|i| f64::from(i) * 0.02)
        .take_while(|t| *t < seconds)
        .map(|t| Hop { about_s: t, known_s: t + 0.03, active: active(t).into_iter().collect::<ClassSet>() })
        .collect()
}

#[test]
fn reaction_and_flicker_by_hand() {
    let truth = [Event { class: 0, start_s: 1.0, end_s: 2.0 }, Event { class: 1, start_s: 2.0, end_s: 3.0 }];
    let mut judge = Judge::new(&names(2), 0.05);
    // Right from 1.1 on, but for a moment before; a dip at 1.5 lasts one hop; class 1 is never told.
    let active = |t: f64| {
        let on = (1.035..1.055).contains(&t) || (1.095..2.195).contains(&t);
        let dip = (1.49..1.505).contains(&t);
        (on && !dip).then_some(0)
    };
    judge.add(&truth, &Heard { hops: hops(4.0, active), told: Vec::new(), duration_s: 4.0 });
    let all = judge.all();
    assert_eq!((all.events, all.never, all.reaction_p90_s), (2, 1, None), "half of the events are never told");
    assert!((all.reaction_median_s.unwrap() - 0.13).abs() < 1e-6, "{:?}", all.reaction_median_s);
    // On, off, on, off, on while class 0 sounds: the first is due; then off while class 1 sounds: due.
    assert!((judge.flicker_per_s() - 1.0).abs() < 1e-9, "{}", judge.flicker_per_s());
    // Told a moment ahead, and once where nothing sounds: the first is no flicker, the other is.
    let mut early = Judge::new(&names(2), 0.05);
    let active = |t: f64| ((0.955..3.0).contains(&t) || (3.5..3.9).contains(&t)).then_some(usize::from(t > 1.955));
    early.add(&truth, &Heard { hops: hops(4.0, active), told: Vec::new(), duration_s: 4.0 });
    assert!((early.flicker_per_s() - 0.5).abs() < 1e-9, "on and off again: {}", early.flicker_per_s());
    let classes = judge.classes();
    assert_eq!((classes[1].class.as_str(), classes[1].reaction_median_s), ("class 1", None));
}

fn any_rows() -> impl Strategy<Value = Vec<Scored>> {
    let cell = (0_u8..=40, prop_oneof![2 => Just(Some(true)), 3 => Just(Some(false)), 1 => Just(None)]);
    let row = proptest::collection::vec(cell, 3).prop_map(|cells| Scored {
        scores: cells.iter().map(|(s, _)| f32::from(*s) / 40.0).collect(),
        truth: cells.iter().map(|(_, t)| *t).collect(),
    });
    proptest::collection::vec(row, 1..40)
}

proptest! {
    #[test]
    fn figures_stay_in_bounds_and_do_not_depend_on_the_order(rows in any_rows(), threshold in 0.0_f32..1.0) {
        let (figures, ranked) = (at(&rows, threshold), ranking(&names(3), &rows));
        let mut all = vec![figures.micro_f1, figures.macro_f1, figures.hamming_loss, figures.exact_match];
        all.extend(ranked.classes.iter().flat_map(|c| [c.average_precision, c.roc_auc]).flatten());
        prop_assert!(all.iter().all(|f| (0.0..=1.0 + 1e-12).contains(f)), "{all:?}");
        let mut turned = rows.clone();
        turned.reverse();
        prop_assert_eq!(&at(&turned, threshold), &figures);
        for (a, b) in ranking(&names(3), &turned).classes.iter().zip(&ranked.classes) {
            prop_assert_eq!(a.roc_auc, b.roc_auc);
            prop_assert_eq!(a.average_precision, b.average_precision);
        }
    }

    #[test]
    fn what_nobody_checked_counts_for_nothing(rows in any_rows(), score in 0.0_f32..1.0) {
        let mut other = rows.clone();
        for row in &mut other {
            for (s, _) in row.scores.iter_mut().zip(&row.truth).filter(|(_, t)| t.is_none()) {
                *s = score;
            }
        }
        prop_assert_eq!(at(&rows, 0.5), at(&other, 0.5));
        prop_assert_eq!(ranking(&names(3), &rows), ranking(&names(3), &other));
    }

    #[test]
    fn who_is_always_right_gets_one(truth in proptest::collection::vec(any::<bool>(), 2..40)) {
        let scored: Vec<(f32, bool)> = truth.iter().map(|t| (if *t { 0.8 } else { 0.3 }, *t)).collect();
        let both = truth.contains(&true) && truth.contains(&false);
        prop_assert_eq!(roc_auc(&scored), both.then_some(1.0));
        prop_assert_eq!(average_precision(&scored), truth.contains(&true).then_some(1.0));
    }

    #[test]
    fn tuned_thresholds_are_no_worse_on_what_they_were_tuned_on(rows in any_rows()) {
        let tuned = best_thresholds(&rows, 3);
        let weights = vec![1; rows.len()];
        let best = set_figures(&names(3), &rows, &weights, |r, c| rows[r].scores[c] >= tuned[c]);
        for fixed in [0.05, 0.2, 0.3, 0.5, 0.75, 0.95] {
            for (a, b) in best.classes.iter().zip(&at(&rows, fixed).classes) {
                prop_assert!(a.f1 >= b.f1 - 1e-9, "{} at {tuned:?}, {} at {fixed}", a.f1, b.f1);
            }
        }
    }

    #[test]
    fn weights_count_like_copies(rows in any_rows(), weights in proptest::collection::vec(0_u32..4, 40)) {
        let weights = &weights[..rows.len()];
        let copies: Vec<Scored> =
            rows.iter().zip(weights).flat_map(|(r, w)| vec![r.clone(); *w as usize]).collect();
        prop_assume!(!copies.is_empty());
        let once = vec![1; copies.len()];
        let by_weight = set_figures(&names(3), &rows, weights, |r, c| rows[r].scores[c] >= 0.5);
        prop_assert_eq!(by_weight, at(&copies, 0.5));
        let mut reliability = [Reliability::new(Task::Instruments, 3), Reliability::new(Task::Instruments, 3)];
        rows.iter().zip(weights).for_each(|(r, w)| reliability[0].add_times(*w, &r.scores, &r.truth));
        copies.iter().for_each(|r| reliability[1].add(&r.scores, &r.truth));
        let [a, b] = reliability.map(|r| r.figures().map(|f| [f.class_mean, f.negative_log_likelihood, f.brier]));
        let precision = [mean_average_precision(&rows, 3)(weights), mean_average_precision(&copies, 3)(&once)];
        let area = [mean_roc_auc(&rows, 3)(weights), mean_roc_auc(&copies, 3)(&once)];
        let pairs = [precision, area].into_iter().chain((0..3).map(|i| [a.map(|f| f[i]), b.map(|f| f[i])]));
        for pair in pairs {
            match pair {
                [Some(a), Some(b)] => prop_assert!((a - b).abs() < 1e-9, "{pair:?}"),
                [a, b] => prop_assert_eq!(a, b),
            }
        }
    }

    /// Truth told as it is, hop by hop: everything is right, and nothing flickers.
    #[test]
    fn a_perfect_listener_is_perfect(cuts in proptest::collection::vec(0.15_f64..0.6, 2..8)) {
        let mut truth = Vec::new();
        let mut now = 0.1;
        for (i, length) in cuts.iter().enumerate() {
            truth.push(Event { class: i % 3, start_s: now, end_s: now + length });
            now += length + 0.05;
        }
        let active = |t: f64| truth.iter().find(|e| e.start_s <= t && t < e.end_s).map(|e| e.class);
        let mut judge = Judge::new(&names(3), 0.05);
        judge.add(&truth, &Heard { hops: hops(now + 0.5, active), told: truth.clone(), duration_s: now + 0.5 });
        let all = judge.all();
        prop_assert_eq!((all.f1, all.frame_f1, all.never, judge.flicker_per_s()), (1.0, 1.0, 0, 0.0));
        prop_assert!(all.reaction_p90_s.unwrap() <= 0.05 + 1e-9);
    }
}
