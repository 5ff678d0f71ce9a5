//! `tocco mix` and `tocco augment` on sounds made here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::{RATE, sine, write_wav};
use tocco_trainer::audio::decode;
use tocco_trainer::manifest::{Manifest, Row, Split};

const HZ: [(&str, f32); 4] = [("bass", 110.0), ("cello", 220.0), ("flute", 1500.0), ("piccolo", 3000.0)];

/// Four instruments, three notes each to train with and one to test with.
fn notes(folder: &Path) -> PathBuf {
    let mut csv = String::from("path,labels,group,split,duration_s,sample_rate,collection,licence,known\n");
    for (name, hz) in HZ {
        for take in 0..4_u8 {
            let file = format!("{name}{take}.wav");
            let mut sound = vec![0.0; usize::from(take) * 1000];
            sound.extend(sine(RATE, hz * (1.0 + 0.01 * f32::from(take)), 1.5));
            write_wav(&folder.join(&file), RATE, &[&sound]);
            let split = if take == 3 { "test" } else { "train" };
            let known = if name == "bass" { "bass;cello;flute" } else { "" };
            csv += &format!("{file},{name},{name}-{take},{split},1.5,{RATE},notes,CC0,{known}\n");
        }
    }
    let path = folder.join("notes.csv");
    std::fs::write(&path, csv).unwrap();
    path
}

/// Every file of a folder, by its name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    std::fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

fn mix(manifest: &Path, out: &Path, rest: &str) -> common::Answer {
    let mut arguments = vec!["mix", "--manifest", manifest.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(rest.split(' '));
    common::tocco(arguments)
}

/// How much of a sound is at a frequency: the amplitude of its strongest stretch of 0.2 s there.
fn amplitude(samples: &[f32], rate: u32, hz: f32) -> f32 {
    let at = |part: &[f32]| {
        let turn = std::f32::consts::TAU * hz / rate as f32;
        let (re, im) = part.iter().enumerate().fold((0.0_f32, 0.0_f32), |(re, im), (i, s)| {
            (re + s * (turn * i as f32).cos(), im + s * (turn * i as f32).sin())
        });
        2.0 * re.hypot(im) / part.len() as f32
    };
    samples.chunks_exact(rate as usize / 5).map(at).fold(0.0, f32::max)
}

#[test]
fn mixtures_hold_what_their_labels_say_in_equal_parts() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, out) = (notes(root.path()), root.path().join("mix"));
    let answer = mix(&manifest, &out, "--count 12 --polyphony 1..3 --rate 24000 --gain-db -6..0 --seconds 2").ok();
    assert!(answer.out.contains("12 mixtures"), "{}", answer.out);
    let mixed = Manifest::read(&out.join("manifest.csv")).unwrap();
    let mut voices = [0; 4];
    let takes: Vec<(&str, f32)> =
        HZ.iter().flat_map(|(name, hz)| (0..3_u8).map(move |t| (*name, hz * (1.0 + 0.01 * f32::from(t))))).collect();
    for row in &mixed.rows {
        assert_eq!(row.split, Split::Train);
        assert_eq!((row.collection.as_str(), row.licence.as_str()), ("notes", "CC0"));
        voices[row.labels.len()] += 1;
        assert_eq!(row.group.split(" + ").count(), row.labels.len(), "the group names every source");
        let sound = decode(&row.path).unwrap();
        assert_eq!((sound.rate, sound.samples.len()), (24_000, 48_000));
        let heard: BTreeSet<&str> = takes
            .iter()
            .filter(|(_, hz)| amplitude(&sound.samples, sound.rate, *hz) > 0.08)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(heard, row.labels.iter().map(String::as_str).collect(), "{}", row.path.display());
        // Nobody listened for a piccolo in the bass.
        let with_bass = row.labels.iter().any(|l| l == "bass");
        let piccolo =
            if row.labels.iter().any(|l| l == "piccolo") { Some(true) } else { (!with_bass).then_some(false) };
        assert_eq!(row.sounds("piccolo"), piccolo);
    }
    assert_eq!(voices, [0, 4, 4, 4]);
}

/// A folder that holds mixtures of one split takes those of another beside them.
#[test]
fn mixtures_of_several_splits_lie_in_one_folder() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, out) = (notes(root.path()), root.path().join("mix"));
    for split in ["train", "test", "test"] {
        mix(&manifest, &out, &format!("--count 3 --polyphony 2 --rate 8000 --seconds 1 --split {split}")).ok();
    }
    let mixed = Manifest::read(&out.join("manifest.csv")).unwrap();
    assert_eq!([Split::Train, Split::Test].map(|split| mixed.split(split).count()), [3, 3]);
    mix(&manifest, &out, "--count 4 --polyphony 2 --rate 8000 --seconds 1 --split train --shard 0/2").ok();
    let refused =
        mix(&manifest, &out, "--count 4 --polyphony 2 --rate 8000 --seconds 1 --split test --shard 0/2").refusal();
    assert!(refused.contains("a part of the split «train»"), "{refused}");
    mix(&manifest, &out, "--count 4 --polyphony 2 --rate 8000 --seconds 1 --split train --shard 1/2").ok();
    common::tocco(["mix", "--join", "--out", out.to_str().unwrap()]).ok();
    let joined = Manifest::read(&out.join("manifest.csv")).unwrap();
    assert_eq!([Split::Train, Split::Test].map(|split| joined.split(split).count()), [4, 3]);
}

