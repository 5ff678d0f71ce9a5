//! Live sound without a host: the command `tocco listen` and the standalone, on a JACK server without a sound card.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tocco_tests::display::Display;
use tocco_tests::jack::{Listener, Player, Server, write_wav};
use tocco_tests::locate::{self, Child};
use tocco_tests::osc::{Event, Receiver};
use tocco_tests::phrase::Phrase;
use tocco_tests::{sounds, synthetic};

/// Not the framework's own, so that who goes by that is found out.
const RATE: u32 = 44_100;
const BUFFER: u32 = 256;
/// The ports of `tocco listen`: cpal gives the client its name.
const LISTENER: &str = "^cpal_client_.*_in:in_0$";
/// Both inputs of the standalone.
const STANDALONE: &str = "^tocco:.*[12]$";
/// A part of the demonstration phrase that begins with bowed notes and ends with plucked ones.
const BOWED_AND_PLUCKED_S: (f64, f64) = (9.0, 16.5);
/// Samples of silence behind it: the gate closes after 200 ms.
const SILENCE: usize = 26_460;
/// The longest wait for messages that are on their way.
const LONGEST: Duration = Duration::from_secs(20);

/// One test, one after the other: all share the server that this process's environment names.
#[test]
fn live_sound_through_jack() {
    let Some(server) = locate::needed(Server::start(RATE, BUFFER)) else { return };
    let Some(_) = locate::needed(locate::tocco()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high-low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    the_command_hears_live_what_it_hears_in_the_file(folder.path(), &model);
    what_jack_does_not_have_is_refused(&model);
    the_standalone_sends_what_it_hears(folder.path());
    the_standalone_starts_again_with_the_input_that_is_chosen_on_its_panel(folder.path());
    a_device_that_goes_away_ends_it_with_a_sentence(server, &model);
}

fn the_command_hears_live_what_it_hears_in_the_file(folder: &Path, model: &Path) {
    let sound = sounds::render(&sounds::LOW_AND_HIGH, f64::from(RATE));
    let expected = heard_in_file(folder, model, &sound);
    assert!(expected.len() > 5, "{expected:?}");

    let receiver = Receiver::start().unwrap();
    let mut program = tocco(&["listen", "--backend", "jack", "--format", "json", "--name", "stage", "--model"]);
    program.arg(model).args(["--osc", &format!("127.0.0.1:{}", receiver.port())]);
    let listening = start(&mut program);
    let player = Player::new(sound).unwrap();
    player.connect(LISTENER).unwrap();
    player.play().unwrap();
    let _ = receiver.wait(LONGEST, |_| receiver.events().len() >= expected.len());
    let heard = events_at_the_end(&receiver);
    let output = end_by_ctrl_c(listening);

    assert_eq!(classes(&heard), classes(&expected));
    for (live, file) in heard.windows(2).zip(expected.windows(2)) {
        let [live, file] = [live, file].map(|pair| pair[1].time_s - pair[0].time_s);
        // The live sound begins anywhere within a hop (10 ms): each change may fall into the hop beside.
        assert!((live - file).abs() < 0.025, "{live} s live, {file} s in the file: {heard:?} {expected:?}");
    }
    assert!(receiver.messages("/tocco/stage/classes").len() >= 2, "for receivers that start later");
    assert!(!receiver.messages("/class").is_empty());
    let [printed, remarks] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let printed: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed.iter().map(|change| change["class"].as_str().unwrap()).collect::<Vec<_>>(), classes(&heard));
    assert!(output.status.success(), "{remarks}");
    assert!(remarks.contains("«JACK Input» (JACK) at 44100 Hz") && remarks.contains("no sample was lost"), "{remarks}");
    // 256 samples. What JACK reports beyond them is how late it woke us.
    assert!(remarks.contains(" ms: buffer 5.8 + driver ") && remarks.contains(" + look 1.0 + "), "{remarks}");
}

