//! Recordings: what sounds in them, where, and how loud.

use std::ops::Range;
use std::sync::OnceLock;

use tocco_models::FrontendConfig;

use super::voices::middle_hz;
use crate::samples::Samples;

/// Samples over which the level of a clip is measured.
pub(super) const LEVEL_HOP: usize = 240;
/// A note sounds while it is no more than this under its loudest moment ...
pub(super) const SOUNDS_DB: f32 = -40.0;
/// ... and is over when it is this far under it. Between the two nobody can say.
pub(super) const OVER_DB: f32 = -62.0;
/// So far under its loudest moment a single note has been let go: what follows is the room's.
const LET_GO_DB: f32 = -20.0;

/// One recording at the model's rate.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Mono samples.
    pub samples: Samples,
    /// The classes that sound in it: bit `i` for class `i`.
    pub classes: u128,
    /// The classes of which somebody said whether they sound; of the others nobody knows.
    pub known: u128,
    /// Which instrument in which room: kinds with few recordings are drawn more often than their share.
    pub kind: String,
    /// Whether it may hold many notes: such recordings are few beside single notes, and are drawn as a kind of their own.
    pub is_phrase: bool,
    /// How often it is drawn, against 1 of most others.
    pub weight: f32,
    /// Level of each `LEVEL_HOP` samples relative to the loudest, in dB.
    levels: Vec<f32>,
    /// First sample of the first note.
    pub(super) onset: usize,
    peak: f32,
    /// RMS of the loudest `LEVEL_HOP` samples.
    loudest: f32,
    /// What [`Self::middle_hz`] found.
    middle_hz: OnceLock<f32>,
}

impl Clip {
    /// Measures a recording of one class, in which no other sounds; `None` where it is silent from end to end.
    #[must_use]
    pub fn single(samples: Vec<f32>, class: usize, kind: &str) -> Option<Self> {
        Self::new(samples, 1 << class, u128::MAX, kind)
    }

    /// Measures a recording in which `classes` sound and all of `known` were listened for; what sounds is known of
    /// course. `None` where it is silent from end to end.
    #[must_use]
    pub fn new(samples: Vec<f32>, classes: u128, known: u128, kind: &str) -> Option<Self> {
        let peak = samples.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
        let rms: Vec<f32> =
            samples.chunks(LEVEL_HOP).map(|c| (c.iter().map(|s| s * s).sum::<f32>() / c.len() as f32).sqrt()).collect();
        let loudest = rms.iter().copied().fold(0.0, f32::max);
        if loudest < 1e-5 {
            return None;
        }
        let levels: Vec<f32> = rms.iter().map(|r| 20.0 * (r / loudest + 1e-9).log10()).collect();
        let onset = levels.iter().position(|&l| l > SOUNDS_DB).unwrap_or(0) * LEVEL_HOP;
        let (kind, known) = (kind.to_owned(), known | classes);
        Some(Self {
            samples: samples.into(),
            classes,
            known,
            kind,
            is_phrase: false,
            weight: 1.0,
            levels,
            onset,
            peak,
            loudest,
            middle_hz: OnceLock::new(),
        })
    }

    /// Level at a sample relative to the loudest, in dB.
    pub(super) fn level(&self, sample: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions within a clip")]
        let hop = (sample.max(0.0) as usize) / LEVEL_HOP;
        self.levels.get(hop).copied().unwrap_or(-200.0)
    }

    /// RMS of its loudest moment, to which levels are relative.
    pub(super) fn loudest(&self) -> f32 {
        self.loudest
    }

    /// The frequency that has half of its energy under it, in Hz, at the clips' rate; measured once.
    pub(super) fn middle_hz(&self, rate: u32) -> f32 {
        *self.middle_hz.get_or_init(|| middle_hz(&self.samples, rate))
    }

    /// Amplitude of its loudest sample.
    pub(crate) fn peak(&self) -> f32 {
        self.peak
    }

    /// The note in the recording of a single one: from where it first sounds to where it has fallen 20 dB under
    /// its loudest moment for good.
    #[must_use]
    pub fn note(&self) -> Range<usize> {
        self.until(LET_GO_DB)
    }

    /// From the first to the last sample that can be heard.
    #[must_use]
    pub fn sounding(&self) -> Range<usize> {
        self.until(OVER_DB)
    }

    /// From the onset to the last sample over a level relative to the loudest, in dB.
    fn until(&self, db: f32) -> Range<usize> {
        let last = self.levels.iter().rposition(|&l| l > db).map_or(0, |hop| (hop + 1) * LEVEL_HOP);
        self.onset..last.min(self.samples.len())
    }

    /// How many samples of a stretch sound, by hops of 10 ms.
    pub(crate) fn sounding_samples(&self, within: &Range<usize>) -> usize {
        self.hops(within).filter(|l| *l > SOUNDS_DB).count() * LEVEL_HOP
    }

    /// Whether nothing can be heard in a stretch.
    pub(crate) fn is_over(&self, within: &Range<usize>) -> bool {
        self.hops(within).all(|l| l <= OVER_DB)
    }

    fn hops(&self, within: &Range<usize>) -> impl Iterator<Item = f32> {
        let (from, to) = (within.start.div_ceil(LEVEL_HOP), within.end / LEVEL_HOP);
        self.levels.iter().copied().take(to).skip(from)
    }

    /// Whether the clip sounds at each hop of the model, for whole-file validation.
    #[must_use]
    pub fn sounds(&self, frame: usize, frontend: &FrontendConfig) -> bool {
        let centre = (frame + 1) * frontend.hop;
        self.level(centre.saturating_sub(frontend.shortest_window() / 2) as f64) > SOUNDS_DB
    }
}
