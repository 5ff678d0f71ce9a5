//! Nearly identical recordings in two splits, named before they flatter a figure.

use std::collections::BTreeMap;

use anyhow::Result;
use rayon::prelude::*;

use crate::audio;
use crate::commands::remark;
use crate::fingerprint::{Fingerprint, NEARLY_THE_SAME, Wave, alike, similarity};
use crate::manifest::{Row, Split};

/// How many pairs are compared at a time: bounds the waves in memory.
const AT_A_TIME: usize = 1024;

/// Names every pair on standard error. `prints` holds the rows' fingerprints.
pub(super) fn warn(rows: &[Row], prints: &[Option<Fingerprint>]) -> Result<()> {
    let side = |row: &Row| Split::ALL.iter().position(|s| *s == row.split).unwrap_or(0);
    let heard: Vec<usize> = (0..rows.len()).filter(|r| prints[*r].is_some()).collect();
    let sides: Vec<(usize, &Fingerprint)> =
        heard.iter().filter_map(|r| prints[*r].as_ref().map(|p| (side(&rows[*r]), p))).collect();
    let mut pairs: Vec<(usize, usize)> = alike(&sides).into_iter().map(|(a, b)| (heard[a], heard[b])).collect();
    pairs.sort_unstable();
    let bar = super::bar("comparing", pairs.len())?;
    let mut found = 0;
    for block in pairs.chunks(AT_A_TIME) {
        let waves = waves(rows, block);
        let same: Vec<Option<f32>> = block
            .par_iter()
            .map(|(a, b)| Some(similarity(waves.get(a)?, waves.get(b)?)))
            .inspect(|_| bar.inc(1))
            .collect();
        for ((a, b), same) in block.iter().zip(same) {
            let Some(same) = same.filter(|s| *s >= NEARLY_THE_SAME) else { continue };
            found += 1;
            let (a, b) = (&rows[*a], &rows[*b]);
            bar.suspend(|| {
                remark(format_args!(
                    "nearly the same sound in two splits: {} ({}) and {} ({}), correlation {same:.2}",
                    a.path.display(),
                    a.split.name(),
                    b.path.display(),
                    b.split.name()
                ));
            });
        }
    }
    bar.finish_and_clear();
    if found > 0 {
        let s = if found == 1 {
            " of nearly identical recordings stands"
        } else {
            "s of nearly identical recordings stand"
        };
        remark(format_args!(
            "{found} pair{s} in two splits: figures would flatter; give both the same group (--group-by, or the \
             manifest's column «group» and «split»), or take one of them out"
        ));
    }
    Ok(())
}

/// The waves of all recordings of these pairs. One that can no longer be read has none: it was decoded before.
fn waves(rows: &[Row], pairs: &[(usize, usize)]) -> BTreeMap<usize, Wave> {
    let mut needed: Vec<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    needed.sort_unstable();
    needed.dedup();
    let wave = |r: usize| audio::decode(&rows[r].path).ok().and_then(|sound| Wave::of(&sound).ok());
    needed.into_par_iter().filter_map(|r| wave(r).map(|w| (r, w))).collect()
}