#[test]
fn the_same_seed_mixes_the_same_files_and_shards_make_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let manifest = notes(root.path());
    let (whole, parts, again) = (root.path().join("whole"), root.path().join("parts"), root.path().join("again"));
    let common = "--count 7 --polyphony 2 --rate 8000 --seconds 1 --split test --seed 5";
    mix(&manifest, &whole, common).ok();
    for part in ["2/3", "0/3"] {
        mix(&manifest, &parts, &format!("{common} --shard {part}")).ok();
    }
    let early = common::tocco(["mix", "--join", "--out", parts.to_str().unwrap()]).refusal();
    assert!(early.contains("manifest-1-of-3.csv is missing") && early.contains("--shard 1/3"), "{early}");
    mix(&manifest, &parts, &format!("{common} --shard 1/3")).ok();
    common::tocco(["mix", "--join", "--out", parts.to_str().unwrap()]).ok();
    let mut sharded = files(&parts);
    sharded.retain(|name, _| !name.starts_with("manifest-"));
    assert_eq!(sharded, files(&whole), "file by file, the joined manifest too");
    mix(&manifest, &again, &common.replace("--seed 5", "--seed 6")).ok();
    assert_ne!(files(&again), files(&whole));
}

#[test]
fn recordings_are_mixed_as_often_as_their_weights_say() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, out) = (notes(root.path()), root.path().join("mix"));
    let rows: Vec<_> = Manifest::read(&manifest).unwrap().rows;
    let weight = |take: usize| if take.is_multiple_of(4) { 1000.0 } else { 1.0 };
    let rows: Vec<_> = rows.into_iter().enumerate().map(|(i, row)| Row { weight: weight(i), ..row }).collect();
    Manifest::write(&manifest, &rows).unwrap();
    mix(&manifest, &out, "--count 20 --polyphony 1 --rate 8000 --seconds 1").ok();
    let groups: Vec<&str> = rows.iter().filter(|row| row.weight > 1.0).map(|row| row.group.as_str()).collect();
    let mixed = Manifest::read(&out.join("manifest.csv")).unwrap();
    let heavy = mixed.rows.iter().filter(|row| groups.contains(&row.group.as_str())).count();
    assert!(heavy >= 19 && mixed.rows.len() == 20, "{heavy} of 20");
}

#[test]
fn voices_by_range_and_supervised_labels() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, out) = (notes(root.path()), root.path().join("mix"));
    mix(&manifest, &out, "--count 8 --polyphony 2 --rate 8000 --seconds 1 --choice range --supervise bass,cello").ok();
    for row in Manifest::read(&out.join("manifest.csv")).unwrap().rows {
        // The lower half of the notes are those of bass and cello: one of them is in each mixture, and one only.
        assert_eq!(row.labels.len(), 1, "{row:?}");
        assert!(["bass", "cello"].contains(&row.labels[0].as_str()));
        assert_eq!(row.known, ["bass", "cello"]);
        assert!(row.group.contains("flute") || row.group.contains("piccolo"), "{}", row.group);
    }
    let refusal = mix(&manifest, &out, "--supervise tuba").refusal();
    assert!(refusal.contains("«tuba»") && refusal.contains("piccolo"), "{refusal}");
}

#[test]
fn mixtures_of_two_splits_and_unfit_notes_are_refused_or_named() {
    let root = tempfile::tempdir().unwrap();
    let (manifest, out) = (notes(root.path()), root.path().join("mix"));
    std::fs::write(root.path().join("bass0.wav"), "no sound").unwrap();
    let answer = mix(&manifest, &out, "--count 30 --polyphony 1..2 --rate 8000 --seconds 1").ok();
    assert!(answer.err.contains("bass0.wav"), "{}", answer.err);
    let rows = Manifest::read(&out.join("manifest.csv")).unwrap().rows;
    assert!(rows.len() == 30 && rows.iter().all(|row| !row.group.contains("bass-0")));
    let refusal = mix(&manifest, &out, "--polyphony 20").refusal();
    assert!(refusal.contains("20 can't sound together"), "{refusal}");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("bass-3,test", "bass-1,test");
    std::fs::write(&manifest, text).unwrap();
    let refusal = mix(&manifest, &out, "--count 1").refusal();
    assert!(refusal.contains("bass1.wav") && refusal.contains("bass3.wav"), "{refusal}");
    assert!(refusal.contains("«train»") && refusal.contains("«test»"), "{refusal}");
}

