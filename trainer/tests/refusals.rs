//! Bad input to the real command: each a clear sentence, the right exit status, nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{HIGH_HZ, LOW_HZ, RATE, graph, model, silent_mp3, sine, write_wav};
use tocco_models::onnx::{encode, pb, with_card};

/// Three good recordings of each of two classes.
fn good_folders(root: &Path) {
    for (class, hz) in [("high", HIGH_HZ), ("low", LOW_HZ)] {
        for take in 1..=3 {
            write_wav(&root.join(class).join(format!("{take}.wav")), RATE, &[&sine(RATE, hz, 0.5)]);
        }
    }
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "«{part}» is missing in: {text}");
    }
}

#[test]
fn prepare_names_counts_and_skips_what_it_cannot_use() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    good_folders(&data);
    let high = data.join("high");
    std::fs::write(high.join("letter.wav"), "Dear Anna,").unwrap();
    std::fs::write(high.join("nothing.wav"), "").unwrap();
    write_wav(&high.join("header-only.wav"), RATE, &[&[]]);
    write_wav(&high.join("short.wav"), RATE, &[&sine(RATE, 440.0, 0.05)]);
    write_wav(&high.join("silent.wav"), RATE, &[&[0.0; 12_000]]);
    let whole = silent_mp3(40);
    std::fs::write(high.join("cut.mp3"), &whole[..whole.len() - 200]).unwrap();
    let mut cut = std::fs::read(high.join("1.wav")).unwrap();
    cut.truncate(cut.len() / 2);
    std::fs::write(high.join("cut.wav"), &cut).unwrap();
    std::fs::write(high.join("notes.txt"), "bring the other bow").unwrap();
    let manifest = root.path().join("manifest.csv");
    let answer = tocco!("prepare", data, "--out", manifest).ok();
    for (file, reason) in [
        ("letter.wav", "not a recording"),
        ("nothing.wav", "empty"),
        ("header-only.wav", "empty"),
        ("short.wav", "too short"),
        ("silent.wav", "silent"),
        ("cut.mp3", "cut off"),
        ("cut.wav", "damaged"),
    ] {
        let line = answer.err.lines().find(|l| l.contains(&format!("{file}:"))).unwrap_or_else(|| {
            panic!("{file} is not named in: {}", answer.err);
        });
        assert_says(line, &["skipped", reason]);
    }
    assert_says(&answer.err, &["1 files that are no recordings by their names (txt)"]);
    assert_says(&answer.out, &["6 recordings", "7 recordings were skipped"]);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap().lines().count(), 7);
}

/// A real MP3 cut in the middle, where the recordings are at hand.
#[test]
fn a_real_mp3_that_was_cut_is_called_damaged() {
    let real =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/philharmonia/flute/flute_A4_1_forte_normal.mp3");
    let Ok(bytes) = std::fs::read(&real) else {
        println!("skipped: {} is not there", real.display());
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let cut = root.path().join("cut.mp3");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let answer = tocco!("recognize", "--model", model, "--format", "csv", cut);
    assert_eq!(answer.code, Some(1));
    assert_says(&answer.err, &["cut.mp3", "damaged", "cut off", "s of it can be heard"]);
    assert_says(&answer.out, &["file,start_s,end_s,class,confidence\n", "cut.mp3,0."]);
}

#[test]
fn a_class_with_one_file_is_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    good_folders(&data);
    write_wav(&data.join("scraped/1.wav"), RATE, &[&sine(RATE, 900.0, 0.5)]);
    let manifest = root.path().join("manifest.csv");
    std::fs::write(&manifest, "yesterday's work").unwrap();
    let sentence = tocco!("prepare", data, "--out", manifest).refusal();
    assert_says(&sentence, &["«scraped»", "1 independent group of", "3 splits", "record more"]);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "yesterday's work");
}

#[test]
fn folders_without_recordings_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let manifest = root.path().join("m.csv");
    assert_says(&tocco!("prepare", root.path(), "--out", manifest).refusal(), &["no recording with a label"]);
    let gone = root.path().join("gone");
    assert_says(&tocco!("prepare", gone, "--out", manifest).refusal(), &["gone", "can't be read"]);
    std::fs::create_dir(root.path().join("high")).unwrap();
    std::fs::write(root.path().join("high/a.wav"), "no sound").unwrap();
    assert_says(&tocco!("prepare", root.path(), "--out", manifest).refusal(), &["a.wav", "none of the recordings"]);
    assert!(!manifest.exists());
}

#[test]
fn a_manifest_row_that_points_nowhere_is_named_and_the_rest_is_used() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    good_folders(root.path());
    let manifest = root.path().join("m.csv");
    let header = "path,labels,group,split,duration_s,sample_rate\n";
    std::fs::write(
        &manifest,
        format!("{header}high/1.wav,high,a,test,0.5,24000\nhigh/gone.wav,high,b,test,0.5,24000\n"),
    )
    .unwrap();
    let answer = tocco!("evaluate", "--model", model, "--manifest", manifest).ok();
    assert_says(&answer.err, &["m.csv, line 3", "gone.wav is not there", "1 rows point nowhere"]);
    assert_says(&answer.out, &["accuracy 1.0000", "1 recordings were skipped"]);

    std::fs::write(&manifest, format!("{header}high/gone.wav,high,b,test,0.5,24000\n")).unwrap();
    let sentence = tocco!("evaluate", "--model", model, "--manifest", manifest).refusal();
    assert_says(&sentence, &["m.csv", "none of its 1 rows points to a file that is there", "line 2"]);

    for (row, reason) in [
        ("high/1.wav,high,a,tset,0.5,24000", "the split is «tset»"),
        ("high/1.wav,,a,test,0.5,24000", "no label"),
        ("high/1.wav,hi\tgh,a,test,0.5,24000", "control characters"),
        ("high/1.wav,high,a,test,long,24000", "the duration is «long»"),
        ("high/1.wav,high", "found record with 2 fields"),
        ("high/1.wav,squeaky,a,test,0.5,24000", "no class «squeaky»"),
    ] {
        std::fs::write(&manifest, format!("{header}{row}\n")).unwrap();
        let sentence = tocco!("evaluate", "--model", model, "--manifest", manifest).refusal();
        assert_says(&sentence, &[reason]);
    }
    std::fs::write(&manifest, "path,labels\nhigh/1.wav,high\n").unwrap();
    let sentence = tocco!("evaluate", "--model", model, "--manifest", manifest).refusal();
    assert_says(&sentence, &["m.csv", "the column «group» is missing"]);
}

