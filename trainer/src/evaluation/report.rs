//! The figures of an evaluation, as JSON and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use tocco_models::Task;

use crate::metrics::{
    Bootstrap, Calibration, Confusion, Figures, Interval, Ranking, Reliability, Scored, SetFigures,
    mean_average_precision, mean_roc_auc, ranking, set_figures,
};
use crate::predictions::Predictions;

/// The thresholds at which every model of any number of classes is judged, beside those of its card.
const FIXED_THRESHOLDS: [f32; 3] = [0.2, 0.3, 0.5];

/// Figures with their 95 % intervals, by name.
pub type Intervals = BTreeMap<&'static str, Interval>;

/// Everything that `tocco evaluate --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name of the model.
    pub model: String,
    /// Where the recordings come from.
    pub source: String,
    /// The most probable class of each recording against its one label; absent where a recording has none or several.
    pub files: Option<Figures>,
    /// The same hop by hop.
    pub frames: Option<Figures>,
    /// Recordings that could not be used.
    pub skipped: usize,
    /// `technique` (one class at a time) or `instruments` (any number).
    pub task: Task,
    /// How the intervals were drawn.
    pub bootstrap: Draws,
    /// Intervals of figures in `files`.
    pub intervals: Intervals,
    /// Average precision and area under the ROC curve over recordings.
    pub ranking: Ranking,
    /// Figures over recordings where a class counts as heard from a threshold on; empty for one class at a time.
    pub thresholds: Vec<AtThresholds>,
    /// Whether the recordings' mean probabilities mean what they say.
    pub calibration_files: Option<Calibration>,
    /// Whether the hops' probabilities mean what they say; absent for pooled predictions.
    pub calibration_frames: Option<Calibration>,
    /// The temperature and thresholds of `--tune`.
    pub tuned: Option<TunedOn>,
}

/// How intervals were drawn: whole groups of recordings, with replacement.
#[derive(Debug, Clone, Serialize)]
pub struct Draws {
    /// How many draws.
    pub resamples: u32,
    /// Groups of recordings.
    pub groups: usize,
    /// The seed.
    pub seed: u64,
}

/// Figures at one set of thresholds.
#[derive(Debug, Clone, Serialize)]
pub struct AtThresholds {
    /// `card`, `0.2`, `0.3`, `0.5` or `tuned`.
    pub name: String,
    /// What came out.
    pub figures: SetFigures,
    /// Its intervals.
    pub intervals: Intervals,
}

/// What `--tune` found, and on what.
#[derive(Debug, Clone, Serialize)]
pub struct TunedOn {
    /// The recordings that it was fitted to, in words.
    pub on: String,
    /// How many.
    pub recordings: usize,
    /// The temperature.
    pub temperature: f32,
    /// An offset a class; empty for any number of classes.
    pub offsets: Vec<f32>,
    /// A threshold a class; empty for one class at a time.
    pub thresholds: Vec<f32>,
    /// The most probable class of each judged recording, as tuned; absent where a recording has none or several.
    pub files: Option<Figures>,
    /// The reliability of the hops of the judged recordings with that temperature.
    pub calibration_frames: Option<Calibration>,
}

impl Report {
    /// All figures of one model. `hops` is absent for pooled predictions.
    #[must_use]
    pub fn new(
        (model, source): (String, String),
        predictions: &Predictions,
        hops: Option<&Reliability>,
        (resamples, seed): (u32, u64),
    ) -> Self {
        let bootstrap = Bootstrap::new(predictions.rows.iter().map(|r| r.group.as_str()), resamples, seed);
        let (classes, scored) = predictions.scored();
        let confusions = predictions.confusions();
        let mut report = Self {
            model,
            source,
            files: confusions.as_ref().map(|(files, _)| files.figures()),
            frames: confusions.as_ref().map(|(_, hops)| hops.figures()),
            skipped: 0,
            task: predictions.task(),
            bootstrap: Draws { resamples, groups: bootstrap.groups(), seed },
            intervals: choice_intervals(predictions, &scored, &bootstrap),
            ranking: ranking(&classes, &scored),
            thresholds: Vec::new(),
            calibration_files: reliability(predictions, &vec![1; predictions.rows.len()]),
            calibration_frames: hops.and_then(Reliability::figures),
            tuned: None,
        };
        if report.task == Task::Instruments {
            report.thresholds.push(at_thresholds("card", predictions, &bootstrap));
            for threshold in FIXED_THRESHOLDS {
                let mut fixed = predictions.clone();
                fixed.rows.iter_mut().for_each(|row| row.thresholds.fill(threshold));
                report.thresholds.push(at_thresholds(&threshold.to_string(), &fixed, &bootstrap));
            }
        }
        report
    }

    /// Adds what the same recordings came to with a tuned card.
    pub fn add_tuned(&mut self, mut tuned: TunedOn, predictions: &Predictions) {
        tuned.files = predictions.confusions().map(|(files, _)| files.figures());
        if self.task == Task::Instruments {
            let groups = predictions.rows.iter().map(|r| r.group.as_str());
            let bootstrap = Bootstrap::new(groups, self.bootstrap.resamples, self.bootstrap.seed);
            self.thresholds.push(at_thresholds("tuned", predictions, &bootstrap));
        }
        self.tuned = Some(tuned);
    }

