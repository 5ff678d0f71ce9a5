//! Blanked bands and moments of log-mel frames (SpecAugment; D. Park and others 2019).

use rand::Rng;
use rand::rngs::StdRng;

use super::config::{BandMask, TimeMask, happens};

/// Blanks bands of `[frames, mels]` with the mean of all.
pub(super) fn bands(frames: &mut [f32], mels: usize, mask: &BandMask, rng: &mut StdRng) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of some dozens of bands")]
    let widest = (mels as f32 * mask.widest) as usize;
    if !happens(mask.chance, rng) || widest < 1 || mels <= 8 {
        return;
    }
    for _ in 0..mask.count {
        let wide = rng.random_range(1..=widest);
        let low = rng.random_range(0..mels - wide);
        let mean = mean(frames);
        for frame in frames.chunks_exact_mut(mels) {
            frame[low..low + wide].fill(mean);
        }
    }
}

/// Blanks moments with the mean of all. `longest` is in frames.
pub(super) fn moments(frames: &mut [f32], mels: usize, longest: usize, mask: &TimeMask, rng: &mut StdRng) {
    let count = frames.len() / mels.max(1);
    let longest = longest.min(count / 2);
    if !happens(mask.chance, rng) || longest < 1 {
        return;
    }
    for _ in 0..mask.count {
        let long = rng.random_range(1..=longest);
        let first = rng.random_range(0..=count - long);
        let mean = mean(frames);
        frames[first * mels..(first + long) * mels].fill(mean);
    }
}

fn mean(frames: &[f32]) -> f32 {
    frames.iter().sum::<f32>() / frames.len().max(1) as f32
}