/// Every command that reads a model refuses it with the file's name and the reason.
fn refuses_model(bytes: &[u8], reason: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("bad.onnx");
    std::fs::write(&model, bytes).unwrap();
    let sound = root.path().join("high/1.wav");
    write_wav(&sound, RATE, &[&sine(RATE, HIGH_HZ, 0.5)]);
    let report = root.path().join("report");
    let sentences = [
        tocco!("inspect", model).refusal(),
        tocco!("recognize", "--model", model, "--format", "csv", sound).refusal(),
        tocco!("evaluate", "--model", model, "--data", root.path(), "--out", report).refusal(),
    ];
    for sentence in sentences {
        assert_says(&sentence, &["bad.onnx"]);
        assert_says(&sentence, reason);
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
    assert!(!report.exists(), "no report about a model that was refused");
}

#[test]
fn a_model_cut_in_half_is_refused() {
    let bytes = common::model_bytes();
    refuses_model(&bytes[..bytes.len() / 2], &["cut off"]);
    refuses_model(b"RIFF....WAVE", &["no complete ONNX model"]);
    refuses_model(b"", &[]);
}

#[test]
fn a_model_with_nan_weights_is_refused() {
    let mut model = with_card(graph(), &common::card()).unwrap();
    let weights = weights(&mut model);
    weights.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    refuses_model(&encode(&model), &["«w»", "not finite"]);
}

#[test]
fn a_model_with_its_weights_elsewhere_is_refused() {
    let mut model = with_card(graph(), &common::card()).unwrap();
    let weights = weights(&mut model);
    weights.raw_data.clear();
    weights.data_location = Some(pb::tensor_proto::DataLocation::External as i32);
    weights.external_data =
        vec![pb::StringStringEntryProto { key: "location".into(), value: "../../../etc/passwd".into() }];
    refuses_model(&encode(&model), &["«w»", "../../../etc/passwd", "one file"]);
}

fn weights(model: &mut pb::ModelProto) -> &mut pb::TensorProto {
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.iter_mut().find(|t| t.name == "w").unwrap()
}

#[test]
fn what_is_no_recording_is_refused_and_the_others_are_told() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let (letter, sound) = (root.path().join("letter.txt"), root.path().join("sound.wav"));
    std::fs::write(&letter, "Dear Anna,").unwrap();
    write_wav(&sound, RATE, &[&sine(RATE, LOW_HZ, 0.5)]);
    let sentence = tocco!("recognize", "--model", model, "--format", "text", letter).refusal();
    assert_says(&sentence, &["letter.txt", "not a recording"]);
    let gone = root.path().join("gone.wav");
    let answer = tocco!("recognize", "--model", model, gone, sound, letter);
    assert_eq!(answer.code, Some(1));
    assert_says(&answer.out, &["sound.wav", "low"]);
    assert_says(&answer.err, &["gone.wav", "letter.txt", "2 of 3 recordings"]);
}

#[test]
fn an_engine_that_is_not_there_is_told_once() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    good_folders(&root.path().join("data"));
    let (data, sound) = (root.path().join("data"), root.path().join("data/low/1.wav"));
    for words in [
        tocco!("recognize", "--model", model, "--execution-provider", "cuda", sound).refusal(),
        tocco!("evaluate", "--model", model, "--data", data, "--execution-provider", "cuda").refusal(),
    ] {
        assert_says(&words, &["--execution-provider cuda needs --engine ort"]);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_tocco"))
        .args(["evaluate", "--engine", "ort", "--model"])
        .arg(&model)
        .arg("--data")
        .arg(&data)
        .env("ORT_DYLIB_PATH", root.path().join("gone.so"))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), words.lines().count()), (Some(1), 1), "{words}");
    assert_says(&words, &["gone.so", "points to no library"]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let sound = root.path().join("sound.wav");
    write_wav(&sound, RATE, &[&sine(RATE, LOW_HZ, 0.5)]);
    let loud = tocco!("recognize", "--model", model, "--gate-dbfs", "6", sound).refusal();
    assert_says(&loud, &["gate", "6", "-120"]);
    let manifest = root.path().join("m.csv");
    let greedy = tocco!("prepare", root.path(), "--out", manifest, "--val-ratio", "0.7", "--test-ratio", "0.4");
    assert_says(&greedy.refusal(), &["nothing is left for training"]);
    let beyond = tocco!("prepare", root.path(), "--out", manifest, "--folds", "5", "--fold", "5").refusal();
    assert_says(&beyond, &["from 0 to 4"]);
    let unknown = tocco!("prepare", root.path(), "--out", manifest, "--label-set", "moods").refusal();
    assert_says(&unknown, &["«moods»", "instruments"]);
    let osc = tocco!("recognize", "--model", model, "--osc", "nowhere", sound).refusal();
    assert_says(&osc, &["«nowhere» is no address", "HOST:PORT"]);
}
