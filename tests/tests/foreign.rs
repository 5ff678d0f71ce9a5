//! Models of others: windowed networks from PyTorch, as ipt_recognition writes them and ipt~ loads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rosc::OscType;
use tocco_models::{Model, NetworkKind};
use tocco_tests::host::Host;
use tocco_tests::locate;
use tocco_tests::osc::{Datagram, Event, Receiver, event};
use tocco_tests::sounds::{Tone, any_bits, render};
use tocco_tests::state::State;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 512;
/// The sound's stamp is the middle of a window: decisions before and after it are not of one class yet.
const TURN_S: f64 = 0.35;

/// The files that the scripts make, once for all tests here.
struct Files {
    folder: tempfile::TempDir,
    python: PathBuf,
}

impl Files {
    /// Nothing where PyTorch is missing.
    fn get() -> Option<&'static Self> {
        static FILES: OnceLock<Option<Files>> = OnceLock::new();
        let made = FILES.get_or_init(|| {
            let python = locate::needed(locate::pytorch())?;
            let files = Self { folder: tempfile::tempdir().unwrap(), python };
            let (light, script, heavy) = (files.path("light.onnx"), files.path("light.ts"), files.path("heavy.onnx"));
            succeed(&files.run("examples/pytorch/windowed_model.py", &["--torchscript".as_ref(), &script, &light]));
            // A hop of one sample: the same answers for some hundred times the work.
            let slow = ["--window", "2400", "--hop", "1"].map(Path::new);
            succeed(&files.run("examples/pytorch/windowed_model.py", &[&slow[..], &[heavy.as_path()]].concat()));
            succeed(&files.run("tests/python/torchscript_files.py", &[files.folder.path()]));
            Some(files)
        });
        made.as_ref()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, script: &str, arguments: &[&Path]) -> Output {
        Command::new(&self.python).arg(locate::repository().join(script)).args(arguments).output().unwrap()
    }

    /// Converts `NAME.ts` to `NAME.converted.onnx`.
    fn convert(&self, name: &str) -> (Output, PathBuf) {
        let to = self.path(&format!("{name}.converted.onnx"));
        let from = self.path(&format!("{name}.ts"));
        (self.run("examples/pytorch/from_torchscript.py", &[&from, &to]), to)
    }
}

fn succeed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    said
}

/// The tests take turns: most look at the clock.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known about a sound that was played.
struct Played {
    receiver: Receiver,
    /// When each block was handed over.
    blocks: Vec<Instant>,
}

impl Played {
    fn events(&self) -> Vec<(Instant, Event)> {
        let datagrams = self.receiver.datagrams();
        datagrams.iter().filter_map(|d| Some((d.at, event(&d.message()?).filter(|_| is_for(d, "/event"))?))).collect()
    }

    /// The class that held for the sound at a time.
    fn class_at(&self, seconds: f64) -> String {
        let events = self.events();
        let last = events.iter().rev().find(|(_, e)| f64::from(e.time_s) <= seconds);
        last.map_or_else(String::new, |(_, e)| e.class.clone())
    }

    /// When the sample was handed over that completes the window around a time, which is when it can be known.
    fn complete_at(&self, seconds: f64, half_window_s: f64) -> Option<Instant> {
        self.blocks.get(((seconds + half_window_s) * RATE) as usize / BLOCK).copied()
    }

    /// Mode and late windows of each status so far.
    fn statuses(&self) -> Vec<(String, i32)> {
        let messages = self.receiver.messages("/status");
        let status = |args: &[OscType]| match args {
            [OscType::String(mode), OscType::Float(_), OscType::Float(_), OscType::Int(late), OscType::String(_)] => {
                (mode.clone(), *late)
            }
            _ => panic!("a status of {args:?}"),
        };
        messages.iter().map(|m| status(&m.args)).collect()
    }

    fn late(&self) -> i32 {
        self.statuses().last().map_or(0, |status| status.1)
    }
}

fn is_for(datagram: &Datagram, kind: &str) -> bool {
    datagram.message().is_some_and(|m| m.addr.ends_with(kind))
}

