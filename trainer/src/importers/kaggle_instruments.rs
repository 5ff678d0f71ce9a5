//! The Musical Instruments Sound Dataset: `Metadata_Train.csv` and `Metadata_Test.csv` (FileName, Class) beside the
//! folders `Train_submission` and `Test_submission`; the archive holds each folder inside a folder of its own name.
//!
//! Relied on: programs that read the dataset. Classes are `Sound_Guitar`, `Sound_Piano`, …

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Harvest, Item, recordings, table, wrong_layout};
use crate::manifest::Split;

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let parts = [
        ("Metadata_Train.csv", "Train_submission", Split::Train),
        ("Metadata_Test.csv", "Test_submission", Split::Test),
    ];
    if !parts.iter().any(|(list, _, _)| root.join(list).is_file()) {
        return Err(wrong_layout(root, "the Musical Instruments Sound Dataset", "«Metadata_Train.csv»"));
    }
    for (list, folder, split) in parts {
        let (list, folder) = (root.join(list), root.join(folder));
        if !list.is_file() {
            continue;
        }
        let there = if folder.is_dir() { recordings(&folder)? } else { Vec::new() };
        let by_name: BTreeMap<_, &PathBuf> = there.iter().filter_map(|p| Some((p.file_name()?, p))).collect();
        for (_, [name, class]) in table::read(&list, ["FileName", "Class"], harvest)? {
            let path = by_name.get(std::ffi::OsStr::new(&name)).map_or_else(|| folder.join(&name), |p| (*p).clone());
            harvest.items.push(Item { split: Some(split), ..Item::new(path, class) });
        }
    }
    Ok(())
}
