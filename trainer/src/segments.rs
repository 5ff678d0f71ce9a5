//! Windows of a fixed length out of recordings, for networks and encoders that hear one window at a time.
//!
//! A window looks as it would live: before a note is silence with a converter's noise floor, not digital nothing, and a
//! window that would run over the end of a recording is moved back onto real sound instead of being filled up.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::augment::{Clip, FrameTarget};

/// Which windows may hold more than the recording does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Everything is heard: a rest at the end gets a window of its own, which ends with the recording; a recording
    /// shorter than a window gets silence before it
    Full,
    /// Recordings shorter than a window get silence before them; a rest at the end is left out
    Minimal,
    /// Nothing is padded: shorter recordings and rests are left out
    None,
}

/// What happens to silence before the first and after the last note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Trim {
    /// It stays, and is silence in the targets
    Keep,
    /// It is cut away
    Cut,
}

/// How recordings are cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segmentation {
    /// Length of a window, in seconds.
    pub segment_s: f32,
    /// How much of a window the next one holds again, from 0 to less than 1.
    pub overlap: f32,
    /// Which windows may hold more than the recording.
    pub padding: Padding,
    /// What happens to silence at the ends.
    pub trim: Trim,
}

impl Default for Segmentation {
    fn default() -> Self {
        Self { segment_s: 1.0, overlap: 0.5, padding: Padding::Minimal, trim: Trim::Keep }
    }
}

/// One window of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its first sample in the clip; below 0 where silence comes before the clip.
    pub start: i64,
    /// The sample after its last.
    pub end: i64,
    /// What sounds in it.
    pub target: FrameTarget,
}

/// Of a window so much must sound, or half of a shorter clip's sound, that it counts for the clip's classes.
const SOUNDING: f32 = 0.25;
/// Level of the noise floor in silence that is put before a clip, as the amplitude of its peaks: -86 dBFS.
const FLOOR: f32 = 5e-5;

impl Segmentation {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// The sentence names the option.
    pub fn check(&self) -> Result<(), String> {
        if !(0.02..=60.0).contains(&self.segment_s) {
            return Err(format!("--segment is {} s: it must lie between 0.02 and 60", self.segment_s));
        }
        if !(0.0..=0.99).contains(&self.overlap) {
            return Err(format!("--segment-overlap is {}: it must lie between 0 and 0.99", self.overlap));
        }
        Ok(())
    }

    /// Samples of a window.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
    pub fn samples(&self, rate: u32) -> usize {
        ((self.segment_s * rate as f32).round() as usize).max(1)
    }

    /// Samples from the start of a window to that of the next.
    #[must_use]
    pub fn step(&self, rate: u32) -> usize {
        self.step_of(self.samples(rate))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a window")]
    fn step_of(&self, segment: usize) -> usize {
        ((segment as f32 * (1.0 - self.overlap)).round() as usize).max(1)
    }

    /// Whether a window of the clip counts for its classes.
    #[must_use]
    pub fn hears(&self, clip: &Clip, rate: u32) -> bool {
        self.sounding(clip, rate).next().is_some()
    }

    /// The windows of a clip that count for its classes.
    pub fn sounding(&self, clip: &Clip, rate: u32) -> impl Iterator<Item = Segment> + use<> {
        self.cut(clip, rate).into_iter().filter(|segment| matches!(segment.target, FrameTarget::Sounds(_)))
    }

    /// The windows of a clip at `rate` Hz, in the order of their starts.
    #[must_use]
    pub fn cut(&self, clip: &Clip, rate: u32) -> Vec<Segment> {
        let heard = match self.trim {
            Trim::Keep => 0..clip.samples.len(),
            Trim::Cut => clip.sounding(),
        };
        let windows = self.windows(heard.len(), self.samples(rate));
        let (offset, whole) = (signed(heard.start), clip.sounding_samples(&(0..clip.samples.len())));
        windows
            .into_iter()
            .map(|start| {
                let (start, end) = (start + offset, start + offset + signed(self.samples(rate)));
                let within = unsigned(start)..unsigned(end).min(clip.samples.len());
                Segment { start, end, target: self.target(clip, &within, whole, rate) }
            })
            .collect()
    }

    /// Where windows of `segment` samples start in `length` samples.
    fn windows(&self, length: usize, segment: usize) -> Vec<i64> {
        if length < segment {
            // The note has just ended: silence before it, nothing after it.
            let start = signed(length) - signed(segment);
            return if self.padding == Padding::None || length == 0 { Vec::new() } else { vec![start] };
        }
        let step = self.step_of(segment);
        let mut starts: Vec<i64> = (0..=length - segment).step_by(step).map(signed).collect();
        let rest = (length - segment) % step;
        if rest > 0 && self.padding == Padding::Full {
            starts.push(signed(length - segment));
        }
        starts
    }

    fn target(&self, clip: &Clip, within: &Range<usize>, whole: usize, rate: u32) -> FrameTarget {
        let enough = (SOUNDING * self.samples(rate) as f32).min(0.5 * whole as f32);
        match clip.sounding_samples(within) {
            0 if clip.is_over(within) => FrameTarget::Silence,
            sounding if sounding > 0 && sounding as f32 >= enough => FrameTarget::Sounds(clip.classes),
            _ => FrameTarget::Unclear,
        }
    }
}

impl Segment {
    /// The window's samples. What lies outside of the clip is a converter's noise floor; equal seeds give equal floors.
    #[must_use]
    pub fn samples(&self, clip: &Clip, seed: u64) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(seed);
        (self.start..self.end)
            .map(|i| {
                let inside = usize::try_from(i).ok().and_then(|i| clip.samples.get(i)).copied();
                inside.unwrap_or_else(|| rng.random_range(-FLOOR..FLOOR))
            })
            .collect()
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 24_000;

