//! The VST3 in a whole workstation, Ardour: inserted, played, seen, saved, closed and opened again.
//!
//! `cargo test --workspace --test hosted -- --nocapture` prints what happened, step by step.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ardour;
mod midi;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocco_tests::display::{Display, spread};
use tocco_tests::jack::Server;
use tocco_tests::locate;
use tocco_tests::osc::Receiver;
use tocco_tests::phrase::Phrase;
use tocco_tests::state::{State, VST3_ID};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};

use crate::ardour::{Ardour, Home, state_in};
use crate::midi::{Message, Recorder};

const RATE: u32 = 48_000;
const BUFFER: u32 = 1024;
/// The track's name in Ardour, and how it stands in OSC addresses.
const TRACK: (&str, &str) = ("Double bass", "Double_bass");
/// A picture without the panel has less.
const LEAST_SPREAD: f64 = 0.02;
/// A point on the list of plugins of Ardour's mixer strip.
const ON_THE_STRIP: (i16, i16) = (55, 210);
/// On the panel in Ardour: the class `plucked`, and the switch of its mapping.
const CLASS_AND_SWITCH: [(i16, i16); 2] = [(100, 526), (34, 397)];
/// Of the time in which a class was played, OSC tells it for so much at least, and not for longer than that.
const TOLD: std::ops::Range<f64> = 0.8..1.15;

/// What the player set before: everything differs from the defaults.
fn state(port: u16) -> State {
    State::empty()
        .with_parameter("min_conf", json!({"f32": 0.6}))
        .with_setting("model", json!({"library": "bowed-plucked"}))
        .with_setting("name", json!("Basement"))
        .with_setting("mappings", json!({"plucked": {"mode": "note", "channel": 3, "number": 64}}))
        .with_osc_port(port)
}

#[test]
fn ardour_plays_saves_and_opens_again() {
    let Some(_) = locate::needed(locate::tool("ardour")) else { return };
    let Some(vst3) = locate::needed(locate::vst3()) else { return };
    let Some(_server) = locate::needed(Server::start(RATE, BUFFER)) else { return };
    let Some(display) = locate::needed(Display::start("1600x1200x24")) else { return };
    let demo = locate::repository().join("tests/demo");
    let phrase = Phrase::load(&demo).unwrap();
    let (osc, midi) = (Receiver::start().unwrap(), Recorder::start().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let wanted = state(osc.port());
    let home = Home::new(folder.path(), &vst3, ("stage", &wanted)).unwrap();

    let ardour = insert(&home, &display, &demo.join("phrase.flac"));
    midi.connect(&format!("ardour:{}/midi_out 1", TRACK.0)).unwrap();
    assert!(osc.wait(Duration::from_secs(10), |_| names_classes(&osc)), "no /classes in:\n{}", home.log());

    open_panel(&ardour, &display);
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ardour.png");
    midi.take();
    // From the beginning to the last note, with a picture in the middle of the first.
    play(&ardour, &osc, &phrase, (0.0, 26.0), || {
        std::thread::sleep(Duration::from_secs(4));
        display.shoot(&picture, Some((760, 634))).unwrap();
    });
    let spread = spread(&picture).unwrap();
    assert!(spread > LEAST_SPREAD, "{} is blank: {spread}", picture.display());
    println!("the panel in Ardour: {}", picture.display());
    check_midi(&midi.take());

    ardour.save().unwrap();
    let saved = || state_in(&std::fs::read_to_string(home.project()).unwrap()).unwrap();
    a_change_on_the_panel_marks_the_project(&ardour, &display);
    let first = saved();
    check_state(&first, &wanted);
    ardour.quit().unwrap();
    println!("saved and closed: {}", first.settings());

    let ardour = home.open(&display).unwrap();
    let told = midi.take().len();
    println!("reopened: {told} MIDI messages at the port while the project was opened");
    // Ardour tells a VST3 all its parameters, and 2080 controllers are among them: none may reach a synth.
    assert!(told < 100, "{told} messages flood what is wired behind");
    play(&ardour, &osc, &phrase, (9.4, 17.5), || ());
    check_midi(&midi.take());
    ardour.save().unwrap();
    check_state(&saved(), &wanted);
    assert_eq!(rounded(saved().parameters()), rounded(first.parameters()), "after a second life");
    ardour.quit().unwrap();
    println!("model, OSC port, name, mapping and parameters are as they were");
}

/// A new project with the plugin and the recording on a track.
fn insert<'a>(home: &'a Home, display: &Display, recording: &Path) -> Ardour<'a> {
    for _ in 0..3 {
        let ardour = home.open(display).unwrap();
        let said = ardour.step("insert", &[TRACK.0, VST3_ID, "stage", &recording.to_string_lossy()]).unwrap();
        // The new ports are requests to JACK too: see `Home::open`.
        std::thread::sleep(Duration::from_secs(1));
        if home.was_sent_away() {
            drop(ardour);
            std::fs::remove_dir_all(home.project().parent().unwrap()).unwrap();
            continue;
        }
        assert!(said.contains("preset stage, 1 region"), "{said}");
        println!("inserted: {said}");
        return ardour;
    }
    panic!("JACK sends Ardour away each time:\n{}", home.log());
}