fn what_jack_does_not_have_is_refused(model: &Path) {
    let listed = tocco(&["devices", "--backend", "jack"]).output().unwrap();
    let told = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success(), "{told}");
    assert_eq!(told, "JACK\n   1  JACK Input (input), 1 to 64 channels, 44100 Hz, smallest buffer 256 samples\n");

    let refusal = |options: &[&str]| {
        let mut program = tocco(&["listen", "--backend", "jack", "--seconds", "1", "--model"]);
        let output = program.arg(model).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = refusal(&["--device", "theremin"]);
    assert!(told.contains("«theremin»; there is: 1 «JACK Input»\n"), "{told}");
    let told = refusal(&["--device", "1", "--channel", "65"]);
    assert!(told.contains("«JACK Input» has 64 channels: there is no channel 65"), "{told}");
    let told = refusal(&["--buffer", "64"]);
    assert!(told.contains("«JACK Input» has buffers of 256 samples: 64 can't be had"), "{told}");
}

/// The standalone as it comes: the techniques model, messages to port 5005.
fn the_standalone_sends_what_it_hears(folder: &Path) {
    let Some(standalone) = locate::needed(locate::standalone()) else { return };
    let Some(display) = locate::needed(Display::start("1280x1000x24")) else { return };
    let phrase = Phrase::load(&locate::repository().join("tests/demo")).unwrap();
    let part = phrase.part(BOWED_AND_PLUCKED_S.0, BOWED_AND_PLUCKED_S.1);
    let mut sound = tocco_models::resample_all(part, f64::from(phrase.rate), f64::from(RATE)).unwrap();
    sound.resize(sound.len() + SILENCE, 0.0);
    let in_file = heard_in_file(folder, Path::new("techniques"), &sound);
    let expected = seconds_of_classes(&in_file);
    assert!(expected.values().filter(|&&seconds| seconds > 1.0).count() >= 2, "{expected:?}");

    let receiver = the_usual_port();
    let mut program = Command::new(standalone);
    program
        .args(["--backend", "jack", "--sample-rate", &RATE.to_string()])
        .envs(display.environment())
        .env("HOME", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut window = Child::start(&mut program).unwrap();
    let player = Player::new(sound).unwrap();
    player.connect(STANDALONE).unwrap();
    assert!(receiver.wait(LONGEST, |_| !receiver.messages("/status").is_empty()), "the recognizer does not run");
    player.play().unwrap();
    assert!(window.0.try_wait().unwrap().is_none(), "the standalone ended by itself");

    // Which of two equally likely classes is told for a moment depends on where in a hop the sound begins.
    let events = events_at_the_end(&receiver);
    let heard = seconds_of_classes(&events);
    println!("seconds of each class live {heard:?}, in the file {expected:?}");
    for class in heard.keys().chain(expected.keys()) {
        let [live, file] = [&heard, &expected].map(|seconds| seconds.get(class).copied().unwrap_or(0.0));
        assert!((live - file).abs() < 0.5, "{class}: {live} s live, {file} s in the file");
    }
    assert!(!receiver.messages("/class").is_empty());
}

/// It keeps what was set, and gives the device back before it takes the next.
fn the_standalone_starts_again_with_the_input_that_is_chosen_on_its_panel(folder: &Path) {
    /// On the panel: the page, the list of inputs, its fourth line, and the button below.
    const CLICKS: [(i16, i16); 4] = [(315, 199), (250, 310), (170, 443), (90, 424)];
    let Some(standalone) = locate::needed(locate::standalone()) else { return };
    let Some(display) = locate::needed(Display::start("760x680x24")) else { return };
    let phrase = Phrase::load(&locate::repository().join("tests/demo")).unwrap();
    let part = phrase.part(BOWED_AND_PLUCKED_S.0, BOWED_AND_PLUCKED_S.1);
    // Its port comes after «none» and the two of the server.
    let player =
        Player::new(tocco_models::resample_all(part, f64::from(phrase.rate), f64::from(RATE)).unwrap()).unwrap();
    let home = folder.join("home");
    std::fs::create_dir(&home).unwrap();
    let receiver = the_usual_port();
    let mut program = Command::new(standalone);
    program.envs(display.environment()).env("HOME", &home).stdout(Stdio::null()).stderr(Stdio::null());
    let mut window = Child::start(&mut program).unwrap();
    assert!(receiver.wait(LONGEST, |_| !receiver.messages("/status").is_empty()), "the recognizer does not run");
    let inputs = || player.listeners().unwrap();
    // On a busy machine a click may come before what it is meant for is drawn: then once more, from the first.
    for _ in 0..3 {
        for (x, y) in CLICKS {
            std::thread::sleep(Duration::from_secs(2));
            display.click(x, y).unwrap();
        }
        let start = Instant::now();
        while inputs().len() < 2 && start.elapsed() < LONGEST {
            std::thread::sleep(Duration::from_millis(100));
        }
        if inputs().len() == 2 {
            break;
        }
    }
    assert_eq!(inputs().len(), 2, "both channels hear the port that was chosen: {:?}", inputs());
    let listener = Listener::start("^tocco:output.*").unwrap();
    player.play().unwrap();
    let is_heard = || receiver.events().iter().any(|event| event.class != tocco_models::NONE);
    assert!(receiver.wait(LONGEST, |_| is_heard()), "nothing is recognised");
    assert!(window.0.try_wait().unwrap().is_none(), "the standalone ended by itself");
    assert_eq!(listener.loudest(), 0.0, "nothing goes to the output unless that is asked for");
    let told = format!("{:?}", receiver.messages("/status").pop());
    assert!(told.contains("block of 5.8 ms"), "256 samples at 44.1 kHz: {told}");
    let kept = std::fs::read(home.join("Tocco").join("standalone.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["sound"]["input"], "player:out");
    assert!(
        kept["state"]["params"]["gate_dbfs"]["f32"].is_number() && kept["state"]["fields"]["settings"].is_string(),
        "{kept}"
    );
}

fn a_device_that_goes_away_ends_it_with_a_sentence(server: Server, model: &Path) {
    let mut program = tocco(&["listen", "--backend", "jack", "--model"]);
    let mut listening = start(program.arg(model));
    let mut remarks = BufReader::new(listening.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("from sound to decision") {
        assert!(remarks.read_line(&mut told).unwrap() > 0, "{told}");
    }
    drop(server);
    let output = wait(listening);
    remarks.read_to_string(&mut told).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the audio device «JACK Input» went away: JACK server shut down"), "{told}");
}

fn tocco(arguments: &[&str]) -> Command {
    let mut program = Command::new(locate::tocco().unwrap());
    program.args(arguments).stdin(Stdio::null());
    program
}

fn start(program: &mut Command) -> std::process::Child {
    program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The port that the standalone sends to, once nobody else on this machine listens there.
fn the_usual_port() -> Receiver {
    let start = Instant::now();
    loop {
        match Receiver::at(5005) {
            Ok(receiver) => return receiver,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error:#}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What `tocco recognize` sends about a recording of the sound.
fn heard_in_file(folder: &Path, model: &Path, sound: &[f32]) -> Vec<Event> {
    let wav = folder.join("sound.wav");
    write_wav(&wav, sound, RATE).unwrap();
    let receiver = Receiver::start().unwrap();
    let target = format!("127.0.0.1:{}", receiver.port());
    let mut program = tocco(&["recognize", "--with-none", "--no-pace", "--osc", &target, "--model"]);
    let output = program.arg(model).arg(&wav).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    events_at_the_end(&receiver)
}

/// What arrived, and a moment later.
fn events_at_the_end(receiver: &Receiver) -> Vec<Event> {
    std::thread::sleep(Duration::from_millis(500));
    receiver.events()
}

/// How long each class but `none` held; the last event is the silence at the end.
fn seconds_of_classes(events: &[Event]) -> BTreeMap<&str, f32> {
    assert_eq!(events.last().map(|event| event.class.as_str()), Some(tocco_models::NONE), "{events:?}");
    let mut seconds = BTreeMap::new();
    for pair in events.windows(2).filter(|pair| pair[0].class != tocco_models::NONE) {
        *seconds.entry(pair[0].class.as_str()).or_default() += pair[1].time_s - pair[0].time_s;
    }
    seconds
}

fn classes(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.class.as_str()).collect()
}

fn end_by_ctrl_c(program: std::process::Child) -> Output {
    assert!(Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success());
    wait(program)
}

fn wait(mut program: std::process::Child) -> Output {
    let start = Instant::now();
    while program.try_wait().unwrap().is_none() {
        if start.elapsed() > LONGEST {
            program.kill().unwrap();
            panic!("it does not end: {:?}", program.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    program.wait_with_output().unwrap()
}