    /// A tone between silences, in samples.
    fn clip(before: usize, tone: usize, after: usize) -> Clip {
        let mut samples = vec![0.0; before];
        samples.extend((0..tone).map(|i| 0.5 * (0.2 * i as f32).sin()));
        samples.resize(before + tone + after, 0.0);
        Clip::single(samples, 3, "").unwrap()
    }

    fn cutting(padding: Padding, overlap: f32) -> Segmentation {
        Segmentation { segment_s: 0.5, overlap, padding, trim: Trim::Keep }
    }

    fn places(cut: &Segmentation, clip: &Clip) -> Vec<(i64, i64)> {
        cut.cut(clip, RATE).iter().map(|s| (s.start, s.end)).collect()
    }

    #[test]
    fn a_clip_of_exactly_a_window_is_one_whatever_the_padding() {
        for padding in [Padding::Full, Padding::Minimal, Padding::None] {
            assert_eq!(places(&cutting(padding, 0.5), &clip(0, 12_000, 0)), [(0, 12_000)], "{padding:?}");
        }
    }

    #[test]
    fn a_short_note_gets_silence_before_it_or_is_left_out() {
        let short = clip(0, 3000, 0);
        for padding in [Padding::Full, Padding::Minimal] {
            let cut = cutting(padding, 0.0).cut(&short, RATE);
            assert_eq!(cut, [Segment { start: -9000, end: 3000, target: FrameTarget::Sounds(1 << 3) }]);
            let samples = cut[0].samples(&short, 1);
            assert_eq!(samples[9000..], *short.samples);
            assert!(samples[..9000].iter().all(|s| s.abs() <= FLOOR) && samples[..9000].iter().any(|s| *s != 0.0));
            assert_eq!(samples, cut[0].samples(&short, 1));
        }
        assert_eq!(places(&cutting(Padding::None, 0.0), &short), []);
    }

    #[test]
    fn a_rest_is_heard_only_with_full_padding_and_ends_with_the_clip() {
        let long = clip(0, 30_000, 0);
        let whole = [(0, 12_000), (12_000, 24_000)];
        assert_eq!(places(&cutting(Padding::Minimal, 0.0), &long), whole);
        assert_eq!(places(&cutting(Padding::None, 0.0), &long), whole);
        assert_eq!(places(&cutting(Padding::Full, 0.0), &long), [whole[0], whole[1], (18_000, 30_000)]);
        let half = places(&cutting(Padding::Minimal, 0.5), &long);
        assert_eq!(half, [(0, 12_000), (6000, 18_000), (12_000, 24_000), (18_000, 30_000)], "overlapped by half");
    }

    #[test]
    fn silence_at_the_ends_is_silence_or_is_cut_away() {
        let clip = clip(24_000, 24_000, 24_000);
        let targets = |trim| -> Vec<FrameTarget> {
            Segmentation { trim, ..cutting(Padding::Full, 0.0) }.cut(&clip, RATE).iter().map(|s| s.target).collect()
        };
        let (none, tone) = (FrameTarget::Silence, FrameTarget::Sounds(1 << 3));
        assert_eq!(targets(Trim::Keep), [none, none, tone, tone, none, none]);
        assert_eq!(targets(Trim::Cut), [tone, tone]);
    }

    #[test]
    fn a_window_with_a_little_of_a_long_note_is_unclear() {
        let clip = clip(10_560, 24_000, 0);
        assert_eq!(cutting(Padding::None, 0.0).cut(&clip, RATE)[0].target, FrameTarget::Unclear);
    }

    proptest! {
        #[test]
        fn windows_have_their_length_and_full_padding_misses_nothing(
            tone in 300_usize..60_000,
            overlap in 0.0_f32..0.95,
        ) {
            let clip = clip(0, tone, 0);
            for padding in [Padding::Full, Padding::Minimal, Padding::None] {
                let cut = cutting(padding, overlap).cut(&clip, RATE);
                prop_assert!(cut.iter().all(|s| s.end - s.start == 12_000 && s.end <= signed(tone)));
                prop_assert!(cut.windows(2).all(|w| w[0].start < w[1].start));
                prop_assert!(padding != Padding::None || cut.iter().all(|s| s.start >= 0));
                if padding == Padding::Full {
                    prop_assert!(cut[0].start <= 0 && cut[cut.len() - 1].end == signed(tone));
                    prop_assert!(cut.windows(2).all(|w| w[1].start <= w[0].end));
                }
            }
        }
    }
}