/// Opens the plugin's window from the mixer strip beside the tracks.
fn open_panel(ardour: &Ardour, display: &Display) {
    ardour.action("Editor/show-editor-mixer").unwrap();
    let (connection, screen) = x11rb::connect(Some(display.environment()[0].1)).unwrap();
    let root = connection.setup().roots[screen].root;
    // The menu of plugins is that of the strip under the pointer.
    let (x, y) = ON_THE_STRIP;
    for _ in 0..4 {
        connection.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, x, y).unwrap().check().unwrap();
        // On a busy machine Ardour may see the pointer only after what is chosen here, and then chooses nothing.
        std::thread::sleep(Duration::from_millis(500));
        ardour.action("ProcessorMenu/selectall").unwrap();
        ardour.action("ProcessorMenu/edit").unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            if let Some(title) = titles(display).into_iter().find(|title| title.contains(": Tocco")) {
                return println!("opened the window «{title}»");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // The pointer enters the strip anew.
        connection.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, 1000, 1000).unwrap().check().unwrap();
    }
    panic!("no window of the plugin:\n{}", ardour.log());
}

/// VST3 as the framework offers it lets a plugin say no such thing: a hidden parameter moves instead.
fn a_change_on_the_panel_marks_the_project(ardour: &Ardour, display: &Display) {
    let [class, switch] = CLASS_AND_SWITCH;
    display.click(class.0, class.1).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!is_marked(display), "another page is no change: {:?}", titles(display));
    for what in ["off", "on"] {
        // On a busy machine a click may come before the page is drawn; one on the class opens or closes it.
        let found = [false, false, true, true].into_iter().any(|turns_page| {
            if turns_page {
                display.click(class.0, class.1).unwrap();
                std::thread::sleep(Duration::from_secs(1));
            }
            display.click(switch.0, switch.1).unwrap();
            becomes_marked(display)
        });
        println!("a mapping was switched {what} on the panel: {:?}", titles(display));
        assert!(found, "{:?}", titles(display));
        ardour.save().unwrap();
    }
}

/// Ardour's own mark of what is not saved: a star before the name.
fn is_marked(display: &Display) -> bool {
    titles(display).iter().any(|title| title.starts_with('*'))
}

fn becomes_marked(display: &Display) -> bool {
    let start = Instant::now();
    while !is_marked(display) && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
    }
    is_marked(display)
}

/// Of all windows.
fn titles(display: &Display) -> Vec<String> {
    let (connection, screen) = x11rb::connect(Some(display.environment()[0].1)).unwrap();
    let root = connection.setup().roots[screen].root;
    let title = |window| {
        let name = connection.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64).unwrap().reply();
        name.map(|name| String::from_utf8_lossy(&name.value).into_owned()).unwrap_or_default()
    };
    connection.query_tree(root).unwrap().reply().unwrap().children.into_iter().map(title).collect()
}

