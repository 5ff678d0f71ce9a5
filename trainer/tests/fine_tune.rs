//! Trainings that begin with the weights of another run, through the real command.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use tocco_trainer::train::Run;

fn train(manifest: &Path, run: &Path, rest: &str) -> common::Answer {
    let start = ["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap(), "--no-report"];
    common::tocco(start.into_iter().chain("--batch-size 2 --scene-s 0.5 --seed 5".split(' ')).chain(rest.split(' ')))
}

const SMALL: &str = "--channels 8 --dilations 1,2";

/// Two classes and a run that knows them.
fn taught(folder: &Path, options: &str) -> (PathBuf, PathBuf) {
    let manifest = common::data_set(folder, &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let run = folder.join("taught");
    train(&manifest, &run, &format!("{SMALL} --lr 0.01 {options}")).ok();
    (manifest, run)
}

/// The weights of the trunk and those of the head.
fn weights(run: &Path) -> (Vec<f32>, Vec<f32>) {
    let run = Run::open(run).unwrap();
    let mut all = run.best(&Device::flex()).unwrap().weights();
    let per_class = if run.settings.options.own_heads { (8 + 1) * 16 + 16 + 1 } else { 8 + 1 };
    let head = all.split_off(all.len() - per_class * run.settings.classes.len());
    (all, head)
}

fn weights_of_all(run: &Path) -> Vec<f32> {
    Run::open(run).unwrap().best(&Device::flex()).unwrap().weights()
}

/// Lowest loss of a validation.
fn validation_loss(run: &Path) -> f64 {
    let history = std::fs::read_to_string(run.join("history.csv")).unwrap();
    let mut lines = history.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "val_loss").unwrap();
    let losses = lines.filter_map(|line| line.split(',').nth(column)?.parse::<f64>().ok());
    losses.min_by(f64::total_cmp).unwrap()
}

#[test]
fn a_training_that_begins_with_good_weights_is_good_sooner_and_keeps_their_network() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, run) = taught(folder.path(), "--epochs 12 --mels 40");
    let [scratch, tuned] = ["scratch", "tuned"].map(|name| folder.path().join(name));
    train(&manifest, &scratch, &format!("{SMALL} --mels 40 --epochs 1 --lr 0.0001")).ok();
    let from = format!("--from {} --epochs 1 --lr 0.0001", run.display());
    train(&manifest, &tuned, &from).ok();
    let (anew, on) = (validation_loss(&scratch), validation_loss(&tuned));
    assert!(on < 0.7 * anew, "{on} after one epoch with good weights, {anew} with none");
    assert_ne!(weights(&run).0, weights(&tuned).0, "without freezing the trunk learns");
    let [older, newer] = [&run, &tuned].map(|run| Run::open(run).unwrap().settings);
    assert_eq!((older.net(), older.mean), (newer.net(), newer.mean));

    // The run's own config.toml makes the same run again.
    let again = folder.path().join("again");
    let config = tuned.join("config.toml");
    tocco!("train", "--config", config, "--out", again).ok();
    assert_eq!(weights(&again), weights(&tuned));
}

#[test]
fn a_frozen_trunk_stays_as_it_is_while_the_head_learns() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, run) = taught(folder.path(), "--epochs 1 --own-heads");
    let tuned = folder.path().join("tuned");
    train(&manifest, &tuned, &format!("--from {} --epochs 2 --freeze-trunk-epochs 2", run.display())).ok();
    let (before, after) = (weights(&run), weights(&tuned));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
    train(&manifest, &tuned, &format!("--from {} --epochs 2 --freeze-trunk-epochs 1", run.display())).ok();
    assert_ne!(before.0, weights(&tuned).0, "after the frozen epochs all learn");
}

#[test]
fn classes_that_both_runs_have_keep_their_weights_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = taught(folder.path(), "--epochs 12");
    let manifest =
        common::data_set(folder.path(), &[("above", 9000.0), common::HIGH, common::LOW], &common::FIVE_PITCHES);
    let tuned = folder.path().join("tuned");
    // A rate so low that nothing changes but the weights' last digits.
    let said = train(&manifest, &tuned, &format!("--from {} --epochs 1 --lr 1e-9", run.display())).ok().err;
    assert!(said.contains("the head begins anew, with the weights of «high», «low», «none»"), "{said}");
    let (old, new) = (weights(&run).1, weights(&tuned).1);
    let classes = |run: &Path| Run::open(run).unwrap().settings.classes;
    assert_eq!(classes(&run), ["high", "low", "none"]);
    assert_eq!(classes(&tuned), ["above", "high", "low", "none"]);
    for (mine, older) in new.chunks_exact(4).zip(old.chunks_exact(3)) {
        assert!(mine[1..].iter().zip(older).all(|(a, b)| (a - b).abs() < 1e-5), "{mine:?} of {older:?}");
    }
}

