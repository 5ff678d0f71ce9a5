//! Within which limits the values of an augmentation make sense.

use anyhow::{Result, bail, ensure};

use super::codec::Codec;
use super::config::{Config, Range};

impl Config {
    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The sentence names the key.
    pub fn check(&self) -> Result<()> {
        for (name, chance) in self.clone().chances() {
            ensure!((0.0..=1.0).contains(chance), "{name}.chance is {chance}: it must lie between 0 and 1");
        }
        for (name, value, low, high) in self.numbers() {
            ensure!((low..=high).contains(&value), "{name} is {value}: it must lie between {low} and {high}");
        }
        for (name, Range(from, to), low, high) in self.ranges() {
            ensure!(from <= to, "{name} is [{from}, {to}]: the first must not be above the second");
            ensure!(from >= low && to <= high, "{name} is [{from}, {to}]: it must lie between {low} and {high}");
        }
        let shares = &self.noise.shares;
        let shares = [shares.coloured, shares.hum, shares.clicks, shares.white, shares.pink];
        ensure!(shares.iter().all(|s| *s <= 1000), "noise.shares go from 0 to 1000");
        ensure!(shares.iter().any(|s| *s > 0), "noise.shares are all 0: which noise shall it be?");
        ensure!(!self.microphone.kinds.is_empty(), "microphone.kinds is empty: set microphone.chance to 0 instead");
        ensure!(
            !self.lossy_coding.kinds.is_empty(),
            "lossy_coding.kinds is empty: set lossy_coding.chance to 0 instead"
        );
        if self.lossy_coding.chance > 0.0 && !Codec::BUILT_IN {
            bail!(
                "lossy_coding.chance is {}, but this program was built without the coders: build it with `--features \
                 codecs`, or set it to 0",
                self.lossy_coding.chance
            );
        }
        Ok(())
    }

    /// The tables and their chances, in the order in which they are declared.
    pub(super) fn chances(&mut self) -> [(&'static str, &mut f32); 29] {
        macro_rules! all {
            ($($table:ident),*) => { [$((stringify!($table), &mut self.$table.chance)),*] };
        }
        all!(
            pitch_shift,
            detune,
            time_stretch,
            time_shift,
            release,
            section,
            swell,
            tone_colour,
            tilt,
            high_pass,
            low_pass,
            air,
            room,
            recorded_room,
            microphone,
            gain,
            noise,
            backgrounds,
            clipping,
            bit_crush,
            decimation,
            lossy_coding,
            polarity,
            floor,
            band_mask,
            time_mask,
            mixup,
            glide,
            slur
        )
    }

    fn numbers(&self) -> [(&'static str, f32, f32, f32); 8] {
        [
            ("pitch_shift.far_chance", self.pitch_shift.far_chance, 0.0, 1.0),
            ("tone_colour.db", self.tone_colour.db, 0.0, 40.0),
            ("microphone.ripple_db", self.microphone.ripple_db, 0.0, 20.0),
            ("clipping.soft", self.clipping.soft, 0.0, 1.0),
            ("band_mask.widest", self.band_mask.widest, 0.0, 0.9),
            ("time_mask.longest_s", self.time_mask.longest_s, 0.0, 10.0),
            ("mixup.alpha", self.mixup.alpha, 0.01, 1.0),
            ("band_mask.count and time_mask.count", self.band_mask.count.max(self.time_mask.count) as f32, 1.0, 20.0),
        ]
    }

    fn ranges(&self) -> [(&'static str, Range, f32, f32); 26] {
        [
            ("pitch_shift.semitones", self.pitch_shift.semitones, -24.0, 24.0),
            ("detune.cents", self.detune.cents, -100.0, 100.0),
            ("time_stretch.factor", self.time_stretch.factor, 0.25, 4.0),
            ("time_shift.seconds", self.time_shift.seconds, -60.0, 60.0),
            ("release.after_s", self.release.after_s, 0.02, 60.0),
            ("swell.db_per_s", self.swell.db_per_s, -60.0, 60.0),
            ("tilt.db_per_octave", self.tilt.db_per_octave, -6.0, 6.0),
            ("high_pass.hz", self.high_pass.hz, 1.0, 20_000.0),
            ("low_pass.hz", self.low_pass.hz, 100.0, 24_000.0),
            ("air.metres", self.air.metres, 0.0, 1_000.0),
            ("air.celsius", self.air.celsius, -20.0, 50.0),
            ("air.humidity", self.air.humidity, 1.0, 100.0),
            ("room.rt60_s", self.room.rt60_s, 0.03, 1.2),
            ("room.wet_db", self.room.wet_db, -80.0, 20.0),
            ("gain.peak_dbfs", self.gain.peak_dbfs, -80.0, 0.0),
            ("noise.under_db", self.noise.under_db, 0.0, 120.0),
            ("backgrounds.under_db", self.backgrounds.under_db, -20.0, 120.0),
            ("clipping.over_db", self.clipping.over_db, 0.0, 40.0),
            ("bit_crush.bits", self.bit_crush.bits, 1.0, 16.0),
            ("decimation.hz", self.decimation.hz, 500.0, 192_000.0),
            ("lossy_coding.kbits", self.lossy_coding.kbits, 8.0, 320.0),
            ("floor.dbfs", self.floor.dbfs, -160.0, -20.0),
            ("glide.semitones", self.glide.semitones, 0.5, 24.0),
            ("glide.seconds", self.glide.seconds, 0.02, 30.0),
            ("slur.semitones", self.slur.semitones, 1.0, 12.0),
            ("slur.seconds", self.slur.seconds, 0.03, 30.0),
        ]
    }
}
