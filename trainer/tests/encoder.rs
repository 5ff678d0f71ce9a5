//! Heads on encoders through the real command: encoders and sounds are made here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Answer, sine, write_wav};
use tocco_models::onnx::{Attribute, GraphBuilder, encode};
use tocco_models::{Model, NetworkKind};

const RATE: u32 = 16_000;
/// Samples that the audio encoder hears: a quarter of a second.
const SAMPLES: usize = 4000;

const FILTERS: usize = 12;

/// High and low notes of a third of a second, with other pitches in each split.
fn data_set(folder: &Path) -> PathBuf {
    let mut manifest = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for (class, hz) in [("high", 2000.0), ("low", 200.0)] {
        for pitch in 0_u8..10 {
            let split = ["train", "train", "train", "val", "test"][usize::from(pitch % 5)];
            let file = format!("{class}{pitch}.wav");
            write_wav(&folder.join(&file), 22_050, &[&sine(22_050, hz * (1.0 + 0.05 * f32::from(pitch)), 0.33)]);
            manifest += &format!("{file},{class},{class}-{pitch},{split},0.33,22050\n");
        }
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, manifest).unwrap();
    path
}

/// A convolutional stack on raw audio `[1, 4000]`: the power behind each filter of a bank, as a sequence `[1, 15, 12]`
/// and as one embedding `[1, 12]`.
fn audio_encoder(folder: &Path) -> PathBuf {
    let taps = 64_u16;
    let filters: Vec<f32> = (0..u16::try_from(FILTERS).unwrap())
        .flat_map(|filter| {
            let hz = 150.0 * f32::from(filter / 2 + 1) * f32::from(filter / 2 + 1);
            let turn = if filter % 2 == 0 { 0.0 } else { std::f32::consts::FRAC_PI_2 };
            (0..taps).map(move |t| (std::f32::consts::TAU * hz * f32::from(t) / RATE as f32 + turn).cos() / 32.0)
        })
        .collect();
    let mut g = GraphBuilder::new("encoder");
    g.input("wave", &[1, SAMPLES]).output("sequence", &[1, 15, FILTERS]).output("one", &[1, FILTERS]);
    g.initializer("bank", &[FILTERS, 1, usize::from(taps)], &filters).initializer("little", &[1], &[1e-6]);
    g.initializer_i64("channel", &[3], &[1, 1, 4000]);
    g.node("Reshape", &["wave", "channel"], &["channels"], &[]);
    g.node("Conv", &["channels", "bank"], &["filtered"], &[("strides", Attribute::Ints(vec![16]))]);
    g.node("Mul", &["filtered", "filtered"], &["power"], &[]);
    let pool = [("kernel_shape", Attribute::Ints(vec![16])), ("strides", Attribute::Ints(vec![16]))];
    g.node("AveragePool", &["power"], &["smooth"], &pool);
    g.node("Add", &["smooth", "little"], &["above"], &[]);
    g.node("Log", &["above"], &["log"], &[]);
    g.node("Transpose", &["log"], &["sequence"], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    let over_time = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
    g.node("ReduceMean", &["sequence"], &["one"], &over_time);
    let path = folder.join("audio-encoder.onnx");
    std::fs::write(&path, encode(&g.finish())).unwrap();
    path
}

/// A convolution over a log-mel `[1, 1, 24, 40]`, bands first, to a sequence `[1, 38, 6]`.
fn log_mel_encoder(folder: &Path) -> PathBuf {
    let weights: Vec<f32> = (0..6 * 24 * 3_u16).map(|i| (f32::from(i) * 0.7).sin() / 10.0).collect();
    let mut g = GraphBuilder::new("encoder");
    g.input("mel", &[1, 1, 24, 40]).output("sequence", &[1, 38, 6]);
    g.initializer("w", &[6, 1, 24, 3], &weights).initializer_i64("axis", &[1], &[2]);
    g.node("Conv", &["mel", "w"], &["seen"], &[]);
    g.node("Squeeze", &["seen", "axis"], &["flat"], &[]);
    g.node("Tanh", &["flat"], &["bent"], &[]);
    g.node("Transpose", &["bent"], &["sequence"], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    let path = folder.join("log-mel-encoder.onnx");
    std::fs::write(&path, encode(&g.finish())).unwrap();
    path
}

struct Case {
    folder: tempfile::TempDir,
    manifest: PathBuf,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = data_set(folder.path());
        Self { folder, manifest }
    }

    /// Trains a head; `None` where ONNX Runtime is not there.
    fn train(&self, encoder: &Path, run: &str, rest: &str) -> Option<Answer> {
        if tocco_trainer::engine::library(None).is_err() {
            common::skipped("no library of ONNX Runtime");
            return None;
        }
        let mut arguments = vec!["train".into(), "--manifest".into(), self.manifest.clone().into_os_string()];
        arguments.extend(["--encoder".into(), encoder.into(), "--out".into(), self.folder.path().join(run).into()]);
        arguments.extend(["--encoder-cache".into(), self.folder.path().join("cache").into_os_string()]);
        arguments.extend(rest.split(' ').map(Into::into));
        Some(common::tocco(arguments))
    }

    fn model(&self, run: &str) -> PathBuf {
        self.folder.path().join(run).join("model.onnx")
    }

    fn recall(&self, run: &str) -> f64 {
        let figures = std::fs::read(self.folder.path().join(run).join("figures.json")).unwrap();
        let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
        figures["metrics"]["test/file_macro_recall_without_none"].as_f64().unwrap()
    }
}

#[test]
fn a_head_on_raw_audio_learns_exports_and_finds_its_embeddings_again() {
    let case = Case::new();
    let encoder = audio_encoder(case.folder.path());
    let options = "--encoder-rate 16000 --epochs 12 --seed 3";
    let Some(first) = case.train(&encoder, "attention", &format!("{options} --head attention")) else { return };
    let first = first.ok();
    assert!(
        first.err.contains("guessed from its shape") && first.err.contains("4000 samples of audio"),
        "{}",
        first.err
    );
    assert!(first.err.contains("21 recordings heard by the encoder") && first.err.contains("0 known"), "{}", first.err);
    assert!(case.recall("attention") > 0.95, "{}", first.err);
    let model = Model::load(&case.model("attention")).unwrap();
    let run = case.folder.path().join("attention");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    // The encoder, choices of the training, and its curves.
    for word in ["audio-encoder.onnx", "attention", "batch_size", "macro-recall without none"] {
        assert!(page.contains(word), "the page lacks {word}");
    }
    assert_eq!(std::fs::read_to_string(run.join("history.csv")).unwrap().lines().count(), 1 + 12);
    let (repeated, config) = (case.folder.path().join("repeated"), run.join("config.toml"));
    tocco!("train", "--config", config, "--out", repeated, "--no-report").ok();
    let repeated = Model::load(&repeated.join("model.onnx")).unwrap();
    assert_eq!(repeated.card().reference, model.card().reference, "the same weights");
    let refused = tocco!("train", "--resume", run).refusal();
    assert!(refused.contains("give the command once more"), "{refused}");
    let again = case.folder.path().join("again.html");
    tocco!("report", "--run", run, "--out", again).ok();
    assert_eq!(std::fs::read_to_string(again).unwrap().len(), page.len());
    assert_eq!(model.card().classes, ["high", "low", "none"]);
    assert_eq!(model.card().network, NetworkKind::Audio { samples: SAMPLES, hop: 1600 });
    assert!(model.card().reference.is_some());

    let second = case.train(&encoder, "gru", &format!("{options} --head gru")).unwrap().ok();
    assert!(
        second.err.contains("0 recordings heard by the encoder") && second.err.contains("21 known"),
        "{}",
        second.err
    );
    assert!(case.recall("gru") > 0.95, "{}", second.err);
    // One embedding instead of the sequence is another question.
    let one = format!("{options} --encoder-output one");
    case.train(&encoder, "linear", &format!("{one} --head linear --task instruments")).unwrap().ok();
    assert!(case.recall("linear") > 0.95);
    let refused = case.train(&encoder, "no", &format!("{one} --head tcn")).unwrap().refusal();
    assert!(refused.contains("--head tcn needs a sequence") && refused.contains("--encoder-windows"), "{refused}");

    let heard = case.folder.path().join("high4.wav");
    let heard = tocco!("recognize", "--model", case.model("gru"), "--format", "csv", heard).ok();
    assert!(heard.out.contains("high") && !heard.out.contains("low"), "{}", heard.out);
}

/// A low and a high note between two others, in either order: each moment of one recording has its like in the other, so
/// that only a sequence of windows can tell them apart.
#[test]
fn a_head_over_successive_windows_hears_what_none_of_them_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for (class, hz) in [("rising", [600.0, 200.0, 2000.0, 600.0]), ("falling", [600.0, 2000.0, 200.0, 600.0])] {
        for pitch in 0_u8..10 {
            let split = ["train", "train", "train", "val", "test"][usize::from(pitch % 5)];
            let file = format!("{class}{pitch}.wav");
            let higher = 1.0 + 0.05 * f32::from(pitch);
            let sound = hz.map(|hz| sine(RATE, hz * higher, 0.3)).concat();
            write_wav(&folder.path().join(&file), RATE, &[&sound]);
            manifest += &format!("{file},{class},{class}-{pitch},{split},1.2,{RATE}\n");
        }
    }
    let case = Case { manifest: folder.path().join("manifest.csv"), folder };
    std::fs::write(&case.manifest, manifest).unwrap();
    let encoder = audio_encoder(case.folder.path());
    let options = "--encoder-rate 16000 --encoder-output one --task instruments --epochs 12 --no-report";
    let Some(alone) = case.train(&encoder, "alone", &format!("{options} --head mlp")) else { return };
    alone.ok();
    assert!(case.recall("alone") < 0.8, "a window alone can't know: {}", case.recall("alone"));
    for head in ["gru", "tcn"] {
        let options = format!("{options} --head {head} --encoder-windows 3 --encoder-step-s 0.2");
        let words = case.train(&encoder, head, &options).unwrap().ok().err;
        assert!(words.contains("3 of them for a decision, each 3200 samples after the one before (0.65 s)"), "{words}");
        assert!(case.recall(head) > 0.95, "{head}: {}", case.recall(head));
        let model = Model::load(&case.model(head)).unwrap();
        assert_eq!(model.card().network, NetworkKind::Audio { samples: SAMPLES + 2 * 3200, hop: 1600 });
    }
    let heard = case.folder.path().join("rising4.wav");
    let heard = tocco!("recognize", "--model", case.model("gru"), "--format", "csv", heard).ok();
    assert!(heard.out.contains("rising"), "{}", heard.out);
}

