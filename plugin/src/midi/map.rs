//! From decisions to messages: stands beside the recognizer, and never allocates while it decides.

use std::collections::BTreeMap;

use tocco_models::{ClassSet, Decision, MAX_CLASSES};

use super::{Message, mapping_of};
use crate::state::{Mapping, MidiMode, Velocity};

/// A class with a threshold of its own ends at this share of it: probabilities waver.
const LET_GO: f32 = 0.9;
/// So long a message for trying out holds, in seconds: enough for a synth to learn it, and to be heard.
pub const TRIED_S: f64 = 0.4;

/// One decision, as the MIDI output needs it.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// One probability a class.
    pub posterior: &'a [f32],
    /// The classes that are decided for.
    pub active: ClassSet,
    /// Whether anything is heard.
    pub gate_open: bool,
    /// The input's level.
    pub level_dbfs: f32,
    /// When it became known, in seconds of sound since the last reset.
    pub now_s: f64,
}

impl<'a> Moment<'a> {
    /// Of a decision about sound at `sample_rate` Hz.
    #[must_use]
    pub fn new(decision: &'a Decision<'_>, sample_rate: f64) -> Self {
        Self {
            posterior: decision.posterior,
            active: decision.active,
            gate_open: decision.gate_open,
            level_dbfs: decision.level_dbfs,
            now_s: decision.known_at as f64 / sample_rate,
        }
    }
}

/// What each class of the model does on the MIDI output.
#[derive(Debug, Default)]
pub struct MidiMap {
    lines: Vec<Line>,
    /// When the last decision was.
    last_s: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    mapping: Mapping,
    /// What was sent last; `None` before the first time.
    sent: Option<u8>,
    /// The probability, smoothed.
    level: Option<f32>,
    /// Since when the class has counted.
    since_s: Option<f64>,
    /// Until when the player tries it out.
    tried_until_s: f64,
}

impl MidiMap {
    /// For a model's classes, with the player's mappings by class name.
    #[must_use]
    pub fn new(classes: &[String], mappings: &BTreeMap<String, Mapping>) -> Self {
        let line = |(class, name): (usize, &String)| Line {
            mapping: mapping_of(mappings, class, name),
            sent: None,
            level: None,
            since_s: None,
            tried_until_s: f64::NEG_INFINITY,
        };
        Self { lines: classes.iter().take(MAX_CLASSES).enumerate().map(line).collect(), last_s: None }
    }

    /// Forgets what was sent and heard: notes and gates count as off, controllers as unknown.
    pub fn forget(&mut self) {
        self.last_s = None;
        for line in &mut self.lines {
            (line.sent, line.level, line.since_s, line.tried_until_s) = (None, None, None, f64::NEG_INFINITY);
        }
    }

    /// Says what one decision changes: first what ends, then what starts, so that a class can hand a note on to
    /// another that is mapped to it too. The classes in `tried` count as certain for [`TRIED_S`]. `send` answers
    /// whether the message found room; one that did not is offered again at the next decision.
    pub fn decide(&mut self, moment: &Moment<'_>, tried: ClassSet, mut send: impl FnMut(Message) -> bool) {
        let passed_s = self.last_s.map(|last| moment.now_s - last);
        self.last_s = Some(moment.now_s);
        for (class, line) in self.lines.iter_mut().enumerate() {
            if tried.contains(class) {
                line.tried_until_s = moment.now_s + TRIED_S;
            }
            line.hear(class, moment, passed_s);
        }
        for ends in [true, false] {
            for class in 0..self.lines.len() {
                let Some((value, message)) = self.lines[class].change(class, moment) else { continue };
                if message.is_some_and(|message| message.is_end() != ends) {
                    continue;
                }
                let is_done = match message {
                    None => true,
                    Some(_) if ends && self.is_held_by_another(class) => true,
                    Some(message) => send(message),
                };
                if is_done {
                    self.lines[class].sent = Some(value);
                }
            }
        }
    }

    /// Whether the note or gate of this class is on for another class too.
    fn is_held_by_another(&self, class: usize) -> bool {
        let place = |line: &Line| (line.mapping.mode, line.mapping.channel, line.mapping.number);
        let own = place(&self.lines[class]);
        let is_on = |(other, line): (usize, &Line)| other != class && place(line) == own && line.sent == Some(1);
        self.lines.iter().enumerate().any(is_on)
    }
}

