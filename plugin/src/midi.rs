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

    /// Says what one decision changes. `send` answers whether the message found room; one that did not is
    /// offered again at the next decision.
    pub fn decide(&mut self, posterior: &[f32], active: ClassSet, mut send: impl FnMut(Message) -> bool) {
        for (class, (line, &probability)) in self.lines.iter_mut().zip(posterior).enumerate() {
            let seven_bits = to_seven_bits(probability);
            let Mapping { mode, channel, number } = line.mapping;
            let channel = channel.clamp(1, 16) - 1;
            let on = active.contains(class);
            let value = match mode {
                MidiMode::Off => continue,
                MidiMode::Probability => seven_bits,
                MidiMode::Gate | MidiMode::Note => u8::from(on),
            };
            // Before the first message a note is off, and so is a gate.
            let before = if mode == MidiMode::Probability { line.sent } else { Some(line.sent.unwrap_or(0)) };
            if before == Some(value) {
                continue;
            }
            let message = match mode {
                MidiMode::Note => {
                    Message::Note { channel, key: number, velocity: if on { seven_bits.max(1) } else { 0 } }
                }
                MidiMode::Gate => Message::Gate { channel, number, on },
                MidiMode::Off | MidiMode::Probability => Message::Controller { channel, number, value },
            };
            if send(message) {
                line.sent = Some(value);
            }
        }
    }
}

/// A probability as a controller's value.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127; NaN becomes 0")]
fn to_seven_bits(probability: f32) -> u8 {
    (probability.clamp(0.0, 1.0) * 127.0).round() as u8
}

#[cfg(test)]
mod tests;