#[test]
fn a_head_on_log_mel_exports_anew_and_notices_another_encoder() {
    let case = Case::new();
    let encoder = log_mel_encoder(case.folder.path());
    let options = "--encoder-rate 16000 --encoder-scale 0.2 --encoder-offset 1.5 --epochs 12 --head tcn";
    let Some(first) = case.train(&encoder, "run", options) else { return };
    let first = first.ok();
    assert!(first.err.contains("40 frames of 24 mel bands, bands first"), "{}", first.err);
    let model = Model::load(&case.model("run")).unwrap();
    assert_eq!(model.card().network, NetworkKind::Window { frames: 40, frames_per_step: 10 });
    assert_eq!(model.card().frontend.as_ref().unwrap().hop, 160);

    let run = case.folder.path().join("run");
    let out = case.folder.path().join("again.onnx");
    let report = tocco!("export", "--run", run, "--out", out, "--json", "--verify-on", "cpu").ok();
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["checks"][0]["engine"], "tract");
    assert_eq!(report["checks"][2]["engine"], "ONNX Runtime on cpu");
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(case.model("run")).unwrap());
    if !cfg!(target_os = "macos") {
        let refused = tocco!("export", "--run", run, "--out", out, "--verify-on", "coreml").refusal();
        assert!(refused.contains("no execution provider «coreml» here"), "{refused}");
    }
    // A training of another kind in the same folder leaves nothing of the head.
    let other_run = case.folder.path().join("other");
    std::fs::create_dir(&other_run).unwrap();
    for file in ["encoder.json", "head.bpk", "figures.json"] {
        std::fs::copy(run.join(file), other_run.join(file)).unwrap();
    }
    let small = ["--epochs", "1", "--batch-size", "4", "--scene-s", "1", "--channels", "8", "--dilations", "1"];
    let mut arguments = vec![std::ffi::OsString::from("train"), "--manifest".into(), case.manifest.clone().into()];
    arguments.extend(["--out".into(), other_run.clone().into()]);
    arguments.extend(small.map(Into::into));
    common::tocco(arguments).ok();
    assert!(!other_run.join("encoder.json").exists() && other_run.join("model.onnx").exists());

    let other = std::fs::read(audio_encoder(case.folder.path())).unwrap();
    std::fs::write(&encoder, other).unwrap();
    let refused = tocco!("export", "--run", run, "--out", out).refusal();
    assert!(refused.contains("not the encoder that the head was trained on"), "{refused}");
}

