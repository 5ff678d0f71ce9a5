#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::test_models::card;

fn policy() -> Policy {
    Policy { smoothing: Smoothing::MovingAverage { ms: 0.0 }, ..Policy::default() }
}

fn decider(task: Task, policy: Policy) -> Decider {
    let mut card = card();
    card.task = task;
    Decider::new(&card, 10.0, &policy).unwrap()
}

fn instruments(thresholds: [f32; 3], hysteresis: f32) -> Decider {
    let card = crate::Card { task: Task::Instruments, thresholds: thresholds.into(), ..card() };
    Decider::new(&card, 10.0, &Policy { hysteresis, ..policy() }).unwrap()
}

/// Classes of the test card: high, low, none.
fn classes(decider: &mut Decider, posteriors: &[[f32; 3]]) -> Vec<Option<usize>> {
    posteriors.iter().map(|p| decider.decide(p, true).class).collect()
}

#[test]
fn the_gate_opens_on_one_loud_window_and_closes_after_the_whole_hold() {
    let mut gate = Gate::new(1000.0, -40.0, 50.0);
    let mut states = Vec::new();
    for window in 0..12 {
        for _ in 0..10 {
            gate.push(if window == 2 { 0.1 } else { 0.001 });
        }
        states.push(gate.is_open());
    }
    // Opens at the end of window 2; windows 3 to 7 are the 50 ms of hold.
    assert_eq!(states.iter().position(|&s| s), Some(2));
    assert_eq!(states.iter().rposition(|&s| s), Some(6));
    assert!((gate.level_dbfs() + 60.0).abs() < 0.1);
}

#[test]
fn a_technique_needs_its_lead_over_the_current_one() {
    let mut d = decider(Task::Technique, Policy { hysteresis: 0.3, min_confidence: 0.4, ..policy() });
    let heard = classes(&mut d, &[[0.8, 0.1, 0.1], [0.42, 0.48, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]);
    assert_eq!(heard, [Some(0), Some(0), Some(1), Some(2)]);
}

#[test]
fn below_the_minimum_confidence_it_is_none() {
    let mut d = decider(Task::Technique, Policy { min_confidence: 0.6, ..policy() });
    assert_eq!(classes(&mut d, &[[0.55, 0.25, 0.2], [0.7, 0.2, 0.1]]), [Some(2), Some(0)]);
}

#[test]
fn a_change_counts_only_after_the_minimum_duration() {
    let mut d = decider(Task::Technique, Policy { min_duration_ms: 30.0, ..policy() });
    let high = [0.9, 0.05, 0.05];
    let low = [0.05, 0.9, 0.05];
    let heard = classes(&mut d, &[high, high, high, low, high, low, low, low]);
    let none = Some(2);
    let (h, l) = (Some(0), Some(1));
    assert_eq!(heard, [none, none, h, h, h, h, h, l]);
}

#[test]
fn without_a_class_none_nothing_lasts_by_itself_too() {
    let mut foreign = card();
    foreign.classes = ["a", "b", "c"].map(String::from).into();
    let held = Policy { min_duration_ms: 30.0, min_confidence: 0.6, ..policy() };
    let mut d = Decider::new(&foreign, 10.0, &held).unwrap();
    let (a, b, unsure) = ([0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3]);
    // One hop of «a» between two of nothing is no third hop of either.
    let heard = classes(&mut d, &[b, b, b, unsure, a, unsure, unsure, unsure, a, a, a]);
    let (a, b) = (Some(0), Some(1));
    assert_eq!(heard, [None, None, b, b, b, b, b, None, None, None, a]);
}

#[test]
fn instruments_sound_together_each_at_its_threshold() {
    let mut d = instruments([0.3, 0.6, 0.5], 0.1);
    let sets: Vec<Vec<usize>> = [[0.35, 0.65, 0.0], [0.25, 0.55, 0.0], [0.1, 0.55, 0.0], [0.1, 0.1, 0.9]]
        .iter()
        .map(|p| d.decide(p, true).active.iter().collect())
        .collect();
    // 0.25 and 0.55 lie within the hysteresis; `none` sounds only where nothing else does.
    assert_eq!(sets, [vec![0, 1], vec![0, 1], vec![1], vec![2]]);
}

#[test]
fn an_instrument_with_a_low_threshold_ends_too() {
    let mut d = instruments([0.2, 0.5, 0.5], 0.25);
    let mut sounds = |p: f32| d.decide(&[p, 0.0, 0.0], true).active.contains(0);
    assert_eq!([sounds(0.2), sounds(0.11), sounds(0.09)], [true, true, false]);
}

#[test]
fn a_closed_gate_is_none_at_once_and_forgets_the_past() {
    let mut d = decider(Task::Technique, Policy { smoothing: Smoothing::MovingAverage { ms: 100.0 }, ..policy() });
    classes(&mut d, &[[1.0, 0.0, 0.0]; 10]);
    let closed = d.decide(&[1.0, 0.0, 0.0], false);
    assert_eq!((closed.class, closed.changed), (Some(2), true));
    assert_eq!(d.posterior(), [0.0, 0.0, 1.0]);
    // With the past forgotten, the first hop of the next note counts in full.
    assert_eq!(d.decide(&[0.0, 1.0, 0.0], true).class, Some(1));
}

#[test]
fn smoothing_follows_its_formula() {
    let mut mean = Smoother::new(1, 10.0, Smoothing::MovingAverage { ms: 30.0 });
    let mut leaky = Smoother::new(1, 10.0, Smoothing::Leaky { sensitivity: 0.25 });
    let mut out = Vec::new();
    for x in [1.0, 0.0, 0.0, 0.0] {
        mean.push(&[x]);
        leaky.push(&[x]);
        out.push((mean.output()[0], leaky.output()[0]));
    }
    assert_eq!(out, [(1.0, 1.0), (0.5, 0.75), (1.0 / 3.0, 0.5625), (0.0, 0.421_875)]);
}

#[test]
fn a_policy_out_of_range_is_named() {
    let error = Policy { min_confidence: f32::NAN, ..Policy::default() }.check().unwrap_err().to_string();
    assert!(error.contains("minimum confidence"), "{error}");
}
