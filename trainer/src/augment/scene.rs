//! Scenes: several augmented notes one after another, with what sounds in each frame.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use tocco_models::{FrontendConfig, LogMel};

use super::clip::{Clip, LEVEL_HOP, OVER_DB, SOUNDS_DB};
use super::config::{Config, happens};
use super::cut::{Cut, CutWindow};
use super::draw::Draw;
use super::effects::Effects;
use super::library::Library;
use super::made::Made;
use super::note::{Note, Variation};
use super::voices::{Choice, Registers, Voices};
use super::{gain, mask};

/// Seconds after a change for which no answer is asked: the analysis window straddles it.
const GRACE_S: f32 = 0.03;
/// A note that is so far under all that sound together, in dB, is covered by them: whether it sounds is not asked.
const COVERED_DB: f32 = -20.0;

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

impl FrameTarget {
    /// The classes that are said to sound.
    fn set(self) -> u128 {
        if let Self::Sounds(set) = self { set } else { 0 }
    }

    /// What can be said of two that sound together.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            (Self::Silence, one) | (one, Self::Silence) => one,
            (Self::Sounds(a), Self::Sounds(b)) => Self::Sounds(a | b),
        }
    }
}

/// One training example.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Log-mel frames `[frames, mels]`, not normalised.
    pub frames: Vec<f32>,
    /// The windows that are heard, where they are cut from a recording: then there are no targets of single frames.
    pub windows: Option<Vec<CutWindow>>,
    /// One target a frame.
    pub targets: Vec<FrameTarget>,
    /// For each frame the classes of which the target's word holds, present or absent: bit `i` for class `i`. A class
    /// is known to be absent only where every recording that sounds was listened to for it.
    pub known: Vec<u128>,
    /// Where two scenes were mixed: what `targets` is made of, for a loss over a distribution.
    pub mixed: Option<Mixed>,
}

/// The two scenes in a mixed one. Its `targets` hold what sounds in either; where a single class is asked for, it is
/// that of the first with probability `share`, else that of the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// Amplitude of the first over that of both.
    pub share: f32,
    /// One target a frame of the first scene.
    pub first: Vec<FrameTarget>,
    /// One target a frame of the second scene.
    pub second: Vec<FrameTarget>,
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
    /// How often `none`, or what is no class's, is drawn against a class with as many clips.
    pub none_share: f32,
    /// Index of the class `none`.
    pub none: Option<usize>,
    /// How many notes sound together, as tracks of their own.
    pub voices: Voices,
    /// What augmentation does.
    pub augmentation: Config,
    /// The classes some of whose notes are made of another's.
    pub made: Vec<Made>,
    /// The recordings that augmentation draws from, at `rate`.
    pub library: Arc<Library>,
    /// Where windows are cut from single recordings instead of scenes of several.
    pub cut: Option<Cut>,
}

/// Makes scenes; one a thread, since it keeps its buffers.
pub struct SceneMaker<'a> {
    pub(super) config: &'a SceneConfig,
    pub(super) clips: &'a [Clip],
    pub(super) draw: Draw,
    log_mel: LogMel,
    pub(super) effects: Effects<'a>,
    /// Where voices are chosen by their range.
    registers: Option<Registers>,
    states: Vec<State>,
    /// What sounds where, in no order.
    heard: Vec<Heard>,
}

/// A note in one frame.
#[derive(Debug, Clone, Copy)]
struct Heard {
    frame: usize,
    classes: u128,
    /// Mean square of its samples.
    power: f32,
}

/// Which of several voices plays.
#[derive(Debug, Clone, Copy)]
struct Part {
    voice: usize,
    voices: usize,
    gain_db: f32,
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
    /// The classes that sound, but under others so much louder that nobody hears them.
    covered: u128,
}

const SILENT: State = State { classes: 0, known: u128::MAX, faint: false, covered: 0 };