/// A host with a model and a player at a pace of its own.
struct Stage {
    host: Host,
    processor: Option<tocco_tests::host::Processor>,
    played: Played,
}

impl Stage {
    fn new(model: &Path) -> Self {
        let receiver = Receiver::start().unwrap();
        let mut host = Host::load(&locate::clap().unwrap()).unwrap();
        host.restore(&State::empty().with_model(model).with_osc_port(receiver.port())).unwrap();
        let processor = Some(host.activate(RATE, BLOCK as u32).unwrap());
        // A network of this kind takes its time to load, and what is played before is not heard.
        let is_loaded = |received: &[Datagram]| received.iter().any(|d| is_for(d, "/classes"));
        assert!(receiver.wait(Duration::from_secs(20), is_loaded), "{} does not load", model.display());
        Self { host, processor, played: Played { receiver, blocks: Vec::new() } }
    }

    /// Plays on, `speed` times as fast as a sound card, and checks that it passes untouched.
    fn play(&mut self, sound: &[f32], speed: f64) {
        let mut processor = self.processor.take().unwrap();
        let blocks = &mut self.played.blocks;
        let pace = Duration::from_secs_f64(BLOCK as f64 / RATE / speed);
        // Block by block on a thread of its own, as an audio thread is not the main one.
        processor = std::thread::scope(|scope| {
            let audio = scope.spawn(move || {
                let mut output = vec![vec![0.0; BLOCK]; 2];
                let mut due = Instant::now();
                for block in sound.chunks_exact(BLOCK) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    blocks.push(Instant::now());
                    processor.process(&[block, block], &mut output, &[]).unwrap();
                    assert!(output.iter().all(|channel| channel == block), "the sound was changed");
                    due += pace;
                }
                processor
            });
            audio.join().unwrap()
        });
        self.processor = Some(processor);
    }

    fn finish(mut self) -> Played {
        std::thread::sleep(Duration::from_millis(300));
        if let Some(processor) = self.processor.take() {
            self.host.deactivate(processor);
        }
        self.played
    }
}

/// White noise at about -13 dBFS; the same each time.
fn noise(seconds: f64) -> Vec<f32> {
    let uniform = |x: &f32| (f64::from(x.to_bits()) / f64::from(u32::MAX) - 0.5) as f32 * 0.8;
    any_bits((seconds * RATE) as usize, 9).iter().map(uniform).collect()
}

fn tone(hz: f64, seconds: f64) -> Vec<f32> {
    render(&[Tone { hz, seconds }], RATE)
}

/// Plays silence, then each class for a second, then silence; checks that each was recognised.
fn recognises_high_low_and_noise(model: &Path) {
    let parts =
        [("low", tone(220.0, 1.0)), ("high", tone(4000.0, 1.0)), ("noise", noise(1.0)), ("low", tone(330.0, 1.0))];
    let mut sound = tone(0.0, 0.5);
    sound.extend(parts.iter().flat_map(|(_, samples)| samples));
    sound.extend(tone(0.0, 0.8));
    let half_window_s = half_window_s(model);
    for attempt in 1..=3 {
        let mut stage = Stage::new(model);
        stage.play(&sound, 1.0);
        let played = stage.finish();
        assert!(played.statuses().iter().all(|(mode, _)| mode == "worker"), "{:?}", played.statuses());
        if played.late() > 0 {
            // The plugin dropped sound because this machine is too slow, and says so: there is nothing to judge.
            eprintln!("attempt {attempt}: {} windows were late", played.late());
            continue;
        }
        for (second, (class, _)) in parts.iter().enumerate() {
            for inside in [TURN_S, 0.5, 1.0 - half_window_s] {
                assert_eq!(played.class_at(0.5 + second as f64 + inside), *class, "{second} s: {:?}", played.events());
            }
        }
        for index in 0..3 {
            let bytes = [b"/class\0\0,i\0\0\0\0\0".as_slice(), &[index]].concat();
            assert!(played.receiver.datagrams().iter().any(|d| d.bytes == bytes), "no /class {index}");
        }
        return;
    }
    panic!("this machine was too slow three times");
}

