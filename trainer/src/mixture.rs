//! Polyphonic sound out of recordings of single notes, with what is known of it.
//!
//! A mixture depends on the seed, the split and its own number alone: any machine, in any order, makes the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use tocco_models::{NONE, resample_all};

use crate::audio;
use crate::augment::{Choice, Clip, Range, Registers, Voices, gain, middle_hz};
use crate::manifest::{Manifest, Row, Split, sorted_classes};
use crate::split::{mixture_seed, one_side};

/// Between the sources of a mixture, in what a manifest says of it.
pub(crate) const AND: &str = " + ";

/// How mixtures are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The split whose recordings are mixed.
    pub split: Split,
    /// How many sound together, how loud, and which.
    pub voices: Voices,
    /// When each of them sets in, in seconds.
    pub onset_s: Range,
    /// Length of a mixture, in seconds.
    pub seconds: f32,
    /// Samples a second.
    pub rate: u32,
    /// The labels that a mixture says anything about; empty: all.
    pub supervised: Vec<String>,
}

/// One mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Mono samples, at most 1 in amplitude.
    pub samples: Vec<f32>,
    /// Its labels, what is known, its group and its sources' collections; path and length are left to the caller.
    pub row: Row,
}

/// Recordings, ready to be mixed.
pub struct Mixer {
    recipe: Recipe,
    pool: Vec<Row>,
    /// All labels that the manifest speaks of.
    classes: Vec<String>,
    /// The labels that voices are drawn by.
    drawn: Vec<String>,
    registers: Option<Registers>,
}

/// What a voice fades over where it is cut off, in seconds.
const FADE_S: f32 = 0.02;
/// Of a note so much must have room, in seconds.
const SHORTEST_VOICE_S: f32 = 0.2;

impl Recipe {
    fn check(&self) -> Result<()> {
        ensure!(
            (0.3..=600.0).contains(&self.seconds),
            "--seconds is {}: it must lie between 0.3 and 600",
            self.seconds
        );
        ensure!((8_000..=192_000).contains(&self.rate), "--rate is {}: it must lie between 8000 and 192000", self.rate);
        let Range(from, to) = self.onset_s;
        ensure!(
            from >= 0.0 && from <= to && to <= self.seconds - SHORTEST_VOICE_S,
            "--onset-s is {from}..{to}: it must lie between 0 and {SHORTEST_VOICE_S} s before the end of the mixture"
        );
        let Range(soft, loud) = self.voices.gain_db;
        ensure!(
            soft >= -60.0 && soft <= loud && loud <= 20.0,
            "--gain-db is {soft}..{loud}: it must lie between -60 and 20, the softer first"
        );
        Ok(())
    }
}

impl Mixer {
    /// Chooses the recordings of the recipe's split. Where voices are chosen by their range, every recording is listened
    /// to once.
    ///
    /// # Errors
    /// The recipe makes no sense, the split holds nothing to mix, or a group of its recordings stands in another split
    /// too: a mixture would carry one into the other.
    pub fn new(manifest: &Manifest, recipe: Recipe) -> Result<Self> {
        recipe.check()?;
        let at = manifest.path.display();
        let pool: Vec<Row> =
            manifest.split(recipe.split).filter(|row| row.labels.iter().any(|l| l != NONE)).cloned().collect();
        ensure!(!pool.is_empty(), "{at}: the split «{}» holds no notes to mix", recipe.split.name());
        let mut groups: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        manifest.rows.iter().for_each(|row| groups.entry(&row.group).or_default().push(row));
        for (group, rows) in groups.into_iter().filter(|(_, rows)| rows.iter().any(|r| r.split == recipe.split)) {
            one_side(rows).map_err(|e| anyhow::anyhow!("{at}: the group «{group}» stands in two splits: {e}"))?;
        }
        let classes = manifest.classes();
        if let Some(unknown) = recipe.supervised.iter().find(|l| !classes.contains(l)) {
            bail!("--supervise: {at} speaks of no label «{unknown}»: it has {}", classes.join(", "));
        }
        let most = recipe.voices.polyphony.most;
        ensure!(
            pool.len() >= most,
            "{at}: the split «{}» holds {} recordings of notes: {most} can't sound together",
            recipe.split.name(),
            pool.len()
        );
        let drawn =
            sorted_classes(pool.iter().flat_map(|r| r.labels.iter().map(String::as_str)).filter(|l| *l != NONE));
        let registers = (recipe.voices.choice == Choice::Range).then(|| {
            let middle =
                |row: &Row| audio::decode(&row.path).map_or(0.0, |sound| middle_hz(&sound.samples, sound.rate));
            Registers::new(&pool.par_iter().map(middle).collect::<Vec<_>>())
        });
        Ok(Self { recipe, pool, classes, drawn, registers })
    }

    /// The mixture of this number. Recordings that can't be used are named on standard error and others are drawn.
    ///
    /// # Errors
    /// Too few recordings of the split can be used.
    pub fn make(&self, index: usize) -> Result<Mixture> {
        let mut rng = StdRng::seed_from_u64(mixture_seed(self.recipe.seed, self.recipe.split, index as u64));
        let voices = self.recipe.voices.polyphony.of(index);
        let mut samples = vec![0.0; samples_of(self.recipe.seconds, self.recipe.rate)];
        let (mut sources, mut refused) = (Vec::new(), BTreeSet::new());
        while sources.len() < voices {
            let taken = |r: usize| sources.contains(&r) || refused.contains(&r);
            let Some(source) = self.draw(&sources, &taken, voices, &mut rng) else {
                bail!("mixture {index}: fewer than {voices} recordings of «{}» can be used", self.recipe.split.name());
            };
            let level = gain(self.recipe.voices.gain_db.draw(&mut rng));
            let onset = samples_of(self.recipe.onset_s.draw(&mut rng), self.recipe.rate);
            match self.clip(&self.pool[source]) {
                Ok(clip) => {
                    self.add(&mut samples, &clip, onset, level);
                    sources.push(source);
                }
                Err(reason) => {
                    crate::commands::remark(format_args!("skipped: {reason:#}"));
                    refused.insert(source);
                }
            }
        }
        let peak = samples.iter().fold(1.0_f32, |m, s| m.max(s.abs()));
        samples.iter_mut().for_each(|s| *s /= peak);
        let sources: Vec<&Row> = sources.iter().map(|r| &self.pool[*r]).collect();
        Ok(Mixture { samples, row: self.row(&sources)? })
    }

