//! Making many rooms, players and tunings out of few recordings.
//!
//! A model that only ever heard one player in one room learns the room. So training never hears a recording as it
//! is: notes are played at other speeds (pitch, formants and time together), put one after another into scenes,
//! and each scene gets its own tone colour, room, level and noise.

mod clip;
mod effects;
mod scene;

pub use clip::Clip;
pub use effects::Biquad;
pub use scene::{FrameTarget, Scene, SceneConfig, SceneMaker};

use serde::{Deserialize, Serialize};

/// How far augmentation goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Strength {
    /// Most semitones up or down by playing a note faster or slower.
    pub semitones: f32,
    /// Chance that a note is shifted up to three times as far upwards.
    pub far_shift: f32,
    /// Chance that a note is played by a section: several players, not quite together and not quite in tune.
    pub section: f32,
    /// Most dB a second by which a note swells or dies away beside its own course.
    pub slope_db: f32,
    /// Most dB up or down in each band of the tone colour.
    pub tone_db: f32,
    /// Chance of a room.
    pub room: f32,
    /// Chance of added noise.
    pub noise: f32,
    /// Quietest peak level of a scene, in dBFS.
    pub quietest_dbfs: f32,
    /// Chance that a band of the log-mel frames is blanked.
    pub band_mask: f32,
}

impl Default for Strength {
    fn default() -> Self {
        Self {
            semitones: 4.0,
            far_shift: 0.05,
            section: 0.12,
            slope_db: 12.0,
            tone_db: 9.0,
            room: 0.4,
            noise: 0.6,
            quietest_dbfs: -34.0,
            band_mask: 0.3,
        }
    }
}

#[cfg(test)]
mod tests;
