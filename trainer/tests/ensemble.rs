//! `tocco ensemble` on models with known answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
mod common;

use std::path::{Path, PathBuf};

use common::{HIGH_HZ, LOW_HZ, RATE, sine, write_wav};
use tocco_models::onnx::{decode, encode, with_card};
use tocco_models::{Card, Model};

/// The model of the tests with its answers turned around: always wrong where the other is right.
fn wrong(folder: &Path) -> PathBuf {
    let mut graph = common::graph();
    for tensor in &mut graph.graph.as_mut().unwrap().initializer {
        if tensor.name == "w" {
            for number in tensor.raw_data.chunks_exact_mut(4) {
                let turned = -f32::from_le_bytes(number.try_into().unwrap());
                number.copy_from_slice(&turned.to_le_bytes());
            }
        }
    }
    write(folder, "wrong.onnx", graph, &common::card())
}

fn write(folder: &Path, name: &str, graph: tocco_models::onnx::pb::ModelProto, card: &Card) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, encode(&with_card(graph, card).unwrap())).unwrap();
    path
}

fn manifest(folder: &Path) -> PathBuf {
    let mut rows = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for i in 0_u8..4 {
        for (class, hz) in [("high", HIGH_HZ), ("low", LOW_HZ)] {
            let file = format!("{class}{i}.wav");
            write_wav(&folder.join(&file), RATE, &[&sine(RATE, hz * (1.0 + 0.1 * f32::from(i)), 0.4)]);
            let split = if i < 2 { "val" } else { "test" };
            rows += &format!("{file},{class},{class}-{i},{split},0.4,{RATE}\n");
        }
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, rows).unwrap();
    path
}

/// Logits of a model after some steps of frames that differ.
fn answers(model: &Path) -> Vec<f32> {
    let model = Model::load(model).unwrap();
    let mut runner = model.runner().unwrap();
    let mut logits = vec![0.0; 3];
    for step in 0..4_u8 {
        let frames: Vec<f32> =
            (0..model.card().step_input()).map(|i| (i as f32 * 0.7 + f32::from(step)).sin()).collect();
        runner.step(&frames, &mut logits).unwrap();
    }
    logits
}

fn posterior(logits: &[f32], temperature: f32) -> Vec<f32> {
    let parts: Vec<f32> = logits.iter().map(|z| (z / temperature).exp()).collect();
    parts.iter().map(|p| p / parts.iter().sum::<f32>()).collect()
}

#[test]
fn a_member_that_is_always_wrong_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (common::model(folder.path()), wrong(folder.path()));
    let (manifest, out) = (manifest(folder.path()), folder.path().join("both.onnx"));
    let answer = tocco!("ensemble", &right, &wrong, "--manifest", &manifest, "--out", &out).ok();
    let weights: Vec<&str> = answer.out.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(weights[1..4], ["1.000", "0.000", "1.000"], "{}", answer.out);
    let model = Model::load(&out).unwrap();
    assert_eq!((model.card().name.as_str(), model.card().classes.len()), ("both", 3));
    let (mine, alone) = (posterior(&answers(&out), 1.0), posterior(&answers(&right), 1.0));
    assert!(mine.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{mine:?} {alone:?}");
}

#[test]
fn the_merged_network_answers_with_the_weighted_mean_of_posteriors() {
    let folder = tempfile::tempdir().unwrap();
    let card = Card { temperature: 2.5, licence: "CC0-1.0".into(), ..common::card() };
    let other = write(folder.path(), "other.onnx", common::graph(), &card);
    let paths = [common::model(folder.path()), wrong(folder.path()), other];
    let members: Vec<_> = paths.iter().map(|p| tocco_trainer::ensemble::Member::open(p).unwrap()).collect();
    let weights = [0.5, 0.2, 0.3];
    let bytes = tocco_trainer::ensemble::merged(&members, &weights, "three").unwrap();
    let out = folder.path().join("three.onnx");
    std::fs::write(&out, &bytes).unwrap();
    assert_eq!(Model::load(&out).unwrap().card().licence, "MIT OR Apache-2.0; CC0-1.0");
    let mine = posterior(&answers(&out), 1.0);
    let parts: Vec<Vec<f32>> =
        paths.iter().zip([1.0, 1.0, 2.5]).map(|(path, temperature)| posterior(&answers(path), temperature)).collect();
    for (class, mine) in mine.iter().enumerate() {
        let wanted: f32 = parts.iter().zip([0.5, 0.2, 0.3]).map(|(p, w)| w * p[class]).sum();
        assert!((mine - wanted).abs() < 1e-5, "class {class}: {mine} against {wanted}");
    }
}

/// What is too soft for the gate is heard as it sounds, not as the silence that a closed gate tells.
#[test]
fn soft_recordings_teach_the_weights_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soft.wav");
    let soft: Vec<f32> = sine(RATE, HIGH_HZ, 0.4).iter().map(|s| 1e-3 * s).collect();
    write_wav(&path, RATE, &[&soft]);
    let ears = tocco_trainer::ensemble::ears(&[common::model(folder.path())]).unwrap();
    let manifest = folder.path().join("soft.csv");
    std::fs::write(
        &manifest,
        format!("path,labels,group,split,duration_s,sample_rate\nsoft.wav,high,a,val,0.4,{RATE}\n"),
    )
    .unwrap();
    let manifest = tocco_trainer::manifest::Manifest::read(&manifest).unwrap();
    let heard = tocco_trainer::ensemble::hear(&ears, &manifest.rows[0]).unwrap();
    let [high, low, none] = heard.posteriors[0][..] else { panic!("{heard:?}") };
    assert!(heard.sounds() && high > 1.5 * low && none < 0.9, "{heard:?}");
}

#[test]
fn what_does_not_run_in_step_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let right = common::model(folder.path());
    let mut card = common::card();
    card.classes[0] = "higher".into();
    let other = write(folder.path(), "other.onnx", decode(&common::model_bytes()).unwrap(), &card);
    let (manifest, out) = (manifest(folder.path()), folder.path().join("both.onnx"));
    let words = tocco!("ensemble", &right, &other, "--manifest", &manifest, "--out", &out).refusal();
    assert!(words.contains("high-or-low.onnx") && words.contains("other.onnx") && words.contains("higher"), "{words}");
    assert!(!out.exists());
}
