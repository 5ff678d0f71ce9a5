#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
use super::*;
use crate::decision::{Decider, Smoothing};
use crate::error::Result;
use crate::model::{Model, Runner};
use crate::recognizer::Recognizer;
use crate::test_models::{MELS, bytes, card, sine};
use proptest::prelude::*;

/// Hops of 10 ms after which the decider turns from the one class to the other, the first that says so not counted.
fn turned(task: Task, policy: &Policy) -> f64 {
    let mut card = card();
    card.task = task;
    card.thresholds = vec![0.4, 0.7, 0.5];
    let mut decider = Decider::new(&card, 10.0, policy).unwrap();
    for _ in 0..3000 {
        decider.decide(&[0.0, 1.0, 0.0], true);
    }
    let is_high = |hop: &usize| {
        let verdict = decider.decide(&[1.0, 0.0, 0.0], true);
        // Nobody waits longer than this, whatever the policy.
        verdict.active.contains(0) || *hop > 3000
    };
    (0..).find(is_high).unwrap() as f64
}

fn policies() -> impl Strategy<Value = Policy> {
    let smoothing = prop_oneof![
        (0.0_f32..600.0).prop_map(|ms| Smoothing::MovingAverage { ms }),
        (0.02_f32..=1.0).prop_map(|sensitivity| Smoothing::Leaky { sensitivity }),
    ];
    (smoothing, 0.0_f32..0.95, 0.0_f32..0.98, 0.0_f32..300.0).prop_map(
        |(smoothing, hysteresis, min_confidence, min_duration_ms)| Policy {
            smoothing,
            hysteresis,
            min_confidence,
            min_duration_ms,
            ..Policy::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_policy_s_terms_are_what_the_decider_takes(policy in policies()) {
        for task in [Task::Technique, Task::Instruments] {
            // The class that sets in has the threshold 0.4.
            let threshold = (task == Task::Instruments).then_some(0.4);
            let (smoothing, min_duration) = policy.extra_hops(10.0, threshold);
            let took = turned(task, &policy);
            let early = smoothing + min_duration - took;
            // A probability that meets its bound exactly may fall on either side of it in 32 bits.
            prop_assert!(early >= -1.0, "{took} hops, {smoothing} + {min_duration} computed");
            // A high minimum confidence lets the old class fall to `none` first, and from there the way is shorter.
            if task == Task::Instruments || policy.min_confidence <= 0.5 {
                prop_assert!(early <= 1.0, "{took} hops, {smoothing} + {min_duration} computed");
            }
        }
    }
}

#[test]
fn the_default_policy_costs_one_hop_of_20_ms_and_nothing_where_smoothing_is_off() {
    let hops = |policy: &Policy, hop_ms| policy.extra_hops(hop_ms, None);
    let policy = Policy::default();
    // Three hops are averaged, and two of them are a clear lead.
    assert_eq!(hops(&policy, 20.0), (1.0, 0.0));
    let off = Policy { smoothing: Smoothing::MovingAverage { ms: 0.0 }, min_duration_ms: 30.0, ..policy };
    assert_eq!(hops(&off, 10.0), (0.0, 2.0));
    assert_eq!(turned(Task::Technique, &off), 2.0);
}

/// Answers as soon as it can: which half of the newest frame's bands holds more, of the last window where there are
/// several.
struct Louder(f32);

impl Runner for Louder {
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> Result<()> {
        let newest = &input[input.len() - MELS..];
        let energy = |bands: &[f32]| bands.iter().map(|band| band.exp()).sum::<f32>();
        let (low, high) = newest.split_at(MELS / 2);
        let is_high = energy(high) > self.0 * energy(low);
        logits.copy_from_slice(if is_high { &[20.0, 0.0, 0.0] } else { &[0.0, 20.0, 0.0] });
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_change_between_two_sounds_is_decided_within_the_sum_and_not_much_before() {
    decided_within_the_sum(&[]);
    decided_within_the_sum(&[512]);
}

fn decided_within_the_sum(extra_windows: &[usize]) {
    let mut card = Model::from_bytes(&bytes()).unwrap().card().clone();
    let frontend = FrontendConfig { extra_windows: extra_windows.to_vec(), ..card.frontend.unwrap() };
    card.frontend = Some(frontend.clone());
    for rate in [24_000.0, 44_100.0, 48_000.0, 96_000.0] {
        for policy in [Policy::default(), Policy { min_duration_ms: 50.0, ..Policy::default() }] {
            // Bands have areas of different width: what the two tones weigh settles where the balance lies.
            let balance = balance(&frontend, rate);
            let mut delays = Vec::new();
            let mut sum = 0.0;
            for start in (0..40).map(|i| 12_000 + i * 53) {
                let mut recognizer = Recognizer::with_runner(&card, Box::new(Louder(balance)), rate, &policy).unwrap();
                sum = recognizer.latency().total();
                let low = &sine(rate, 200.0, 1.0)[..start];
                let sound = [low, &sine(rate, 6000.0, 0.5)].concat();
                let mut decided = None;
                recognizer
                    .push(&sound, |d| {
                        if d.class == Some(0) && decided.is_none() {
                            decided = Some(d.known_at);
                        }
                    })
                    .unwrap();
                delays.push((decided.unwrap() as f64 - start as f64) / rate);
            }
            let longest = delays.iter().copied().fold(0.0, f64::max);
            let shortest = delays.iter().copied().fold(f64::MAX, f64::min);
            let waits = card.hop() as f64 / 24_000.0 + 0.004;
            println!("{rate} Hz: {:.1} to {:.1} ms, sum {:.1} ms", 1e3 * shortest, 1e3 * longest, 1e3 * sum);
            // Half a millisecond for the tones' own beginning.
            assert!(longest <= sum + 0.0005, "{longest} s at {rate} Hz, {sum} computed");
            assert!(shortest >= sum - waits, "{shortest} s at {rate} Hz, {sum} computed");
        }
    }
}

/// The energy of the high tone in the upper bands over that of the low tone in the lower ones.
fn balance(config: &FrontendConfig, rate: f64) -> f32 {
    let energy = |hz: f64, upper: bool| {
        let mut frontend = crate::Frontend::new(24_000, config, rate).unwrap();
        let mut last = Vec::new();
        frontend.push(&sine(rate, hz, 0.3), |frame| last = frame.to_vec());
        let (low, high) = last[last.len() - MELS..].split_at(MELS / 2);
        let half = if upper { high } else { low };
        half.iter().map(|band| band.exp()).sum::<f32>()
    };
    energy(6000.0, true) / energy(200.0, false)
}
