#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use tocco_models::{ClassSet, MAX_CLASSES};

use super::*;
use crate::state::Velocity;

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

fn decide(map: &mut MidiMap, posterior: &[f32], active: &[usize]) -> Vec<Message> {
    decide_at(map, 0.0, posterior, active, &[])
}

/// A decision at `now_s`, at -30 dBFS, while some classes are tried out.
fn decide_at(map: &mut MidiMap, now_s: f64, posterior: &[f32], active: &[usize], tried: &[usize]) -> Vec<Message> {
    let mut sent = Vec::new();
    let active = active.iter().copied().collect();
    let moment = Moment { posterior, active, gate_open: true, level_dbfs: -30.0, now_s };
    map.decide(&moment, tried.iter().copied().collect(), |message| {
        sent.push(message);
        true
    });
    sent
}

/// A map of one class.
fn one(mapping: Mapping) -> MidiMap {
    MidiMap::new(&classes(1), &[("class 0".to_owned(), mapping)].into())
}

#[test]
fn default_numbers_follow_the_documented_order() {
    let numbers: Vec<(u8, u8)> = (0..27).map(default_mapping).map(|m| (m.channel, m.number)).collect();
    assert_eq!(&numbers[..7], [(1, 12), (1, 13), (1, 16), (1, 17), (1, 18), (1, 19), (1, 80)]);
    assert_eq!(&numbers[10..16], [(1, 91), (1, 92), (1, 93), (1, 94), (1, 95), (1, 70)]);
    assert_eq!(&numbers[24..], [(1, 79), (2, 12), (2, 13)]);
    assert!((0..MAX_CLASSES).all(|class| default_mapping(class).channel <= 16));
}

#[test]
fn a_value_goes_out_only_when_its_seven_bits_change() {
    let mut map = MidiMap::new(&classes(1), &BTreeMap::new());
    let controller = |value| vec![Message::Controller { channel: 0, number: 12, value }];
    assert_eq!(decide(&mut map, &[0.5], &[]), controller(64));
    assert_eq!(decide(&mut map, &[0.503], &[]), []);
    assert_eq!(decide(&mut map, &[0.51], &[]), controller(65));
    assert_eq!(decide(&mut map, &[7.0], &[]), controller(127));
    assert_eq!(decide(&mut map, &[f32::NAN], &[]), controller(0));
}

#[test]
fn a_full_ring_is_tried_again() {
    let mut map = MidiMap::new(&classes(1), &BTreeMap::new());
    let active = ClassSet::default();
    let moment = Moment { posterior: &[1.0], active, gate_open: true, level_dbfs: 0.0, now_s: 0.0 };
    map.decide(&moment, active, |_| false);
    assert_eq!(decide(&mut map, &[1.0], &[]).len(), 1);
}

#[test]
fn notes_and_gates_follow_what_holds() {
    let mappings = [
        ("class 0".to_owned(), Mapping::new(MidiMode::Note, 3, 60)),
        ("class 1".to_owned(), Mapping::new(MidiMode::Gate, 16, 80)),
        ("class 2".to_owned(), Mapping { on: false, ..Mapping::new(MidiMode::Probability, 1, 1) }),
    ];
    let mut map = MidiMap::new(&classes(3), &mappings.into());
    assert_eq!(decide(&mut map, &[0.4, 0.3, 0.3], &[]), []);
    let on = decide(&mut map, &[0.8, 0.1, 0.1], &[0]);
    assert_eq!(on, [Message::Note { channel: 2, key: 60, velocity: 102 }]);
    assert_eq!(decide(&mut map, &[0.9, 0.1, 0.0], &[0]), [], "a held note is not struck again");
    let change = decide(&mut map, &[0.1, 0.9, 0.0], &[1]);
    assert_eq!(
        change,
        [Message::Note { channel: 2, key: 60, velocity: 0 }, Message::Gate { channel: 15, number: 80, on: true }]
    );
}

/// What the host gets: it is not told twice that a note sounds.
fn heard(map: &mut MidiMap, sounding: &mut Sounding, active: &[usize]) -> Vec<Message> {
    let mut sent = decide(map, &[0.5, 0.5], active);
    sent.retain(|&message| {
        let changes = sounding.changes(message);
        sounding.note_down(message);
        changes
    });
    sent
}