    /// The figures for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let (Some(files), Some(frames)) = (&self.files, &self.frames) {
            text += &files.table("recordings", "");
            text += &one_line("hops", frames);
        }
        // Writing to a string can't fail.
        let _ = self.write_thresholds(&mut text);
        let _ = self.write_rest(&mut text);
        text
    }

    fn write_thresholds(&self, text: &mut String) -> std::fmt::Result {
        let Some(card) = self.thresholds.first() else { return Ok(()) };
        writeln!(text, "\nany number of classes: {} recordings, heard from a threshold on", card.figures.count)?;
        text.push_str(&SetFigures::heading());
        for at in &self.thresholds {
            text.push_str(&at.figures.row(&at.name));
        }
        if self.files.is_none() {
            text.push_str(&card.figures.class_lines());
        }
        // The fixed thresholds are for a look; their intervals are in the JSON.
        for at in self.thresholds.iter().filter(|at| !FIXED_THRESHOLDS.iter().any(|t| t.to_string() == at.name)) {
            for (figure, interval) in &at.intervals {
                writeln!(text, "  {:28} {interval}", format!("{figure}, {}", at.name))?;
            }
        }
        Ok(())
    }

    fn write_rest(&self, text: &mut String) -> std::fmt::Result {
        let Draws { resamples, groups, seed } = self.bootstrap;
        writeln!(text, "\n95 % intervals: {resamples} draws of {groups} groups of recordings, seed {seed}")?;
        for (name, interval) in &self.intervals {
            writeln!(text, "  {name:28} {interval}")?;
        }
        for (what, calibration) in [("recordings", &self.calibration_files), ("hops", &self.calibration_frames)] {
            if let Some(c) = calibration {
                writeln!(text, "{}", calibration_line(what, c))?;
            }
        }
        if let Some(tuned) = &self.tuned {
            writeln!(
                text,
                "tuned on {} ({} recordings): temperature {:.3}",
                tuned.on, tuned.recordings, tuned.temperature
            )?;
            if !tuned.offsets.is_empty() {
                let offsets: Vec<String> = tuned.offsets.iter().map(|offset| format!("{offset:+.2}")).collect();
                writeln!(text, "offsets of the classes   {}", offsets.join(" "))?;
            }
            if let Some(files) = &tuned.files {
                text.push_str(&one_line("recordings, tuned", files));
            }
            if let Some(c) = &tuned.calibration_frames {
                writeln!(text, "{}", calibration_line("hops, tuned", c))?;
            }
        }
        Ok(())
    }
}

fn calibration_line(what: &str, c: &Calibration) -> String {
    format!(
        "calibration, {what:12} ECE {:.4}, mean of classes {:.4}, NLL {:.4}, Brier {:.4}",
        c.expected_calibration_error, c.class_mean, c.negative_log_likelihood, c.brier
    )
}

fn one_line(name: &str, f: &Figures) -> String {
    format!(
        "{name:24} {:>9} accuracy {:.4}  macro-recall {:.4}  macro-precision {:.4}  macro-F1 {:.4}\n",
        f.count, f.accuracy, f.macro_recall, f.macro_precision, f.macro_f1
    )
}

/// Intervals of the strongest class, and of what needs no threshold.
fn choice_intervals(predictions: &Predictions, scored: &[Scored], bootstrap: &Bootstrap) -> Intervals {
    let mut intervals = Intervals::new();
    let judged = predictions.judged().len();
    let mut note = |name, interval: Option<Interval>| intervals.extend(interval.map(|i| (name, i)));
    note("mean_average_precision", bootstrap.interval(mean_average_precision(scored, judged)));
    note("mean_roc_auc", bootstrap.interval(mean_roc_auc(scored, judged)));
    note("calibration_class_mean", bootstrap.interval(|weights| Some(reliability(predictions, weights)?.class_mean)));
    let pairs: Option<Vec<(usize, usize)>> =
        predictions.rows.iter().map(|row| Some((row.label()?, row.strongest()))).collect();
    if let Some(pairs) = pairs {
        let figure = |value: fn(&Figures) -> f64| {
            let pairs = &pairs;
            bootstrap.interval(move |weights| {
                let mut confusion = Confusion::new(&predictions.classes);
                for ((truth, strongest), weight) in pairs.iter().zip(weights) {
                    confusion.add(*truth, *strongest, u64::from(*weight));
                }
                Some(value(&confusion.figures()))
            })
        };
        note("accuracy", figure(|f| f.accuracy));
        note("macro_f1", figure(|f| f.macro_f1));
        note("macro_precision", figure(|f| f.macro_precision));
        note("macro_recall", figure(|f| f.macro_recall));
    }
    intervals
}

/// How far the mean probabilities of the recordings can be believed, where recording `r` counts `weights[r]` times.
fn reliability(predictions: &Predictions, weights: &[u32]) -> Option<Calibration> {
    let mut files = Reliability::new(predictions.task(), predictions.classes.len());
    for (row, times) in predictions.rows.iter().zip(weights) {
        files.add_times(*times, &row.mean, &row.truth);
    }
    files.figures()
}

/// Figures where each recording's own thresholds decide.
fn at_thresholds(name: &str, predictions: &Predictions, bootstrap: &Bootstrap) -> AtThresholds {
    let (classes, scored) = predictions.scored();
    let judged = predictions.judged();
    let figures =
        |weights: &[u32]| set_figures(&classes, &scored, weights, |r, c| predictions.rows[r].is_heard(judged[c]));
    let mut intervals = Intervals::new();
    let mut note = |name, value: fn(&SetFigures) -> f64| {
        intervals.extend(bootstrap.interval(|w| Some(value(&figures(w)))).map(|i| (name, i)));
    };
    note("exact_match", |f| f.exact_match);
    note("hamming_loss", |f| f.hamming_loss);
    note("macro_f1", |f| f.macro_f1);
    note("macro_precision", |f| f.macro_precision);
    note("macro_recall", |f| f.macro_recall);
    note("micro_f1", |f| f.micro_f1);
    AtThresholds { name: name.to_owned(), figures: figures(&vec![1; scored.len()]), intervals }
}
