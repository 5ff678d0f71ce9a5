//! `tocco prepare` beside the layouts: label maps, whose splits, and recordings that are nearly the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::Path;

use common::{HIGH_HZ, LOW_HZ, RATE, sine, write_wav};
use tocco_trainer::manifest::{Manifest, Split};

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "«{part}» is missing in: {text}");
    }
}

/// Six recordings of each class below `folder`, no two of them alike.
fn classes(folder: &Path, names: &[&str], hz: f32) {
    for (c, name) in (0_u8..).zip(names) {
        for take in 0..6_u8 {
            let hz = hz * (1.0 + 0.31 * f32::from(c) + 0.04 * f32::from(take));
            write_wav(&folder.join(name).join(format!("{take}.wav")), RATE, &[&sine(RATE, hz, 0.3)]);
        }
    }
}

#[test]
fn two_datasets_become_one_by_a_label_map() {
    let root = tempfile::tempdir().unwrap();
    let (mine, yours) = (root.path().join("mine"), root.path().join("yours"));
    classes(&mine, &["gel", "voice"], LOW_HZ);
    classes(&yours, &["e-guitar", "sining", "noise"], HIGH_HZ);
    let map = root.path().join("map.toml");
    std::fs::write(
        &map,
        "drop = ['noise']\n[rename]\ngel = 'electric guitar'\ne-guitar = 'electric guitar'\nsinging = 'voice'\n",
    )
    .unwrap();
    let path = root.path().join("m.csv");
    let answer = tocco!("prepare", mine, yours, "--label-map", map, "--out", path).ok();
    assert_says(&answer.err, &["the label map speaks of «singing»", "did you mean «sining»?"]);
    assert_says(&answer.out, &["6 recordings hold no label of this label set or map"]);
    let manifest = Manifest::read(&path).unwrap();
    assert_eq!(manifest.classes(), ["electric guitar", "sining", "voice"]);
    assert_eq!(manifest.rows.iter().filter(|r| r.labels == ["electric guitar"]).count(), 12);

    std::fs::write(&map, "[renam]\na = 'b'\n").unwrap();
    let sentence = tocco!("prepare", mine, "--label-map", map, "--out", path).refusal();
    assert_says(&sentence, &["map.toml", "«renam»", "did you mean «rename»?"]);
}

#[test]
fn validation_comes_from_train_or_from_test() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    classes(&data.join("train"), &["high", "low"], LOW_HZ);
    classes(&data.join("test"), &["high", "low"], HIGH_HZ);
    let path = root.path().join("m.csv");
    let counts = || {
        let manifest = Manifest::read(&path).unwrap();
        Split::ALL.map(|split| manifest.split(split).count())
    };
    tocco!("prepare", data, "--val-ratio", "0.5", "--out", path).ok();
    assert_eq!(counts(), [6, 6, 12]);
    let answer = tocco!("prepare", data, "--val-ratio", "0.5", "--val-from", "test", "--out", path).ok();
    assert_says(&answer.err, &["50 % of «test» is taken for validation"]);
    assert_eq!(counts(), [12, 6, 6]);
    tocco!("prepare", data, "--split", "dealt", "--out", path).ok();
    assert_eq!(counts().iter().sum::<usize>(), 24);
    assert!(counts()[2] < 12, "the folders' names count for nothing");

    classes(&data.join("val"), &["high", "low"], 900.0);
    let sentence = tocco!("prepare", data, "--val-from", "test", "--out", path).refusal();
    assert_says(&sentence, &["--val-from", "validation is one of them"]);
    let train = data.join("train");
    let sentence = tocco!("prepare", train, "--val-from", "test", "--out", path).refusal();
    assert_says(&sentence, &["--val-ratio alone decides"]);
    let sentence = tocco!("prepare", train, "--split", "official", "--out", path).refusal();
    assert_says(&sentence, &["--split official", "name splits"]);
    let sentence = tocco!("prepare", train, "--group-by", "player", "--out", path).refusal();
    assert_says(&sentence, &["--group-by player", "folders alone do not tell it", "--dataset"]);
}

