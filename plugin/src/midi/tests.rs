#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

fn decide(map: &mut MidiMap, posterior: &[f32], active: &[usize]) -> Vec<Message> {
    let mut sent = Vec::new();
    map.decide(posterior, active.iter().copied().collect(), |message| {
        sent.push(message);
        true
    });
    sent
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
    map.decide(&[1.0], ClassSet::default(), |_| false);
    assert_eq!(decide(&mut map, &[1.0], &[]).len(), 1);
}

#[test]
fn notes_and_gates_follow_what_holds() {
    let mappings = [
        ("class 0".to_owned(), Mapping { mode: MidiMode::Note, channel: 3, number: 60 }),
        ("class 1".to_owned(), Mapping { mode: MidiMode::Gate, channel: 16, number: 80 }),
        ("class 2".to_owned(), Mapping { mode: MidiMode::Off, channel: 1, number: 1 }),
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
        let mapping = Mapping { mode, channel: 1, number: 60 };
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
