//! Continuous recordings: decisions against a label track.
//!
//! - Event F1 counts onsets: a told segment is right where an event of its class begins within the tolerance, each
//!   event matched at most once, as many matches as can be (what `mir_eval.util.match_events` and sed_eval's optimal
//!   matching find; offsets are not judged). Onsets of one class lie on a line, so walking along both lists in order
//!   finds the most.
//! - Frame F1 counts hops, class by class.
//! - Flicker: each change of the truth calls for one change of decision, which may come from the tolerance before it
//!   (a window's middle runs ahead of an attack) until the truth changes again; every further one flickers.
//! - Reaction: from the event's onset until the decision was known that first was right and then stayed so for
//!   [`STABLE_S`], or to the event's end. It counts everything that makes a decision late, the network's doubt too.

use serde::Serialize;
use tocco_models::ClassSet;

use super::multilabel::Counts;
use super::{mean, ratio};

/// How long a decision must stay right to be stable, in seconds of sound.
pub const STABLE_S: f64 = 0.1;
/// Times are read from text and computed from samples: as far apart they are equal. In seconds.
const ROUNDING_S: f64 = 1e-6;

/// A stretch in which a class sounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Its index.
    pub class: usize,
    /// Start in seconds of the recording.
    pub start_s: f64,
    /// End in seconds of the recording.
    pub end_s: f64,
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hop {
    /// The moment of sound that it speaks of, in seconds.
    pub about_s: f64,
    /// When it was known, in seconds of sound.
    pub known_s: f64,
    /// What holds, `none` left out.
    pub active: ClassSet,
}

/// What a model decided on one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Hop by hop.
    pub hops: Vec<Hop>,
    /// The segments it told, `none` left out.
    pub told: Vec<Event>,
    /// Length in seconds.
    pub duration_s: f64,
}

/// Figures of one class, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventFigures {
    /// The class; «all» over them all.
    pub class: String,
    /// Events in the label tracks.
    pub events: u64,
    /// Segments that were told.
    pub told: u64,
    /// Share of the told that is right.
    pub precision: f64,
    /// Share of the events that was told.
    pub recall: f64,
    /// Event F1; over all classes it counts every event alike.
    pub f1: f64,
    /// F1 of the hops.
    pub frame_f1: f64,
    /// Median time from onset to the first right and stable decision, in seconds; none where it never comes, or where
    /// there is no event.
    pub reaction_median_s: Option<f64>,
    /// Nine of ten events are recognised within this, in seconds; none where fewer ever are.
    pub reaction_p90_s: Option<f64>,
    /// Events without a right and stable decision.
    pub never: u64,
}

/// Collects recordings.
#[derive(Debug, Clone)]
pub struct Judge {
    classes: Vec<String>,
    tolerance_s: f64,
    events: Vec<Counts>,
    frames: Vec<Counts>,
    /// Seconds to the right decision, a list a class; infinite where it never came.
    reactions: Vec<Vec<f64>>,
    flickers: u64,
    sound_s: f64,
}

impl Judge {
    /// For these classes, and onsets that may lie `tolerance_s` seconds apart.
    #[must_use]
    pub fn new(classes: &[String], tolerance_s: f64) -> Self {
        let n = classes.len();
        let counts = vec![Counts::default(); n];
        Self {
            classes: classes.to_vec(),
            tolerance_s,
            events: counts.clone(),
            frames: counts,
            reactions: vec![Vec::new(); n],
            flickers: 0,
            sound_s: 0.0,
        }
    }

    /// Takes one recording. Neither `truth` nor `heard` may hold the class `none`.
    pub fn add(&mut self, truth: &[Event], heard: &Heard) {
        for class in 0..self.classes.len() {
            let hits = matches(&onsets(truth, class), &onsets(&heard.told, class), self.tolerance_s) as f64;
            let count = &mut self.events[class];
            count.hits += hits;
            count.misses += onsets(truth, class).len() as f64 - hits;
            count.false_alarms += onsets(&heard.told, class).len() as f64 - hits;
        }
        for hop in &heard.hops {
            let sounding = sounding(truth, hop.about_s);
            for (class, count) in self.frames.iter_mut().enumerate() {
                match (sounding.contains(class), hop.active.contains(class)) {
                    (true, true) => count.hits += 1.0,
                    (true, false) => count.misses += 1.0,
                    (false, true) => count.false_alarms += 1.0,
                    (false, false) => {}
                }
            }
        }
        self.flickers += flickers(truth, &heard.hops, self.tolerance_s);
        for event in truth {
            self.reactions[event.class].push(reaction(event, &heard.hops));
        }
        self.sound_s += heard.duration_s;
    }

    /// What several judges of the same classes collected, each counted as often as its weight says; `None` of nobody.
    #[must_use]
    pub fn pooled(judges: &[Self], weights: &[u32]) -> Option<Self> {
        let first = judges.first()?;
        let mut pooled = Self::new(&first.classes, first.tolerance_s);
        for (judge, &weight) in judges.iter().zip(weights) {
            for (sum, counts) in [(&mut pooled.events, &judge.events), (&mut pooled.frames, &judge.frames)] {
                sum.iter_mut().zip(counts).for_each(|(sum, counts)| *sum = sum.plus(&counts.times(weight)));
            }
            for (all, some) in pooled.reactions.iter_mut().zip(&judge.reactions) {
                (0..weight).for_each(|_| all.extend(some));
            }
            pooled.flickers += u64::from(weight) * judge.flickers;
            pooled.sound_s += f64::from(weight) * judge.sound_s;
        }
        Some(pooled)
    }

