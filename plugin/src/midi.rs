//! MIDI out: from decisions to messages, and what is sounding.
//!
//! [`MidiMap`] stands beside the recognizer and says what should go out; [`Sounding`] stays on the audio thread,
//! knows what the host really got, and so can end all of it at any moment.

use std::collections::BTreeMap;

use crate::state::{Mapping, MidiMode};

mod incoming;
mod map;
mod sounding;

pub use incoming::Incoming;
pub use map::{MidiMap, Moment};
pub use sounding::Sounding;

/// Controller numbers that the MIDI specification defines, in the order in which classes get them. Live is
/// reported to drop undefined ones.
const NUMBERS: [u8; 25] =
    [12, 13, 16, 17, 18, 19, 80, 81, 82, 83, 91, 92, 93, 94, 95, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79];

/// The mapping of class number `class` where the player set none: a controller that follows the probability.
#[must_use]
pub fn default_mapping(class: usize) -> Mapping {
    let channel = u8::try_from(class / NUMBERS.len()).unwrap_or(u8::MAX).min(15) + 1;
    Mapping::new(MidiMode::Probability, channel, NUMBERS[class % NUMBERS.len()])
}

/// The mapping of a class by its number and name: the player's, or the default.
#[must_use]
pub fn mapping_of(mappings: &BTreeMap<String, Mapping>, class: usize, name: &str) -> Mapping {
    mappings.get(name).copied().unwrap_or_else(|| default_mapping(class))
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
    /// Another program.
    Program {
        /// 0 to 15.
        channel: u8,
        /// 0 to 127.
        program: u8,
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

#[cfg(test)]
mod tests;
