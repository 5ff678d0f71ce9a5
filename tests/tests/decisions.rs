//! What leaves the plugin in a host: OSC on a real socket, MIDI, and the same decisions live and offline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use std::time::Duration;

use rosc::OscType;
use serde_json::json;
use tocco_tests::demo::stream;
use tocco_tests::host::{Emitted, Host, Message, Processor};
use tocco_tests::osc::{Datagram, Event, Receiver};
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;
use tocco_tests::{locate, synthetic};

/// The controllers of the classes high, low and none: the first three of the design's list.
const CONTROLLERS: [u8; 3] = [12, 13, 16];

struct Bench {
    host: Host,
    receiver: Receiver,
    _folder: tempfile::TempDir,
}

/// A host with the synthetic model and its own OSC socket; `change` adds to the state.
fn bench(change: impl FnOnce(State) -> State) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    let receiver = Receiver::start().unwrap();
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    host.restore(&change(State::empty().with_model(&model).with_osc_port(receiver.port()))).unwrap();
    Bench { host, receiver, _folder: folder }
}

impl Bench {
    /// The sound at the pace of a sound card.
    fn live(&mut self, rate: f64) -> Vec<Emitted> {
        self.host.set_offline(false).unwrap();
        let processor = self.host.activate(rate, 512).unwrap();
        let sound = render(&LOW_AND_HIGH, rate);
        let (processor, emitted) =
            std::thread::scope(|scope| scope.spawn(|| stream(processor, &sound, rate)).join().unwrap()).unwrap();
        self.settle(processor);
        emitted
    }

    /// The sound as fast as it goes.
    fn offline(&mut self, rate: f64, block: usize) -> Vec<Emitted> {
        self.host.set_offline(true).unwrap();
        let mut processor = self.host.activate(rate, block as u32).unwrap();
        let (_, emitted) = processor.run(&vec![render(&LOW_AND_HIGH, rate); 2], block).unwrap();
        self.settle(processor);
        emitted
    }

    /// Lets the messages under way arrive.
    fn settle(&mut self, processor: Processor) {
        std::thread::sleep(Duration::from_millis(250));
        self.host.deactivate(processor);
        std::thread::sleep(Duration::from_millis(50));
    }

    /// How many windows the plugin says it dropped.
    fn late(&self) -> i32 {
        let late = |args: &[OscType]| match args {
            [.., OscType::Int(late), OscType::String(_)] => *late,
            _ => panic!("a status without a count: {args:?}"),
        };
        self.receiver.messages("/status").iter().map(|m| late(&m.args)).max().unwrap_or(0)
    }
}

fn type_tag(argument: &OscType) -> char {
    match argument {
        OscType::String(_) => 's',
        OscType::Int(_) => 'i',
        OscType::Float(_) => 'f',
        _ => '?',
    }
}

/// The changes of decision, without the `none` that may come before the first tone.
fn heard(events: &[Event]) -> Vec<&str> {
    classes(events).into_iter().skip_while(|class| *class == "none").collect()
}

fn classes(events: &[Event]) -> Vec<&str> {
    events.iter().map(|e| e.class.as_str()).collect()
}

/// The classes in the order of the made sound: what any correct plugin says.
const SAID: [&str; 7] = ["low", "high", "low", "none", "high", "low", "none"];

#[test]
fn class_messages_are_exactly_the_bytes_that_patches_wait_for() {
    let mut bench = bench(|state| state);
    bench.live(48_000.0);
    let datagrams = bench.receiver.datagrams();
    let bare: Vec<&Datagram> = datagrams.iter().filter(|d| d.bytes.starts_with(b"/class\0")).collect();
    let of = |index: u8| [b"/class\0\0,i\0\0\0\0\0".as_slice(), &[index]].concat();
    let known = [of(synthetic::HIGH as u8), of(synthetic::LOW as u8)];
    for datagram in &bare {
        assert!(known.contains(&datagram.bytes), "{:?}", datagram.bytes);
    }
    for bytes in &known {
        let count = bare.iter().filter(|d| d.bytes == *bytes).count();
        // 0.7 s of high and 1 s of low, one message every 10 ms, less what the decision needs to turn.
        assert!((40..=140).contains(&count), "{count} messages {bytes:?}");
    }
    // Nothing comes in a bundle.
    assert!(datagrams.iter().all(|d| d.message().is_some()));
}

