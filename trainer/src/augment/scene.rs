//! Scenes: several augmented notes one after another, with what sounds in each frame.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocco_models::{FrontendConfig, LogMel};

use super::Strength;
use super::clip::{Clip, LEVEL_HOP, OVER_DB, SOUNDS_DB};
use super::effects::{self, Rooms, gain};

/// How far the kinds of a class are drawn equally often: 0 by their clips, 1 all alike.
const KIND_BALANCE: f32 = 0.5;
/// Frames after a change for which no answer is asked: the analysis window straddles it.
const GRACE_FRAMES: usize = 3;

/// What is asked of the network in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameTarget {
    /// Nobody can say: the frame does not count.
    Unclear,
    /// Nothing sounds.
    Silence,
    /// These classes sound (bit `i` for class `i`).
    Sounds(u128),
}

/// One training example.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Log-mel frames `[frames, mels]`, not normalised.
    pub frames: Vec<f32>,
    /// One target a frame.
    pub targets: Vec<FrameTarget>,
    /// For each frame the classes of which the target's word holds, present or absent: bit `i` for class `i`. A class
    /// is known to be absent only where every recording that sounds was listened to for it.
    pub known: Vec<u128>,
}

/// How scenes are made.
#[derive(Debug, Clone)]
pub struct SceneConfig {
    /// Rate of the clips and of the model, in Hz.
    pub rate: u32,
    /// The log-mel frontend.
    pub frontend: FrontendConfig,
    /// Length of a scene in frames.
    pub frames: usize,
    /// Chance that the next note is of the same class as the one before.
    pub stay: f32,
    /// Chance that a note sets in while the one before still sounds.
    pub overlap: f32,
    /// Exponent on the number of clips of a class: 0 draws all classes equally often.
    pub balance: f32,
    /// Index of the class `none`, drawn half as often.
    pub none: Option<usize>,
    /// How far augmentation goes.
    pub strength: Strength,
}

/// Makes scenes; one a thread, since it keeps its buffers.
pub struct SceneMaker<'a> {
    config: &'a SceneConfig,
    clips: &'a [Clip],
    /// Clips of each class, each with the sum of the weights up to and with it; at the end those of no class.
    by_class: Vec<Vec<(usize, f32)>>,
    share: Vec<f32>,
    log_mel: LogMel,
    rooms: Rooms,
    states: Vec<State>,
}

/// What is the case in a frame.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The classes that sound: bit `i` for class `i`.
    classes: u128,
    /// The classes that every sounding recording knows about.
    known: u128,
    /// Whether a note is dying away.
    faint: bool,
}

const SILENT: State = State { classes: 0, known: u128::MAX, faint: false };

/// A note as it lies in a scene.
struct Placed<'a> {
    clip: &'a Clip,
    /// First sample in the scene.
    at: usize,
    /// Samples in the scene.
    length: usize,
    /// First sample in the clip.
    from: f64,
    /// Clip samples a scene sample.
    speed: f64,
    gain: f32,
    /// Samples of the attack's fade.
    rise: f32,
    /// Swelling or dying away beside the note's own, in dB a sample.
    slope: f32,
    /// Samples of the fade at the end.
    fade: usize,
}

impl<'a> SceneMaker<'a> {
    /// # Errors
    /// Where the frontend can't be made.
    pub fn new(config: &'a SceneConfig, clips: &'a [Clip], classes: usize) -> tocco_models::Result<Self> {
        let drawn_as = |clip: &Clip| -> Vec<usize> {
            let of: Vec<usize> = (0..classes).filter(|class| clip.classes >> class & 1 == 1).collect();
            if of.is_empty() { vec![classes] } else { of }
        };
        let mut kinds: BTreeMap<(usize, &str), f32> = BTreeMap::new();
        for clip in clips {
            for class in drawn_as(clip) {
                *kinds.entry((class, &clip.kind)).or_default() += 1.0;
            }
        }
        let mut by_class: Vec<Vec<(usize, f32)>> = vec![Vec::new(); classes + 1];
        for (i, clip) in clips.iter().enumerate() {
            for class in drawn_as(clip) {
                let weight = kinds[&(class, clip.kind.as_str())].powf(-KIND_BALANCE);
                let sum = by_class[class].last().map_or(0.0, |last| last.1);
                by_class[class].push((i, sum + weight));
            }
        }
        let share = by_class
            .iter()
            .enumerate()
            .map(|(class, clips)| {
                let weight = if clips.is_empty() { 0.0 } else { (clips.len() as f32).powf(config.balance) };
                if Some(class) == config.none || class == classes { 0.5 * weight } else { weight }
            })
            .collect();
        let samples = config.frames * config.frontend.hop;
        Ok(Self {
            config,
            clips,
            by_class,
            share,
            log_mel: LogMel::new(config.rate, &config.frontend)?,
            rooms: Rooms::new(samples, config.rate as f32),
            states: Vec::new(),
        })
    }