    /// Over all classes.
    #[must_use]
    pub fn all(&self) -> EventFigures {
        let sum = |counts: &[Counts]| counts.iter().fold(Counts::default(), Counts::plus);
        figures("all", sum(&self.events), sum(&self.frames), self.reactions.concat())
    }

    /// Class by class, those that occur or were told.
    #[must_use]
    pub fn classes(&self) -> Vec<EventFigures> {
        let each = (0..self.classes.len())
            .map(|c| figures(&self.classes[c], self.events[c], self.frames[c], self.reactions[c].clone()));
        each.filter(|f| f.events > 0 || f.told > 0).collect()
    }

    /// Mean event F1 of the classes that occur.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        mean(self.events.iter().filter(|c| c.hits + c.misses > 0.0).map(|c| c.f1())).unwrap_or(0.0)
    }

    /// Changes of decision that no change of the truth called for, a second of sound.
    #[must_use]
    pub fn flicker_per_s(&self) -> f64 {
        ratio(self.flickers as f64, self.sound_s)
    }

    /// Seconds of sound that were judged.
    #[must_use]
    pub fn sound_s(&self) -> f64 {
        self.sound_s
    }
}

impl Event {
    fn holds(&self, at_s: f64) -> bool {
        self.start_s <= at_s && at_s < self.end_s
    }
}

fn figures(class: &str, events: Counts, frames: Counts, mut reactions: Vec<f64>) -> EventFigures {
    reactions.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of events")]
    let count = |n: f64| n as u64;
    EventFigures {
        class: class.to_owned(),
        events: count(events.hits + events.misses),
        told: count(events.hits + events.false_alarms),
        precision: events.precision(),
        recall: events.recall(),
        f1: events.f1(),
        frame_f1: frames.f1(),
        reaction_median_s: within(&reactions, 0.5),
        reaction_p90_s: within(&reactions, 0.9),
        never: reactions.iter().filter(|r| r.is_infinite()).count() as u64,
    }
}

/// The smallest number that at least this share does not pass; `None` of nothing, or where it is infinite.
pub fn within(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.max(1) - 1).copied().filter(|r| r.is_finite())
}

fn sounding(truth: &[Event], at_s: f64) -> ClassSet {
    truth.iter().filter(|e| e.holds(at_s)).map(|e| e.class).collect()
}

/// Changes of decision that no change of the truth called for.
fn flickers(truth: &[Event], hops: &[Hop], tolerance_s: f64) -> u64 {
    let mut changes_s: Vec<f64> = truth.iter().flat_map(|e| [e.start_s, e.end_s]).collect();
    changes_s.sort_by(f64::total_cmp);
    changes_s.dedup_by(|a, b| (*a - *b).abs() <= ROUNDING_S);
    // Stretch 0 lies before the first change of the truth; it calls for none where it is silent.
    let mut answered = vec![false; changes_s.len() + 1];
    answered[0] = changes_s.first().is_none_or(|t| *t > 0.0);
    let (mut flickers, mut was) = (0, ClassSet::default());
    for hop in hops.iter().filter(|hop| std::mem::replace(&mut was, hop.active) != hop.active) {
        let stretch = changes_s.partition_point(|t| *t <= hop.about_s);
        let ahead = changes_s.get(stretch).is_some_and(|t| *t - hop.about_s <= tolerance_s + ROUNDING_S);
        if !answered[stretch] {
            answered[stretch] = true;
        } else if ahead && !answered[stretch + 1] {
            answered[stretch + 1] = true;
        } else {
            flickers += 1;
        }
    }
    flickers
}

fn onsets(events: &[Event], class: usize) -> Vec<f64> {
    let mut onsets: Vec<f64> = events.iter().filter(|e| e.class == class).map(|e| e.start_s).collect();
    onsets.sort_by(f64::total_cmp);
    onsets
}

/// How many pairs of both sorted lists can be made that lie within the tolerance, each number in one pair at most.
fn matches(truth: &[f64], told: &[f64], tolerance_s: f64) -> usize {
    let (mut t, mut h, mut pairs) = (0, 0, 0);
    while let (Some(a), Some(b)) = (truth.get(t), told.get(h)) {
        if (a - b).abs() <= tolerance_s + ROUNDING_S {
            (t, h, pairs) = (t + 1, h + 1, pairs + 1);
        } else if a < b {
            t += 1;
        } else {
            h += 1;
        }
    }
    pairs
}

/// Seconds from the onset until the first right and stable decision was known; infinite where it never comes.
fn reaction(event: &Event, hops: &[Hop]) -> f64 {
    let during = hops.iter().filter(|h| event.holds(h.about_s));
    let mut since: Option<&Hop> = None;
    for hop in during {
        if !hop.active.contains(event.class) {
            since = None;
            continue;
        }
        let first = since.get_or_insert(hop);
        if hop.about_s - first.about_s >= STABLE_S {
            break;
        }
    }
    since.map_or(f64::INFINITY, |first| first.known_s - event.start_s)
}
