//! The Philharmonia Orchestra's samples: `INSTRUMENT_PITCH_LENGTH_DYNAMIC_TECHNIQUE.mp3`, anywhere below the folder.
//!
//! Relied on: the collection itself. The class is the instrument in the name; `--label-from technique` takes the
//! technique. A note stays together with all others of its instrument and pitch; a phrase stands alone, since the pitch
//! in its name says little, and so does what has no pitch. What a technique's name means differs from instrument to
//! instrument: the table of labels (`--label-set`) knows.

use std::path::Path;

use anyhow::Result;

use super::{Attribute, Harvest, Item, recordings, stem, wrong_layout};
use crate::pitch::Pitch;

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    for path in recordings(root)? {
        let name = stem(&path);
        let words: Vec<&str> = name.split('_').collect();
        let [instrument, pitch, length, _, technique] = words.as_slice() else {
            harvest.skip(&path, "its name is not INSTRUMENT_PITCH_LENGTH_DYNAMIC_TECHNIQUE");
            continue;
        };
        if instrument.is_empty() || (!pitch.is_empty() && Pitch::parse(pitch).is_none()) {
            harvest.skip(&path, format!("its name begins with no instrument and pitch: «{instrument}», «{pitch}»"));
            continue;
        }
        let pitch = Pitch::parse(pitch);
        let source = match pitch {
            Some(pitch) if *length != "phrase" => format!("{instrument}/{pitch}"),
            _ => format!("{instrument}/file:{name}"),
        };
        let item = Item { pitch, ..Item::new(path.clone(), *instrument) };
        let item = item.with(Attribute::Instrument, *instrument).with(Attribute::Source, source);
        harvest.items.push(if technique.is_empty() { item } else { item.with(Attribute::Technique, *technique) });
    }
    if harvest.items.is_empty() {
        return Err(wrong_layout(root, "the Philharmonia's samples", "file like «flute_A4_1_forte_normal.mp3»"));
    }
    Ok(())
}
