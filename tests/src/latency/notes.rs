//! Real notes, cut from recordings and put in a row, with their onsets.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::RATE;
use crate::phrase::{self, Phrase, SILENCE};

/// A note begins where its level comes within so many dB of its loudest moment: what a meter sees first. It is the
/// same border from which training counts a note as sounding, and earlier than an ear would put a slow attack.
const ONSET_DB: f64 = -40.0;
/// Where it comes within so many dB it is plain to hear.
const LOUD_DB: f64 = -20.0;
/// Length of one level, in samples: 1 ms.
const STEP: usize = 48;
/// Levels over which the loudest moment is measured.
const LOUD_STEPS: usize = 10;
/// So much of a note is played, from its onset on, in samples: 0.7 s, and a third of a hop of 20 ms, so that onsets in a
/// row lie anywhere in a hop.
const HELD: usize = 33_931;
/// Between two notes that are to stand alone, in samples: 0.4 s, twice the gate's hold.
const REST: usize = 19_200;
/// Fade at a cut, in samples.
const FADE: usize = 480;
/// Loudest sample of a note.
const PEAK: f32 = 0.5;

/// A note in a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// First sample.
    pub onset: u64,
    /// First sample that is plain to hear.
    pub loud: u64,
    /// Behind its last sample.
    pub end: u64,
    /// What it is.
    pub class: String,
}

/// A sound at [`RATE`] with its notes.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Mono samples.
    pub sound: Vec<f32>,
    /// In the order of time.
    pub notes: Vec<Note>,
    /// Whether a note counts from where it is plain to hear.
    pub counts_loud: bool,
}

impl Notes {
    /// The phrase of the demonstration: one note for each stretch of one class, since the truth tells no more.
    ///
    /// # Errors
    /// Where it can't be read.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times within the phrase")]
    pub fn of_phrase(folder: &Path) -> Result<Self> {
        let Phrase { samples, rate, truth } = Phrase::load(folder)?;
        let sound = at_rate(samples, rate)?;
        let sample = |time_s: f64| (time_s * RATE) as usize;
        let notes = truth.iter().filter(|stretch| stretch.class != SILENCE).map(|stretch| {
            let (start, end) = (sample(stretch.start_s), sample(stretch.end_s).min(sound.len()));
            // The truth is rounded to 10 ms.
            let from = start.saturating_sub(480);
            let find = |within_db| (from + onset(&sound[from..end], within_db).unwrap_or(0)) as u64;
            let (onset, loud) = (find(ONSET_DB), find(LOUD_DB));
            Note { onset, loud, end: end as u64, class: stretch.class.clone() }
        });
        Ok(Self { notes: notes.collect(), sound, counts_loud: false })
    }

    /// The same notes, each counted from where it is plain to hear.
    #[must_use]
    pub fn when_loud(mut self) -> Self {
        self.counts_loud = true;
        self
    }

    /// Half a second of silence, so that the last messages come out.
    #[must_use]
    pub fn with_tail(mut self) -> Self {
        self.sound.resize(self.sound.len() + 24_000, 0.0);
        self
    }
}

/// A recording's note: some of what is before the onset, and what is behind it.
#[derive(Debug, Clone)]
pub struct Cut {
    samples: Vec<f32>,
    onset: usize,
    loud: usize,
    class: String,
}

/// Reads a recording and finds its note; nothing where there is none.
///
/// # Errors
/// Where it can't be read.
pub fn cut(path: &Path, class: &str) -> Result<Option<Cut>> {
    let (samples, rate) = phrase::decode(path)?;
    let samples = at_rate(samples, rate)?;
    let Some((onset, loud)) = onset(&samples, ONSET_DB).zip(onset(&samples, LOUD_DB)) else { return Ok(None) };
    let end = (onset + HELD).min(samples.len());
    let mut samples = samples[..end].to_vec();
    let peak = samples.iter().fold(1e-6_f32, |peak, s| peak.max(s.abs()));
    samples.iter_mut().for_each(|s| *s *= PEAK / peak);
    fade_out(&mut samples);
    Ok(Some(Cut { samples, onset, loud, class: class.into() }))
}

/// Notes in a row: each out of silence, or each straight on the one before.
#[must_use]
pub fn sequence(cuts: &[Cut], with_rests: bool) -> Notes {
    let mut row = Notes { sound: vec![0.0; REST], ..Notes::default() };
    for cut in cuts {
        let before = if with_rests { 0 } else { cut.onset.saturating_sub(FADE) };
        let start = row.sound.len();
        row.sound.extend_from_slice(&cut.samples[before..]);
        let at = |sample: usize| (start + sample - before) as u64;
        let (onset, loud) = (at(cut.onset), at(cut.loud));
        row.notes.push(Note { onset, loud, end: row.sound.len() as u64, class: cut.class.clone() });
        if with_rests {
            row.sound.resize(row.sound.len() + REST, 0.0);
        }
    }
    row.with_tail()
}

