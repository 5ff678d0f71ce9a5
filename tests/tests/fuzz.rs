//! Whatever a host or a project does to the plugin, the sound passes and nothing panics.
//!
//! The plugin is linked into this program, so that a panic on any of its threads is seen, whether it is caught or not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clack_host::utils::ClapId;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tocco_tests::host::{Host, Input, Parameter, Processor};
use tocco_tests::sounds::{LOW_AND_HIGH, any_bits, render};
use tocco_tests::state::State;
use tocco_tests::synthetic;

const ROUNDS: usize = 500;
/// Longest block of all, in samples.
const LONGEST: u32 = 2048;
const RATES: [f64; 6] = [8000.0, 22_050.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0];

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A plugin whose panics are counted, with a small model, others in two of the slots, and no OSC; and the folder that
/// holds the model.
fn host() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    let state = State::empty()
        .with_model(&model)
        .with_setting("slots", json!({"1": {"library": "bowed-plucked"}, "2": {"path": "/nowhere/gone.onnx"}}))
        .with_parameter("osc_on", json!({"bool": false}));
    let mut host = Host::inside().unwrap();
    // After the first instance: with it the framework sets a hook of its own.
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(about);
        }));
    });
    host.restore(&state).unwrap();
    (host, folder)
}

fn bits(sound: &[Vec<f32>], length: usize) -> Vec<Vec<u32>> {
    sound.iter().map(|channel| channel[..length].iter().map(|sample| sample.to_bits()).collect()).collect()
}

/// Random numbers, the same in each run.
struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        // Marsaglia's xorshift32.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.next() as usize % things.len()]
    }

    /// A parameter's new value: mostly one that it may have.
    fn event(&mut self, parameters: &[Parameter]) -> Input {
        let index = self.below(parameters.len() as u32) as usize;
        let (id, range) = (parameters[index].id, &parameters[index].range);
        let fit = range.start() + (range.end() - range.start()) * f64::from(self.below(1001)) / 1000.0;
        match self.below(20) {
            0 => Input::Parameter(id, self.of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e9, 1e-310])),
            1 => Input::Parameter(ClapId::new(self.below(u32::MAX)), fit),
            2 => Input::Midi([0x80 | self.below(0x70) as u8, self.below(128) as u8, self.below(128) as u8]),
            _ => Input::Parameter(id, fit),
        }
    }

    /// Any sound: tones, or numbers of every kind, NaN and infinity among them.
    fn sound(&mut self, tones: &[f32], length: usize) -> Vec<f32> {
        if self.one_in(3) {
            return any_bits(length, self.next());
        }
        let start = self.below((tones.len() - length) as u32) as usize;
        tones[start..start + length].to_vec()
    }
}

/// Hosts that come to the plugin's state by another way than it did see the same values.
fn restores_elsewhere(host: &mut Host, parameters: &[Parameter], when: &str) {
    let saved = host.save().unwrap();
    let mut second = Host::inside().unwrap();
    second.restore(&saved).unwrap();
    for Parameter { id, name, range, .. } in parameters {
        let value = host.value(*id).unwrap();
        assert!(range.contains(&value), "{name} is {value} {when}");
        assert_eq!(second.value(*id).unwrap(), value, "{name} {when}");
    }
    assert_eq!(second.save().unwrap(), saved, "{when}");
}

/// Some blocks with any events at any of their samples.
fn play(processor: &mut Processor, channels: usize, dice: &mut Dice, parameters: &[Parameter], tones: &[f32]) {
    for _ in 0..4 {
        let length = if dice.one_in(10) { dice.below(3) } else { dice.below(LONGEST + 1) };
        let mut events: Vec<_> = Vec::new();
        if !parameters.is_empty() {
            events.extend((0..dice.below(12)).map(|_| (dice.below(length.max(1)), dice.event(parameters))));
        }
        if !dice.one_in(4) {
            events.sort_by_key(|(at, _)| *at);
        }
        let sound: Vec<Vec<f32>> = (0..channels).map(|_| dice.sound(tones, length as usize)).collect();
        let input: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        let mut output = vec![vec![0.25; length as usize]; channels];
        processor.process_at(&input, &mut output, &events).unwrap();
        assert!(bits(&output, length as usize) == bits(&sound, length as usize), "a block of {length}");
    }
}

