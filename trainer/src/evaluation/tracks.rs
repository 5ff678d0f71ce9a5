//! Continuous recordings: label tracks, decisions as the plugin makes them, and sound that should trigger nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tocco_models::timeline::Timeline;
use tocco_models::{Card, NONE, Policy};

use super::{Intervals, each};
use crate::audio::has_audio_extension;
use crate::listen::Ear;
use crate::metrics::{Bootstrap, Event, EventFigures, Heard, Hop, Interval, Judge};

/// Endings of label tracks.
const TRACK_ENDINGS: [&str; 2] = ["txt", "tsv"];

/// A recording and what sounds in it when.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// The recording.
    pub recording: PathBuf,
    /// In the track's order; `none` left out.
    pub events: Vec<Event>,
}

/// Figures over continuous recordings.
#[derive(Debug, Clone, Serialize)]
pub struct Continuous {
    /// Recordings that were heard.
    pub recordings: usize,
    /// Seconds of sound in them.
    pub sound_s: f64,
    /// How far an onset may lie from the event's, in seconds.
    pub onset_tolerance_s: f64,
    /// Over all events.
    pub all: EventFigures,
    /// Mean event F1 of the classes that occur.
    pub macro_f1: f64,
    /// Changes of decision a second of sound that no change of the truth called for.
    pub flicker_per_s: f64,
    /// Class by class, those that occur or were told.
    pub classes: Vec<EventFigures>,
    /// 95 % intervals over draws of whole recordings; empty for a single one.
    pub intervals: Intervals,
    /// Recordings that could not be used.
    pub skipped: usize,
}

/// What a model told in sound that holds none of its classes.
#[derive(Debug, Clone, Serialize)]
pub struct FalseTriggers {
    /// Recordings that were heard.
    pub recordings: usize,
    /// Seconds of sound in them.
    pub sound_s: f64,
    /// Segments that were told.
    pub triggers: u64,
    /// The same a minute of sound.
    pub per_minute: f64,
    /// Its 95 % interval over draws of whole recordings; absent for a single one.
    pub per_minute_interval: Option<Interval>,
    /// Share of the sound's length in which something was told.
    pub share_of_time: f64,
    /// Segments by class, those that were told.
    pub classes: Vec<(String, u64)>,
    /// Recordings that could not be used.
    pub skipped: usize,
}

impl Track {
    /// The tracks that are meant: `labels` is one track for the one recording, or a folder with `NAME.txt` or `NAME.tsv`
    /// for every `NAME.wav` (or any other format). Without recordings, those beside the tracks in the folder.
    ///
    /// # Errors
    /// The sentence names the track or recording: one is missing, unreadable or can't be understood.
    pub fn find(labels: &Path, recordings: &[PathBuf], card: &Card) -> Result<Vec<Self>> {
        if !labels.is_dir() {
            let [recording] = recordings else {
                bail!("{}: one label track belongs to one recording: name it, or give a folder", labels.display());
            };
            return Ok(vec![Self::read(recording, labels, card)?]);
        }
        let beside;
        let recordings = match recordings {
            [] => {
                beside = recordings_with_tracks(labels)?;
                &beside
            }
            named => named,
        };
        let of = |recording: &PathBuf| {
            let stem = recording.file_stem().unwrap_or_default();
            let candidates = TRACK_ENDINGS.map(|ending| labels.join(stem).with_added_extension(ending));
            let track = candidates.iter().find(|t| t.is_file()).with_context(|| {
                format!("{}: its label track {} is not there", recording.display(), candidates[0].display())
            })?;
            Self::read(recording, track, card)
        };
        recordings.iter().map(of).collect()
    }

    fn read(recording: &Path, track: &Path, card: &Card) -> Result<Self> {
        let text = std::fs::read_to_string(track)
            .with_context(|| format!("{}: the label track can't be read", track.display()))?;
        let events = parse(&text, &card.classes).with_context(|| track.display().to_string())?;
        Ok(Self { recording: recording.to_path_buf(), events })
    }
}

/// A label track as Audacity exports it: start, end (seconds) and class, separated by tabs. Lines that begin with a
/// backslash (frequencies of a selection) and a heading above the first line are passed over.
fn parse(text: &str, classes: &[String]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    for (i, line) in lines.filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('\\')) {
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let at = |what: &str| format!("line {}: {what}: «{line}»", i + 1);
        let [start, end, class] = cells.as_slice() else {
            bail!(at("a line is start, end and class, separated by tabs"));
        };
        let seconds = |cell: &str| cell.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let (start_s, end_s) = match (seconds(start), seconds(end)) {
            (Some(start), Some(end)) => (start, end),
            (None, None) if i == 0 && start.parse::<f64>().is_err() => continue,
            _ => bail!(at("start and end must be numbers of seconds")),
        };
        ensure!(end_s > start_s, at("the end must lie after the start"));
        if *class == NONE {
            continue;
        }
        let class = classes.iter().position(|c| c == class).with_context(|| {
            at(&format!("the model knows no class «{class}»; its classes are {}", classes.join(", ")))
        })?;
        events.push(Event { class, start_s, end_s });
    }
    Ok(events)
}