/// Clicks of one sample each out of silence, which the synthetic model takes for `high`. They lie anywhere in a hop and
/// in a block.
#[must_use]
pub fn clicks(count: usize) -> Notes {
    let mut row = Notes { sound: vec![0.0; REST], ..Notes::default() };
    for click in 0..count {
        let onset = row.sound.len() as u64;
        row.sound.push(0.9);
        // Prime to every hop and block.
        row.sound.resize(row.sound.len() + 15_600 + 97 * click % 480, 0.0);
        row.notes.push(Note { onset, loud: onset, end: row.sound.len() as u64, class: "high".into() });
    }
    row.with_tail()
}

/// Recordings of a manifest (`tocco prepare`) that its model was not trained on: files and classes, without `none`, the
/// classes taking turns, at most so many of each.
///
/// # Errors
/// Where it can't be read or is no manifest.
pub fn held_out(manifest: &Path, most: usize) -> Result<Vec<(PathBuf, String)>> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("{} can't be read", manifest.display()))?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let column = |name| head.iter().position(|column| *column == name).with_context(|| format!("no column {name}"));
    let (path, label, split) = (column("path")?, column("labels")?, column("split")?);
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let mut rows: Vec<(PathBuf, String)> = lines
        .filter(|row| row.get(split) == Some(&"test") && row.get(label) != Some(&tocco_models::NONE))
        .filter_map(|row| Some((folder.join(row.get(path)?), (*row.get(label)?).to_owned())))
        .collect();
    rows.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    Ok(in_turns(&rows, most))
}

/// Every `nth` recording of the double bass beside the repository: files and classes, the classes taking turns.
///
/// # Errors
/// Where they are not there.
pub fn double_bass(data: &Path, nth: usize) -> Result<Vec<(PathBuf, String)>> {
    let mut rows = Vec::new();
    for (folder, class) in [("arco", "bowed"), ("pizz", "plucked")] {
        let folder = data.join("double-bass").join(folder);
        let listed = std::fs::read_dir(&folder).with_context(|| format!("{} can't be read", folder.display()))?;
        let mut files: Vec<PathBuf> = listed.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        files.sort();
        rows.extend(files.into_iter().step_by(nth.max(1)).map(|file| (file, class.to_owned())));
    }
    Ok(in_turns(&rows, usize::MAX))
}

/// Of sorted rows, one of each class at a time, so that each note follows one of another class: as many of each as there
/// are of the rarest, but at most so many, evenly chosen.
fn in_turns(rows: &[(PathBuf, String)], most: usize) -> Vec<(PathBuf, String)> {
    let mut classes: Vec<&String> = rows.iter().map(|row| &row.1).collect();
    classes.dedup();
    let of_class = |class: &String| -> Vec<_> { rows.iter().filter(|row| row.1 == *class).collect() };
    let columns: Vec<Vec<_>> = classes.into_iter().map(of_class).collect();
    let turns = columns.iter().map(Vec::len).min().unwrap_or(0).min(most);
    (0..turns).flat_map(|i| columns.iter().map(move |column| column[i * column.len() / turns].clone())).collect()
}

/// First sample of the first millisecond within so many dB of the loudest 10 ms.
fn onset(samples: &[f32], within_db: f64) -> Option<usize> {
    let energies: Vec<f64> = samples
        .chunks_exact(STEP)
        .map(|c| c.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / STEP as f64)
        .collect();
    let loudest = energies.windows(LOUD_STEPS).map(|w| w.iter().sum::<f64>() / LOUD_STEPS as f64).fold(0.0, f64::max);
    let border = loudest * 10.0_f64.powf(within_db / 10.0);
    energies.iter().position(|&energy| energy > border && loudest > 1e-8).map(|step| step * STEP)
}

fn at_rate(samples: Vec<f32>, rate: u32) -> Result<Vec<f32>> {
    Ok(tocco_models::resample_all(&samples, f64::from(rate), RATE)?)
}

fn fade_out(samples: &mut [f32]) {
    let length = FADE.min(samples.len());
    for (i, sample) in samples.iter_mut().rev().take(length).enumerate() {
        *sample *= i as f32 / length as f32;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn onsets_are_found_to_the_millisecond() {
        let mut sound = vec![1e-4; 4800];
        sound.extend((0..9600_u16).map(|i| 0.3 * (f32::from(i) * 0.05).sin()));
        let found = onset(&sound, ONSET_DB).unwrap();
        assert!((4800 - STEP..=4800 + STEP).contains(&found), "{found}");
        assert_eq!(onset(&[0.0; 4800], ONSET_DB), None);
    }

    #[test]
    fn notes_stand_where_they_are_said_to() {
        let note = |class: &str| Cut {
            samples: [vec![0.0; 2000], vec![0.4; 1000]].concat(),
            onset: 2000,
            loud: 2000,
            class: class.into(),
        };
        for with_rests in [true, false] {
            let row = sequence(&[note("bowed"), note("plucked")], with_rests);
            for found in &row.notes {
                let onset = usize::try_from(found.onset).unwrap();
                assert!(row.sound[onset] > 0.3 && row.sound[onset - 1] == 0.0, "{found:?}");
            }
        }
    }
}
