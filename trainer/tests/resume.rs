//! Trainings that are killed, stopped or run out of room, and go on.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Many short epochs, each with a validation; a checkpoint after each step.
const STREAMING: &str = "--batch-size 2 --scene-s 0.5 --channels 8 --dilations 1,2 --epochs 20 --checkpoint-s 0";
/// With batch normalisation and units that are silenced at random.
const WINDOWED: &str = "--net ipt-v1 --batch-size 1 --windows-per-scene 2 --scene-s 0.5 --epochs 1 --checkpoint-s 0";

fn arguments(manifest: &Path, run: &Path, options: &str) -> Vec<String> {
    let start = ["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap(), "--seed", "5"];
    start.into_iter().chain(options.split(' ')).map(str::to_owned).collect()
}

fn resuming(run: &Path) -> Vec<String> {
    ["train", "--resume", run.to_str().unwrap()].map(str::to_owned).to_vec()
}

fn start(arguments: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tocco"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the weights of two runs are compared by: all of them, and what the exported model answers.
fn result(run: &Path) -> (Vec<f32>, tocco_models::Reference) {
    let trained = tocco_trainer::train::Run::open(run).unwrap();
    let weights = trained.best(&burn::tensor::Device::flex()).unwrap().weights();
    let model = tocco_models::Model::load(&run.join("model.onnx")).unwrap();
    (weights, model.card().reference.clone().unwrap())
}

fn killed_training_ends_as_another(options: &str, kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    killed_in(folder.path(), &manifest, options, kills);
}

/// Kills the training `kills` times, each after some of the time that a whole one takes, and lets it go on at last.
fn killed_in(folder: &Path, manifest: &Path, options: &str, kills: u32) {
    let [whole, killed] = ["whole", "killed"].map(|name| folder.join(name));
    let began = Instant::now();
    common::tocco(arguments(manifest, &whole, options)).ok();
    let time = began.elapsed();

    let mut rng = StdRng::seed_from_u64(u64::from(std::process::id()));
    let mut next = arguments(manifest, &killed, options);
    let mut resumed_at = Vec::new();
    for _ in 0..kills {
        let mut child = start(&next);
        std::thread::sleep(time.mul_f64(rng.random_range(0.05..0.6)));
        child.kill().unwrap();
        resumed_at.push(words(&child.wait_with_output().unwrap()));
        // Killed before it had begun: there is nothing to go on with, and it begins.
        if killed.join("request.toml").exists() || killed.join("starting.toml").exists() {
            next = resuming(&killed);
        }
    }
    common::tocco(&next).ok();
    assert!(result(&whole) == result(&killed), "the weights differ after {resumed_at:?}");
}

#[test]
fn a_training_that_is_killed_again_and_again_ends_with_the_weights_of_one_that_is_not() {
    killed_training_ends_as_another(STREAMING, 4);
}

#[test]
fn so_does_one_with_batch_normalisation_and_dropout() {
    killed_training_ends_as_another(WINDOWED, 2);
}

#[test]
fn so_does_one_whose_matrices_and_filters_go_by_another_optimizer() {
    killed_training_ends_as_another(&format!("{WINDOWED} --optimizer muon"), 2);
}

#[test]
fn so_does_one_that_begins_with_the_weights_of_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let earlier = folder.path().join("earlier");
    common::tocco(arguments(&manifest, &earlier, &STREAMING.replace("--epochs 20", "--epochs 2"))).ok();
    let options = format!("{STREAMING} --from {} --freeze-trunk-epochs 8", earlier.display());
    killed_in(folder.path(), &manifest, &options, 2);
}

#[test]
fn so_does_one_whose_config_says_what_augmentation_does() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let config = folder.path().join("asked.toml");
    std::fs::write(&config, "[augment.pitch_shift]\nsemitones = [-1, 1]\n[augment.tilt]\nchance = 1\n").unwrap();
    let options = format!("{STREAMING} --config {}", config.display()).replace("--epochs 20", "--epochs 10");
    killed_in(folder.path(), &manifest, &options, 2);
    let text = std::fs::read_to_string(folder.path().join("killed/config.toml")).unwrap();
    let own: toml::Table = text.parse().unwrap();
    assert_eq!(own["augment"]["tilt"]["chance"].as_float(), Some(1.0), "{text}");
}

