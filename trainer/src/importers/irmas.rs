//! IRMAS: `IRMAS-TrainingData/gel/[gel][dru][jaz_blu]0042__1.wav` and
//! `IRMAS-TestingData-Part1/Part1/NAME-8.wav` with `NAME-8.txt` beside, one label a line.
//!
//! Relied on: the dataset's own description (predominant instrument in folder and first bracket, drums and genre in
//! the others; a number before the brackets in some names) and the layout that mirdata's loader reads. An excerpt of a
//! recording ends in `__1`, `__2`, … in training and `-1`, `-2`, … in testing. Labels stay the three-letter codes;
//! what is not predominant counts as absent, as the dataset's authors count it.

use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

use super::{Attribute, Harvest, Item, folders_within, recordings, stem, wrong_layout};
use crate::manifest::Split;

static TRAINING: LazyLock<Result<Regex, regex::Error>> =
    LazyLock::new(|| Regex::new(r"^(?:\d+__)?\[(?<label>[a-z]{3})\](?:\[[a-z_]+\])*(?<recording>\d+)__\d+$"));

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let training = TRAINING.as_ref().context("the pattern of IRMAS' names")?;
    let mut seen = false;
    for path in recordings(root)? {
        let text = path.with_extension("txt");
        if text.is_file() {
            seen = true;
            match labels_beside(&text) {
                Ok(labels) => {
                    let recording = stem(&path).trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
                    let source = format!("test/{recording}");
                    let item = Item { path: path.clone(), labels, split: Some(Split::Test), ..Item::default() };
                    harvest.items.push(item.with(Attribute::Source, source));
                }
                Err(reason) => harvest.skip(&path, format!("{reason:#}")),
            }
            continue;
        }
        let Some(name) = training.captures(stem(&path)) else {
            harvest.skip(&path, "its name has no label in brackets, and no text with labels lies beside it");
            continue;
        };
        seen = true;
        let (label, source) = (name["label"].to_owned(), format!("train/{}", &name["recording"]));
        let folder = folders_within(&path, root).last().map_or_else(String::new, |f| (*f).to_owned());
        if folder != label && !folder.is_empty() {
            harvest.skip(&path, format!("its name says «{label}», its folder «{folder}»"));
            continue;
        }
        let item = Item { split: Some(Split::Train), ..Item::new(path.clone(), label) };
        harvest.items.push(item.with(Attribute::Source, source));
    }
    if seen {
        return Ok(());
    }
    Err(wrong_layout(
        root,
        "IRMAS",
        "«IRMAS-TrainingData/gel/[gel][dru][jaz_blu]0042__1.wav» or a «.txt» beside a recording",
    ))
}

fn labels_beside(text: &Path) -> Result<Vec<String>> {
    let name = text.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let content = std::fs::read_to_string(text).with_context(|| format!("«{name}» beside it can't be read"))?;
    let mut labels: Vec<String> = Vec::new();
    for word in content.lines().map(str::trim).filter(|l| !l.is_empty()) {
        anyhow::ensure!(
            word.len() == 3 && word.bytes().all(|b| b.is_ascii_lowercase()),
            "«{name}» beside it says «{word}», which is no code of three letters"
        );
        if !labels.iter().any(|l| l == word) {
            labels.push(word.to_owned());
        }
    }
    anyhow::ensure!(!labels.is_empty(), "«{name}» beside it holds no label");
    Ok(labels)
}
