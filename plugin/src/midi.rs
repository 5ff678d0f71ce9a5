//! MIDI out: from decisions to messages, and what is sounding.
//!
//! [`MidiMap`] stands beside the recognizer and says what should go out; [`Sounding`] stays on the audio thread,
//! knows what the host really got, and so can end all of it at any moment.

use tocco_models::{ClassSet, MAX_CLASSES};

use crate::state::{Mapping, MidiMode};
use std::collections::BTreeMap;

mod sounding;

pub use sounding::Sounding;

/// Controller numbers that the MIDI specification defines, in the order in which classes get them. Live is
/// reported to drop undefined ones.
const NUMBERS: [u8; 25] =
    [12, 13, 16, 17, 18, 19, 80, 81, 82, 83, 91, 92, 93, 94, 95, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79];

/// The mapping of class number `class` where the player set none: a controller that follows the probability.
#[must_use]
pub fn default_mapping(class: usize) -> Mapping {
    let channel = u8::try_from(class / NUMBERS.len()).unwrap_or(u8::MAX).min(15) + 1;
    Mapping { mode: MidiMode::Probability, channel, number: NUMBERS[class % NUMBERS.len()] }
}

/// One thing for the audio thread to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A controller that follows a probability.
    Controller {
        /// 0 to 15.
        channel: u8,
        /// 0 to 127.
        number: u8,
        /// 0 to 127.
        value: u8,
    },
    /// A controller that is 127 while a class holds.
    Gate {
        /// 0 to 15.
        channel: u8,
        /// 0 to 127.
        number: u8,
        /// 127 or 0.
        on: bool,
    },
    /// A note that sounds while a class holds.
    Note {
        /// 0 to 15.
        channel: u8,
        /// 0 to 127.
        key: u8,
        /// 1 to 127; 0 is a note-off.
        velocity: u8,
    },
    /// Every held note and gate ends.
    Release,
}

impl Message {
    /// Whether a note or gate ends.
    fn is_end(self) -> bool {
        matches!(self, Self::Note { velocity: 0, .. } | Self::Gate { on: false, .. })
    }
}

/// A message with its place in the sound.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The sample with which it became known, in samples since activation.
    pub at: u64,
    /// The generation of the sound it comes from; the audio thread discards those before its last reset.
    pub generation: u32,
    /// What to send.
    pub message: Message,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    mapping: Mapping,
    /// What was sent last; `None` before the first time.
    sent: Option<u8>,
}

/// What each class of the model does on the MIDI output.
#[derive(Debug, Default)]
pub struct MidiMap {
    lines: Vec<Line>,
}

impl MidiMap {
    /// For a model's classes, with the player's mappings by class name.
    #[must_use]
    pub fn new(classes: &[String], mappings: &BTreeMap<String, Mapping>) -> Self {
        let line = |(class, name): (usize, &String)| Line {
            mapping: mappings.get(name).copied().unwrap_or_else(|| default_mapping(class)),
            sent: None,
        };
        Self { lines: classes.iter().take(MAX_CLASSES).enumerate().map(line).collect() }
    }

    /// Forgets what was sent: notes and gates count as off, controllers as unknown.
    pub fn forget(&mut self) {
        for line in &mut self.lines {
            line.sent = None;
        }
    }

    /// Says what one decision changes: first what ends, then what starts, so that a class can hand a note on to
    /// another that is mapped to it too. `send` answers whether the message found room; one that did not is
    /// offered again at the next decision.
    pub fn decide(&mut self, posterior: &[f32], active: ClassSet, mut send: impl FnMut(Message) -> bool) {
        for ends in [true, false] {
            for (class, &probability) in (0..self.lines.len()).zip(posterior) {
                let Some((value, message)) = self.lines[class].change(probability, active.contains(class)) else {
                    continue;
                };
                if message.is_end() != ends {
                    continue;
                }
                if (ends && self.is_held_by_another(class)) || send(message) {
                    self.lines[class].sent = Some(value);
                }
            }
        }
    }

    /// Whether the note or gate of this class is on for another class too.
    fn is_held_by_another(&self, class: usize) -> bool {
        let mapping = self.lines[class].mapping;
        let is_on = |(other, line): (usize, &Line)| other != class && line.mapping == mapping && line.sent == Some(1);
        self.lines.iter().enumerate().any(is_on)
    }
}

impl Line {
    /// What is to be sent, as a value to compare and as a message; `None` where nothing changes.
    fn change(&self, probability: f32, on: bool) -> Option<(u8, Message)> {
        let Mapping { mode, channel, number } = self.mapping;
        let channel = channel.clamp(1, 16) - 1;
        let seven_bits = to_seven_bits(probability);
        let (value, message) = match mode {
            MidiMode::Off => return None,
            MidiMode::Probability => (seven_bits, Message::Controller { channel, number, value: seven_bits }),
            MidiMode::Gate => (u8::from(on), Message::Gate { channel, number, on }),
            MidiMode::Note => {
                let velocity = if on { seven_bits.max(1) } else { 0 };
                (u8::from(on), Message::Note { channel, key: number, velocity })
            }
        };
        // Before the first message a note is off, and so is a gate.
        let before = if mode == MidiMode::Probability { self.sent } else { Some(self.sent.unwrap_or(0)) };
        (before != Some(value)).then_some((value, message))
    }
}

/// A probability as a controller's value.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127; NaN becomes 0")]
fn to_seven_bits(probability: f32) -> u8 {
    (probability.clamp(0.0, 1.0) * 127.0).round() as u8
}

#[cfg(test)]
mod tests;
