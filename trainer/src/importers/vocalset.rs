//! VocalSet: `FULL/female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav` (version 1.1) or the same below
//! `data_by_singer` (version 1.2, which repeats all of it in `data_by_technique` and `data_by_vowel`).
//!
//! Relied on: the dataset's paper and loaders that read it. The innermost folder is the technique. The official
//! division is by singers, in `train_singers_technique.txt` and `test_singers_technique.txt`, a singer a line; it is
//! taken where both are there. Singers are `f1` to `f9` and `m1` to `m11`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Attribute, Harvest, Item, folders_within, recordings, stem, wrong_layout};
use crate::manifest::Split;

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let (root, songs) = songs(root)?;
    let official = official(&root)?;
    let mut seen = false;
    for path in recordings(&songs)? {
        let folders = folders_within(&path, &songs);
        let named = stem(&path).split('_').next().and_then(singer);
        let Some(singer) = folders.iter().find_map(|f| singer(f)).or(named) else {
            harvest.skip(&path, "neither its folders (female1, male2, …) nor its name (f1_…, m2_…) name a singer");
            continue;
        };
        let Some(technique) = folders.last().filter(|f| self::singer(f).is_none()) else {
            harvest.skip(&path, "it lies in no folder of a technique");
            continue;
        };
        seen = true;
        let split = official.as_ref().and_then(|o| o.get(&singer)).copied();
        if official.is_some() && split.is_none() {
            harvest.skip(&path, format!("the singer «{singer}» stands in neither list of singers"));
            continue;
        }
        let item = Item { split, ..Item::new(path.clone(), *technique) };
        harvest.items.push(item.with(Attribute::Technique, *technique).with(Attribute::Player, singer));
    }
    if seen {
        return Ok(());
    }
    Err(wrong_layout(&root, "VocalSet", "«FULL/female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav» or the like"))
}

/// The dataset's folder, given as itself or by the one that it lies in, and the folder in it that holds each recording once:
/// those beside it hold the same ones in another order.
fn songs(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let whole = |root: &Path| {
        let orders = ["FULL", "data_by_singer", "data_by_technique", "data_by_vowel"].map(|name| root.join(name));
        orders.into_iter().find(|folder| folder.is_dir()).map(|songs| (root.to_path_buf(), songs))
    };
    if let Some(found) = whole(root) {
        return Ok(found);
    }
    let inner = std::fs::read_dir(root).with_context(|| format!("{}: the folder can't be read", root.display()))?;
    let mut inner: Vec<PathBuf> = inner.filter_map(|entry| Some(entry.ok()?.path())).collect();
    inner.sort();
    Ok(inner.iter().find_map(|folder| whole(folder)).unwrap_or_else(|| (root.to_path_buf(), root.to_path_buf())))
}

/// `female1`, `f1` -> `f1`.
fn singer(word: &str) -> Option<String> {
    let (kind, number) = [("female", 'f'), ("male", 'm'), ("f", 'f'), ("m", 'm')]
        .iter()
        .find_map(|(start, kind)| word.trim().strip_prefix(start).map(|number| (kind, number)))?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{kind}{number}"))
}

fn official(root: &Path) -> Result<Option<BTreeMap<String, Split>>> {
    let mut splits = BTreeMap::new();
    for (name, split) in [("train_singers_technique.txt", Split::Train), ("test_singers_technique.txt", Split::Test)] {
        let path = root.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: can't be read", path.display()))?;
        for word in text.split([',', '\n']).map(str::trim).filter(|w| !w.is_empty()) {
            let singer =
                singer(word).with_context(|| format!("{}: «{word}» is no singer (f1, m2, …)", path.display()))?;
            let twice = splits.insert(singer.clone(), split).is_some_and(|other| other != split);
            anyhow::ensure!(!twice, "{}: the singer «{singer}» stands in both lists", path.display());
        }
    }
    Ok(Some(splits))
}