/// Whether the list of classes arrived, under the name of the track.
fn names_classes(osc: &Receiver) -> bool {
    let addressed = osc.messages(&format!("/tocco/{}/classes", TRACK.1));
    let wanted: Vec<rosc::OscType> = ["bowed", "plucked", "none"].map(rosc::OscType::from).to_vec();
    addressed.last().is_some_and(|message| message.args == wanted)
}

/// Plays a part of the phrase, from and to a second, and compares what OSC tells with what was played.
fn play(ardour: &Ardour, osc: &Receiver, phrase: &Phrase, (from_s, to_s): (f64, f64), meanwhile: impl FnOnce()) {
    let before = osc.datagrams().len();
    ardour.play(sample(from_s), sample(to_s), meanwhile).unwrap();
    std::thread::sleep(Duration::from_secs(1));

    let messages: Vec<_> = osc.datagrams()[before..].iter().filter_map(|datagram| datagram.message()).collect();
    let status = osc.messages("/status").pop().map(|message| message.args);
    println!("played {from_s} s to {to_s} s: {} OSC messages, the last status {status:?}", messages.len());
    assert!(names_classes(osc));
    for (index, class) in [(0, "bowed"), (1, "plucked")] {
        let played: f64 = phrase
            .truth
            .iter()
            .filter(|stretch| stretch.class == class)
            .map(|stretch| (stretch.end_s.min(to_s) - stretch.start_s.max(from_s)).max(0.0))
            .sum();
        // One at each decision, every 20 ms.
        let bare = messages.iter().filter(|m| m.addr == "/class" && m.args == [rosc::OscType::Int(index)]).count();
        let told = bare as f64 * 0.02;
        println!("  {class}: {played:.2} s were played, /class {index} told {told:.2} s");
        assert!(TOLD.contains(&(told / played)), "{class}: {told:.2} s of {played:.2} s\n{}", ardour.log());
    }
}

fn sample(time_s: f64) -> i32 {
    serde_json::from_str(&format!("{:.0}", time_s * f64::from(RATE))).unwrap()
}

/// The default controller follows `bowed`; the note that `plucked` is mapped to sounds and ends.
fn check_midi(messages: &[Message]) {
    let loudest = messages.iter().filter(|m| m[..2] == [0xb0, 12]).map(|m| m[2]).max();
    let starts = messages.iter().filter(|m| m[..2] == [0x92, 64] && m[2] > 0).count();
    let ends = messages.iter().filter(|m| m[..2] == [0x82, 64] || **m == [0x92, 64, 0]).count();
    println!(
        "  MIDI: {} messages, controller 12 up to {loudest:?}, note 64 on channel 3 {starts} times",
        messages.len()
    );
    assert!(loudest > Some(100), "controller 12 rises to {loudest:?} only");
    assert!(starts > 0 && starts == ends, "note 64 starts {starts} times and ends {ends} times");
}

fn check_state(state: &State, wanted: &State) {
    let (settings, wanted) = (state.settings(), wanted.settings());
    for key in ["model", "name"] {
        assert_eq!(settings[key], wanted[key], "{key}");
    }
    let is_in = |part: &Value, whole: &Value| part.as_object().unwrap().iter().all(|(key, value)| whole[key] == *value);
    let target = &settings["osc"]["targets"][0];
    assert!(is_in(&wanted["osc"], target), "{target} is not {}", wanted["osc"]);
    for (class, mapping) in wanted["mappings"].as_object().unwrap() {
        assert!(is_in(mapping, &settings["mappings"][class]), "{class}: {mapping} is not in {settings}");
    }
    let confidence = state.parameter("min_conf")["f32"].as_f64().unwrap();
    assert!((confidence - 0.6).abs() < 1e-4, "{confidence}");
}

/// Parameters without what a VST3 host's way over numbers from 0 to 1 costs.
fn rounded(parameters: &Value) -> Vec<(String, String)> {
    let value =
        |value: &Value| value["f32"].as_f64().map_or_else(|| value.to_string(), |number| format!("{number:.3}"));
    parameters.as_object().unwrap().iter().map(|(id, parameter)| (id.clone(), value(parameter))).collect()
}