#[test]
fn what_is_held_out_is_the_test_and_nothing_else_is() {
    let root = tempfile::tempdir().unwrap();
    for (room, hz) in [("hall", LOW_HZ), ("studio", HIGH_HZ)] {
        classes(&root.path().join(room), &["high", "low"], hz);
    }
    let path = root.path().join("m.csv");
    let dirs = [root.path().join("hall"), root.path().join("studio")];
    let prepare = |expression: &str| {
        tocco!(
            "prepare",
            dirs[0],
            dirs[1],
            "--group-by",
            "regex:(?:hall|studio)/.*",
            "--hold-out",
            expression,
            "--out",
            path
        )
    };
    prepare("^studio/").ok();
    let rows = Manifest::read(&path).unwrap().rows;
    assert_eq!(rows.len(), 24);
    for row in &rows {
        assert_eq!(row.split == Split::Test, row.group.starts_with("studio/"), "{}", row.group);
    }
    assert!(rows.iter().any(|row| row.split == Split::Val), "the rest is dealt out");
    // A room in which some classes were never recorded can be held out too.
    std::fs::remove_dir_all(dirs[1].join("high")).unwrap();
    prepare("^studio/").ok();
    Manifest::read(&path).unwrap().check_for_training().unwrap();
    assert_says(&prepare("^cellar/").refusal(), &["--hold-out ^cellar/", "no group", "one of them is «"]);
    assert_says(&prepare("h|s").refusal(), &["nothing is left for training"]);
}

#[test]
fn a_class_of_one_split_is_named() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    classes(&data.join("train"), &["high", "low"], LOW_HZ);
    classes(&data.join("test"), &["high", "low", "squeak"], HIGH_HZ);
    let path = root.path().join("m.csv");
    let answer = tocco!("prepare", data, "--out", path).ok();
    assert_says(&answer.err, &["the class «squeak» occurs in «test» only, not in «train» and «val»"]);
    assert_eq!(Manifest::read(&path).unwrap().rows.len(), 30);
}

#[test]
fn a_class_with_fewer_files_than_folds_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    classes(&data, &["high", "low"], LOW_HZ);
    let path = root.path().join("m.csv");
    let sentence = tocco!("prepare", data, "--folds", "7", "--fold", "0", "--out", path).refusal();
    assert_says(&sentence, &["«high»", "6 independent groups", "7 folds"]);
    assert!(!path.exists());
}

/// A plucked string: noise that circles in a delay line with a soft filter. Each seed is another pluck.
fn pluck(hz: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of sound")]
    let (period, n) = ((RATE as f32 / hz) as usize, (RATE as f32 * seconds) as usize);
    let mut line: Vec<f32> = (0..period).map(|_| 0.4 * noise()).collect();
    (0..n)
        .map(|i| {
            let at = i % period;
            let out = line[at];
            line[at] = 0.498 * (out + line[(at + 1) % period]);
            out
        })
        .collect()
}

#[test]
fn one_take_in_two_splits_is_named_and_another_take_is_not() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    for (take, hz) in (0_u64..).zip([110.0, 147.0, 196.0, 262.0]) {
        let first = pluck(hz, 1.0, take);
        write_wav(&data.join(format!("train/a/first{take}.wav")), RATE, &[&first]);
        // The same note once more.
        write_wav(&data.join(format!("test/a/again{take}.wav")), RATE, &[&pluck(hz, 1.0, take + 100)]);
        write_wav(&data.join(format!("val/a/other{take}.wav")), RATE, &[&pluck(hz * 1.5, 1.0, take + 200)]);
    }
    let manifest = root.path().join("m.csv");
    let answer = tocco!("prepare", data, "--out", manifest).ok();
    assert!(!answer.err.contains("nearly"), "{}", answer.err);

    // The first take at half the gain, later, turned over, on a noise floor of -50 dB.
    let mut copy = vec![0.0; 5000];
    copy.extend(pluck(147.0, 1.0, 1).iter().map(|s| -0.5 * s));
    for (sample, noise) in copy.iter_mut().zip(pluck(20.0, 2.0, 9)) {
        *sample += 0.003 * noise;
    }
    write_wav(&data.join("test/a/copy.wav"), RATE, &[&copy]);
    let answer = tocco!("prepare", data, "--out", manifest).ok();
    let line = answer.err.lines().find(|l| l.starts_with("nearly the same")).expect("it is named");
    assert_says(line, &["first1.wav (train)", "copy.wav (test)"]);
    assert_says(&answer.err, &["1 pair of nearly identical recordings stands in two splits"]);
}
