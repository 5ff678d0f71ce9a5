//! How soon single notes are recognised, with the decisions that the plugin makes.
//!
//! A note begins where it first comes within 40 dB of its loudest moment and ends where it has fallen 20 dB under it
//! for good. It is recognised by the first right decision after which none is wrong before the end: a decision that is
//! taken back does not count. What can only be told by the end, as that a note was short, is measured from there: the
//! first right decision, whatever was said before.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tocco_models::{NONE, Policy};

use super::each;
use crate::audio;
use crate::augment::Clip;
use crate::listen::Ear;
use crate::manifest::Row;
use crate::metrics::within;

/// Silence after a note in which it may still be recognised, in seconds.
const AFTER_S: f64 = 1.0;

/// How soon the notes of one class are recognised. A time is `None` where fewer than its share of the notes ever are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoteFigures {
    /// The class.
    pub class: String,
    /// Notes that were heard.
    pub notes: usize,
    /// Notes without a right decision that holds to their end.
    pub never: usize,
    /// From the onset to the right decision that holds, in seconds: half of the notes are within this.
    pub onset_median_s: Option<f64>,
    /// The same for nine of ten notes.
    pub onset_p90_s: Option<f64>,
    /// From the end to the first right decision, in seconds, 0 where it came before: half of the notes.
    pub release_median_s: Option<f64>,
    /// The same for nine of ten notes.
    pub release_p90_s: Option<f64>,
}

/// What was heard.
#[derive(Debug)]
pub struct Notes {
    /// Class by class, those that occur.
    pub classes: Vec<NoteFigures>,
    /// Recordings that could not be used.
    pub skipped: usize,
}

/// One note's times, in seconds; infinite where the decision never came.
struct Times {
    class: usize,
    from_onset: f64,
    from_end: f64,
}

/// Figures class by class, for the rows of one class other than `none`; each recording must be a single note.
///
/// # Errors
/// None of the recordings can be used.
pub fn notes(ear: &Ear, rows: &[Row], policy: &Policy) -> Result<Notes> {
    let classes = &ear.model.card().classes;
    let chosen: Vec<&Row> = rows.iter().filter(|r| r.labels.len() == 1 && r.labels[0] != NONE).collect();
    let (times, skipped) = each(&chosen, |row| times(ear, row, policy))?;
    let of = |class: usize| {
        let sorted = |time: fn(&Times) -> f64| {
            let mut all: Vec<f64> = times.iter().filter(|t| t.class == class).map(time).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (onset, end) = (sorted(|t| t.from_onset), sorted(|t| t.from_end));
        NoteFigures {
            class: classes[class].clone(),
            notes: onset.len(),
            never: onset.iter().filter(|t| t.is_infinite()).count(),
            onset_median_s: within(&onset, 0.5),
            onset_p90_s: within(&onset, 0.9),
            release_median_s: within(&end, 0.5),
            release_p90_s: within(&end, 0.9),
        }
    };
    Ok(Notes { classes: (0..classes.len()).map(of).filter(|f| f.notes > 0).collect(), skipped })
}

impl NoteFigures {
    /// One line for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let ms = |s: Option<f64>| s.map_or_else(|| "never".into(), |s| format!("{:.0} ms", 1000.0 * s));
        format!(
            "{:22} {:>5} notes  right for good {} after the onset (median), {} (9 of 10), {} never; first right {} after \
             the end (median), {} (9 of 10)",
            self.class,
            self.notes,
            ms(self.onset_median_s),
            ms(self.onset_p90_s),
            self.never,
            ms(self.release_median_s),
            ms(self.release_p90_s)
        )
    }
}

fn times(ear: &Ear, row: &Row, policy: &Policy) -> Result<Times> {
    let (classes, at) = (&ear.model.card().classes, row.path.display());
    let Some(class) = classes.iter().position(|c| *c == row.labels[0]) else {
        bail!("{at}: the model knows no class «{}»; its classes are {}", row.labels[0], classes.join(", "));
    };
    let sound = audio::decode(&row.path)?;
    let rate = f64::from(sound.rate);
    let clip = Clip::single(sound.samples, class, "").with_context(|| format!("{at}: the recording is silent"))?;
    let note = clip.note();
    let seconds = |sample: usize| sample as f64 / rate;
    let (start_s, end_s) = (seconds(note.start), seconds(note.end));
    let mut heard: Vec<(f64, f64, bool)> = Vec::new();
    let mut recognizer = ear.recognizer(rate, policy).with_context(|| at.to_string())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of samples")]
    let silence = vec![0.0; (AFTER_S * rate) as usize];
    for block in [&*clip.samples, &silence] {
        recognizer.push(block, |d| {
            heard.push((d.about as f64 / rate, d.known_at as f64 / rate, d.active.contains(class)));
        })?;
    }
    let during: Vec<_> = heard.iter().filter(|(about, ..)| (start_s..end_s).contains(about)).collect();
    let after_the_last_wrong = during.iter().rposition(|(.., right)| !right).map_or(0, |last| last + 1);
    let holds = during.get(after_the_last_wrong);
    let told = heard.iter().find(|(about, _, right)| *about >= start_s && *right);
    Ok(Times {
        class,
        from_onset: holds.map_or(f64::INFINITY, |(_, known, _)| known - start_s),
        from_end: told.map_or(f64::INFINITY, |(_, known, _)| (known - end_s).max(0.0)),
    })
}