#[test]
fn recordings_on_the_disk_teach_what_those_in_memory_do() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let [in_memory, on_disk] = ["memory", "disk"].map(|name| folder.path().join(name));
    let began = Instant::now();
    common::tocco(arguments(&manifest, &in_memory, STREAMING)).ok();
    let time = began.elapsed();
    let asked = format!("{STREAMING} --sounds-on-disk");
    let mut child = start(&arguments(&manifest, &on_disk, &asked));
    std::thread::sleep(time.mul_f64(0.5));
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = common::tocco(resuming(&on_disk)).ok().err;
    assert!(resumed.contains("into a file of"), "a run that goes on forgets where the recordings are kept: {resumed}");
    assert!(result(&in_memory) == result(&on_disk));

    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let full = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_tocco")])
        .args(arguments(&manifest, &folder.path().join("full"), &asked))
        .output()
        .unwrap();
    let said = words(&full);
    assert_eq!(full.status.code(), Some(1), "{said}");
    assert!(said.contains("full: the decoded recordings can't be kept there"), "{said}");
}

#[test]
fn so_does_one_with_a_teacher_which_must_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let teacher = common::model(folder.path());
    let options =
        format!("{STREAMING} --accumulate 2 --teacher {}", teacher.display()).replace("--epochs 20", "--epochs 10");
    killed_in(folder.path(), &manifest, &options, 2);

    let its_own = folder.path().join("whole/model.onnx");
    let options = ["--teacher".to_owned(), its_own.display().to_string()];
    let refused =
        common::tocco([&arguments(&manifest, &folder.path().join("whole"), STREAMING)[..], &options].concat());
    assert!(refused.refusal().contains("name another folder with --out") && its_own.exists());
    std::fs::copy(its_own, &teacher).unwrap();
    let other = common::tocco(resuming(&folder.path().join("whole"))).refusal();
    assert!(other.contains("is not the model that the training"), "{other}");
}

/// Rooms are found from any folder, and must stay those that they were.
#[test]
fn a_training_in_recorded_rooms_goes_on_elsewhere_and_in_the_same_rooms_alone() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    std::fs::create_dir(folder.path().join("rooms")).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let mut room = |length: u16| -> Vec<f32> {
        (0..length).map(|i| rng.random_range(-0.5..0.5) * (-5.0 * f32::from(i) / f32::from(length)).exp()).collect()
    };
    let hall = folder.path().join("rooms/hall.wav");
    common::write_wav(&hall, common::RATE, &[&room(4000)]);
    std::fs::write(folder.path().join("a.toml"), "[recorded_room]\nchance = 1\nfolder = \"rooms\"\n").unwrap();
    let run = folder.path().join("run");
    let options = STREAMING.replace("--epochs 20", "--epochs 100000");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tocco"))
        .current_dir(folder.path())
        .args(arguments(&manifest, &run, &format!("{options} --augment a.toml")))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&run.join("checkpoint"));
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = start(&resuming(&run));
    std::thread::sleep(Duration::from_secs(2));
    assert!(interrupt(resumed).contains("going on after"));
    common::write_wav(&hall, common::RATE, &[&room(5000)]);
    let other = common::tocco(resuming(&run)).refusal();
    assert!(other.contains("the recordings are not those"), "{other}");
}

/// A training so long that it has to be stopped; its first validation is far away.
fn endless(folder: &Path) -> (PathBuf, Child) {
    started(folder, "--epochs 100000", "checkpoint")
}