/// Where any number of instruments may sound, a recording called `none` holds none of them.
#[test]
fn noise_teaches_a_head_that_nothing_plays() {
    let case = Case::new();
    let encoder = audio_encoder(case.folder.path());
    let mut text = std::fs::read_to_string(&case.manifest).unwrap();
    for split in ["train", "val"] {
        let clicks: Vec<f32> = (0..22_050 / 2).map(|i| if i % 4000 < 40 { 0.3 } else { 0.0 }).collect();
        write_wav(&case.folder.path().join(format!("{split}.wav")), 22_050, &[&clicks]);
        text += &format!("{split}.wav,none,clicks-{split},{split},0.5,22050\n");
    }
    std::fs::write(&case.manifest, text).unwrap();
    let options = "--encoder-rate 16000 --epochs 2 --head linear --task instruments --no-report";
    let Some(trained) = case.train(&encoder, "run", options) else { return };
    let words = trained.ok().err;
    assert!(
        words.contains("21 recordings heard by the encoder") && words.contains("1 known") && !words.contains("skipped"),
        "{words}"
    );

    // Its own file would take the place of the encoder's.
    std::fs::rename(&encoder, case.folder.path().join("run/model.onnx")).unwrap();
    let refused = case.train(&case.model("run"), "run", options).unwrap().refusal();
    assert!(refused.contains("name another folder with --out") && case.model("run").exists(), "{refused}");
}

