//! What augmentation does, how often and how far: a table an effect, as a TOML file holds it.
//!
//! Every table has a `chance` from 0 (never) to 1 (always). Ranges are `[from, to]`. The usual values are those that
//! the shipped models were trained with; what they leave out has chance 0.

use std::path::PathBuf;
use std::str::FromStr;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::codec::Codec;

/// From and to: `[from, to]` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range(pub f32, pub f32);

impl Range {
    /// Any number of the range, all equally often.
    pub(crate) fn draw(self, rng: &mut StdRng) -> f32 {
        if self.0 < self.1 { rng.random_range(self.0..=self.1) } else { self.0 }
    }

    /// Any number of a range above 0, all ratios equally often.
    pub(super) fn draw_ratio(self, rng: &mut StdRng) -> f32 {
        self.0 * (self.1 / self.0).powf(rng.random::<f32>())
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (from, to) = word.split_once("..").unwrap_or((word, word));
        match (from.trim().parse::<f32>(), to.trim().parse::<f32>()) {
            (Ok(from), Ok(to)) if from.is_finite() && to.is_finite() && from <= to => Ok(Self(from, to)),
            _ => Err(format!("«{word}» is no range: write two numbers, the smaller first: -12..0")),
        }
    }
}

/// Whether something of this chance happens. What never or always happens draws no number, so that an effect that is
/// off leaves all others as they are.
pub(super) fn happens(chance: f32, rng: &mut StdRng) -> bool {
    chance >= 1.0 || (chance > 0.0 && rng.random_bool(f64::from(chance)))
}

/// What stays when the pitch of a note changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Nothing: the recording is played faster or slower.
    Nothing,
    /// Its length and course in time.
    Time,
    /// Its length, and the tone colour that the instrument's body or the mouth gives.
    Formants,
}

/// What a sound may be heard through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Microphone {
    /// Any microphone of the better kind.
    Random,
    /// One that is built into a laptop.
    Laptop,
    /// A telephone.
    Phone,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $usual:expr,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $usual,)* }
            }
        }
    )* };
}

