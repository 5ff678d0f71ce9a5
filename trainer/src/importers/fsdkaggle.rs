//! FSDKaggle2018: `FSDKaggle2018.meta/train_post_competition.csv` (fname, label, manually_verified, freesound_id,
//! license) and `test_post_competition_scoring_clips.csv` (fname, label, usage, freesound_id, license) beside
//! `FSDKaggle2018.audio_train` and `FSDKaggle2018.audio_test`.
//!
//! Relied on: the dataset's page and loaders that read it. Each clip carries its own licence.

use std::path::Path;

use anyhow::Result;

use super::{Harvest, Item, table, wrong_layout};
use crate::manifest::Split;

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let parts = [
        ("train_post_competition.csv", "FSDKaggle2018.audio_train", Split::Train),
        ("test_post_competition_scoring_clips.csv", "FSDKaggle2018.audio_test", Split::Test),
    ];
    let meta = root.join("FSDKaggle2018.meta");
    if !parts.iter().any(|(list, _, _)| meta.join(list).is_file()) {
        return Err(wrong_layout(root, "FSDKaggle2018", "«FSDKaggle2018.meta/train_post_competition.csv»"));
    }
    for (list, folder, split) in parts {
        let list = meta.join(list);
        if !list.is_file() {
            continue;
        }
        for (_, [name, label, licence]) in table::read(&list, ["fname", "label", "license"], harvest)? {
            let path = root.join(folder).join(name);
            harvest.items.push(Item { split: Some(split), licence: Some(licence), ..Item::new(path, label) });
        }
    }
    Ok(())
}