#[test]
fn what_can_not_be_an_encoder_is_refused_before_anything_is_heard() {
    let case = Case::new();
    let encoder = audio_encoder(case.folder.path());
    let ask = |encoder: &Path, rest: &str| case.train(encoder, "run", rest).map(Answer::refusal);
    let Some(words) = ask(&encoder, "--head linear") else { return };
    assert!(words.contains("--encoder-rate"), "{words}");
    let words = ask(&encoder, "--encoder-rate 16000 --encoder-window-s 2").unwrap();
    assert!(words.contains("made for 4000"), "{words}");
    let words = ask(&encoder, "--encoder-rate 16000 --encoder-output two").unwrap();
    assert!(words.contains("«two»") && words.contains("sequence, one"), "{words}");
    let words = ask(&case.manifest, "--encoder-rate 16000").unwrap();
    assert!(words.contains("manifest.csv"), "{words}");
    if !cfg!(target_os = "macos") {
        let words = ask(&encoder, "--encoder-rate 16000 --execution-provider coreml").unwrap();
        assert!(words.contains("no execution provider «coreml» here"), "{words}");
    }
    assert!(!case.folder.path().join("run").exists(), "nothing was begun");
}

#[test]
fn an_encoder_hears_windows_as_they_are_asked_for() {
    let case = Case::new();
    let encoder = audio_encoder(case.folder.path());
    let options = "--encoder-rate 16000 --epochs 8 --head linear";
    let Some(first) = case.train(&encoder, "full", &format!("{options} --segment-overlap 0.5 --padding full")) else {
        return;
    };
    first.ok();
    assert!(case.recall("full") > 0.95);
    let other = case.train(&encoder, "none", &format!("{options} --segment 0.25 --padding none")).unwrap().ok();
    assert!(other.err.contains("20 recordings heard by the encoder"), "other windows are heard anew: {}", other.err);
    let refused = case.train(&encoder, "no", &format!("{options} --segment 0.5")).unwrap().refusal();
    assert!(refused.contains("0.5") && refused.contains("4000"), "{refused}");

    let longer = log_mel_encoder(case.folder.path());
    let options = "--encoder-rate 16000 --padding none";
    let refused = case.train(&longer, "no", options).unwrap().refusal();
    assert!(refused.contains("high0.wav: no window of it holds enough sound"), "{refused}");
}

