//! Networks and encoders that hear windows of single recordings; weights and workers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

const SMALL: &str = "--net mlp --batch-size 4 --windows-per-scene 4 --mels 32 --lr 0.003 --seed 3";

struct Case {
    folder: tempfile::TempDir,
    manifest: PathBuf,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = common::data_set(folder.path(), &[common::HIGH, common::LOW], &common::FIVE_PITCHES);
        Self { folder, manifest }
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(&self, name: &str, options: &str) -> common::Answer {
        let (manifest, run) = (self.manifest.display(), self.run(name));
        common::tocco(format!("train --manifest {manifest} --out {} {options}", run.display()).split_whitespace())
    }
}

fn card(run: &Path) -> tocco_models::Card {
    tocco_models::Model::load(&run.join("model.onnx")).unwrap().card().clone()
}

#[test]
fn a_network_learns_from_windows_of_single_recordings_and_its_config_says_so() {
    let case = Case::new();
    let asked = format!("{SMALL} --epochs 8 --segment 0.24 --segment-overlap 0.25 --padding full --trim cut");
    case.train("first", &asked).ok();
    let figures = std::fs::read(case.run("first").join("figures.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
    let recall = figures["metrics"]["test/file_macro_recall_without_none"].as_f64().unwrap();
    assert!(recall > 0.9, "macro-recall at unheard pitches: {recall}");
    let first = card(&case.run("first"));
    assert_eq!(first.network, tocco_models::NetworkKind::Window { frames: 24, frames_per_step: 2 });

    let config = case.run("first").join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["data"]["padding"].as_str(), Some("full"), "{text}");
    assert!(table["data"].get("scene_s").is_none(), "no word of scenes where there are none: {text}");
    case.train("second", &format!("--config {} --workers 3", config.display())).ok();
    assert_eq!(card(&case.run("second")).reference, first.reference, "the same with other workers");
    case.train("third", &format!("--config {} --padding none", config.display())).ok();
    assert_ne!(card(&case.run("third")).reference, first.reference);
    let longer = format!("--epochs 1 --from {} --segment 0.32", case.run("first").display());
    let words = case.train("fourth", &longer).refusal();
    assert!(words.contains("--segment asks for another network than the one in"), "{words}");
}

#[test]
fn what_contradicts_windows_is_refused_by_name() {
    let case = Case::new();
    for (options, reason) in [
        ("--padding full", "--padding belongs to networks that hear windows, and to --encoder: stream-tcn hears whole"),
        ("--segment 0.5 --net stream-gru", "--segment belongs to networks that hear windows"),
        ("--net mlp --padding full --scene-s 2", "--scene-s is about scenes: --padding cuts windows"),
        ("--net mlp --trim cut --polyphony 1..2", "--polyphony is about scenes: --trim cuts windows"),
        ("--net mlp --trim cut --gain-db -6..0", "--gain-db is about scenes: --trim cuts windows"),
        ("--net mlp --segment 0.001", "--segment is 0.001 s: it must lie between 0.02 and 60"),
        ("--net mlp --segment 0.03", "--segment: 3 frames are too few"),
        ("--net ast --segment 0.5", "--segment 0.48 would do"),
        ("--net ipt-v1 --segment 0.2", "--segment: 9 frames are too few for this network"),
        ("--net mlp --segment-overlap 1", "--segment-overlap is 1: it must lie between 0 and 0.99"),
        ("--workers 0", "--workers is 0: it must lie between 1 and 256"),
        ("--devices 0", "--devices is 0: it must be at least 1"),
        (
            "--devices 2",
            "--devices is 2: it must be at least 1 and divide the batches of a step, --accumulate, which is 1",
        ),
        ("--devices 2 --accumulate 2", "--devices is 2: «--device cpu» has 1 here"),
    ] {
        let words = case.train("run", options).refusal();
        assert!(words.contains(reason), "{options}: {words}");
        assert!(!case.run("run").exists(), "nothing was begun");
    }
    let words = case.train("run", "--net mlp --segment 0.6 --padding none").refusal();
    assert!(words.contains("high0.wav: no window of 0.600 s holds enough of its sound"), "{words}");
    assert!(words.contains("no recording of the class «high» can be used"), "{words}");
}

#[test]
fn a_weight_that_is_none_is_refused_by_its_line_and_a_good_one_changes_what_is_learnt() {
    let case = Case::new();
    let options = "--epochs 1 --batch-size 2 --scene-s 0.5 --channels 8 --dilations 1 --no-report";
    case.train("plain", options).ok();
    let plain = std::fs::read_to_string(&case.manifest).unwrap();
    let weighted = |weight: &str| {
        let lines = plain.lines().enumerate().map(|(i, line)| match i {
            0 => format!("{line},weight\n"),
            1 => format!("{line},{weight}\n"),
            _ => format!("{line},\n"),
        });
        std::fs::write(&case.manifest, lines.collect::<String>()).unwrap();
    };
    weighted("much");
    let words = case.train("refused", options).refusal();
    assert!(words.contains("manifest.csv, line 2: the weight is «much»: it must be a number above 0"), "{words}");
    weighted("1");
    case.train("one", options).ok();
    weighted("20");
    case.train("more", options).ok();
    let reference = |name: &str| card(&case.run(name)).reference;
    assert_eq!(reference("plain"), reference("one"));
    assert_ne!(reference("plain"), reference("more"));
}