impl Line {
    fn hear(&mut self, class: usize, moment: &Moment<'_>, passed_s: Option<f64>) {
        let Mapping { smoothing_ms, threshold, .. } = self.mapping;
        let probability = moment.posterior.get(class).copied().unwrap_or(0.0).clamp(0.0, 1.0);
        self.level = match (self.level, passed_s) {
            // A probability that is no number is not remembered either.
            (Some(level), Some(passed_s)) if smoothing_ms > 0.0 && level.is_finite() => {
                #[expect(clippy::cast_possible_truncation, reason = "a share")]
                let share = (1.0 - (-1000.0 * passed_s / f64::from(smoothing_ms)).exp()) as f32;
                Some(level + share * (probability - level))
            }
            _ => Some(probability),
        };
        let counts = match threshold {
            None => moment.active.contains(class),
            Some(threshold) => {
                let least = if self.since_s.is_some() { LET_GO * threshold } else { threshold };
                moment.gate_open && probability >= least
            }
        };
        self.since_s = counts.then(|| self.since_s.unwrap_or(moment.now_s));
    }

    fn is_tried(&self, moment: &Moment<'_>) -> bool {
        moment.now_s < self.tried_until_s
    }

    fn is_on(&self, moment: &Moment<'_>) -> bool {
        // Sums of hops are off by less than a microsecond.
        let least_s = f64::from(self.mapping.min_duration_ms) / 1000.0 - 1e-6;
        self.is_tried(moment) || self.since_s.is_some_and(|since| moment.now_s - since >= least_s)
    }

    /// What is to be sent, as a value to compare and as a message, if it takes one; `None` where nothing changes.
    fn change(&self, class: usize, moment: &Moment<'_>) -> Option<(u8, Option<Message>)> {
        let Mapping { on, mode, number, .. } = self.mapping;
        if !on {
            return None;
        }
        let channel = self.mapping.channel.clamp(1, 16) - 1;
        if mode == MidiMode::Probability {
            let value = if self.is_tried(moment) { self.mapping.high } else { self.value() };
            return (self.sent != Some(value)).then_some((value, Some(Message::Controller { channel, number, value })));
        }
        let is_on = self.is_on(moment);
        // Before the first message a note is off, and so is a gate.
        if (self.sent == Some(1)) == is_on {
            return None;
        }
        let message = match mode {
            MidiMode::Note => {
                let velocity = if is_on { self.velocity(class, moment) } else { 0 };
                Some(Message::Note { channel, key: number, velocity })
            }
            MidiMode::Program => is_on.then_some(Message::Program { channel, program: number }),
            MidiMode::Gate | MidiMode::Probability => Some(Message::Gate { channel, number, on: is_on }),
        };
        Some((u8::from(is_on), message))
    }

    /// The controller's value: what lies above the threshold fills the range.
    fn value(&self) -> u8 {
        let least = self.mapping.threshold.unwrap_or(0.0);
        let level = self.level.unwrap_or(0.0);
        let share = if least < 1.0 { (level - least) / (1.0 - least) } else { f32::from(u8::from(level >= 1.0)) };
        self.in_range(share)
    }

    fn velocity(&self, class: usize, moment: &Moment<'_>) -> u8 {
        let share = match self.mapping.velocity {
            _ if self.is_tried(moment) => 1.0,
            Velocity::Confidence => moment.posterior.get(class).copied().unwrap_or(0.0),
            Velocity::Level => 1.0 - moment.level_dbfs / Mapping::SOFTEST_DBFS,
        };
        self.in_range(share).max(1)
    }

    /// From a share of the range to seven bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127; NaN becomes 0")]
    fn in_range(&self, share: f32) -> u8 {
        let Mapping { low, high, curve, .. } = self.mapping;
        let bent = share.clamp(0.0, 1.0).powf(curve);
        (f32::from(low) + bent * (f32::from(high) - f32::from(low))).round().clamp(0.0, 127.0) as u8
    }
}