    /// The scene of this seed: the same seed makes the same scene.
    pub fn make(&mut self, seed: u64) -> Scene {
        let mut rng = StdRng::seed_from_u64(seed);
        let samples = self.config.frames * self.config.frontend.hop;
        let mut sound = vec![0.0_f32; samples];
        self.states = vec![SILENT; self.config.frames];
        // Now and then a scene is only noise, so that handling and rooms come out as nothing.
        if rng.random_bool(0.96) {
            self.play(&mut sound, &mut rng);
        }
        self.colour(&mut sound, &mut rng);
        let frames = self.analyse(&sound, &mut rng);
        Scene { frames, targets: self.targets(), known: self.known() }
    }

    fn play(&mut self, sound: &mut [f32], rng: &mut StdRng) {
        let rate = self.config.rate as f32;
        let mut class = self.draw_class(rng);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
        let seconds = |low: f32, high: f32, rng: &mut StdRng| (rng.random_range(low..high) * rate) as usize;
        let mut at = if rng.random_bool(0.7) { seconds(0.0, 0.4, rng) } else { 0 };
        let mut loudness = 0.0;
        while at + LEVEL_HOP < sound.len() {
            let clip = self.draw_clip(class, rng);
            let placed = self.place(clip, at, sound.len(), loudness, rng);
            placed.add_to(sound);
            if rng.random_bool(f64::from(self.config.strength.section)) {
                (0..rng.random_range(1..4)).for_each(|_| placed.another_player(rng).add_to(sound));
            }
            placed.mark(&mut self.states, &self.config.frontend);
            let end = at + placed.length;
            at = if rng.random_bool(f64::from(self.config.overlap)) {
                end - placed.length / 2
            } else if rng.random_bool(0.5) {
                end
            } else {
                end + seconds(0.01, 0.5, rng)
            };
            loudness = rng.random_range(-12.0..6.0);
            if !rng.random_bool(f64::from(self.config.stay)) {
                class = self.draw_class(rng);
            }
        }
    }

    fn draw_class(&self, rng: &mut StdRng) -> usize {
        let mut point = rng.random::<f32>() * self.share.iter().sum::<f32>();
        for (class, share) in self.share.iter().enumerate() {
            point -= share;
            if point <= 0.0 && *share > 0.0 {
                return class;
            }
        }
        self.share.iter().rposition(|s| *s > 0.0).unwrap_or(0)
    }