#[test]
fn the_full_messages_say_what_the_design_says() {
    let mut bench = bench(|state| state.with_setting("name", json!("Bass / 1")));
    bench.live(44_100.0);
    let datagrams = bench.receiver.datagrams();
    let messages: Vec<_> = datagrams.iter().filter_map(Datagram::message).collect();
    let ours = "/tocco/Bass___1/";
    for message in messages.iter().filter(|m| m.addr != "/class") {
        let Some(kind) = message.addr.strip_prefix(ours) else { panic!("the address {}", message.addr) };
        let types: String = message.args.iter().map(type_tag).collect();
        match kind {
            "event" => assert_eq!(types, "sffi"),
            "probs" => assert_eq!(types, "fff"),
            "classes" => assert_eq!(message.args, synthetic::CLASSES.map(|c| OscType::String(c.into()))),
            "status" => {
                assert_eq!(types, "sffis");
                assert!(
                    matches!(&message.args[0], OscType::String(mode) if mode == "worker" || mode == "audio-thread")
                );
            }
            "active" => assert!(types.chars().all(|t| t == 's')),
            other => panic!("the address {other} is not in the design"),
        }
    }
    for kind in ["event", "probs", "classes", "status"] {
        assert!(messages.iter().any(|m| m.addr == format!("{ours}{kind}")), "no {kind}");
    }
    let events = bench.receiver.events();
    assert_eq!(heard(&events), SAID, "events: {events:?}");
    for event in &events {
        assert_eq!(synthetic::CLASSES[usize::try_from(event.index).unwrap()], event.class);
    }
    // The first low tone starts at 0.35 s. The stamp is the sound's own time: the middle of an analysis window of
    // 43 ms, so it may lie half of that before the tone.
    let low = events.iter().find(|e| e.class == "low").unwrap();
    assert!((0.328..0.45).contains(&low.time_s), "{low:?}");
}

#[test]
fn control_changes_follow_the_probabilities() {
    let mut bench = bench(|state| state);
    let emitted = bench.live(48_000.0);
    let changes: Vec<(u64, u8, u8)> = emitted
        .iter()
        .map(|e| match e.message.control_change() {
            Some((0, controller, value)) if CONTROLLERS.contains(&controller) => (e.at, controller, value),
            _ => panic!("{e:?}"),
        })
        .collect();
    for (controller, class) in CONTROLLERS.into_iter().zip(synthetic::CLASSES).take(2) {
        let values: Vec<u8> = changes.iter().filter(|(_, c, _)| *c == controller).map(|(_, _, v)| *v).collect();
        assert!(values.iter().any(|&v| v > 120), "{class} never sounds: {values:?}");
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]), "{class} repeats a value: {values:?}");
        assert!(values.last().is_some_and(|&v| v < 8), "{class} sounds in silence: {values:?}");
    }
    // While the first low tone sounds (0.35 to 0.8 s), its controller is up and the other down.
    let value_at = |controller: u8, second: f64| {
        let before = |at: u64| (at as f64) < second * 48_000.0;
        changes.iter().rev().find(|(at, c, _)| *c == controller && before(*at)).map_or(0, |(_, _, value)| *value)
    };
    assert!(value_at(CONTROLLERS[synthetic::LOW], 0.75) > 120);
    assert!(value_at(CONTROLLERS[synthetic::HIGH], 0.75) < 8);
    assert!(value_at(CONTROLLERS[synthetic::HIGH], 1.15) > 120);
}