#[test]
fn two_classes_share_a_note_or_a_gate() {
    let note = |velocity| Message::Note { channel: 0, key: 60, velocity };
    let gate = |on| Message::Gate { channel: 0, number: 60, on };
    for (mode, on, off) in [(MidiMode::Note, note(64), note(0)), (MidiMode::Gate, gate(true), gate(false))] {
        let mapping = Mapping::new(mode, 1, 60);
        let mappings = ["class 0", "class 1"].map(|name| (name.to_owned(), mapping));
        let mut map = MidiMap::new(&classes(2), &mappings.into());
        let mut sounding = Sounding::default();
        let mut heard = |active: &[usize]| heard(&mut map, &mut sounding, active);
        // One hands it on to the other, in both directions.
        assert_eq!(heard(&[0]), [on]);
        assert_eq!(heard(&[1]), [off, on]);
        assert_eq!(heard(&[0]), [off, on]);
        // Both hold it: it ends with the last, whichever that is.
        assert_eq!(heard(&[0, 1]), []);
        assert_eq!(heard(&[1]), []);
        assert_eq!(heard(&[0, 1]), []);
        assert_eq!(heard(&[0]), []);
        assert_eq!(heard(&[0, 1]), []);
        assert_eq!(heard(&[]), [off]);
    }
}

#[test]
fn release_ends_exactly_what_is_held() {
    let mut sounding = Sounding::default();
    let note = |key, velocity| Message::Note { channel: 1, key, velocity };
    let gate = |number, on| Message::Gate { channel: 15, number, on };
    assert!(!sounding.changes(note(60, 0)), "an end of what does not sound is not sent");
    for message in [note(60, 100), note(127, 1), gate(0, true), note(60, 0)] {
        assert!(sounding.changes(message));
        sounding.note_down(message);
        assert!(!sounding.changes(message));
    }
    let mut sent = Vec::new();
    sounding.release(|message| {
        sent.push(message);
        true
    });
    assert_eq!(sent, [note(127, 0), gate(0, false)]);
    assert!(sounding.is_silent());
}

#[test]
fn what_the_host_does_not_take_stays_held() {
    let mut sounding = Sounding::default();
    sounding.note_down(Message::Note { channel: 0, key: 5, velocity: 9 });
    sounding.release(|_| false);
    assert!(!sounding.is_silent());
}

const CONTROLLER: Mapping = Mapping::new(MidiMode::Probability, 1, 20);
const NOTE: Mapping = Mapping::new(MidiMode::Note, 1, 60);

fn values(messages: &[Message]) -> Vec<u8> {
    let value = |message: &Message| match *message {
        Message::Controller { value, .. } => value,
        Message::Note { velocity, .. } => velocity,
        Message::Gate { on, .. } => u8::from(on),
        Message::Program { program, .. } => program,
        Message::Release => unreachable!(),
    };
    messages.iter().map(value).collect()
}

#[test]
fn range_curve_and_threshold_shape_a_controller() {
    let at = |mapping: Mapping, probability: f32| values(&decide(&mut one(mapping), &[probability], &[]))[0];
    let ranged = Mapping { low: 20, high: 100, ..CONTROLLER };
    assert_eq!([0.0, 0.5, 1.0].map(|p| at(ranged, p)), [20, 60, 100]);
    let upside_down = Mapping { low: 127, high: 0, ..CONTROLLER };
    assert_eq!([0.0, 0.5, 1.0].map(|p| at(upside_down, p)), [127, 64, 0]);
    let bent = Mapping { curve: 2.0, ..CONTROLLER };
    assert_eq!([0.0, 0.5, 1.0].map(|p| at(bent, p)), [0, 32, 127]);
    let late = Mapping { threshold: Some(0.5), ..CONTROLLER };
    assert_eq!([0.4, 0.5, 0.75, 1.0].map(|p| at(late, p)), [0, 0, 64, 127]);
    let never = Mapping { threshold: Some(1.0), ..CONTROLLER };
    assert_eq!([0.99, 1.0].map(|p| at(never, p)), [0, 127]);
}