#[test]
fn copies_keep_labels_groups_and_splits_and_only_training_is_copied() {
    let root = tempfile::tempdir().unwrap();
    let manifest = notes(root.path());
    let config = root.path().join("aug.toml");
    std::fs::write(&config, "[pitch_shift]\nsemitones = [2, 2]\nfar_chance = 0\n[noise]\nchance = 0\n").unwrap();
    let run = |out: &str, rest: &[&str]| {
        let out = root.path().join(out);
        let mut arguments = vec!["augment", "--manifest", manifest.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(["--config", config.to_str().unwrap(), "--rate", "24000"]);
        arguments.extend(rest);
        common::tocco(arguments).ok();
        out
    };
    let out = run("one", &["--copies", "2"]);
    let (before, after) = (Manifest::read(&manifest).unwrap(), Manifest::read(&out.join("manifest.csv")).unwrap());
    assert_eq!(after.rows.len(), 16 + 2 * 12);
    assert_eq!(after.split(Split::Test).count(), 4, "the test stays as it is");
    let originals: Vec<_> = after.rows[..16].iter().map(|r| (&r.labels, &r.group, r.split, &r.known)).collect();
    assert_eq!(originals, before.rows.iter().map(|r| (&r.labels, &r.group, r.split, &r.known)).collect::<Vec<_>>());
    for copy in &after.rows[16..] {
        let source = before.rows.iter().find(|row| row.group == copy.group).unwrap();
        assert_eq!((&copy.labels, copy.split, &copy.known), (&source.labels, source.split, &source.known));
        let sound = decode(&copy.path).unwrap();
        assert!((sound.duration_s() - copy.duration_s).abs() < 1e-3);
        let hz = HZ.iter().find(|(name, _)| *name == copy.labels[0]).unwrap().1;
        let take: f32 = copy.group.rsplit('-').next().unwrap().parse().unwrap();
        let (hz, peak) = (hz * (1.0 + 0.01 * take), sound.samples.iter().fold(0.0_f32, |m, s| m.max(s.abs())));
        let shifted = amplitude(&sound.samples, 24_000, hz * 1.122_46);
        assert!(
            shifted > 0.5 * peak && shifted > 5.0 * amplitude(&sound.samples, 24_000, hz),
            "{}",
            copy.path.display()
        );
    }
    let wavs = |out: &Path| {
        let mut all = files(out);
        all.remove("manifest.csv");
        all
    };
    assert_eq!(wavs(&out), wavs(&run("two", &["--copies", "2"])), "the same seed, the same files");
    assert_ne!(wavs(&out), wavs(&run("three", &["--copies", "2", "--seed", "9"])));
    let alone = run("four", &["--without-originals", "--split", "train,test"]);
    let alone = Manifest::read(&alone.join("manifest.csv")).unwrap();
    assert!(alone.rows.len() == 16 && alone.rows.iter().all(|row| row.path.starts_with(root.path().join("four"))));
}

#[test]
fn the_manifest_that_is_read_is_not_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("manifest.csv");
    std::fs::rename(notes(root.path()), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    for command in ["mix", "augment"] {
        let arguments = [command, "--manifest", path.to_str().unwrap(), "--out", root.path().to_str().unwrap()];
        assert!(common::tocco(arguments).refusal().contains("choose another --out"));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn training_follows_the_augmentation_file_and_the_run_carries_it() {
    let root = tempfile::tempdir().unwrap();
    let manifest = notes(root.path());
    let text: String = std::fs::read_to_string(&manifest)
        .unwrap()
        .lines()
        .map(|line| if line.contains("2.wav") { line.replace("train", "val") } else { line.to_owned() } + "\n")
        .collect();
    std::fs::write(&manifest, text).unwrap();
    let (file, run) = (root.path().join("aug.toml"), root.path().join("run"));
    let train = || {
        let mut arguments = vec!["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
        arguments.extend(["--augment", file.to_str().unwrap()]);
        let small = "--task instruments --epochs 1 --batch-size 2 --scene-s 1 --channels 8 --dilations 1 --mels 32";
        arguments.extend(small.split(' ').chain("--polyphony 1..3 --choice range --semitones 1".split(' ')));
        common::tocco(arguments)
    };
    std::fs::write(&file, "[detune]\nchanse = 0.5\n").unwrap();
    let refusal = train().refusal();
    assert!(refusal.contains("aug.toml, line 2") && refusal.contains("(did you mean «chance»?)"), "{refusal}");
    assert!(!run.exists(), "nothing was begun");
    std::fs::write(&file, "[detune]\nchance = 0.5\n[mixup]\nchance = 0.5\n[air]\nchance = 0.25\n").unwrap();
    train().ok();
    let settings: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let (voices, augmentation) = (&settings["options"]["voices"], &settings["options"]["augmentation"]);
    assert_eq!((&voices["polyphony"], &voices["choice"]), (&"1..3".into(), &"range".into()));
    assert_eq!((&augmentation["detune"]["chance"], &augmentation["air"]["chance"]), (&0.5.into(), &0.25.into()));
    assert_eq!(augmentation["pitch_shift"]["semitones"], serde_json::json!([-1.0, 1.0]), "options go before the file");
}