#[test]
fn a_head_takes_the_losses_of_whole_networks_and_ends_when_it_has_learnt_enough() {
    let case = Case::new();
    let encoder = audio_encoder(case.folder.path());
    let text = std::fs::read_to_string(&case.manifest).unwrap();
    let unequal: Vec<&str> = text.lines().filter(|row| !row.starts_with("high0.wav")).collect();
    std::fs::write(&case.manifest, unequal.join("\n")).unwrap();
    let options = "--encoder-rate 16000 --seed 3 --head linear --no-report";
    let losses = ["", " --loss both", " --focal 2", " --class-balance 0.99", " --label-smoothing 0.2"];
    let mut heads = Vec::new();
    for (i, loss) in losses.into_iter().enumerate() {
        let run = format!("loss{i}");
        let Some(trained) = case.train(&encoder, &run, &format!("{options} --epochs 3{loss}")) else { return };
        trained.ok();
        heads.push(Model::load(&case.model(&run)).unwrap().card().reference.clone().unwrap().output);
    }
    for (i, head) in heads.iter().enumerate() {
        assert!(!heads[..i].contains(head), "«{}» changes nothing", losses[i]);
    }
    case.train(&encoder, "patient", &format!("{options} --epochs 500 --patience 3")).unwrap().ok();
    let epochs = std::fs::read_to_string(case.folder.path().join("patient/history.csv")).unwrap().lines().count() - 1;
    assert!((4..500).contains(&epochs), "{epochs} epochs");
    assert!(case.recall("patient") > 0.95);
}

#[test]
fn options_that_a_head_has_no_use_for_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("run.toml");
    let ask = |text: &str, rest: &str| {
        std::fs::write(&config, text).unwrap();
        let words = format!("train --encoder e.onnx --manifest m.csv --out run --config {} {rest}", config.display());
        common::tocco(words.split_whitespace()).refusal()
    };
    for (rest, reason) in [
        ("--schedule plateau", "--schedule does not go with --encoder: a head learns by AdamW"),
        (
            "--augment a.toml",
            "--augment does not go with --encoder: an encoder hears the recordings as they are: «tocco augment»",
        ),
        ("--scene-s 2", "--scene-s does not go with --encoder"),
        ("--mels 40", "--mels does not go with --encoder: what the encoder hears is said with --encoder-rate"),
        ("--channels 8", "--channels does not go with --encoder: the network is the encoder"),
        ("--patience 0", "--patience is 0: it must be at least 1"),
        ("--from other", "--from does not go with --encoder: a head on an encoder begins anew"),
        ("--teacher t.onnx", "--teacher does not go with --encoder: it teaches whole networks"),
    ] {
        let words = ask("", rest);
        assert!(words.contains(reason), "{rest}: {words}");
    }
    let words = ask("[schedule]\nwarm_up = 0.1\n", "");
    assert!(words.contains("--warm-up does not go with --encoder"), "{words}");
    let words = ask("[augment.tilt]\nchance = 1\n", "");
    assert!(words.contains("run.toml: [augment] does not go with --encoder"), "{words}");
    // What it does use is not in the way: the manifest is what is missing.
    let words = ask("[schedule]\nepochs = 3\n", "--head linear --lr 0.1 --seed 3 --task instruments --focal 2");
    assert!(words.contains("m.csv"), "{words}");
}
