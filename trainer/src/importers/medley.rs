//! Medley-solos-DB: `Medley-solos-DB_metadata.csv` (subset, instrument, instrument_id, song_id, uuid4) and
//! `Medley-solos-DB_SUBSET-ID_UUID.wav`, anywhere below the folder (mirdata puts them into `annotation` and `audio`).
//!
//! Relied on: mirdata's loader and the files of its tests. Clips of one song stay together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Attribute, Harvest, Item, recordings, stem, table, wrong_layout};
use crate::manifest::Split;

const METADATA: &str = "Medley-solos-DB_metadata.csv";

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let Some(list) = ["", "annotation"].iter().map(|f| root.join(f).join(METADATA)).find(|p| p.is_file()) else {
        return Err(wrong_layout(root, "Medley-solos-DB", &format!("«{METADATA}»")));
    };
    let there = recordings(root)?;
    let by_uuid: BTreeMap<&str, &PathBuf> =
        there.iter().filter_map(|p| stem(p).rsplit_once('_').map(|(_, uuid)| (uuid, p))).collect();
    let columns = ["subset", "instrument", "instrument_id", "song_id", "uuid4"];
    for (line, [subset, instrument, id, song, uuid]) in table::read(&list, columns, harvest)? {
        let split = match subset.as_str() {
            "training" | "train" => Split::Train,
            "validation" => Split::Val,
            "test" => Split::Test,
            _ => {
                harvest.skip(&list, format!("line {line}: the subset is «{subset}»"));
                continue;
            }
        };
        let expected = || root.join(format!("Medley-solos-DB_{subset}-{id}_{uuid}.wav"));
        let path = by_uuid.get(uuid.as_str()).map_or_else(expected, |p| (*p).clone());
        let item = Item { split: Some(split), ..Item::new(path, instrument.clone()) };
        // Songs are numbered within a subset.
        let source = format!("{}/{song}", split.name());
        harvest.items.push(item.with(Attribute::Instrument, instrument).with(Attribute::Source, source));
    }
    Ok(())
}
