//! What a class does on the MIDI output, as a project and a preset keep it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MidiMode {
    /// A controller that follows the probability.
    #[default]
    Probability,
    /// A controller that is 127 while the class holds, else 0.
    Gate,
    /// A note that sounds while the class holds.
    Note,
    /// A program change when the class begins to hold.
    Program,
}

impl MidiMode {
    /// All of them, in the order of the panel.
    pub const ALL: [Self; 4] = [Self::Probability, Self::Gate, Self::Note, Self::Program];
}

/// What a note's velocity follows at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Velocity {
    /// The class's probability.
    #[default]
    Confidence,
    /// The input's level, from [`Mapping::SOFTEST_DBFS`] to full scale.
    Level,
}

/// The MIDI output of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub on: bool,
    /// What is sent.
    #[serde(default)]
    pub mode: MidiMode,
    /// The channel as musicians count, 1 to 16.
    pub channel: u8,
    /// The number of the controller, note or program, 0 to 127.
    pub number: u8,
    /// The controller's value, or the velocity, at the bottom of the range; above `high` the range is upside down.
    #[serde(default)]
    pub low: u8,
    /// The same at the top, 0 to 127.
    #[serde(default = "highest")]
    pub high: u8,
    /// The exponent between them: above 1 the bottom of the range gets more room, below 1 the top.
    #[serde(default = "straight")]
    pub curve: f32,
    /// The time constant in ms with which a controller follows; 0 is at once.
    #[serde(default)]
    pub smoothing_ms: f32,
    /// What a note's velocity follows.
    #[serde(default)]
    pub velocity: Velocity,
    /// The probability from which the class counts on this output. `None`: while it is decided for; then a controller
    /// starts at 0.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// How long the class must count before a gate, note or program goes out, in ms.
    #[serde(default)]
    pub min_duration_ms: f32,
}

fn yes() -> bool {
    true
}

fn highest() -> u8 {
    127
}

fn straight() -> f32 {
    1.0
}

impl Mapping {
    /// The range of [`Mapping::curve`].
    pub const CURVES: std::ops::RangeInclusive<f32> = 0.125..=8.0;
    /// The longest time of [`Mapping::smoothing_ms`] and [`Mapping::min_duration_ms`].
    pub const LONGEST_MS: f32 = 5000.0;
    /// The level that gives the lowest velocity, in dBFS.
    pub const SOFTEST_DBFS: f32 = -60.0;

    /// A mapping that sends this, in full range and at once.
    #[must_use]
    pub const fn new(mode: MidiMode, channel: u8, number: u8) -> Self {
        Self {
            on: true,
            mode,
            channel,
            number,
            low: 0,
            high: 127,
            curve: 1.0,
            smoothing_ms: 0.0,
            velocity: Velocity::Confidence,
            threshold: None,
            min_duration_ms: 0.0,
        }
    }

    /// Reads one of any version; `None` where it is broken or out of range.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let mut value = value.clone();
        // Version 1 had a mode that sends nothing where there is a switch now.
        if value.get("mode").is_some_and(|mode| mode == "off") {
            value["mode"] = "probability".into();
            value["on"] = false.into();
        }
        Self::deserialize(value).ok().filter(Self::is_valid)
    }

    /// Whether every value lies in its range.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let is_time = |ms: f32| (0.0..=Self::LONGEST_MS).contains(&ms);
        (1..=16).contains(&self.channel)
            && [self.number, self.low, self.high].iter().all(|&value| value < 128)
            && Self::CURVES.contains(&self.curve)
            && is_time(self.smoothing_ms)
            && is_time(self.min_duration_ms)
            && self.threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold))
    }
}
