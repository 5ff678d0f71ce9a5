//! Making many rooms, players and tunings out of few recordings.
//!
//! A model that only ever heard one player in one room learns the room. So training never hears a recording as it
//! is: notes are played at other speeds (pitch, formants and time together), put one after another into scenes,
//! and each scene gets its own tone colour, room, level and noise. [`Config`] says what happens, how often and how
//! far. [`copy`] does the same to a single recording, to be written to a file.

mod clip;
mod codec;
pub mod config;
mod cut;
mod distortion;
mod draw;
mod effects;
mod file;
mod filters;
mod fourier;
mod library;
mod limits;
mod made;
mod mask;
mod noise;
mod note;
mod room;
mod scene;
mod stretch;
mod voices;

pub use clip::Clip;
pub use codec::Codec;
pub use config::{Config, Range};
pub use cut::{Cut, CutWindow};
pub use effects::Effects;
pub use filters::Biquad;
pub use library::Library;
pub use made::{Course, Made};
pub use room::air_absorption;
pub use scene::{FrameTarget, Mixed, Scene, SceneConfig, SceneMaker};
pub use stretch::{restore_formants, stretch};
pub use voices::{Choice, Polyphony, Registers, Voices, middle_hz};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Decibels to a factor of amplitude.
pub(crate) fn gain(db: f32) -> f32 {
    10.0_f32.powf(db / 20.0)
}

/// A normally distributed number of variance 1, near enough: the sum of four uniform ones.
fn gaussian(rng: &mut StdRng) -> f32 {
    let bits: u64 = rng.random();
    let sum: f32 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as f32).sum();
    (sum / 65_535.0 - 2.0) * 1.732_05
}

/// Value of `samples` at a fractional position (Catmull-Rom spline); silence outside.
#[inline]
fn sample_at(samples: &[f32], position: f64) -> f32 {
    // The whole part by way of an integer: the processor's own floor is a call on the oldest of its kind.
    #[expect(clippy::cast_possible_truncation, reason = "positions within a clip")]
    let index = position as i64 - i64::from(position < 0.0);
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
    let t = (position - index as f64) as f32;
    let inside = usize::try_from(index - 1).ok().and_then(|first| samples.get(first..)?.first_chunk());
    let [a, b, c, d] = inside.copied().unwrap_or_else(|| {
        [-1, 0, 1, 2].map(|i| {
            let at = usize::try_from(index + i).ok();
            at.and_then(|at| samples.get(at)).copied().unwrap_or(0.0)
        })
    });
    b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
}

/// A recording, varied by everything in `config` but what needs other notes or log-mel frames, or makes another class of
/// it. Its length changes where its pitch or time does. The library is loaded for the same rate; the same seed gives the
/// same sound.
#[must_use]
pub fn copy(samples: &[f32], rate: u32, config: &Config, library: &Library, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sound = note::Variation::draw(config, &mut rng).apply(samples, rate as f32);
    if config::happens(config.time_shift.chance, &mut rng) {
        shift(&mut sound, config.time_shift.seconds.draw(&mut rng) * rate as f32);
    }
    if config::happens(config.swell.chance, &mut rng) {
        swell_by(&mut sound, config.swell.db_per_s.draw(&mut rng) / rate as f32);
    }
    Effects::new(config, library, sound.len(), rate).apply(&mut sound, &mut rng);
    sound
}

/// A sound that swells or dies away beside its own course; `slope` in dB a sample.
fn swell_by(sound: &mut [f32], slope: f32) {
    sound.iter_mut().enumerate().for_each(|(i, s)| *s *= scene::swell(slope, i));
}

/// Moves a sound later (or, below 0, earlier) by so many samples; its length stays, what comes in is silence.
fn shift(sound: &mut [f32], samples: f32) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
    let by = (samples.abs() as usize).min(sound.len());
    if samples >= 0.0 {
        sound.rotate_right(by);
        sound[..by].fill(0.0);
    } else {
        sound.rotate_left(by);
        let end = sound.len() - by;
        sound[end..].fill(0.0);
    }
}

#[cfg(test)]
mod tests;