    /// Another recording: first its label, each equally often and none twice before all have come; then one that has it, by its weight.
    fn draw(&self, sources: &[usize], taken: &dyn Fn(usize) -> bool, voices: usize, rng: &mut StdRng) -> Option<usize> {
        let voice = sources.len();
        let fits = |r: &usize| self.registers.as_ref().is_none_or(|registers| registers.fits(*r, voice, voices));
        let has = |r: usize, label: &str| self.pool[r].labels.iter().any(|l| l == label);
        let free: Vec<usize> = (0..self.pool.len()).filter(|r| !taken(*r)).collect();
        // A range that is used up lets others in.
        let within: Vec<usize> = free.iter().copied().filter(fits).collect();
        let candidates = if within.is_empty() { free } else { within };
        let labels: Vec<&String> =
            self.drawn.iter().filter(|label| candidates.iter().any(|r| has(*r, label))).collect();
        let fresh: Vec<&String> =
            labels.iter().copied().filter(|label| !sources.iter().any(|s| has(*s, label))).collect();
        let labels = if fresh.is_empty() { labels } else { fresh };
        let label = *labels.get(rng.random_range(0..labels.len().max(1)))?;
        let of: Vec<usize> = candidates.into_iter().filter(|r| has(*r, label)).collect();
        of.choose_weighted(rng, |r| self.pool[*r].weight).ok().copied()
    }

    /// A recording at the mixture's rate, without the silence at its ends.
    fn clip(&self, row: &Row) -> Result<Clip> {
        let sound = audio::decode(&row.path)?;
        let samples = resample_all(&sound.samples, f64::from(sound.rate), f64::from(self.recipe.rate))?;
        match Clip::new(samples, 0, u128::MAX, "") {
            Some(clip) => Ok(clip),
            None => bail!("{}: the recording is silent", row.path.display()),
        }
    }

    fn add(&self, samples: &mut [f32], clip: &Clip, onset: usize, level: f32) {
        let heard = &clip.samples[clip.sounding()];
        let length = heard.len().min(samples.len() - onset);
        let fade = samples_of(FADE_S, self.recipe.rate).min(length) as f32;
        let cut = length < heard.len();
        let level = 0.5 * level / clip.peak();
        for (i, (cell, s)) in samples[onset..onset + length].iter_mut().zip(heard).enumerate() {
            let fall = if cut { ((length - i) as f32 / fade).min(1.0) } else { 1.0 };
            *cell += level * fall * s;
        }
    }

    /// What a mixture of these sources says: what sounds in any of them, and as absent only what all of them know to be.
    fn row(&self, sources: &[&Row]) -> Result<Row> {
        let split = one_side(sources.iter().copied())?.unwrap_or(self.recipe.split);
        let supervised = |label: &&String| self.recipe.supervised.is_empty() || self.recipe.supervised.contains(label);
        let any = |label: &String| sources.iter().any(|row| row.labels.contains(label));
        let known: Vec<String> = (self.classes.iter().filter(supervised))
            .filter(|label| any(label) || sources.iter().all(|row| row.sounds(label).is_some()))
            .cloned()
            .collect();
        let labels = known.iter().filter(|label| any(label) && *label != NONE).cloned().collect();
        let joined = |of: fn(&Row) -> &str| {
            let each: BTreeSet<&str> = sources.iter().map(|row| of(row)).filter(|word| !word.is_empty()).collect();
            each.into_iter().collect::<Vec<_>>().join(AND)
        };
        ensure!(
            !known.is_empty(),
            "a mixture of {} says nothing about the labels of --supervise: choose others, or recordings that were \
             checked for them",
            sources.iter().map(|row| row.path.display().to_string()).collect::<Vec<_>>().join(" and ")
        );
        Ok(Row {
            path: std::path::PathBuf::new(),
            labels,
            // Everything is known where nothing is left out.
            known: if known.len() == self.classes.len() { Vec::new() } else { known },
            group: joined(|row| &row.group),
            split,
            duration_s: f64::from(self.recipe.seconds),
            sample_rate: self.recipe.rate,
            collection: joined(|row| &row.collection),
            licence: joined(|row| &row.licence),
            weight: 1.0,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples, not below 0")]
fn samples_of(seconds: f32, rate: u32) -> usize {
    (seconds * rate as f32).round() as usize
}

/// The numbers that a shard of so many mixtures makes: all shards together make each of them once.
#[must_use]
pub fn shard(count: usize, index: usize, of: usize) -> std::ops::Range<usize> {
    let edge = |i: usize| usize::try_from(count as u128 * i as u128 / of as u128).unwrap_or(count);
    edge(index)..edge(index + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_together_are_the_whole(count in 0_usize..5000, of in 1_usize..70) {
            let all: Vec<usize> = (0..of).flat_map(|i| shard(count, i, of)).collect();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            let sizes: Vec<usize> = (0..of).map(|i| shard(count, i, of).len()).collect();
            prop_assert!(sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0) <= 1);
        }
    }
}