/// A training of so many epochs that has written `file`.
fn started(folder: &Path, epochs: &str, file: &str) -> (PathBuf, Child) {
    let manifest = common::data_set(folder, &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let run = folder.join("run");
    let options = STREAMING.replace("--epochs 20", epochs);
    let child = start(&arguments(&manifest, &run, &options));
    wait_for(&run.join(file));
    (run, child)
}

fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} does not come", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ctrl-C; what the program says then.
fn interrupt(child: Child) -> String {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    words(&output)
}

#[test]
fn ctrl_c_writes_a_checkpoint_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (run, child) = endless(folder.path());
    let other = common::tocco(resuming(&run)).refusal();
    assert!(other.contains("another training runs in this folder"), "{other}");

    let said = interrupt(child);
    let steps: usize = said.split("stopped after ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(said.contains(&format!("go on with «tocco train --resume {}»", run.display())), "{said}");

    let mut child = start(&resuming(&run));
    std::thread::sleep(Duration::from_secs(2));
    child.kill().unwrap();
    let said = words(&child.wait_with_output().unwrap());
    assert!(said.contains(&format!("going on after {steps} steps")), "{said}");
}

#[test]
fn a_stopped_training_ends_with_its_best_weights_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (run, child) = started(folder.path(), "--epochs 600", "best.bpk");
    let said = interrupt(child);
    assert!(said.contains("--finish"), "{said}");
    let best = std::fs::read(run.join("best.bpk")).unwrap();
    let out = run.join("other.onnx");
    let export = ["export", "--run", run.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let early = common::tocco(export).refusal();
    assert!(early.contains("has not ended") && early.contains("--finish"), "{early}");

    let ended = common::tocco([&resuming(&run)[..], &["--finish".into()]].concat()).ok().err;
    assert!(ended.contains("with the weights that have validated best"), "{ended}");
    assert!(std::fs::read(run.join("best.bpk")).unwrap() == best);
    assert!(!result(&run).1.output.is_empty() && run.join("report.html").is_file());

    // Whoever goes on after all gets no figures of weights that are no longer the best.
    let mut child = start(&resuming(&run));
    std::thread::sleep(Duration::from_secs(2));
    child.kill().unwrap();
    child.wait().unwrap();
    let early = common::tocco(export).refusal();
    assert!(early.contains("has not ended"), "{early}");
}

#[test]
fn a_training_that_has_not_validated_has_nothing_to_end_with() {
    let folder = tempfile::tempdir().unwrap();
    let (run, child) = endless(folder.path());
    let said = interrupt(child);
    assert!(!said.contains("--finish"), "{said}");
    let refused = common::tocco([&resuming(&run)[..], &["--finish".into()]].concat()).refusal();
    assert!(refused.contains("has not validated yet"), "{refused}");
}

/// A limit on the size of files stands for a full disk: the system refuses the rest of the checkpoint.
#[test]
fn a_full_disk_leaves_the_checkpoint_before_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut child) = endless(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let before = std::fs::read(run.join("checkpoint")).unwrap();
    let blocks = before.len() / 1024 - 1;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" train --resume \"$1\"");
    let output = Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_tocco")]).arg(&run).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("can't be written") && said.contains("the last checkpoint is still there"), "{said}");
    assert!(std::fs::read(run.join("checkpoint")).unwrap() == before);
    assert!(!std::fs::read_dir(&run).unwrap().any(|e| e.unwrap().path().extension() == Some("tmp".as_ref())));
}

#[test]
fn refuses_to_go_on_where_nothing_began_or_with_other_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = common::tocco(resuming(&folder.path().join("nothing"))).refusal();
    assert!(nothing.contains("nothing") && nothing.contains("no such folder"), "{nothing}");
    let empty = common::tocco(resuming(folder.path())).refusal();
    assert!(empty.contains("no training to go on with"), "{empty}");

    let (run, mut child) = endless(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let sound = common::sine(common::RATE, 300.0, 0.4);
    common::write_wav(&folder.path().join("low0.wav"), common::RATE, &[&sound]);
    let other = common::tocco(resuming(&run)).refusal();
    assert!(other.contains("the recordings are not those"), "{other}");
}