tables! {
    /// Another pitch for each note.
    PitchShift {
        /// How often.
        chance: f32 = 1.0,
        /// How far, in semitones.
        semitones: Range = Range(-4.0, 4.0),
        /// Chance that a note goes up to three times as far upwards.
        far_chance: f32 = 0.05,
        /// What stays.
        keep: Keep = Keep::Nothing,
    }
    /// A note out of tune.
    Detune {
        /// How often.
        chance: f32 = 0.0,
        /// How far, in hundredths of a semitone.
        cents: Range = Range(-30.0, 30.0),
    }
    /// A longer or shorter note of the same pitch.
    TimeStretch {
        /// How often.
        chance: f32 = 0.0,
        /// New length over the old one.
        factor: Range = Range(0.8, 1.25),
    }
    /// A note (in a file: the whole sound) a little earlier or later.
    TimeShift {
        /// How often.
        chance: f32 = 0.0,
        /// How much later, in seconds.
        seconds: Range = Range(-0.1, 0.1),
    }
    /// A note by a section: several players, not quite together and not quite in tune.
    Section {
        /// How often.
        chance: f32 = 0.12,
    }
    /// A note that swells or dies away beside its own course.
    Swell {
        /// How often.
        chance: f32 = 1.0,
        /// How much, in dB a second.
        db_per_s: Range = Range(-12.0, 12.0),
    }
    /// Another instrument of the kind: two shelves and two bells.
    ToneColour {
        /// How often.
        chance: f32 = 1.0,
        /// Most dB up or down in each band.
        db: f32 = 9.0,
    }
    /// A straight slope over the whole spectrum.
    Tilt {
        /// How often.
        chance: f32 = 0.0,
        /// How steep, in dB an octave around 1 kHz.
        db_per_octave: Range = Range(-2.0, 2.0),
    }
    /// Lows taken away, 12 dB an octave.
    HighPass {
        /// How often.
        chance: f32 = 0.0,
        /// Where, in Hz.
        hz: Range = Range(30.0, 300.0),
    }
    /// Highs taken away, 12 dB an octave.
    LowPass {
        /// How often.
        chance: f32 = 0.0,
        /// Where, in Hz.
        hz: Range = Range(2_000.0, 10_000.0),
    }
    /// What the air swallows on the way (ISO 9613-1).
    Air {
        /// How often.
        chance: f32 = 0.0,
        /// The way, in metres.
        metres: Range = Range(1.0, 40.0),
        /// Temperature, in degrees Celsius.
        celsius: Range = Range(10.0, 30.0),
        /// Relative humidity, in percent.
        humidity: Range = Range(20.0, 80.0),
    }
    /// A made-up room.
    Room {
        /// How often.
        chance: f32 = 0.4,
        /// Time until the room has died away by 60 dB, in seconds; at most 1.2.
        rt60_s: Range = Range(0.12, 1.2),
        /// Level of the room against the direct sound, in dB.
        wet_db: Range = Range(-24.0, -3.0),
    }
    /// A recorded room: one of the impulse responses in a folder.
    RecordedRoom {
        /// How often.
        chance: f32 = 0.0,
        /// Where the impulse responses lie.
        folder: PathBuf = PathBuf::new(),
    }
    /// The response of a microphone.
    MicrophoneColour {
        /// How often.
        chance: f32 = 0.0,
        /// Which, all equally often.
        kinds: Vec<Microphone> = vec![Microphone::Random, Microphone::Laptop, Microphone::Phone],
        /// Typical dB up or down between its roll-offs.
        ripple_db: f32 = 3.0,
    }
    /// The level of the whole sound.
    Gain {
        /// How often.
        chance: f32 = 1.0,
        /// Its peak, in dBFS.
        peak_dbfs: Range = Range(-34.0, 0.0),
    }
    /// How often each kind of noise is drawn against the others.
    NoiseShares {
        /// White to brown, any colour between.
        coloured: u32 = 7,
        /// Mains hum of 50 or 60 Hz with its harmonics.
        hum: u32 = 2,
        /// Clicks, as of fingers on wood.
        clicks: u32 = 1,
        /// White.
        white: u32 = 0,
        /// Pink: 3 dB less an octave.
        pink: u32 = 0,
    }
    /// Added noise.
    Noise {
        /// How often.
        chance: f32 = 0.6,
        /// How far its level is under the peak of the sound, in dB.
        under_db: Range = Range(35.0, 75.0),
        /// Which noise.
        shares: NoiseShares = NoiseShares::default(),
    }
    /// Recorded backgrounds: any stretch of any recording in a folder.
    Backgrounds {
        /// How often.
        chance: f32 = 0.0,
        /// Where the recordings lie.
        folder: PathBuf = PathBuf::new(),
        /// How far their level is under the peak of the sound, in dB.
        under_db: Range = Range(20.0, 50.0),
    }
    /// An overdriven input.
    Clipping {
        /// How often.
        chance: f32 = 0.0,
        /// How far the peak would pass what the input can take, in dB.
        over_db: Range = Range(1.0, 15.0),
        /// Chance that it bends softly instead of cutting off.
        soft: f32 = 0.5,
    }
    /// Fewer bits a sample.
    BitCrush {
        /// How often.
        chance: f32 = 0.0,
        /// How many bits are left.
        bits: Range = Range(6.0, 12.0),
    }
    /// A lower sample rate, with all that folds back from above half of it.
    Decimation {
        /// How often.
        chance: f32 = 0.0,
        /// The rate, in Hz.
        hz: Range = Range(6_000.0, 16_000.0),
    }
    /// A round trip through a lossy coder (only in a program that was built with the feature `codecs`).
    LossyCoding {
        /// How often.
        chance: f32 = 0.0,
        /// Which coders, all equally often.
        kinds: Vec<Codec> = vec![Codec::Mp3, Codec::Opus],
        /// Bit rate, in 1000 bits a second.
        kbits: Range = Range(24.0, 128.0),
    }
    /// The wave turned upside down.
    Polarity {
        /// How often.
        chance: f32 = 0.0,
    }
    /// The noise floor of the converter.
    Floor {
        /// How often.
        chance: f32 = 1.0,
        /// Its level, in dBFS.
        dbfs: Range = Range(-110.0, -80.0),
    }
    /// Bands of the log-mel frames blanked (SpecAugment, Park and others 2019).
    BandMask {
        /// How often.
        chance: f32 = 0.3,
        /// How many bands of them.
        count: u32 = 1,
        /// Width of the widest, as a share of all mel bands.
        widest: f32 = 0.125,
    }
    /// Moments of the log-mel frames blanked (SpecAugment).
    TimeMask {
        /// How often.
        chance: f32 = 0.0,
        /// How many.
        count: u32 = 1,
        /// The longest, in seconds.
        longest_s: f32 = 0.1,
    }
    /// Two scenes in one (mixup, Zhang and others 2018).
    Mixup {
        /// How often.
        chance: f32 = 0.0,
        /// Near 0 one of the two is nearly alone, 1 makes every share equally likely.
        alpha: f32 = 0.4,
    }
    /// A note let go before it has died away.
    Release {
        /// How often.
        chance: f32 = 0.65,
        /// How long after its start, in seconds; all ratios equally often.
        after_s: Range = Range(0.18, 3.06),
    }
    /// Notes that slide, made of held ones.
    Glide {
        /// Which share of the notes of the class is made.
        chance: f32 = 0.0,
        /// The class that they belong to.
        class: String = "glissando".into(),
        /// The class of the held notes.
        of: String = "sustained".into(),
        /// How far, in semitones.
        semitones: Range = Range(2.0, 14.0),
        /// How long one way takes; all ratios equally often.
        seconds: Range = Range(0.15, 1.5),
    }
    /// Notes that follow each other without a new attack, made of held ones.
    Slur {
        /// Which share of the notes of the class is made.
        chance: f32 = 0.0,
        /// The class that they belong to.
        class: String = "slurred".into(),
        /// The class of the held notes.
        of: String = "sustained".into(),
        /// How far the next note lies, in semitones.
        semitones: Range = Range(1.0, 5.0),
        /// How long one note lasts; all ratios equally often.
        seconds: Range = Range(0.12, 0.7),
    }
    /// Everything that augmentation does, from the note to the frames.
    Config {
        /// Another pitch for each note.
        pitch_shift: PitchShift = PitchShift::default(),
        /// Notes out of tune.
        detune: Detune = Detune::default(),
        /// Longer and shorter notes.
        time_stretch: TimeStretch = TimeStretch::default(),
        /// Notes earlier or later.
        time_shift: TimeShift = TimeShift::default(),
        /// Notes let go early.
        release: Release = Release::default(),
        /// Several players.
        section: Section = Section::default(),
        /// Notes that swell or die away.
        swell: Swell = Swell::default(),
        /// Shelves and bells.
        tone_colour: ToneColour = ToneColour::default(),
        /// A slope over the spectrum.
        tilt: Tilt = Tilt::default(),
        /// Lows taken away.
        high_pass: HighPass = HighPass::default(),
        /// Highs taken away.
        low_pass: LowPass = LowPass::default(),
        /// What the air swallows.
        air: Air = Air::default(),
        /// A made-up room.
        room: Room = Room::default(),
        /// A recorded room.
        recorded_room: RecordedRoom = RecordedRoom::default(),
        /// The response of a microphone.
        microphone: MicrophoneColour = MicrophoneColour::default(),
        /// The level.
        gain: Gain = Gain::default(),
        /// Added noise.
        noise: Noise = Noise::default(),
        /// Recorded backgrounds.
        backgrounds: Backgrounds = Backgrounds::default(),
        /// An overdriven input.
        clipping: Clipping = Clipping::default(),
        /// Fewer bits.
        bit_crush: BitCrush = BitCrush::default(),
        /// A lower sample rate.
        decimation: Decimation = Decimation::default(),
        /// A lossy coder.
        lossy_coding: LossyCoding = LossyCoding::default(),
        /// The wave upside down.
        polarity: Polarity = Polarity::default(),
        /// The converter's noise floor.
        floor: Floor = Floor::default(),
        /// Blanked bands.
        band_mask: BandMask = BandMask::default(),
        /// Blanked moments.
        time_mask: TimeMask = TimeMask::default(),
        /// Two scenes in one.
        mixup: Mixup = Mixup::default(),
        /// Notes that slide.
        glide: Glide = Glide::default(),
        /// Notes without a new attack.
        slur: Slur = Slur::default(),
    }
}

impl Config {
    /// Nothing at all: the starting point for a single effect.
    #[must_use]
    pub fn off() -> Self {
        let mut config = Self::default();
        config.chances().into_iter().for_each(|(_, chance)| *chance = 0.0);
        config.pitch_shift.far_chance = 0.0;
        config
    }
}