    /// A clip of a class that has some.
    fn draw_clip(&self, class: usize, rng: &mut StdRng) -> &'a Clip {
        let clips = &self.by_class[class];
        let point = rng.random::<f32>() * clips.last().map_or(0.0, |last| last.1);
        let index = clips.partition_point(|(_, sum)| *sum < point).min(clips.len() - 1);
        &self.clips[clips[index].0]
    }

    fn place<'c>(&self, clip: &'c Clip, at: usize, end: usize, loudness: f32, rng: &mut StdRng) -> Placed<'c> {
        let strength = &self.config.strength;
        let rate = f64::from(self.config.rate);
        let mut semitones = strength.semitones * rng.random_range(-1.0..=1.0_f32);
        if rng.random_bool(f64::from(strength.far_shift)) {
            semitones = strength.semitones * rng.random_range(1.0..=3.0_f32);
        }
        let speed = f64::from((semitones / 12.0).exp2());
        // Mostly from the attack, which says most; sometimes from the middle of a long note.
        let whole = clip.samples.len();
        let from = if rng.random_bool(0.75) || whole < 4 * LEVEL_HOP {
            clip.onset.saturating_sub(rng.random_range(0..LEVEL_HOP * 4))
        } else {
            rng.random_range(0..whole * 3 / 4)
        };
        let left = (whole - from.min(whole)) as f64 / speed;
        let held = rate * 0.18 * f64::from(17.0_f32.powf(rng.random::<f32>()));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of notes")]
        let length = (left.min(if rng.random_bool(0.35) { left } else { held }) as usize).clamp(1, end - at);
        Placed {
            clip,
            at,
            length,
            from: from as f64,
            speed,
            gain: gain(loudness) * 0.5 / clip.peak,
            rise: 24.0 * 20.0_f32.powf(rng.random::<f32>()),
            slope: strength.slope_db * rng.random_range(-1.0..=1.0_f32) / self.config.rate as f32,
            fade: rng.random_range(LEVEL_HOP / 2..LEVEL_HOP * 6),
        }
    }

    fn colour(&mut self, sound: &mut [f32], rng: &mut StdRng) {
        let (strength, rate) = (&self.config.strength, self.config.rate as f32);
        effects::tone_colour(sound, strength, rate, rng);
        if rng.random_bool(f64::from(strength.room)) {
            self.rooms.apply(sound, rate, rng);
        }
        let peak = sound.iter().fold(1e-4_f32, |m, s| m.max(s.abs()));
        let wanted = rng.random_range(strength.quietest_dbfs..0.0);
        let factor = gain(wanted) / peak;
        sound.iter_mut().for_each(|s| *s *= factor);
        if rng.random_bool(f64::from(strength.noise)) {
            let under = rng.random_range(35.0..75.0_f32);
            effects::add_noise(sound, gain(wanted - under), rate, rng);
        }
        // Every converter has a floor.
        effects::add_noise(sound, gain(rng.random_range(-110.0..-80.0)), rate, rng);
    }

    fn analyse(&mut self, sound: &[f32], rng: &mut StdRng) -> Vec<f32> {
        let mels = self.config.frontend.mels;
        let mut frames = Vec::with_capacity(self.config.frames * mels);
        self.log_mel.reset();
        for &sample in sound {
            if let Some(frame) = self.log_mel.push(sample) {
                frames.extend_from_slice(frame);
            }
        }
        if rng.random_bool(f64::from(self.config.strength.band_mask)) && mels > 8 {
            let wide = rng.random_range(1..=mels / 8);
            let low = rng.random_range(0..mels - wide);
            let mean = frames.iter().sum::<f32>() / frames.len() as f32;
            for frame in frames.chunks_exact_mut(mels) {
                frame[low..low + wide].fill(mean);
            }
        }
        frames
    }

    fn targets(&self) -> Vec<FrameTarget> {
        let raw: Vec<FrameTarget> = self
            .states
            .iter()
            .map(|state| match (state.classes, state.faint) {
                (0, true) => FrameTarget::Unclear,
                (0, false) => FrameTarget::Silence,
                (classes, _) => FrameTarget::Sounds(classes),
            })
            .collect();
        let mut targets = raw.clone();
        for i in 1..raw.len() {
            if raw[i] != raw[i - 1] {
                for target in targets.iter_mut().skip(i).take(GRACE_FRAMES) {
                    *target = FrameTarget::Unclear;
                }
            }
        }
        targets
    }

    fn known(&self) -> Vec<u128> {
        // Whatever else sounds, what sounds is there.
        self.states.iter().map(|state| state.known | state.classes).collect()
    }
}

impl Placed<'_> {
    /// The same note by a neighbour: up to 25 ms later, up to 15 cents off, a little louder or softer.
    fn another_player(&self, rng: &mut StdRng) -> Self {
        let late = rng.random_range(0..LEVEL_HOP * 5 / 2).min(self.length - 1);
        let cents = rng.random_range(-15.0..15.0_f64);
        Self {
            at: self.at + late,
            length: self.length - late,
            speed: self.speed * (cents / 1200.0).exp2(),
            gain: self.gain * gain(rng.random_range(-6.0..2.0)),
            ..*self
        }
    }

    fn add_to(&self, sound: &mut [f32]) {
        for (i, out) in sound[self.at..self.at + self.length].iter_mut().enumerate() {
            *out +=
                self.gain * self.shape(i) * effects::sample_at(&self.clip.samples, self.from + i as f64 * self.speed);
        }
    }

    /// Fade at the start and the end, and the slope between.
    fn shape(&self, i: usize) -> f32 {
        let rise = (i + 1) as f32 / self.rise;
        let fall = (self.length - i) as f32 / self.fade as f32;
        let swell = (self.slope * std::f32::consts::LN_10 / 20.0 * i as f32).min(1.4).exp();
        rise.min(fall).min(1.0) * swell
    }

    /// Notes in each frame whether this note sounds in the middle of its window.
    fn mark(&self, states: &mut [State], frontend: &FrontendConfig) {
        for (frame, state) in states.iter_mut().enumerate() {
            let centre = ((frame + 1) * frontend.hop).saturating_sub(frontend.window / 2);
            let Some(i) = centre.checked_sub(self.at).filter(|i| *i < self.length) else { continue };
            let level = self.clip.level(self.from + i as f64 * self.speed) + 20.0 * self.shape(i).max(1e-6).log10();
            if level > SOUNDS_DB {
                state.classes |= self.clip.classes;
                state.known &= self.clip.known;
            } else if level > OVER_DB {
                state.known &= self.clip.known;
                state.faint = true;
            }
        }
    }
}
