//! Windows cut from single recordings, each recording varied as a note of a scene is.

use rand::Rng;
use rand::rngs::StdRng;
use tocco_models::FrontendConfig;

use super::clip::Clip;
use super::config::happens;
use super::note::Variation;
use super::scene::{FrameTarget, Scene, SceneMaker};
use super::{shift, swell_by};
use crate::segments::{Segment, Segmentation};

/// How often nothing plays: the rests between notes of a scene, which `none` is learnt from, are not heard here.
const NOTHING: f64 = 0.1;

/// How windows are cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Where; its windows are as long as the network's.
    pub segmentation: Segmentation,
    /// Frames of a window.
    pub frames: usize,
    /// Windows that are heard of a recording at once, one after the other.
    pub count: usize,
}

/// A window and what is asked in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutWindow {
    /// The frame behind its last.
    pub end: usize,
    /// What sounds in it.
    pub target: FrameTarget,
    /// The classes of which the target's word holds.
    pub known: u128,
}

impl Cut {
    /// Frames from the first that a window may need to the last: as many as `count` windows and the look-back of the
    /// frontend take.
    #[must_use]
    pub fn frames_heard(&self, rate: u32, frontend: &FrontendConfig) -> usize {
        let windows = self.segmentation.samples(rate) + (self.count - 1) * self.segmentation.step(rate);
        (windows + frontend.window).div_ceil(frontend.hop)
    }
}

impl SceneMaker<'_> {
    /// A stretch of one recording with as many of its windows as are asked for, and its sound.
    pub(super) fn cut(&mut self, cut: &Cut, rng: &mut StdRng) -> (Scene, Vec<f32>) {
        let hop = self.config.frontend.hop;
        let (mut sound, windows) = if rng.random_bool(NOTHING) {
            let window = CutWindow { end: self.config.frames, target: FrameTarget::Silence, known: u128::MAX };
            (vec![0.0; self.config.frames * hop], vec![window])
        } else {
            let clip = &self.clips[self.draw.clip(self.draw.class(rng), rng)];
            self.stretch(cut, &self.varied(cut, clip, rng), rng)
        };
        self.effects.apply(&mut sound, rng);
        let frames = self.analyse(&sound, rng);
        let windows = windows.iter().copied().cycle().take(cut.count).collect();
        (Scene { frames, windows: Some(windows), targets: Vec::new(), known: Vec::new(), mixed: None }, sound)
    }

    /// The recording varied, or as it is where it became too short for a window.
    fn varied(&self, cut: &Cut, clip: &Clip, rng: &mut StdRng) -> Clip {
        let (rate, augmentation) = (self.config.rate as f32, &self.config.augmentation);
        let mut samples = Variation::draw(augmentation, rng).apply(&clip.samples, rate);
        if happens(augmentation.time_shift.chance, rng) {
            shift(&mut samples, augmentation.time_shift.seconds.draw(rng) * rate);
        }
        if happens(augmentation.swell.chance, rng) {
            swell_by(&mut samples, augmentation.swell.db_per_s.draw(rng) / rate);
        }
        let varied = Clip::new(samples, clip.classes, clip.known, &clip.kind);
        varied.filter(|varied| cut.segmentation.hears(varied, self.config.rate)).unwrap_or_else(|| clip.clone())
    }

    /// Windows that follow each other, and the sound up to the end of the last.
    fn stretch(&self, cut: &Cut, clip: &Clip, rng: &mut StdRng) -> (Vec<f32>, Vec<CutWindow>) {
        let all = cut.segmentation.cut(clip, self.config.rate);
        let first = rng.random_range(0..=all.len().saturating_sub(cut.count));
        let chosen = &all[first..all.len().min(first + cut.count)];
        let hop = self.config.frontend.hop;
        let whole = self.config.frames * hop;
        let end = chosen.last().map_or(0, |last| last.end);
        let start = end - i64::try_from(whole).unwrap_or(i64::MAX);
        let heard = Segment { start, end, target: FrameTarget::Unclear };
        let window = |segment: &Segment| CutWindow {
            end: usize::try_from(segment.end - start).map_or(0, |samples| samples / hop).max(cut.frames),
            target: segment.target,
            known: clip.known,
        };
        (heard.samples(clip, rng.random()), chosen.iter().map(window).collect())
    }
}