#[test]
fn a_model_file_does_as_well_as_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
    for (name, net) in [
        ("tcn", "--channels 8 --dilations 1,2 --memory-s 0.2 --task instruments"),
        ("gru", "--net stream-gru --channels 12 --own-heads"),
    ] {
        let [run, tuned] = ["taught", "tuned"].map(|part| folder.path().join(format!("{name}-{part}")));
        train(&manifest, &run, &format!("{net} --lr 0.01 --epochs 6")).ok();
        // A rate so low that nothing changes but the weights' last digits; other scenes, and so another normalisation.
        let model = run.join("model.onnx");
        train(&manifest, &tuned, &format!("--from {} --epochs 1 --lr 1e-9 --tone-db 0", model.display())).ok();
        let [before, after] = [&run, &tuned].map(|run| validation_loss(run));
        assert!((before - after).abs() < 1e-3, "{net}: {before} before, {after} with the model's weights");
        let [older, newer] = [&run, &tuned].map(|run| Run::open(run).unwrap().settings);
        assert_eq!(older.net(), newer.net());
        assert_ne!(older.mean, newer.mean);
    }
}

#[test]
fn a_shipped_model_is_begun_with_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = common::data_set(folder.path(), &[("sustained", 2000.0), common::LOW], &common::FIVE_PITCHES);
    let tuned = folder.path().join("tuned");
    let said = train(&manifest, &tuned, "--from techniques --epochs 1").ok().err;
    assert!(said.contains("the head begins anew, with the weights of «sustained», «none»"), "{said}");
    let again = folder.path().join("again");
    tocco!("train", "--config", tuned.join("config.toml"), "--out", again).ok();
    assert_eq!(weights_of_all(&again), weights_of_all(&tuned));
    tocco!("train", "--resume", again).ok();
    assert_eq!(weights_of_all(&again), weights_of_all(&tuned), "all steps are made");
    let refused = train(&manifest, Path::new("techniques"), "--from techniques --epochs 1").refusal();
    assert!(refused.contains("--from names the shipped model so") && !Path::new("techniques").exists(), "{refused}");

    let windowed = folder.path().join("windowed");
    train(&manifest, &windowed, "--net linear --epochs 1").ok();
    let from = format!("--from {}", windowed.join("model.onnx").display());
    let refused = train(&manifest, &tuned, &from).refusal();
    assert!(refused.contains("model.onnx") && refused.contains("the folder of its run"), "{refused}");
}

#[test]
fn what_contradicts_the_earlier_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, run) = taught(folder.path(), "--epochs 1");
    let out = folder.path().join("out");
    let from = format!("--from {}", run.display());
    for (options, word) in [
        ("--net ipt-v1", "--net asks for another network"),
        ("--channels 9", "--channels asks for another network"),
        ("--dilations 1,2,4", "--dilations asks"),
        ("--mels 41", "--mels asks"),
        ("--extra-windows 512", "--extra-windows asks"),
        ("--sample-rate 16000", "--sample-rate asks"),
        ("--own-heads", "--own-heads asks"),
        ("--freeze-trunk-epochs 51", "--freeze-trunk-epochs is 51"),
    ] {
        let said = train(&manifest, &out, &format!("{from} {options}")).refusal();
        assert!(said.contains(word), "{options}: {said}");
    }
    assert!(train(&manifest, &out, "--freeze-trunk-epochs 1").refusal().contains("goes with --from"));
    assert!(train(&manifest, &run, &from).refusal().contains("the same folder"));
    assert!(run.join("best.bpk").exists(), "a refusal removes nothing");
    let nothing = train(&manifest, &out, "--from nowhere").refusal();
    assert!(nothing.contains("nowhere") && nothing.contains("--from"), "{nothing}");
    // What says the same is no contradiction.
    train(&manifest, &out, &format!("{from} --net stream-tcn {SMALL} --epochs 1")).ok();
}
