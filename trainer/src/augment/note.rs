//! One note: how it is varied before it sounds among others.

use std::borrow::Cow;

use rand::rngs::StdRng;

use super::clip::Clip;
use super::config::{Config, Keep, happens};
use super::made::{Played, Progress};
use super::{sample_at, stretch};
use rand::Rng;

/// How a note differs from its recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variation {
    /// Its frequencies over the recording's.
    pub ratio: f64,
    /// Its length over the recording's, where time is treated apart from pitch.
    pub factor: f64,
    /// Whether the tone colour of the body stays.
    pub formants: bool,
}

impl Variation {
    pub fn draw(config: &Config, rng: &mut StdRng) -> Self {
        let shift = &config.pitch_shift;
        let mut semitones = 0.0;
        if happens(shift.chance, rng) {
            semitones = shift.semitones.draw(rng);
        }
        if happens(shift.far_chance, rng) {
            semitones = shift.semitones.1 * rng.random_range(1.0..=3.0_f32);
        }
        if happens(config.detune.chance, rng) {
            semitones += config.detune.cents.draw(rng) / 100.0;
        }
        let ratio = f64::from((semitones / 12.0).exp2());
        let mut factor = if shift.keep == Keep::Nothing { 1.0 } else { ratio };
        if happens(config.time_stretch.chance, rng) {
            factor *= f64::from(config.time_stretch.factor.draw_ratio(rng));
        }
        Self { ratio, factor, formants: shift.keep == Keep::Formants }
    }

    /// A whole recording, varied.
    pub fn apply(&self, samples: &[f32], rate: f32) -> Vec<f32> {
        let longer = self.stretched(samples, rate);
        if self.ratio == 1.0 {
            return longer.into_owned();
        }
        self.shifted(&longer, rate)
    }

    fn stretched<'s>(&self, samples: &'s [f32], rate: f32) -> Cow<'s, [f32]> {
        match self.factor {
            1.0 => Cow::Borrowed(samples),
            factor => Cow::Owned(stretch::stretch(samples, factor, rate)),
        }
    }

    /// Played at the speed of the ratio.
    fn shifted(&self, samples: &[f32], rate: f32) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of clips")]
        let length = (samples.len() as f64 / self.ratio).round() as usize;
        let shifted: Vec<f32> = (0..length).map(|i| sample_at(samples, i as f64 * self.ratio)).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a ratio of a few octaves at most")]
        let ratio = self.ratio as f32;
        if self.formants { stretch::restore_formants(&shifted, ratio, rate) } else { shifted }
    }
}

/// A recording as a scene plays it: itself, or a varied copy of a part of it.
pub(super) struct Note<'c> {
    pub clip: &'c Clip,
    /// The classes that it belongs to: bit `i` for class `i`.
    pub classes: u128,
    pub samples: Cow<'c, [f32]>,
    /// First sample to play.
    pub from: f64,
    /// Samples for each sample of the scene.
    pub speed: f64,
    /// Sample of the clip that `samples` starts with.
    origin: f64,
    /// Samples of the clip for each of `samples`.
    scale: f64,
    progress: Progress,
}

impl<'c> Note<'c> {
    /// The clip from sample `from` on, at most `length` samples long in the scene.
    pub fn new(clip: &'c Clip, from: usize, length: usize, variation: &Variation, rate: f32) -> Self {
        let Variation { ratio, factor, formants } = *variation;
        let start = from.min(clip.samples.len());
        if factor == 1.0 && !(formants && ratio != 1.0) {
            let samples = Cow::Borrowed(&*clip.samples);
            return Self { from: from as f64, speed: ratio, ..Self::plain(clip, samples) };
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of notes")]
        let needed = (length as f64 * ratio / factor) as usize + 2;
        let end = (start + needed).min(clip.samples.len());
        let longer = variation.stretched(&clip.samples[start..end], rate);
        let origin = start as f64;
        if formants && ratio != 1.0 {
            let samples = Cow::Owned(variation.shifted(&longer, rate));
            return Self { origin, scale: ratio / factor, ..Self::plain(clip, samples) };
        }
        Self { speed: ratio, origin, scale: 1.0 / factor, ..Self::plain(clip, longer) }
    }

    /// The same, played as another class. What goes through the recording faster needs more of it.
    pub fn played_as(
        played: Played,
        clip: &'c Clip,
        from: usize,
        length: usize,
        variation: &Variation,
        rate: f32,
    ) -> Self {
        let Played { class, progress } = played;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of notes")]
        let reach = progress.travelled(length) as usize + 1;
        Self { classes: 1 << class, progress, ..Self::new(clip, from, reach, variation, rate) }
    }

    fn plain(clip: &'c Clip, samples: Cow<'c, [f32]>) -> Self {
        let progress = Progress::default();
        Self { clip, classes: clip.classes, samples, from: 0.0, speed: 1.0, origin: 0.0, scale: 1.0, progress }
    }

    /// Level of the recording at the `i`-th sample of the note, in dB relative to its loudest moment.
    pub fn level(&self, i: usize) -> f32 {
        self.clip.level(self.origin + (self.from + self.progress.travelled(i) * self.speed) * self.scale)
    }

    /// The `i`-th sample of the note, played `detune` times as fast.
    pub fn at(&self, i: usize, detune: f64) -> f32 {
        sample_at(&self.samples, self.from + self.progress.travelled(i) * self.speed * detune)
    }
}
