//! OpenMIC-2018: `openmic-2018-aggregated-labels.csv` (sample_key, instrument, relevance, num_responses),
//! `audio/000/000046_3840.ogg`, `partitions/split01_train.csv` and `split01_test.csv` (a key a line, no header).
//!
//! Relied on: the dataset's repository and the files of mirdata's tests. A relevance of at least 0.5 is a label, a
//! smaller one says that it is absent, and what nobody was asked about is unknown: it stands in no column. No two
//! excerpts are cut from one recording, so that each stands for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::{Harvest, Item, table, wrong_layout};
use crate::manifest::Split;

const LABELS: &str = "openmic-2018-aggregated-labels.csv";
/// From here on an instrument counts as heard, as the dataset's baseline counts it.
const RELEVANT: f64 = 0.5;

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let path = root.join(LABELS);
    if !path.is_file() {
        return Err(wrong_layout(root, "OpenMIC-2018", &format!("«{LABELS}»")));
    }
    let mut clips: BTreeMap<String, Item> = BTreeMap::new();
    for (line, [key, instrument, relevance]) in table::read(&path, ["sample_key", "instrument", "relevance"], harvest)?
    {
        let Some(relevance) = relevance.parse().ok().filter(|r: &f64| (0.0..=1.0).contains(r)) else {
            harvest.skip(&path, format!("line {line}: the relevance is «{relevance}»: it must lie between 0 and 1"));
            continue;
        };
        let folder = key.get(..3).unwrap_or_default();
        let clip = clips.entry(key.clone()).or_insert_with(|| Item {
            path: root.join("audio").join(folder).join(format!("{key}.ogg")),
            ..Item::default()
        });
        if relevance >= RELEVANT {
            clip.labels.push(instrument.clone());
        }
        clip.known.push(instrument);
    }
    let splits = partitions(root)?;
    for (key, mut item) in clips {
        item.split = splits.as_ref().and_then(|s| s.get(&key)).copied();
        if splits.is_some() && item.split.is_none() {
            harvest.skip(item.path, "it stands in neither partition");
            continue;
        }
        harvest.items.push(item);
    }
    Ok(())
}

/// The official partition of each key; `None` where the partitions are not there.
fn partitions(root: &Path) -> Result<Option<BTreeMap<String, Split>>> {
    let mut splits = BTreeMap::new();
    for (split, name) in [(Split::Train, "split01_train.csv"), (Split::Test, "split01_test.csv")] {
        let path = root.join("partitions").join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: can't be read", path.display()))?;
        let keys: BTreeSet<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        for key in keys {
            let twice = splits.insert(key.to_owned(), split).is_some();
            anyhow::ensure!(!twice, "{}: «{key}» stands in both partitions", path.display());
        }
    }
    Ok(Some(splits))
}
