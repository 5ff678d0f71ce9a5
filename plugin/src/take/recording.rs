//! The sound of a take.

use super::Sound;

/// The longest recording, in seconds: 115 MB at 48 kHz.
pub const LONGEST_S: f64 = 600.0;

/// Sound in one piece; where some was lost there is silence.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// In Hz; 0 while there is none.
    rate: f64,
    /// Time of the first sample, in seconds of the take.
    start_s: f64,
    samples: Vec<f32>,
}

impl Recording {
    /// In Hz.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// In seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        if self.rate > 0.0 { self.samples.len() as f64 / self.rate } else { 0.0 }
    }

    /// Adds sound, as long as there is room and the rate stays the same.
    pub(super) fn add(&mut self, sound: &Sound<'_>) {
        if self.samples.is_empty() {
            (self.rate, self.start_s) = (sound.rate, sound.start_s);
        }
        let is_same = (sound.rate - self.rate).abs() < 0.5;
        let at = self.index(sound.start_s);
        if is_same && at >= self.samples.len() && at + sound.samples.len() <= self.index(self.start_s + LONGEST_S) {
            self.samples.resize(at, 0.0);
            self.samples.extend_from_slice(sound.samples);
        }
    }

    /// The sound from one time to another, in seconds of the take, as far as it is there.
    #[must_use]
    pub fn part(&self, from_s: f64, to_s: f64) -> &[f32] {
        let end = self.index(to_s).min(self.samples.len());
        self.samples.get(self.index(from_s).min(end)..end).unwrap_or_default()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative times become 0")]
    fn index(&self, time_s: f64) -> usize {
        ((time_s - self.start_s) * self.rate).round() as usize
    }
}