fn half_window_s(model: &Path) -> f64 {
    let model = Model::load(model).unwrap();
    let NetworkKind::Audio { samples, .. } = model.card().network else { panic!("no windowed network") };
    samples as f64 / 2.0 / f64::from(model.card().sample_rate)
}

/// Seconds that tract needs for a window, and seconds of sound from one window to the next.
fn step_and_hop_s(model: &Path) -> (f64, f64) {
    let model = Model::load(model).unwrap();
    let NetworkKind::Audio { samples, hop } = model.card().network else { panic!("no windowed network") };
    let mut runner = model.runner().unwrap();
    let mut logits = vec![0.0; model.card().classes.len()];
    let mut times = [0.0; 5].map(|_: f64| {
        let start = Instant::now();
        runner.step(&vec![0.1; samples], &mut logits).unwrap();
        start.elapsed().as_secs_f64()
    });
    times.sort_by(f64::total_cmp);
    (times[2], hop as f64 / f64::from(model.card().sample_rate))
}

/// The largest difference of a logit between tract and ONNX Runtime.
fn difference_from_onnx_runtime(files: &Files, path: &Path) -> f32 {
    let model = Model::load(path).unwrap();
    let NetworkKind::Audio { samples, .. } = model.card().network else { panic!("no windowed network") };
    let out = path.with_extension("f32");
    let length = samples.to_string();
    succeed(&files.run("tests/python/onnx_runtime_answers.py", &[path, Path::new(&length), &out]));
    let bytes = std::fs::read(out).unwrap();
    let numbers: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let classes = model.card().classes.len();
    let mut runner = model.runner().unwrap();
    let mut logits = vec![0.0; classes];
    let mut largest = 0.0_f32;
    assert_eq!(numbers.len(), 12 * (samples + classes));
    for case in numbers.chunks_exact(samples + classes) {
        let (window, expected) = case.split_at(samples);
        runner.step(window, &mut logits).unwrap();
        for (logit, expected) in logits.iter().zip(expected) {
            assert!(logit.is_finite());
            largest = largest.max((logit - expected).abs());
        }
    }
    largest
}

#[test]
fn a_windowed_model_from_pytorch_decides_right_in_the_worker() {
    let _alone = alone();
    let Some(files) = Files::get() else { return };
    recognises_high_low_and_noise(&files.path("light.onnx"));
}

#[test]
fn tract_answers_as_onnx_runtime_does_on_the_same_windows() {
    let _alone = alone();
    let Some(files) = Files::get() else { return };
    succeed(&files.convert("recognizer").0);
    for name in ["light.onnx", "heavy.onnx", "recognizer.converted.onnx"] {
        let difference = difference_from_onnx_runtime(files, &files.path(name));
        println!("{name}: tract and ONNX Runtime differ by at most {difference:.2e}");
        assert!(difference < 2e-4, "{name}: {difference}");
    }
}