#[test]
fn notes_and_gates_start_and_end() {
    let mut bench = bench(|state| {
        state.with_setting(
            "mappings",
            json!({"low": {"mode": "note", "channel": 2, "number": 40}, "high": {"mode": "gate", "channel": 1, "number": 20},
                   "none": {"mode": "off", "channel": 1, "number": 0}}),
        )
    });
    let emitted = bench.offline(48_000.0, 512);
    let notes: Vec<Message> = emitted.iter().map(|e| e.message).filter(|m| m.control_change().is_none()).collect();
    assert_eq!(notes.len(), 6, "three low tones: {notes:?}");
    for pair in notes.chunks(2) {
        assert!(
            matches!(pair, [Message::NoteOn(1, 40, velocity), Message::NoteOff(1, 40)] if *velocity > 0.4),
            "{pair:?}"
        );
    }
    let gates: Vec<(u8, u8, u8)> =
        emitted.iter().filter_map(|e| e.message.control_change()).filter(|g| g.1 == 20).collect();
    assert_eq!(gates, [(0, 20, 127), (0, 20, 0), (0, 20, 127), (0, 20, 0)]);
}

#[test]
fn offline_decisions_and_midi_do_not_depend_on_the_block_size() {
    for rate in [22_050.0, 48_000.0, 192_000.0] {
        let run = |block| {
            let mut bench = bench(|state| state);
            let emitted = bench.offline(rate, block);
            (emitted, bench.receiver.events())
        };
        let (reference, events) = run(512);
        assert!(reference.len() > 20, "{} MIDI events at {rate} Hz", reference.len());
        assert_eq!(heard(&events), SAID, "{rate} Hz: {events:?}");
        for block in [1, 17, 64, 8192] {
            let (emitted, other) = run(block);
            assert_eq!(emitted, reference, "MIDI at {rate} Hz in blocks of {block}");
            assert_eq!(other, events, "events at {rate} Hz in blocks of {block}");
        }
    }
}

#[test]
fn live_decisions_equal_offline_ones() {
    let rate = 44_100.0;
    let mut offline = bench(|state| state);
    let bounced = offline.offline(rate, 512);
    let expected = offline.receiver.events();
    assert_eq!(heard(&expected), SAID);
    // The plugin drops sound where the machine is too slow, and says so: then there is nothing to compare.
    for attempt in 1..=3 {
        let mut live = bench(|state| state);
        let played = live.live(rate);
        if live.late() > 0 {
            eprintln!("attempt {attempt}: {} windows were late", live.late());
            continue;
        }
        assert_eq!(live.receiver.events(), expected);
        // MIDI comes later in worker mode, but the same in the same order.
        let of = |emitted: &[Emitted], controller: u8| -> Vec<u8> {
            emitted
                .iter()
                .filter_map(|e| e.message.control_change())
                .filter(|c| c.1 == controller)
                .map(|c| c.2)
                .collect()
        };
        for controller in CONTROLLERS {
            let (bounced, played) = (of(&bounced, controller), of(&played, controller));
            let both = bounced.len().min(played.len());
            assert!(both > 3 && bounced.len() - both <= 1, "controller {controller}: {bounced:?} and {played:?}");
            assert_eq!(bounced[..both], played[..both], "controller {controller}");
        }
        return;
    }
    panic!("this machine was too slow three times");
}

#[test]
fn a_second_instance_of_the_same_name_gets_a_number() {
    let mut first = bench(|state| state.with_setting("name", json!("Duo")));
    let second = bench(|state| state.with_setting("name", json!("Duo")));
    let Bench { mut host, receiver, _folder } = second;
    let processor = host.activate(48_000.0, 512).unwrap();
    first.live(48_000.0);
    let name = |receiver: &Receiver| {
        let mut names: Vec<String> =
            receiver.messages("/status").iter().filter_map(|m| Some(m.addr.split('/').nth(2)?.to_owned())).collect();
        names.sort();
        names.dedup();
        names
    };
    let both = [name(&first.receiver), name(&receiver)].concat();
    host.deactivate(processor);
    let mut sorted = both.clone();
    sorted.sort();
    assert_eq!(sorted, ["Duo", "Duo-2"], "{both:?}");
}
