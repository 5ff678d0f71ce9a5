//! What happens to a whole sound on its way from the instrument to the recognizer, in the order of that way:
//! instrument, air and room, microphone, level, noise, converter.

use rand::Rng;
use rand::rngs::StdRng;

use super::config::{Config, happens};
use super::fourier::{Convolver, TAPS};
use super::library::{LONGEST_RESPONSE_S, Library};
use super::room::{self, LONGEST_ROOM_S};
use super::{distortion, filters, gain, noise};

/// Applies effects to sounds of up to a fixed length; keeps its buffers.
pub struct Effects<'a> {
    config: &'a Config,
    library: &'a Library,
    rate: f32,
    convolver: Convolver,
}

impl<'a> Effects<'a> {
    /// For sounds of at most `samples` samples at `rate` Hz; the library is loaded for the same rate.
    #[must_use]
    pub fn new(config: &'a Config, library: &'a Library, samples: usize, rate: u32) -> Self {
        let rate = rate as f32;
        let longest = if library.responses.is_empty() { LONGEST_ROOM_S } else { LONGEST_RESPONSE_S };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
        let response = ((longest * rate) as usize).max(TAPS);
        Self { config, library, rate, convolver: Convolver::new(samples, response) }
    }

    /// Changes a sound in place; its length stays. Equal seeds of `rng` give equal results.
    pub fn apply(&mut self, sound: &mut [f32], rng: &mut StdRng) {
        if sound.is_empty() {
            return;
        }
        self.instrument(sound, rng);
        self.way(sound, rng);
        self.level(sound, rng);
        self.converter(sound, rng);
    }

    fn instrument(&self, sound: &mut [f32], rng: &mut StdRng) {
        let (config, rate) = (self.config, self.rate);
        if happens(config.tone_colour.chance, rng) {
            filters::tone_colour(sound, config.tone_colour.db, rate, rng);
        }
        if happens(config.tilt.chance, rng) {
            filters::tilt(sound, config.tilt.db_per_octave.draw(rng), rate);
        }
        if happens(config.high_pass.chance, rng) {
            filters::pass(sound, true, config.high_pass.hz, rate, rng);
        }
        if happens(config.low_pass.chance, rng) {
            filters::pass(sound, false, config.low_pass.hz, rate, rng);
        }
    }

    fn way(&mut self, sound: &mut [f32], rng: &mut StdRng) {
        let (config, rate) = (self.config, self.rate);
        let put = |from: &[f32], to: &mut [f32]| {
            let length = from.len().min(to.len());
            to[..length].copy_from_slice(&from[..length]);
        };
        if happens(config.air.chance, rng) {
            let response = room::air(&config.air, rate, rng);
            self.convolver.run(sound, |to| put(&response, to));
        }
        if happens(config.room.chance, rng) {
            self.convolver.run(sound, |to| room::made_up(to, &config.room, rate, rng));
        }
        if happens(config.recorded_room.chance, rng) && !self.library.responses.is_empty() {
            let response = &self.library.responses[rng.random_range(0..self.library.responses.len())];
            self.convolver.run(sound, |to| put(response, to));
        }
        if happens(config.microphone.chance, rng) {
            let response = room::microphone(&config.microphone, rate, rng);
            self.convolver.run(sound, |to| put(&response, to));
        }
    }

    fn level(&self, sound: &mut [f32], rng: &mut StdRng) {
        let (config, rate) = (self.config, self.rate);
        let peak = peak(sound).max(1e-4);
        let mut level = peak;
        if happens(config.gain.chance, rng) {
            level = gain(config.gain.peak_dbfs.draw(rng));
            let factor = level / peak;
            sound.iter_mut().for_each(|s| *s *= factor);
        }
        if happens(config.noise.chance, rng) {
            let under = gain(-config.noise.under_db.draw(rng));
            noise::add(sound, level * under, rate, &config.noise.shares, rng);
        }
        if happens(config.backgrounds.chance, rng) {
            let under = gain(-config.backgrounds.under_db.draw(rng));
            noise::add_background(sound, &self.library.backgrounds, level * under, rng);
        }
    }

    fn converter(&self, sound: &mut [f32], rng: &mut StdRng) {
        let (config, rate) = (self.config, self.rate);
        if happens(config.clipping.chance, rng) {
            let limit = (peak(sound) * gain(-config.clipping.over_db.draw(rng))).max(1e-6);
            if happens(config.clipping.soft, rng) {
                distortion::clip_soft(sound, limit);
            } else {
                distortion::clip_hard(sound, limit);
            }
        }
        if happens(config.bit_crush.chance, rng) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 16")]
            distortion::crush(sound, config.bit_crush.bits.draw(rng).round() as u32);
        }
        if happens(config.decimation.chance, rng) {
            distortion::decimate(sound, config.decimation.hz.draw_ratio(rng), rate);
        }
        if happens(config.lossy_coding.chance, rng) {
            let kinds = &config.lossy_coding.kinds;
            let kind = kinds.get(rng.random_range(0..kinds.len().max(1)));
            let kbits = config.lossy_coding.kbits.draw_ratio(rng);
            if let Some(kind) = kind {
                kind.round_trip(sound, rate, kbits);
            }
        }
        if happens(config.polarity.chance, rng) {
            sound.iter_mut().for_each(|s| *s = -*s);
        }
        // Every converter has a floor.
        if happens(config.floor.chance, rng) {
            let level = gain(config.floor.dbfs.draw(rng));
            noise::add(sound, level, rate, &super::config::NoiseShares::default(), rng);
        }
    }
}

fn peak(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |m, s| m.max(s.abs()))
}