fn recordings_with_tracks(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = recordings_in(folder, 1)?;
    let found: Vec<PathBuf> =
        all.into_iter().filter(|r| TRACK_ENDINGS.iter().any(|ending| r.with_extension(ending).is_file())).collect();
    ensure!(!found.is_empty(), "{}: there is no recording with a label track of its name", folder.display());
    Ok(found)
}

/// Recordings in a folder and those below it down to a depth, sorted.
fn recordings_in(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(true).max_depth(depth).sort_by_file_name() {
        let entry = entry.with_context(|| format!("{}: the folder can't be read", folder.display()))?;
        if entry.file_type().is_file() && has_audio_extension(entry.path()) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Judges a model's decisions, as the policy makes them, against label tracks. `draws` are how many resamples the
/// intervals take, and their seed.
///
/// # Errors
/// No recording can be used.
pub fn follow(
    ear: &Ear,
    tracks: &[Track],
    policy: &Policy,
    onset_tolerance_s: f64,
    draws: (u32, u64),
) -> Result<Continuous> {
    let (judges, skipped) = each(tracks, |track| {
        let mut judge = Judge::new(&ear.model.card().classes, onset_tolerance_s);
        judge.add(&track.events, &decide(ear, &track.recording, policy)?);
        Ok(judge)
    })?;
    let judge = Judge::pooled(&judges, &vec![1; judges.len()]).context("no recording was heard")?;
    Ok(Continuous {
        recordings: judges.len(),
        sound_s: judge.sound_s(),
        onset_tolerance_s,
        all: judge.all(),
        macro_f1: judge.macro_f1(),
        flicker_per_s: judge.flicker_per_s(),
        classes: judge.classes(),
        intervals: intervals(&judges, draws),
        skipped,
    })
}

/// Of the figures over all classes. A single recording has none: there is nothing to draw from.
fn intervals(judges: &[Judge], draws: (u32, u64)) -> Intervals {
    let Some(bootstrap) = by_recording(judges.len(), draws) else { return Intervals::new() };
    let mut intervals = Intervals::new();
    let mut note = |name, figure: fn(&Judge) -> Option<f64>| {
        let interval = bootstrap.interval(|weights| figure(&Judge::pooled(judges, weights)?));
        intervals.extend(interval.map(|interval| (name, interval)));
    };
    note("macro_event_f1", |judge| Some(judge.macro_f1()));
    note("event_f1", |judge| Some(judge.all().f1));
    note("frame_f1", |judge| Some(judge.all().frame_f1));
    note("flicker_per_s", |judge| Some(judge.flicker_per_s()));
    note("reaction_median_s", |judge| judge.all().reaction_median_s);
    intervals
}

/// Draws of whole recordings, where there is more than one.
fn by_recording(recordings: usize, (resamples, seed): (u32, u64)) -> Option<Bootstrap> {
    let names: Vec<String> = (0..recordings).map(|recording| recording.to_string()).collect();
    (recordings > 1).then(|| Bootstrap::new(names.iter().map(String::as_str), resamples, seed))
}

/// Counts what a model tells, as the policy decides, in the recordings of a folder that hold none of its classes.
/// `draws` as for [`follow`].
///
/// # Errors
/// The folder holds no recording that can be used.
pub fn false_triggers(ear: &Ear, folder: &Path, policy: &Policy, draws: (u32, u64)) -> Result<FalseTriggers> {
    let recordings = recordings_in(folder, usize::MAX)?;
    ensure!(!recordings.is_empty(), "{}: there is no recording in this folder", folder.display());
    let (heard, skipped) = each(&recordings, |recording| decide(ear, recording, policy))?;
    let classes = &ear.model.card().classes;
    let told = |c: usize| heard.iter().flat_map(|h| &h.told).filter(|s| s.class == c).count() as u64;
    let by_class: Vec<(String, u64)> =
        classes.iter().enumerate().map(|(c, name)| (name.clone(), told(c))).filter(|(_, n)| *n > 0).collect();
    let triggers: u64 = by_class.iter().map(|(_, n)| n).sum();
    let sound_s: f64 = heard.iter().map(|h| h.duration_s).sum();
    let per_minute = |weights: &[u32]| {
        let sum = |of: fn(&Heard) -> f64| heard.iter().zip(weights).map(|(h, w)| f64::from(*w) * of(h)).sum::<f64>();
        sum(|h| h.told.len() as f64) / (sum(|h| h.duration_s) / 60.0).max(f64::MIN_POSITIVE)
    };
    let hops = heard.iter().flat_map(|h| &h.hops);
    let active = hops.clone().filter(|h| !h.active.is_empty()).count() as f64;
    Ok(FalseTriggers {
        recordings: heard.len(),
        sound_s,
        triggers,
        per_minute: per_minute(&vec![1; heard.len()]),
        per_minute_interval: by_recording(heard.len(), draws).and_then(|b| b.interval(|w| Some(per_minute(w)))),
        share_of_time: active / (hops.count() as f64).max(1.0),
        classes: by_class,
        skipped,
    })
}

/// The decisions about one recording.
fn decide(ear: &Ear, recording: &Path, policy: &Policy) -> Result<Heard> {
    let card = ear.model.card();
    let none = card.none_class();
    let mut timeline = Timeline::new(&card.classes, none);
    let mut hops = Vec::new();
    let heard = ear.hear(recording, policy, |decision, rate| {
        timeline.push(decision, rate);
        let seconds = |samples: u64| samples as f64 / f64::from(rate);
        let active = decision.active.iter().filter(|c| Some(*c) != none).collect();
        hops.push(Hop { about_s: seconds(decision.about), known_s: seconds(decision.known_at), active });
        Ok(())
    })?;
    if let Some(damage) = heard.damage {
        return Err(damage.into());
    }
    timeline.finish(heard.duration_s);
    let told = timeline.closed.iter().map(|s| Event { class: s.class, start_s: s.start_s, end_s: s.end_s }).collect();
    Ok(Heard { hops, told, duration_s: heard.duration_s })
}

impl Continuous {
    /// The figures for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let ms = |s: Option<f64>| s.map_or_else(|| "never".into(), |s| format!("{:.0} ms", 1000.0 * s));
        let line = |f: &EventFigures| {
            format!(
                "  {:22} {:>6} events, {:>5} told  precision {:.4}  recall {:.4}  F1 {:.4}  frame F1 {:.4}  \
                 right after {} (median), {} (9 of 10), {} never\n",
                f.class,
                f.events,
                f.told,
                f.precision,
                f.recall,
                f.f1,
                f.frame_f1,
                ms(f.reaction_median_s),
                ms(f.reaction_p90_s),
                f.never
            )
        };
        let mut text = format!(
            "{} recordings, {:.1} s; onsets within {:.0} ms: macro event F1 {:.4}, flicker {:.3} a second\n",
            self.recordings,
            self.sound_s,
            1000.0 * self.onset_tolerance_s,
            self.macro_f1,
            self.flicker_per_s
        );
        text.push_str(&line(&self.all));
        self.classes.iter().for_each(|f| text.push_str(&line(f)));
        for (name, interval) in &self.intervals {
            text.push_str(&format!("  {name:28} {interval}\n"));
        }
        text
    }
}

impl FalseTriggers {
    /// The figures for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let classes: Vec<String> = self.classes.iter().map(|(class, n)| format!("{class} {n}")).collect();
        let interval = self.per_minute_interval.map(|i| format!(" [{:.2}, {:.2}]", i.low, i.high));
        format!(
            "false triggers: {} in {:.1} s of {} recordings, {:.2}{} a minute, {:.1} % of the time{}{}\n",
            self.triggers,
            self.sound_s,
            self.recordings,
            self.per_minute,
            interval.unwrap_or_default(),
            100.0 * self.share_of_time,
            if classes.is_empty() { "" } else { ": " },
            classes.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn read(text: &str) -> Result<Vec<Event>> {
        parse(text, &["bowed", "plucked", "none"].map(String::from))
    }

    #[test]
    fn audacitys_labels_are_read() {
        let text = "0.5\t1.25\tbowed\n\\\t100.0\t200.0\n1.25\t2\tnone\r\n2\t3.5\tplucked\n\n";
        let wanted = [Event { class: 0, start_s: 0.5, end_s: 1.25 }, Event { class: 1, start_s: 2.0, end_s: 3.5 }];
        assert_eq!(read(text).unwrap(), wanted);
        assert_eq!(read(&format!("onset\toffset\tevent_label\n{text}")).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_label_is_refused_with_its_line() {
        for (line, reason) in [
            ("1\t2", "line 2: a line is start, end and class"),
            ("1\t0.5\tbowed", "line 2: the end must lie after the start"),
            ("a\tb\tbowed", "line 2: start and end must be numbers"),
            ("-1\t2\tbowed", "line 2: start and end must be numbers"),
            ("1\tNaN\tbowed", "line 2: start and end must be numbers"),
            ("1\t2\tslapped", "no class «slapped»; its classes are bowed, plucked, none"),
        ] {
            let sentence = format!("{:#}", read(&format!("0\t1\tbowed\n{line}\n")).unwrap_err());
            assert!(sentence.contains(reason), "{sentence}");
        }
    }
}