/// A note as it lies in a scene.
struct Placed<'n> {
    note: &'n Note<'n>,
    /// First sample in the scene.
    at: usize,
    /// Samples in the scene.
    length: usize,
    /// Speed against the note's own.
    detune: f64,
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
        let samples = config.frames * config.frontend.hop;
        Ok(Self {
            config,
            clips,
            draw: Draw::new(config, clips, classes),
            log_mel: LogMel::new(config.rate, &config.frontend)?,
            effects: Effects::new(&config.augmentation, &config.library, samples, config.rate),
            registers: (config.voices.choice == Choice::Range && config.voices.polyphony.most > 1)
                .then(|| Registers::new(&clips.par_iter().map(|clip| clip.middle_hz(config.rate)).collect::<Vec<_>>())),
            states: Vec::new(),
            heard: Vec::new(),
        })
    }

    /// The scene of this seed: the same seed makes the same scene.
    pub fn make(&mut self, seed: u64) -> Scene {
        self.make_heard(seed).0
    }

    /// As [`SceneMaker::make`], with the scene's sound: what its frames were before bands and moments were masked.
    pub fn make_heard(&mut self, seed: u64) -> (Scene, Vec<f32>) {
        let mut rng = StdRng::seed_from_u64(seed);
        if let Some(cut) = &self.config.cut {
            return self.cut(cut, &mut rng);
        }
        let mut sound = self.perform(&mut rng);
        let (mut targets, mut known) = (self.targets(), self.known());
        let mut mixed = None;
        let mixup = &self.config.augmentation.mixup;
        if happens(mixup.chance, &mut rng) {
            let share = share(mixup.alpha, &mut rng);
            for (sample, other) in sound.iter_mut().zip(self.perform(&mut rng)) {
                *sample = share * *sample + (1.0 - share) * other;
            }
            let (first, second) = (targets, self.targets());
            targets = first.iter().zip(&second).map(|(a, b)| a.with(*b)).collect();
            known = known.iter().zip(self.known()).zip(&targets).map(|((a, b), both)| a & b | both.set()).collect();
            mixed = Some(Mixed { share, first, second });
        }
        self.effects.apply(&mut sound, &mut rng);
        let frames = self.analyse(&sound, &mut rng);
        (Scene { frames, windows: None, targets, known, mixed }, sound)
    }

    /// What is played, and in `states` what sounds when.
    fn perform(&mut self, rng: &mut StdRng) -> Vec<f32> {
        let mut sound = vec![0.0_f32; self.config.frames * self.config.frontend.hop];
        self.states = vec![SILENT; self.config.frames];
        self.heard.clear();
        // Now and then a scene is only noise, so that handling and rooms come out as nothing.
        if rng.random_bool(0.96) {
            let voices = self.config.voices.count(rng);
            for voice in 0..voices {
                let gain_db = if voices > 1 { self.config.voices.gain_db.draw(rng) } else { 0.0 };
                self.play(&mut sound, Part { voice, voices, gain_db }, rng);
            }
            self.cover();
        }
        sound
    }

    /// Notes in each frame which classes are covered by the others. Noises cover nothing: a note in noise is asked for.
    fn cover(&mut self) {
        let none = self.config.none.map_or(0, |none| 1_u128 << none);
        let mut totals = vec![0.0_f32; self.states.len()];
        let notes = || self.heard.iter().filter(|heard| heard.classes & !none != 0);
        notes().for_each(|heard| totals[heard.frame] += heard.power);
        let limit = 10.0_f32.powf(COVERED_DB / 10.0);
        let mut audible = vec![none; self.states.len()];
        notes()
            .filter(|heard| heard.power >= limit * totals[heard.frame])
            .for_each(|heard| audible[heard.frame] |= heard.classes);
        for (state, audible) in self.states.iter_mut().zip(audible) {
            state.covered = state.classes & !audible;
        }
    }

    fn play(&mut self, sound: &mut [f32], part: Part, rng: &mut StdRng) {
        let (rate, augmentation) = (self.config.rate as f32, &self.config.augmentation);
        let mut class = self.draw.class(rng);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
        let seconds = |low: f32, high: f32, rng: &mut StdRng| (rng.random_range(low..high) * rate) as usize;
        let mut at = if rng.random_bool(0.7) { seconds(0.0, 0.4, rng) } else { 0 };
        let mut loudness = 0.0;
        while at + LEVEL_HOP < sound.len() {
            let made = self.config.made.iter().find(|made| made.happens(class, rng));
            let clip = match made {
                Some(made) => self.draw_held(made.of, rng),
                None => self.draw_clip(class, part, rng),
            };
            let start = self.onset(at, sound.len(), rng);
            let (note, length) = self.note(clip, made, sound.len() - start, rng);
            let placed = self.place(&note, start, length, loudness + part.gain_db, rng);
            placed.add_to(sound);
            if happens(augmentation.section.chance, rng) {
                (0..rng.random_range(1..4)).for_each(|_| placed.another_player(rng).add_to(sound));
            }
            placed.mark(&mut self.states, &mut self.heard, &self.config.frontend);
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
                class = self.draw.class(rng);
            }
        }
    }

    /// Where the note that is due `at` sets in, as a player does who is not quite in time.
    fn onset(&self, at: usize, end: usize, rng: &mut StdRng) -> usize {
        let shift = &self.config.augmentation.time_shift;
        if !happens(shift.chance, rng) {
            return at;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a scene")]
        let moved = (at as f32 + shift.seconds.draw(rng) * self.config.rate as f32).max(0.0) as usize;
        moved.min(end - LEVEL_HOP)
    }

    /// A clip of a class that has some, in the range of a voice.
    fn draw_clip(&self, class: usize, part: Part, rng: &mut StdRng) -> &'a Clip {
        let fits = |clip| self.registers.as_ref().is_none_or(|r| r.fits(clip, part.voice, part.voices));
        self.draw_fitting(class, fits, rng)
    }

    /// A clip of a class that has some, of one note.
    fn draw_held(&self, class: usize, rng: &mut StdRng) -> &'a Clip {
        self.draw_fitting(class, |clip| !self.clips[clip].is_phrase, rng)
    }

    fn draw_fitting(&self, class: usize, fits: impl Fn(usize) -> bool, rng: &mut StdRng) -> &'a Clip {
        /// A class that has nothing fitting gives what it has.
        const ATTEMPTS: usize = 12;
        let mut clip = self.draw.clip(class, rng);
        for _ in 0..ATTEMPTS {
            if fits(clip) {
                break;
            }
            clip = self.draw.clip(class, rng);
        }
        &self.clips[clip]
    }

    /// A varied note of a clip, and how long it sounds where `room` samples are left.
    fn note<'c>(&self, clip: &'c Clip, made: Option<&Made>, room: usize, rng: &mut StdRng) -> (Note<'c>, usize) {
        let rate = f64::from(self.config.rate);
        let variation = Variation::draw(&self.config.augmentation, rng);
        // Mostly from the attack, which says most; sometimes from the middle of a long note.
        let whole = clip.samples.len();
        let from = if rng.random_bool(0.75) || whole < 4 * LEVEL_HOP {
            clip.onset.saturating_sub(rng.random_range(0..LEVEL_HOP * 4))
        } else {
            rng.random_range(0..whole * 3 / 4)
        };
        let left = (whole - from.min(whole)) as f64 * variation.factor / variation.ratio;
        let release = &self.config.augmentation.release;
        let held = if happens(release.chance, rng) { rate * f64::from(release.after_s.draw_ratio(rng)) } else { left };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of notes")]
        let length = (left.min(held) as usize).clamp(1, room);
        let rate = self.config.rate as f32;
        let note = match made.and_then(|made| made.play(length, rate, rng)) {
            Some(played) => Note::played_as(played, clip, from, length, &variation, rate),
            None => Note::new(clip, from, length, &variation, rate),
        };
        (note, length)
    }

    fn place<'n>(&self, note: &'n Note<'n>, at: usize, length: usize, loudness: f32, rng: &mut StdRng) -> Placed<'n> {
        let swell = &self.config.augmentation.swell;
        let rise = 24.0 * 20.0_f32.powf(rng.random::<f32>());
        let slope = if happens(swell.chance, rng) { swell.db_per_s.draw(rng) } else { 0.0 };
        Placed {
            note,
            at,
            length,
            detune: 1.0,
            gain: gain(loudness) * 0.5 / note.clip.peak(),
            rise,
            slope: slope / self.config.rate as f32,
            fade: rng.random_range(LEVEL_HOP / 2..LEVEL_HOP * 6),
        }
    }

    pub(super) fn analyse(&mut self, sound: &[f32], rng: &mut StdRng) -> Vec<f32> {
        let mels = self.config.frontend.mels;
        let mut frames = Vec::with_capacity(self.config.frames * mels);
        self.log_mel.reset();
        for &sample in sound {
            if let Some(frame) = self.log_mel.push(sample) {
                frames.extend_from_slice(frame);
            }
        }
        let augmentation = &self.config.augmentation;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds in frames")]
        let longest =
            (augmentation.time_mask.longest_s * self.config.rate as f32 / self.config.frontend.hop as f32) as usize;
        mask::bands(&mut frames, mels, &augmentation.band_mask, rng);
        mask::moments(&mut frames, self.config.frontend.frame_size(), longest, &augmentation.time_mask, rng);
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
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few frames")]
        let grace = (GRACE_S * self.config.rate as f32 / self.config.frontend.hop as f32).round().max(1.0) as usize;
        let mut targets = raw.clone();
        for i in 1..raw.len() {
            if raw[i] != raw[i - 1] {
                for target in targets.iter_mut().skip(i).take(grace) {
                    *target = FrameTarget::Unclear;
                }
            }
        }
        for (target, state) in targets.iter_mut().zip(&self.states) {
            if let FrameTarget::Sounds(classes) = target {
                *classes &= !state.covered;
            }
        }
        targets
    }

    fn known(&self) -> Vec<u128> {
        // Whatever else sounds, what sounds is there.
        self.states.iter().map(|state| (state.known | state.classes) & !state.covered).collect()
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
            detune: (cents / 1200.0).exp2(),
            gain: self.gain * gain(rng.random_range(-6.0..2.0)),
            ..*self
        }
    }

    fn add_to(&self, sound: &mut [f32]) {
        /// Samples in which the envelope is a line: fewer than the quickest attack has.
        const PIECE: usize = 16;
        for (piece, out) in sound[self.at..self.at + self.length].chunks_mut(PIECE).enumerate() {
            let first = piece * PIECE;
            let (from, to) = (self.shape(first), self.shape(first + out.len()));
            let step = (to - from) / out.len() as f32;
            for (k, out) in out.iter_mut().enumerate() {
                *out += self.gain * (from + step * k as f32) * self.note.at(first + k, self.detune);
            }
        }
    }

    /// Fade at the start and the end, and the slope between.
    fn shape(&self, i: usize) -> f32 {
        let rise = (i + 1) as f32 / self.rise;
        let fall = (self.length - i) as f32 / self.fade as f32;
        rise.min(fall).min(1.0) * swell(self.slope, i)
    }

    /// Notes in each frame whether this note sounds in the middle of its window; of several, of the shortest.
    fn mark(&self, states: &mut [State], heard: &mut Vec<Heard>, frontend: &FrontendConfig) {
        let clip = self.note.clip;
        for (frame, state) in states.iter_mut().enumerate() {
            let centre = ((frame + 1) * frontend.hop).saturating_sub(frontend.shortest_window() / 2);
            let Some(i) = centre.checked_sub(self.at).filter(|i| *i < self.length) else { continue };
            let level = self.note.level(i) + 20.0 * self.shape(i).max(1e-6).log10();
            if level > SOUNDS_DB {
                state.classes |= self.note.classes;
                state.known &= clip.known;
                let amplitude = self.gain * clip.loudest() * gain(level);
                heard.push(Heard { frame, classes: self.note.classes, power: amplitude * amplitude });
            } else if level > OVER_DB {
                state.known &= clip.known;
                state.faint = true;
            }
        }
    }
}

/// Factor of amplitude after `i` samples of a slope in dB a sample. What swells stops at four times its level.
pub(super) fn swell(slope: f32, i: usize) -> f32 {
    (slope * std::f32::consts::LN_10 / 20.0 * i as f32).min(1.4).exp()
}

/// The share of the first of two scenes: beta distributed with both parameters `alpha` (M. Jöhnk 1964), but never so
/// small that one of them could not be heard.
fn share(alpha: f32, rng: &mut StdRng) -> f32 {
    loop {
        let (a, b) = (rng.random::<f32>().powf(1.0 / alpha), rng.random::<f32>().powf(1.0 / alpha));
        if a + b > 0.0 && a + b <= 1.0 {
            return (a / (a + b)).clamp(0.1, 0.9);
        }
    }
}
