//! A model on recordings with known labels.
//!
//! Every recording runs through the same recognizer as in the plugin, with smoothing off. The hops that count are
//! those with the noise gate open (all of them where it never opens: a noise too soft for the gate must still come
//! out as `none`). Per hop the decision is the most probable class; a recording's probability of a class is the mean
//! over its hops. The class of a recording is the most probable one. Where any number of classes may sound, a class is in
//! a recording that holds it somewhere: its probability is the mean over the quarter of the hops in which it is the most
//! likely, and every class whose probability reaches its threshold is heard.

mod notes;
mod report;
mod tracks;
mod tune;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use tocco_models::{Card, NONE, Policy, Smoothing, Task};

pub use notes::{NoteFigures, Notes, notes};
pub use report::{AtThresholds, Intervals, Report, TunedOn};
pub use tracks::{Continuous, FalseTriggers, Track, false_triggers, follow};
pub use tune::{Tuned, tune};

use crate::commands::{remark, sentence};
use crate::listen::Ear;
use crate::manifest::Row;
use crate::metrics::{Logits, Reliability, argmax};
use crate::predictions::{Prediction, Predictions};

/// A recording with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether each of the model's classes is there; `None` where nobody checked.
    pub truth: Vec<Option<bool>>,
    /// Recordings of one group are drawn together for intervals.
    pub group: String,
}

/// Why a recording can't judge a model of one class at a time.
pub const NOT_ONE: &str = "they have several labels or none, and the model tells one class at a time";

impl Wanted {
    /// What those rows say that can judge a model, and how many can't, see [`NOT_ONE`].
    ///
    /// # Errors
    /// As [`Wanted::new`].
    pub fn of_those<'a>(card: &Card, rows: impl Iterator<Item = &'a Row>) -> Result<(Vec<Self>, usize)> {
        let (rows, left): (Vec<&Row>, Vec<&Row>) = rows.partition(|row| row.is_for(card.task));
        Ok((rows.into_iter().map(|row| Self::new(card, row)).collect::<Result<_>>()?, left.len()))
    }

    /// What a row of a manifest says about a model's classes.
    ///
    /// # Errors
    /// The sentence names the recording: a label that the model does not know, or several for a model of one class at
    /// a time.
    pub fn new(card: &Card, row: &Row) -> Result<Self> {
        let at = row.path.display();
        for label in &row.labels {
            let absence = label == NONE && card.task == Task::Instruments;
            ensure!(
                absence || card.classes.contains(label),
                "{at}: the model knows no class «{label}»; its classes are {}",
                card.classes.join(", ")
            );
        }
        let truth = match (card.task, row.labels.as_slice()) {
            (Task::Instruments, _) => card.classes.iter().map(|c| row.sounds(c)).collect(),
            // One at a time: whatever it is, it is nothing else.
            (Task::Technique, [label]) => card.classes.iter().map(|c| Some(c == label)).collect(),
            (Task::Technique, labels) => bail!(
                "{at}: it has {} labels ({}), and the model tells one class at a time: only recordings with one label \
                 can judge it",
                labels.len(),
                labels.join(", ")
            ),
        };
        Ok(Self { path: row.path.clone(), truth, group: row.group.clone() })
    }
}

/// What a model said.
#[derive(Debug, Clone)]
pub struct Listened {
    /// Recording by recording.
    pub predictions: Predictions,
    /// How far the probabilities of the hops that count can be believed.
    pub hops: Reliability,
    /// Recordings that could not be used.
    pub skipped: usize,
}

/// One recording's hops that count.
struct Hops {
    /// `[hops, classes]`.
    posteriors: Vec<f32>,
    /// Whether the gate was open in them.
    open: bool,
}

/// Hears every recording, in parallel. Those that can't be used are named and counted.
///
/// # Errors
/// No recording can be used, or the gate's threshold is out of range.
pub fn predict(ear: &Ear, wanted: &[Wanted], gate_dbfs: f32) -> Result<Listened> {
    let card = ear.model.card();
    let thresholds: Vec<f32> = match card.task {
        Task::Technique => Vec::new(),
        Task::Instruments => (0..card.classes.len()).map(|c| card.threshold(c)).collect(),
    };
    let empty = || Reliability::new(card.task, card.classes.len());
    let (heard, skipped) = each(wanted, |recording| {
        let hops = hear(ear, &recording.path, gate_dbfs)?;
        let mut reliability = empty();
        let row = summarise(recording, &hops, &thresholds, &mut reliability);
        Ok((row, reliability))
    })?;
    let mut all = empty();
    heard.iter().for_each(|(_, reliability)| all.merge(reliability));
    let rows = heard.into_iter().map(|(row, _)| row).collect();
    Ok(Listened { predictions: Predictions { classes: card.classes.clone(), rows }, hops: all, skipped })
}