#[test]
fn a_smoothed_controller_arrives_by_its_time_constant_however_often_it_is_asked() {
    let smoothed = Mapping { smoothing_ms: 100.0, ..CONTROLLER };
    let after_100_ms = |hops: u32| {
        let mut map = one(smoothed);
        decide_at(&mut map, 0.0, &[0.0], &[], &[]);
        (1..=hops).map(|hop| decide_at(&mut map, 0.1 * f64::from(hop) / f64::from(hops), &[1.0], &[], &[])).last()
    };
    // 1 - 1/e of 127.
    assert_eq!([1, 5, 20].map(|hops| values(&after_100_ms(hops).unwrap())), [[80], [80], [80]]);
}

#[test]
fn a_threshold_of_its_own_counts_instead_of_the_decision_and_lets_go_late() {
    let mut map = one(Mapping { threshold: Some(0.6), ..NOTE });
    assert_eq!(decide(&mut map, &[0.59], &[0]), []);
    assert_eq!(values(&decide(&mut map, &[0.6], &[])), [76]);
    assert_eq!(decide(&mut map, &[0.55], &[]), []);
    assert_eq!(values(&decide(&mut map, &[0.53], &[])), [0]);
}

#[test]
fn what_is_too_short_never_sounds() {
    let mut map = one(Mapping { min_duration_ms: 60.0, ..NOTE });
    let mut at = |ms: f64, active: &[usize]| values(&decide_at(&mut map, ms / 1000.0, &[1.0], active, &[]));
    assert_eq!([at(0.0, &[0]), at(40.0, &[0]), at(50.0, &[])], [[0; 0]; 3]);
    assert_eq!([at(100.0, &[0]), at(159.0, &[0])], [[0; 0]; 2]);
    assert_eq!(at(160.0, &[0]), [127]);
    assert_eq!(at(180.0, &[]), [0]);
}

#[test]
fn velocity_follows_confidence_or_level() {
    assert_eq!(values(&decide(&mut one(NOTE), &[0.5], &[0])), [64]);
    let by_level = Mapping { velocity: Velocity::Level, ..NOTE };
    assert_eq!(values(&decide(&mut one(by_level), &[1.0], &[0])), [64], "-30 dBFS is half of 60 dB");
    let silent = Mapping { low: 0, high: 0, ..NOTE };
    assert_eq!(values(&decide(&mut one(silent), &[1.0], &[0])), [1], "a velocity of 0 would be a note-off");
}

#[test]
fn a_program_goes_out_once_each_time() {
    let mut map = one(Mapping::new(MidiMode::Program, 2, 5));
    let program = Message::Program { channel: 1, program: 5 };
    let told: Vec<_> = [&[][..], &[0], &[0], &[], &[0]].iter().map(|active| decide(&mut map, &[1.0], active)).collect();
    assert_eq!(told, [vec![], vec![program], vec![], vec![], vec![program]]);
}

#[test]
fn what_is_switched_off_is_silent() {
    for mode in MidiMode::ALL {
        let mut map = one(Mapping { on: false, ..Mapping::new(mode, 1, 20) });
        assert_eq!(decide_at(&mut map, 0.0, &[1.0], &[0], &[0]), [], "{mode:?}");
    }
}

#[test]
fn a_message_can_be_tried_out_and_ends_by_itself() {
    for (mode, on, off) in [(MidiMode::Probability, 127, 13), (MidiMode::Gate, 1, 0), (MidiMode::Note, 127, 0)] {
        let mut map = one(Mapping::new(mode, 1, 20));
        decide_at(&mut map, 0.0, &[0.1], &[], &[]);
        assert_eq!(values(&decide_at(&mut map, 0.02, &[0.1], &[], &[0])), [on], "{mode:?}");
        assert_eq!(decide_at(&mut map, 0.4, &[0.1], &[], &[]), [], "{mode:?} is held");
        assert_eq!(values(&decide_at(&mut map, 0.43, &[0.1], &[], &[])), [off], "{mode:?}");
    }
}
