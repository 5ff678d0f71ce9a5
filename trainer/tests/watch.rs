//! What a person sees of a training: its curves, read back by TensorBoard itself, and the files that it leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{HIGH_HZ, LOW_HZ, RATE, sine, skipped, write_wav};
use serde_json::{Value, json};
use tocco_trainer::metrics::Confusion;
use tocco_trainer::watch::{Plan, TENSORBOARD, Validation, Watcher, history};

/// The Python of `cargo xtask setup`.
fn python() -> Option<PathBuf> {
    std::env::var_os("TOCCO_PYTHON").map(PathBuf::from)
}

fn read_back(python: &Path, run: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/event_files.py");
    let output = Command::new(python).arg(script).arg(run.join(TENSORBOARD)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Steps `from` to `to`; every second one ends an epoch.
fn watch(run: &Path, from: usize, to: usize, loss: f32) {
    let plan = Plan { epochs: 4, steps: 8, first_step: from, step_sound_s: 20.0 };
    let mut watcher = Watcher::start(run, plan, &json!({"epochs": 4, "net": {"kind": "tcn"}})).unwrap();
    let mut confusion = Confusion::new(&["arco".to_owned(), "pizz".to_owned()]);
    confusion.add(0, 0, 3);
    for step in from + 1..=to {
        watcher.step(0.5 / step as f64, Some(loss)).unwrap();
        if step % 2 == 0 {
            let epoch = step / 2;
            let macro_f1 = 0.25 * epoch as f64;
            let found = Validation { epoch, loss: 1.5, macro_f1, macro_recall: 0.5, confusion: &confusion };
            watcher.validated(&found).unwrap();
        }
    }
}

/// A training is killed after its sixth step and resumed from the fourth: the curves hold each step once, the newer one.
#[test]
fn tensorboard_reads_the_curves_of_a_training_that_was_resumed() {
    let Some(python) = python() else { return skipped("TOCCO_PYTHON names no Python: see `cargo xtask setup`") };
    let run = tempfile::tempdir().unwrap();
    watch(run.path(), 0, 6, 4.0);
    watch(run.path(), 4, 8, 1.0);
    let found = read_back(&python, run.path());
    let curve = |tag: &str| -> Vec<(u64, f64)> {
        let points = found["scalars"][tag].as_array().unwrap_or_else(|| panic!("no {tag}: {found}"));
        points.iter().map(|p| (p[0].as_u64().unwrap(), p[1].as_f64().unwrap())).collect()
    };
    let loss = curve("train/loss");
    assert_eq!(loss, [(1, 4.0), (2, 4.0), (3, 4.0), (4, 4.0), (5, 1.0), (6, 1.0), (7, 1.0), (8, 1.0)]);
    assert_eq!(curve("val/macro_f1"), [(2, 0.25), (4, 0.5), (6, 0.75), (8, 1.0)]);
    assert_eq!(curve("val/loss").len(), 4);
    assert_eq!(curve("val/macro_recall").len(), 4);
    assert_eq!(curve("train/learning_rate")[3], (4, 0.125));
    assert!(curve("train/sound_per_s").iter().all(|(_, rate)| *rate > 0.0));
    assert!(found["texts"]["settings"].as_str().unwrap().contains("| net.kind | tcn |"), "{found}");
    let picture = &found["pictures"]["val/confusion"];
    assert_eq!((&picture["step"], &picture["width"], &picture["height"]), (&json!(8), &json!(48), &json!(48)));
    assert_eq!(picture["start"], "GIF89a");
    assert!(picture["about"].as_str().unwrap().ends_with("arco, pizz."), "{picture}");

    let rows = history::read(&run.path().join(history::FILE)).unwrap();
    assert_eq!(rows.iter().map(|r| (r.epoch, r.loss)).collect::<Vec<_>>(), [(1, 4.0), (2, 4.0), (3, 1.0), (4, 1.0)]);
}

/// High and low notes for a training that takes seconds.
fn data_set(folder: &Path) -> PathBuf {
    let mut rows = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for (class, hz) in [("high", HIGH_HZ), ("low", LOW_HZ)] {
        for (take, split) in ["train", "train", "train", "val", "test"].into_iter().enumerate() {
            let file = format!("{class}{take}.wav");
            write_wav(&folder.join(&file), RATE, &[&sine(RATE, hz * (1.0 + 0.05 * take as f32), 0.5)]);
            rows += &format!("{file},{class},{class}-{take},{split},0.5,{RATE}\n");
        }
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, rows).unwrap();
    path
}

#[test]
fn a_training_leaves_its_curves_and_a_page_and_says_how_fast_it_was() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, run) = (data_set(root.path()), root.path().join("run"));
    let small = "--batch-size 4 --scene-s 1.2 --channels 8 --dilations 1,2 --epochs 2".split(' ');
    let train = |extra: &[&'static str]| {
        let mut arguments = vec!["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
        arguments.extend(small.clone().chain(extra.iter().copied()));
        common::tocco(arguments).ok()
    };
    let words = train(&[]).err;
    let line = words.lines().find(|l| l.starts_with("epoch 1/2")).unwrap_or_else(|| panic!("{words}"));
    for part in ["loss ", "macro-F1 ", " s of sound a second", " left"] {
        assert!(line.contains(part), "{line}");
    }
    let rows = history::read(&run.join(history::FILE)).unwrap();
    assert_eq!(rows.iter().map(|r| r.epoch).collect::<Vec<_>>(), [1, 2]);
    assert!(rows[1].step == 2 * rows[0].step && rows[1].learning_rate > 0.0 && rows[1].wall_s > rows[0].wall_s);
    assert!((rows[1].sound_s - rows[1].step as f64 * 4.0 * 1.2).abs() < 0.1, "{rows:?}");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("2 recordings of manifest.csv, split test") && page.contains("<figcaption><b>loss</b>"));
    assert_eq!(std::fs::read_dir(run.join(TENSORBOARD)).unwrap().count(), 1);

    // The run knows its recordings: the page can be made again, without sound.
    let again = root.path().join("again.html");
    tocco!("report", "--run", run, "--out", again, "--no-audio").ok();
    assert!(std::fs::read_to_string(&again).unwrap().contains("<figcaption><b>loss</b>"));

    // Another training in the same folder takes the older one's files away.
    train(&["--no-report"]);
    assert!(!run.join("report.html").exists());
    assert_eq!(std::fs::read_dir(run.join(TENSORBOARD)).unwrap().count(), 1);
    assert_eq!(history::read(&run.join(history::FILE)).unwrap().len(), 2);
}