/// The network's logits of the hops that count, before any temperature.
fn logits(ear: &Ear, model: &Path, wanted: &[Wanted], gate_dbfs: f32) -> Result<Vec<(Wanted, Logits)>> {
    // Probabilities near 0 and 1 round off what a logit was; at a high temperature there are none.
    const HOT: f32 = 10.0;
    let mut card = ear.model.card().clone();
    card.temperature = HOT;
    card.offsets.clear();
    let (hot, _) = ear.with_card(model, &card)?;
    let (heard, _) = each(wanted, |recording| {
        let mut values = hear(&hot, &recording.path, gate_dbfs)?.posteriors;
        for p in &mut values {
            let p64 = f64::from(*p).clamp(1e-30, 1.0 - 1e-12);
            let logit = match card.task {
                Task::Technique => p64.ln(),
                Task::Instruments => p64.ln() - (-p64).ln_1p(),
            };
            #[expect(clippy::cast_possible_truncation, reason = "a logarithm of at most some dozens")]
            let logit = (f64::from(HOT) * logit) as f32;
            *p = logit;
        }
        Ok((recording.clone(), Logits { values, truth: recording.truth.clone() }))
    })?;
    Ok(heard)
}

/// Does the work for every recording in parallel, in order. Those that fail are named and counted.
fn each<'a, W: Sync, T: Send>(
    wanted: &'a [W],
    work: impl Fn(&'a W) -> Result<T> + Sync + Send,
) -> Result<(Vec<T>, usize)> {
    let bar = ProgressBar::new(wanted.len() as u64)
        .with_style(ProgressStyle::with_template("listening {bar:40} {pos}/{len} {eta} left")?);
    let outcomes: Vec<Result<T>> = wanted.par_iter().map(work).inspect(|_| bar.inc(1)).collect();
    bar.finish_and_clear();
    let mut done = Vec::with_capacity(outcomes.len());
    let mut skipped = 0;
    for outcome in outcomes {
        match outcome {
            Ok(it) => done.push(it),
            Err(error) => {
                remark(format_args!("skipped {}", sentence(&error)));
                skipped += 1;
            }
        }
    }
    ensure!(!done.is_empty(), "none of the {skipped} recordings can be used");
    Ok((done, skipped))
}

/// The mean posterior over a recording's hops that count, `[classes]`.
///
/// # Errors
/// The recording can't be heard, or holds nothing but silence.
pub fn mean_posterior(ear: &Ear, path: &Path, gate_dbfs: f32) -> Result<Vec<f32>> {
    Ok(of_likeliest(&hear(ear, path, gate_dbfs)?.posteriors, ear.model.card().classes.len(), 1))
}

/// The posteriors of the hops that count.
fn hear(ear: &Ear, path: &Path, gate_dbfs: f32) -> Result<Hops> {
    let raw = Smoothing::MovingAverage { ms: 0.0 };
    let policy = Policy { gate_dbfs, smoothing: raw, ..Policy::default() };
    policy.check()?;
    let posteriors = while_open(ear, path, &policy)?;
    if !posteriors.is_empty() {
        return Ok(Hops { posteriors, open: true });
    }
    // The gate's lowest threshold takes everything but digital silence.
    let posteriors = while_open(ear, path, &Policy { gate_dbfs: -120.0, ..policy })?;
    ensure!(!posteriors.is_empty(), "{}: it holds nothing but silence", path.display());
    Ok(Hops { posteriors, open: false })
}

fn while_open(ear: &Ear, path: &Path, policy: &Policy) -> Result<Vec<f32>> {
    let mut posteriors = Vec::new();
    let heard = ear.hear(path, policy, |decision, _| {
        if decision.gate_open {
            posteriors.extend_from_slice(decision.posterior);
        }
        Ok(())
    })?;
    match heard.damage {
        Some(damage) => Err(damage.into()),
        None => Ok(posteriors),
    }
}

/// Mean probabilities and decisions over the hops that count.
fn summarise(recording: &Wanted, heard: &Hops, thresholds: &[f32], reliability: &mut Reliability) -> Prediction {
    let classes = recording.truth.len();
    let mut hops = vec![0_u64; classes];
    for posterior in heard.posteriors.chunks_exact(classes) {
        hops[argmax(posterior)] += 1;
        reliability.add(posterior, &recording.truth);
    }
    let count: u64 = hops.iter().sum();
    let parts = if thresholds.is_empty() { 1 } else { SOMEWHERE };
    let mean = of_likeliest(&heard.posteriors, classes, parts);
    Prediction {
        file: recording.path.display().to_string(),
        truth: recording.truth.clone(),
        group: recording.group.clone(),
        mean,
        hops,
        open_hops: if heard.open { count } else { 0 },
        thresholds: thresholds.to_vec(),
    }
}

/// One part of so many holds a class that is in a recording.
const SOMEWHERE: usize = 4;

/// Each class's mean over one part in `parts` of the hops, those with its highest numbers: `[classes]`.
fn of_likeliest(values: &[f32], classes: usize, parts: usize) -> Vec<f32> {
    let of_class = |class: usize| {
        let mut column: Vec<f32> = values.iter().skip(class).step_by(classes).copied().collect();
        let kept = column.len().div_ceil(parts);
        if kept < column.len() {
            column.select_nth_unstable_by(kept, |a, b| b.total_cmp(a));
            column.truncate(kept);
        }
        let sum: f64 = column.iter().map(|value| f64::from(*value)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "a mean of 32-bit floats")]
        let mean = (sum / column.len().max(1) as f64) as f32;
        mean
    };
    (0..classes).map(of_class).collect()
}
