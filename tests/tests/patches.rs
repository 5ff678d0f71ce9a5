//! The shipped patches: Pure Data and SuperCollider receive what the plugin sends; the Max patch is whole.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocco_tests::demo::stream;
use tocco_tests::host::Host;
use tocco_tests::phrase::Phrase;
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;
use tocco_tests::{locate, synthetic};

/// The port of the shipped patches, the plugin's default.
const PORT: u16 = 5005;

/// Whether something listens at a UDP port of this machine.
fn is_taken(port: u16) -> bool {
    std::net::UdpSocket::bind(("0.0.0.0", port)).is_err()
}

/// One patch at a time has the port.
static PORT_IN_USE: Mutex<()> = Mutex::new(());

/// A program that runs a shipped patch, once it listens.
fn listening(command: &mut Command) -> locate::Child {
    assert!(!is_taken(PORT), "port {PORT} is taken: end what listens there");
    let patch = locate::Child::start(command).unwrap();
    let start = Instant::now();
    while !is_taken(PORT) {
        assert!(start.elapsed() < Duration::from_secs(20), "{command:?} does not listen at port {PORT}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // It has the port; what is behind it follows.
    std::thread::sleep(Duration::from_millis(300));
    patch
}

/// Plays a sound in real time through the plugin, with its OSC at the port of the patches.
fn play(state: &State, sound: &[f32], rate: f64) {
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    host.restore(state).unwrap();
    let processor = host.activate(rate, 512).unwrap();
    let (processor, _) =
        std::thread::scope(|scope| scope.spawn(|| stream(processor, sound, rate)).join().unwrap()).unwrap();
    host.deactivate(processor);
    std::thread::sleep(Duration::from_millis(300));
}

/// Plays high and low tones to a model that tells them apart.
fn play_high_and_low() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    play(&State::empty().with_model(&model), &render(&LOW_AND_HIGH, 48_000.0), 48_000.0);
}

/// What both patches print while [`play_high_and_low`] plays.
fn check_what_it_said(said: &str) {
    for (index, class) in synthetic::CLASSES.iter().enumerate().take(2) {
        let lines = said.lines().filter(|line| *line == format!("class: {index}")).count();
        assert!(lines > 20, "{lines} lines «class: {index}» from:\n{said}");
        assert!(said.contains(&format!("event: {class} ")), "no event of {class} in:\n{said}");
    }
    assert!(said.contains("classes: high low none"), "{said}");
    assert!(!said.contains("error") && !said.contains("failed") && !said.contains("ERROR"), "{said}");
}

#[test]
fn pure_data_receives_both_families_through_the_shipped_patch() {
    let Some(pd) = locate::needed(locate::tool("pd")) else { return };
    let _alone = PORT_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let patch = locate::repository().join("examples/pd/tocco.pd");
    let mut command = Command::new(pd);
    command.args(["-nogui", "-stderr", "-noaudio", "-nomidi", "-open"]).arg(&patch).stderr(Stdio::piped());
    let mut pd = listening(&mut command);
    play_high_and_low();
    pd.0.kill().unwrap();
    let mut said = String::new();
    pd.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    check_what_it_said(&said);
}

#[test]
fn supercollider_receives_everything_through_the_shipped_patch() {
    let Some(sclang) = locate::needed(locate::tool("sclang")) else { return };
    let _alone = PORT_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let patch = locate::repository().join("examples/supercollider/tocco.scd");
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("posted.txt");
    let mut command = Command::new(sclang);
    // As a program without a window; its browser for the help does not start as root otherwise.
    command.arg("-D").arg(&patch).env("QT_QPA_PLATFORM", "offscreen").env("QTWEBENGINE_DISABLE_SANDBOX", "1");
    command.stdout(std::fs::File::create(&said).unwrap()).stderr(Stdio::null());
    let sclang = listening(&mut command);
    play_high_and_low();
    // The instruments: what sounds is a list.
    let phrase = Phrase::load(&locate::repository().join("tests/demo")).unwrap();
    let instruments = State::empty().with_setting("model", json!({"library": "instruments"}));
    play(&instruments, phrase.part(0.5, 5.0), f64::from(phrase.rate));
    drop(sclang);

    let said = std::fs::read_to_string(&said).unwrap();
    check_what_it_said(&said);
    assert!(said.lines().any(|line| line.starts_with("probs: ") && line.split(' ').count() == 4), "{said}");
    assert!(said.lines().any(|line| line.starts_with("active: ") && line.len() > "active: ".len()), "{said}");
    assert!(said.contains("status: audio-thread, ") || said.contains("status: worker, "), "{said}");
}

/// How many outlets an object of Max has.
#[derive(Clone, Copy)]
enum Outlets {
    /// So many.
    Are(u64),
    /// One for each argument.
    OneEach,
    /// And one for what matches none.
    OneEachAndTheRest,
}

/// Objects that Max itself brings, with their inlets and outlets as its reference states them.
const MAX: [(&str, u64, Outlets); 11] = [
    ("comment", 1, Outlets::Are(0)),
    ("flonum", 1, Outlets::Are(2)),
    ("message", 2, Outlets::Are(1)),
    ("multislider", 1, Outlets::Are(2)),
    ("number", 1, Outlets::Are(2)),
    ("prepend", 1, Outlets::Are(1)),
    ("print", 1, Outlets::Are(0)),
    ("route", 1, Outlets::OneEachAndTheRest),
    ("udpreceive", 1, Outlets::Are(1)),
    ("unpack", 1, Outlets::OneEach),
    ("zl.len", 2, Outlets::Are(2)),
];

#[test]
fn the_max_patch_is_whole() {
    let path = locate::repository().join("examples/max/tocco.maxpat");
    let patch: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let boxes = patch["patcher"]["boxes"].as_array().unwrap();
    let id_of = |start: &str| {
        let found = boxes.iter().find(|b| b["box"]["text"].as_str().is_some_and(|text| text.starts_with(start)));
        found.unwrap_or_else(|| panic!("no object {start}"))["box"]["id"].as_str().unwrap()
    };
    let outlets = |id: &str| {
        let found = boxes.iter().find(|b| b["box"]["id"] == id).unwrap_or_else(|| panic!("no object with the id {id}"));
        (found["box"]["numinlets"].as_u64().unwrap(), found["box"]["numoutlets"].as_u64().unwrap())
    };
    let mut cords = Vec::new();
    for line in patch["patcher"]["lines"].as_array().unwrap() {
        let end = |key: &str| {
            let end = &line["patchline"][key];
            (end[0].as_str().unwrap(), end[1].as_u64().unwrap())
        };
        let (source, destination) = (end("source"), end("destination"));
        assert!(source.1 < outlets(source.0).1 && destination.1 < outlets(destination.0).0, "{line}");
        cords.push((source, destination));
    }
    for object in boxes.iter().map(|b| &b["box"]) {
        let kind = object["maxclass"].as_str().unwrap();
        let words: Vec<&str> = object["text"].as_str().unwrap_or_default().split_whitespace().collect();
        let name = if kind == "newobj" { words[0] } else { kind };
        let (_, inlets, outlets) =
            *MAX.iter().find(|known| known.0 == name).unwrap_or_else(|| panic!("Max has no {name}"));
        let outlets = match outlets {
            Outlets::Are(count) => count,
            Outlets::OneEach => words.len() as u64 - 1,
            Outlets::OneEachAndTheRest => words.len() as u64,
        };
        let (said, found) = ((inlets, outlets), (object["numinlets"].as_u64(), object["numoutlets"].as_u64()));
        assert_eq!((Some(said.0), Some(said.1)), found, "in- and outlets of {object}");
    }
    let (receive, route) = (id_of(&format!("udpreceive {PORT}")), id_of("route /class "));
    assert!(cords.contains(&((receive, 0), (route, 0))));
    let text = boxes.iter().find(|b| b["box"]["id"] == route).unwrap()["box"]["text"].as_str().unwrap();
    let routed: Vec<&str> = text.split_whitespace().skip(1).collect();
    let ours = ["event", "probs", "classes", "active", "status"].map(|last| format!("/tocco/Tocco/{last}"));
    let wanted: Vec<&str> = ["/class"].into_iter().chain(ours.iter().map(String::as_str)).collect();
    assert_eq!(routed, wanted);
    for (outlet, address) in (0..).zip(&routed) {
        assert!(cords.iter().any(|(source, _)| *source == (route, outlet)), "{address} goes nowhere");
    }
}
