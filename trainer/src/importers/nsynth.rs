//! NSynth: `nsynth-train`, `nsynth-valid`, `nsynth-test`, each with `examples.json` and `audio/KEY.wav`.
//!
//! Relied on: the dataset's description of the fields (`instrument_str`, `instrument_family_str`, `pitch` as a MIDI
//! note number). The class is the family; `--label-from instrument` takes the very instrument. All notes of one
//! instrument stay together: its velocities are partly the same sound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Attribute, Harvest, Item, wrong_layout};
use crate::manifest::Split;
use crate::pitch::Pitch;

#[derive(Deserialize)]
struct Example {
    instrument_str: Option<String>,
    instrument_family_str: Option<String>,
    pitch: Option<u8>,
}

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let parts = [("nsynth-train", Split::Train), ("nsynth-valid", Split::Val), ("nsynth-test", Split::Test)];
    let whole: Vec<(PathBuf, Split)> = parts.iter().map(|(name, split)| (root.join(name), *split)).collect();
    // One of the three folders may be given alone.
    let alone = parts.iter().find(|(name, _)| root.ends_with(name)).map(|(_, split)| (root.to_path_buf(), *split));
    let folders: Vec<(PathBuf, Split)> =
        whole.into_iter().chain(alone).filter(|(folder, _)| folder.join("examples.json").is_file()).collect();
    if folders.is_empty() {
        return Err(wrong_layout(root, "NSynth", "«nsynth-train/examples.json» (nor -valid, nor -test)"));
    }
    for (folder, split) in folders {
        part(&folder, split, harvest)?;
    }
    Ok(())
}

fn part(folder: &Path, split: Split, harvest: &mut Harvest) -> Result<()> {
    let list = folder.join("examples.json");
    let bytes = std::fs::read(&list).with_context(|| format!("{}: can't be read", list.display()))?;
    let examples: BTreeMap<String, Example> = serde_json::from_slice(&bytes)
        .with_context(|| format!("{}: this is no list of NSynth's examples", list.display()))?;
    for (key, example) in examples {
        let (Some(instrument), Some(family)) = (example.instrument_str, example.instrument_family_str) else {
            harvest.skip(&list, format!("«{key}» has no instrument_str or no instrument_family_str"));
            continue;
        };
        let path = folder.join("audio").join(format!("{key}.wav"));
        let item = Item { split: Some(split), pitch: example.pitch.map(Pitch), ..Item::new(path, family) };
        harvest.items.push(item.with(Attribute::Instrument, instrument));
    }
    Ok(())
}
