//! Decisions, hop by hop, become segments: from when to when a class held.

use crate::{ClassSet, Decision, MAX_CLASSES};
use serde::Serialize;

mod export;

pub use export::Export;

/// A stretch in which one class held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Start in seconds of the recording.
    pub start_s: f64,
    /// End in seconds of the recording.
    pub end_s: f64,
    /// Index of the class.
    #[serde(skip)]
    pub class: usize,
    /// Name of the class.
    #[serde(rename = "class")]
    pub name: String,
    /// Mean probability of the class over the stretch.
    pub confidence: f32,
}

/// Of a segment that lasts: its start, the sum of its probabilities, its hops.
type Open = (f64, f64, u32);

/// Collects the segments of one recording.
#[derive(Debug)]
pub struct Timeline {
    classes: Vec<String>,
    /// A class that is not told, e.g. `none`.
    untold: Option<usize>,
    open: Vec<Option<Open>>,
    /// Finished segments, in the order of their ends; to be taken out at will.
    pub closed: Vec<Segment>,
}

impl Timeline {
    /// For a model's classes; segments of the class `untold` are left out.
    #[must_use]
    pub fn new(classes: &[String], untold: Option<usize>) -> Self {
        let open = vec![None; classes.len().min(MAX_CLASSES)];
        Self { classes: classes.to_vec(), untold, open, closed: Vec::new() }
    }

    /// Takes one decision of sound at `rate` Hz.
    pub fn push(&mut self, decision: &Decision<'_>, rate: u32) {
        let now_s = decision.about as f64 / f64::from(rate);
        self.hear(now_s, decision.active, |class| decision.posterior[class]);
    }

    /// Takes the classes that hold at a time, in seconds, each with its probability.
    pub fn hear(&mut self, now_s: f64, active: ClassSet, probability: impl Fn(usize) -> f32) {
        for class in 0..self.open.len() {
            if active.contains(class) {
                let (_, sum, hops) = self.open[class].get_or_insert((now_s, 0.0, 0));
                *sum += f64::from(probability(class));
                *hops += 1;
            } else {
                self.close(class, now_s);
            }
        }
    }

    /// Ends every open segment at the recording's end, in seconds.
    pub fn finish(&mut self, end_s: f64) {
        for class in 0..self.open.len() {
            self.close(class, end_s);
        }
    }

    /// The segments that last, as if they ended now.
    pub fn lasting(&self, now_s: f64) -> impl Iterator<Item = Segment> {
        (0..self.open.len()).filter_map(move |class| self.segment(class, self.open[class]?, now_s))
    }

    /// Forgets all of it; a class that goes on begins anew.
    pub fn clear(&mut self) {
        self.open.fill(None);
        self.closed.clear();
    }

    fn close(&mut self, class: usize, end_s: f64) {
        let Some(open) = self.open[class].take() else { return };
        self.closed.extend(self.segment(class, open, end_s));
    }

    fn segment(&self, class: usize, (start_s, sum, hops): Open, end_s: f64) -> Option<Segment> {
        if Some(class) == self.untold {
            return None;
        }
        // A mean of probabilities fits any float.
        #[allow(clippy::cast_possible_truncation)]
        let confidence = (sum / f64::from(hops)) as f32;
        Some(Segment { start_s, end_s, class, name: self.classes[class].clone(), confidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(timeline: &mut Timeline, about: u64, active: &[usize], posterior: &[f32]) {
        let decision = Decision {
            known_at: about + 100,
            about,
            gate_open: true,
            posterior,
            class: active.first().copied(),
            active: active.iter().copied().collect(),
            confidence: 0.0,
            changed: false,
            level_dbfs: -20.0,
        };
        timeline.push(&decision, 1000);
    }

    #[test]
    fn segments_reach_from_change_to_change() {
        let names = ["a", "b", "none"].map(String::from);
        let mut timeline = Timeline::new(&names, Some(2));
        decide(&mut timeline, 0, &[2], &[0.0, 0.0, 1.0]);
        decide(&mut timeline, 100, &[0], &[0.9, 0.1, 0.0]);
        decide(&mut timeline, 200, &[0], &[0.7, 0.3, 0.0]);
        decide(&mut timeline, 300, &[1], &[0.2, 0.8, 0.0]);
        timeline.finish(0.45);
        let told: Vec<_> = timeline.closed.iter().map(|s| (s.name.as_str(), s.start_s, s.end_s)).collect();
        assert_eq!(told, [("a", 0.1, 0.3), ("b", 0.3, 0.45)]);
        assert!((timeline.closed[0].confidence - 0.8).abs() < 1e-6);
    }

    #[test]
    fn several_classes_may_sound_at_once() {
        let names = ["a", "b"].map(String::from);
        let mut timeline = Timeline::new(&names, None);
        decide(&mut timeline, 0, &[0], &[0.9, 0.1]);
        decide(&mut timeline, 100, &[0, 1], &[0.9, 0.9]);
        decide(&mut timeline, 200, &[1], &[0.1, 0.9]);
        decide(&mut timeline, 300, &[], &[0.1, 0.1]);
        timeline.finish(0.4);
        let told: Vec<_> = timeline.closed.iter().map(|s| (s.name.as_str(), s.start_s, s.end_s)).collect();
        assert_eq!(told, [("a", 0.0, 0.2), ("b", 0.1, 0.3)]);
    }
}