#[test]
fn a_worker_that_is_too_slow_counts_what_it_leaves_out_and_recovers() {
    let _alone = alone();
    let Some(files) = Files::get() else { return };
    let model = files.path("heavy.onnx");
    let (step_s, hop_s) = step_and_hop_s(&model);
    println!("{:.1} ms a window, a window every {:.1} ms", 1000.0 * step_s, 1000.0 * hop_s);
    assert!(step_s > 1.5 * hop_s, "this machine is too fast for this test: make the model heavier");

    let half_window_s = half_window_s(&model);
    let delays = |played: &Played, from: usize| -> Vec<f64> {
        let delay = |(at, event): &(Instant, Event)| {
            let complete = played.complete_at(f64::from(event.time_s), half_window_s)?;
            Some(at.saturating_duration_since(complete).as_secs_f64())
        };
        played.events()[from..].iter().filter_map(delay).collect()
    };

    // Real time, which the network can't follow: low and high by turns.
    let mut stage = Stage::new(&model);
    let turns: Vec<f32> = [220.0, 4000.0, 220.0, 4000.0].iter().flat_map(|&hz| tone(hz, 1.0)).collect();
    let began = Instant::now();
    let half = turns.len() / 2;
    stage.play(&turns[..half], 1.0);
    let late_halfway = stage.played.late();
    stage.play(&turns[half..], 1.0);
    let took_s = began.elapsed().as_secs_f64();
    // Held up by the network it would be several times as long.
    assert!(took_s < 6.0, "4 s of sound took {took_s} s: the audio thread was held up");
    let mut overloaded = delays(&stage.played, 0);
    println!("delays under overload: {overloaded:.3?} s");
    assert!(overloaded.len() >= 2, "nothing was decided under overload");
    // The network runs on the newest window: a step under way and one of its own, a hop and two blocks that may wait.
    let longest_s = 3.0 * step_s + hop_s + 2.0 * BLOCK as f64 / RATE + 0.2;
    // Another program may have held up one of them.
    overloaded.sort_by(f64::total_cmp);
    assert!(overloaded[(overloaded.len() - 1) / 2] < longest_s, "{overloaded:?}");
    std::thread::sleep(Duration::from_millis(1100));
    let late = stage.played.late();
    println!("late windows: {late_halfway} after 2 s, {late} after 4 s");
    assert!(late_halfway > 0 && late > late_halfway);
    // All that was not run was counted: hops of the sound, less what fits into the time, less what may wait.
    let (hops, run) = (4.0 / hop_s, 5.3 / step_s);
    assert!(f64::from(late) > hops - run - 0.75 / hop_s && f64::from(late) <= hops + 1.0, "{late} late of {hops}");

    // From here on sound comes as slowly as the network can follow with ease.
    let before = stage.played.events().len();
    let late_before = stage.played.late();
    let sound = [tone(220.0, 0.3), tone(4000.0, 0.3)].concat();
    stage.play(&sound, hop_s / step_s / 4.0);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(stage.played.late(), late_before, "late windows without overload");
    let recovered = delays(&stage.played, before);
    println!("delays afterwards: {recovered:.3?} s");
    assert!(!recovered.is_empty());
    // A step, and what is left of a block at this pace: nothing of the old sound.
    let events = stage.played.events();
    let classes: Vec<&str> = events[before..].iter().map(|(_, e)| e.class.as_str()).collect();
    assert!(classes.contains(&"high"), "{classes:?}");
    let quickest = recovered.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(quickest < 3.0 * step_s + 0.2, "{recovered:?}");
    stage.finish();
}

#[test]
fn a_torchscript_file_of_ipt_becomes_a_model_that_the_plugin_runs() {
    let _alone = alone();
    let Some(files) = Files::get() else { return };
    let (output, converted) = files.convert("light");
    let said = succeed(&output);
    assert!(said.contains("24000 Hz, windows of 7680 samples, 3 classes: high, low, noise"), "{said}");
    recognises_high_low_and_noise(&converted);
    // Another architecture, with names that are not English.
    let (output, converted) = files.convert("recognizer");
    succeed(&output);
    let model = Model::load(&converted).unwrap();
    assert_eq!(model.card().classes, ["flatterzunge", "ordinario", "pizzicato", "überblasen"]);
    assert_eq!(model.card().sample_rate, 22_050);
    assert!(model.card().reference.is_some(), "no reference to check other machines by");
}

#[test]
fn what_can_t_be_converted_is_refused_with_a_sentence_and_nothing_is_written() {
    let _alone = alone();
    let Some(files) = Files::get() else { return };
    let whole = std::fs::read(files.path("recognizer.ts")).unwrap();
    std::fs::write(files.path("cut.ts"), &whole[..whole.len() / 2]).unwrap();
    let cases = [
        ("missing", "there is no such file"),
        ("cut", "it is no TorchScript file, or a damaged one"),
        ("nameless", "get_sr, get_seglen, get_classnames missing"),
        ("four_answers", "not with one logit for each of its 3 classes"),
        ("phases", "with complex numbers, which ONNX does not have"),
        ("undecided", "can't be written as one graph"),
        ("chance", "ONNX Runtime answers differently"),
    ];
    for (name, reason) in cases {
        let (output, to) = files.convert(name);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason), "{name}: {said}");
        assert!(said.contains(name) && said.lines().count() == 1, "{name}: one sentence with the file's name: {said}");
        assert!(!to.exists(), "{name}: something was written");
    }
}