#[test]
fn five_hundred_rounds_of_anything_leave_the_sound_and_the_state_whole() {
    let (mut host, _folder) = host();
    let parameters = host.parameters().unwrap();
    let tones = render(&LOW_AND_HIGH, 48_000.0);
    let mut dice = Dice(2_463_534_242);
    let mut channels = 2;
    let mut processor = host.activate(48_000.0, LONGEST).unwrap();
    for round in 0..ROUNDS {
        match dice.below(10) {
            0 => processor.reset(),
            1 => processor = processor.pause().unwrap(),
            2 => processor.playing = !processor.playing,
            3 => {
                host.deactivate(processor);
                channels = 1 + dice.below(2);
                host.select_channels(channels).unwrap();
                host.set_offline(dice.one_in(3)).unwrap();
                let moved: Vec<_> = (0..dice.below(5)).map(|_| dice.event(&parameters)).collect();
                host.flush(&moved).unwrap();
                processor = host.activate(dice.of(&RATES), LONGEST).unwrap();
            }
            _ => {}
        }
        play(&mut processor, channels as usize, &mut dice, &parameters, &tones);
        host.run_callbacks();
        // The loader and the worker come by between two rounds.
        std::thread::sleep(Duration::from_millis(4));
        if round % 20 == 19 {
            restores_elsewhere(&mut host, &parameters, &format!("after round {round}"));
        }
    }
    host.deactivate(processor);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked: the reasons stand above");
}

/// Names that a state gives a meaning to.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "model",
        "path",
        "library",
        "slots",
        "1",
        "name",
        "osc",
        "targets",
        "messages",
        "event",
        "mappings",
        "low",
        "mode",
        "channel",
        "number",
        "editor",
        "width",
        "height",
        "zoom",
        "light",
        "version",
        "threshold",
        "curve",
    ];
    prop_oneof![9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2_i64..300).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["gate", "note", "program", "dark", "techniques", "/nowhere/x.onnx"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key(), inner), 0..6).prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    })
}

/// What a state says of one parameter, right or wrong.
fn parameter(whole: &State) -> impl Strategy<Value = (String, Value)> + use<> {
    let mut ids: Vec<String> = whole.parameters().as_object().unwrap().keys().cloned().collect();
    // What is sent would reach whoever listens at the default port.
    ids.retain(|id| id != "osc_on");
    ids.push("of_a_later_version".into());
    let value = prop_oneof![
        any::<f32>().prop_filter_map("no number", |f| f.is_finite().then(|| json!({"f32": f}))),
        any::<i32>().prop_map(|i| json!({"i32": i})),
        any::<bool>().prop_map(|b| json!({"bool": b})),
        prop::sample::select(vec!["leaky", "left", "audio", "worker", "?"]).prop_map(|s| json!({"string": s})),
    ];
    (prop::sample::select(ids), value)
}

/// What a host may take for a state, given one that is whole: a broken one, one of nowhere, or any bytes.
fn state(whole: &State) -> impl Strategy<Value = Vec<u8>> + use<> {
    let framed = |json: Vec<u8>| [&(json.len() as u64).to_le_bytes()[..], &json].concat();
    let made =
        (vec(parameter(whole), 0..8), anything(), any::<bool>()).prop_map(move |(parameters, settings, is_text)| {
            let settings = if is_text { Value::from(settings.to_string()) } else { settings };
            let state = json!({"version": "9", "params": Map::from_iter(parameters), "fields": {"settings": settings}});
            framed(state.to_string().into_bytes())
        });
    let whole = whole.to_bytes();
    let length = whole.len();
    let edited = vec((0..length, any::<u8>()), 1..6).prop_map(move |edits| {
        let mut bytes = whole.clone();
        edits.iter().for_each(|&(at, byte)| bytes[at] = byte);
        bytes
    });
    prop_oneof![
        6 => made,
        3 => edited,
        1 => vec(any::<u8>(), 0..200),
        1 => vec(any::<u8>(), 0..200).prop_map(framed),
    ]
}

#[test]
fn no_state_stops_the_sound_or_lasts_longer_than_the_next() {
    let (mut host, _folder) = host();
    let parameters = host.parameters().unwrap();
    let tones = render(&LOW_AND_HIGH, 48_000.0);
    let processor = Some(host.activate(48_000.0, LONGEST).unwrap());
    let whole = host.save().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let stage = RefCell::new((host, processor, Dice(77)));
    let outcome = runner.run(&state(&whole), |bytes| {
        let (host, processor, dice) = &mut *stage.borrow_mut();
        // Whether the plugin says no is its business.
        let _ = host.restore_bytes(&bytes);
        host.run_callbacks();
        // Every other time it meets the state when it is activated, else while it plays.
        if dice.one_in(2) {
            host.deactivate(processor.take().unwrap());
            *processor = Some(host.activate(48_000.0, LONGEST).unwrap());
        }
        play(processor.as_mut().unwrap(), 2, dice, &[], &tones);
        for Parameter { id, name, range, .. } in &parameters {
            let value = host.value(*id).unwrap();
            prop_assert!(range.contains(&value), "{name} is {value}");
        }
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
        // What it made of it is a state itself, and a whole one takes its place.
        let made = host.save().unwrap();
        host.restore(&made).unwrap();
        prop_assert_eq!(host.save().unwrap(), made);
        host.restore(&whole).unwrap();
        prop_assert_eq!(host.save().unwrap(), whole.clone());
        Ok(())
    });
    let (mut host, processor, _) = stage.into_inner();
    host.deactivate(processor.unwrap());
    outcome.unwrap();
}
