//! Whatever ends the playing ends the notes too, wherever the recognizer runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use std::time::{Duration, Instant};

use host::{Host, Pace, phrase};
use nice_plug::midi::Key;
use nice_plug::prelude::*;
use serde_json::{Value, json};
use tocco_plugin::mode::Mode;

const RATE: f32 = 48_000.0;
const LARGEST: usize = 512;

/// Where the recognizer runs in a test.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    AudioThread,
    Worker,
    Offline,
}

const PLACES: [Place; 3] = [Place::AudioThread, Place::Worker, Place::Offline];

/// The class `none`, which holds in silence, as a note and as a gate; the other classes as nothing.
fn settings(model: &str, key: u8) -> Value {
    json!({
        "model": {"library": model},
        "slots": {"3": {"library": "instruments"}},
        "osc": {"host": "127.0.0.1", "port": 9},
        "mappings": {
            "none": {"mode": "note", "channel": 1, "number": key},
            "bowed": {"mode": "off", "channel": 1, "number": 0},
            "plucked": {"mode": "off", "channel": 1, "number": 0},
        }
    })
}

struct Stage {
    host: Host,
    place: Place,
    pace: Pace,
}

impl Stage {
    /// In silence, so that the note of `none` sounds.
    fn holding_a_note(place: Place) -> Self {
        let run_in = if place == Place::Worker { 1.0 } else { 0.5 };
        let mode = if place == Place::Offline { ProcessMode::Offline } else { ProcessMode::Realtime };
        let host = Host::new(&settings("bowed-plucked", 60), &[("run_in", run_in)], RATE, LARGEST as u32, mode);
        let mut stage = Self { host, place, pace: Pace::default() };
        let sent = stage.until(|event| matches!(event, NoteEvent::NoteOn { .. }));
        assert_eq!(sent.len(), 1, "{place:?}: {sent:?}");
        stage
    }

    /// One block of silence, in the time that it takes.
    fn block(&mut self) -> Vec<NoteEvent<()>> {
        self.host.process(&mut [0.0; LARGEST]);
        self.pace.wait(LARGEST as f64 / f64::from(RATE));
        self.host.block.sent.clone()
    }

    /// Silence until such an event; everything that was sent.
    fn until(&mut self, wanted: impl Fn(&NoteEvent<()>) -> bool) -> Vec<NoteEvent<()>> {
        let start = Instant::now();
        let mut sent = Vec::new();
        while start.elapsed() < Duration::from_secs(10) {
            sent.extend(self.block());
            if sent.iter().any(&wanted) {
                return sent;
            }
        }
        panic!("{:?}: only {sent:?}", self.place);
    }

    /// The note ends with the next block's first sample, and the sound passes untouched.
    fn assert_ends_at_once(&mut self) {
        let sound = &phrase(RATE)[..64];
        let mut heard = sound.to_vec();
        self.host.process(&mut heard);
        assert_eq!(heard, sound);
        let sent = &self.host.block.sent;
        assert!(matches!(sent[..], [NoteEvent::NoteOff { timing: 0, .. }]), "{:?}: {sent:?}", self.place);
    }

    /// The note ends within the next blocks.
    fn assert_ends(&mut self) {
        let sent = self.until(|event| matches!(event, NoteEvent::NoteOff { .. }));
        assert_eq!(sent.iter().filter(|event| matches!(event, NoteEvent::NoteOff { .. })).count(), 1, "{sent:?}");
    }

    fn restore(&mut self, settings: &Value) {
        self.host.plugin.params().deserialize_fields(&[("settings".to_owned(), settings.to_string())].into());
    }
}

#[test]
fn a_reset_ends_it() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.plugin.reset();
        stage.assert_ends_at_once();
    }
}

#[test]
fn bypass_ends_it_and_silences() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.set("bypass", 1.0);
        stage.assert_ends_at_once();
        assert!((0..20).all(|_| stage.block().is_empty()));
    }
}

#[test]
fn a_stop_of_the_transport_ends_it_and_does_not_strike_it_again() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.block.transport.playing = false;
        stage.assert_ends_at_once();
        let again = (0..20).flat_map(|_| stage.block()).any(|event| matches!(event, NoteEvent::NoteOn { .. }));
        assert!(!again, "{place:?}");
    }
}

#[test]
fn a_deactivation_ends_it_with_the_first_block_after_it() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.plugin.deactivate();
        stage.host.activate(RATE, LARGEST as u32, ProcessMode::Realtime);
        stage.assert_ends_at_once();
    }
}

#[test]
fn the_end_of_processing_ends_it_with_the_next_block() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.plugin.stop_processing();
        stage.assert_ends_at_once();
    }
}

#[test]
fn another_model_by_the_project_or_by_the_host_s_slot_ends_it() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.restore(&settings("instruments", 60));
        stage.assert_ends();
        let mut stage = Stage::holding_a_note(place);
        stage.host.set("slot", 3.0 / 8.0);
        stage.assert_ends();
    }
}

#[test]
fn another_mapping_ends_it_and_strikes_the_new_one() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.restore(&settings("bowed-plucked", 72));
        let is_new = |event: &NoteEvent<()>| matches!(event, NoteEvent::NoteOn { key, .. } if *key == Key::Number(72));
        let sent = stage.until(is_new);
        let [first, .., last] = &sent[..] else { panic!("{sent:?}") };
        assert!(matches!(first, NoteEvent::NoteOff { key, .. } if *key == Key::Number(60)), "{sent:?}");
        assert!(is_new(last), "{sent:?}");
    }
}

#[test]
fn midi_switched_off_ends_it() {
    for place in PLACES {
        let mut stage = Stage::holding_a_note(place);
        stage.host.set("midi_on", 0.0);
        stage.assert_ends();
    }
}

#[test]
fn a_move_to_another_thread_ends_it_and_strikes_it_again() {
    for (place, run_in, mode) in [(Place::AudioThread, 1.0, Mode::Worker), (Place::Worker, 0.5, Mode::AudioThread)] {
        let mut stage = Stage::holding_a_note(place);
        stage.host.set("run_in", run_in);
        let sent = stage.until(|event| matches!(event, NoteEvent::NoteOn { .. }));
        assert!(matches!(sent[..], [NoteEvent::NoteOff { .. }, NoteEvent::NoteOn { .. }]), "{sent:?}");
        assert_eq!(stage.host.plugin.mode(), mode);
    }
}
