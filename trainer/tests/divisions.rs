//! The divisions of the collections and the seeds of the mixtures that figures rest on are those written down in `recipes/divisions.toml`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tocco_trainer::manifest::{Manifest, Split};
use tocco_trainer::split::mixture_seed;

fn written_down() -> toml::Table {
    include_str!("../recipes/divisions.toml").parse().unwrap()
}

fn collection(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.is_dir() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_double_bass_is_cut_into_the_folds_that_are_written_down() {
    let Some(data) = collection("double-bass") else { return };
    let root = tempfile::tempdir().unwrap();
    let folds: Vec<Vec<String>> = written_down()["double-bass"]["folds"].clone().try_into().unwrap();
    assert_eq!(folds.len(), 5);
    for (i, wanted) in folds.iter().enumerate() {
        let path = root.path().join("fold.csv");
        let fold = i.to_string();
        tocco!("prepare", data, "--label-set", "double-bass", "--folds", "5", "--fold", fold, "--out", path).ok();
        let manifest = Manifest::read(&path).unwrap();
        manifest.check_for_training().unwrap();
        let mut tested: Vec<&str> =
            manifest.split(Split::Test).map(|r| r.group.splitn(3, '/').nth(2).unwrap()).collect();
        tested.sort_unstable();
        tested.dedup();
        assert_eq!(&tested, wanted, "fold {i}");
    }
}

/// How many groups there are, and FNV-1a over the lines «group split» in the order of the groups.
fn summed(groups: &BTreeMap<&str, Split>) -> (Option<i64>, Option<String>) {
    let lines: String = groups.iter().map(|(group, split)| format!("{group} {}\n", split.name())).collect();
    let digest =
        lines.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (i64::try_from(groups.len()).ok(), Some(format!("{digest:016x}")))
}

fn written(name: &str) -> (Option<i64>, Option<String>) {
    let wanted = &written_down()[name];
    (wanted["groups"].as_integer(), wanted["digest"].as_str().map(str::to_owned))
}

#[test]
fn the_orchestra_is_divided_as_it_is_written_down() {
    let Some(data) = collection("philharmonia") else { return };
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("instruments.csv");
    tocco!("prepare", data, "--label-set", "instruments", "--out", path).ok();
    let manifest = Manifest::read(&path).unwrap();
    manifest.check_for_training().unwrap();
    assert_eq!(manifest.classes().len(), 16);
    let groups: BTreeMap<&str, Split> = manifest.rows.iter().map(|r| (r.group.as_str(), r.split)).collect();
    assert_eq!(summed(&groups), written("instruments"));
}

/// Of the recordings that the shipped models are judged by, none may have been learnt from. What is `none` is dealt
/// together with sounds that are made for the training, and stands apart.
#[test]
fn the_shipped_models_are_divided_as_it_is_written_down() {
    let Some(data) = collection("") else { return };
    let root = tempfile::tempdir().unwrap();
    for label_set in ["techniques", "every-instrument"] {
        let path = root.path().join("manifest.csv");
        tocco!("prepare", data, "--label-set", label_set, "--seed", "1", "--out", path).ok();
        let manifest = Manifest::read(&path).unwrap();
        let notes = manifest.rows.iter().filter(|row| row.labels != ["none"]);
        let groups: BTreeMap<&str, Split> = notes.map(|row| (row.group.as_str(), row.split)).collect();
        assert_eq!(summed(&groups), written(label_set), "{label_set}");
    }
}

#[test]
fn mixtures_have_the_seeds_that_are_written_down() {
    let wanted = &written_down()["mixtures"];
    for (split, seed) in [(Split::Train, 1), (Split::Val, 2), (Split::Test, 3)] {
        assert_eq!(wanted[split.name()]["seed"].as_integer(), Some(seed));
        let first: Vec<String> =
            (0..4).map(|index| format!("{:016x}", mixture_seed(seed.unsigned_abs(), split, index))).collect();
        assert_eq!(wanted[split.name()]["first"].clone().try_into::<Vec<String>>().unwrap(), first, "{}", split.name());
    }
}
