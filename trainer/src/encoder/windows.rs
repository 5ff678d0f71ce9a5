//! The pieces of a recording that an encoder hears: windows that end while the note sounds, as on stage, with a
//! little noise before a note that is shorter than the window.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocco_models::{LogMel, Result};

use super::hears::Hears;
use crate::augment::Clip;
use crate::segments::Segmentation;

/// A recording sounds while it is no more than this under its loudest moment.
const SOUNDS_DB: f32 = -40.0;
/// Peak of the noise of a silent room.
const FLOOR: f32 = 1e-4;
/// Moments a second at which a level is measured.
const LEVELS_A_SECOND: usize = 100;

/// Samples behind the last one of each window: at most `count`, evenly spread over the moments at which it sounds.
/// None where it is silent throughout.
pub(super) fn ends(samples: &[f32], rate: u32, count: usize) -> Vec<usize> {
    let hop = (rate as usize / LEVELS_A_SECOND).max(1);
    let power = |piece: &[f32]| piece.iter().map(|s| s * s).sum::<f32>() / piece.len() as f32;
    let levels: Vec<f32> = samples.chunks(hop).map(power).collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    if loudest <= 0.0 {
        return Vec::new();
    }
    let least = loudest * 10.0_f32.powf(SOUNDS_DB / 10.0);
    let sounding: Vec<usize> = (0..levels.len()).filter(|i| levels[*i] > least).collect();
    let chosen = sounding.len().min(count);
    (0..chosen).map(|i| ((sounding[(i + 1) * sounding.len() / chosen - 1] + 1) * hop).min(samples.len())).collect()
}

/// As [`ends`], for windows that `cut` cuts: at most `count` of those that count for the recording's classes, evenly
/// spread.
pub(super) fn cut(samples: &[f32], rate: u32, cut: &Segmentation, count: usize) -> Vec<usize> {
    // Which class it is makes no difference to where it sounds.
    let Some(clip) = Clip::single(samples.to_vec(), 0, "") else { return Vec::new() };
    let ends: Vec<usize> = cut.sounding(&clip, rate).filter_map(|segment| usize::try_from(segment.end).ok()).collect();
    let chosen = ends.len().min(count);
    (0..chosen).map(|i| ends[(i + 1) * ends.len() / chosen - 1]).collect()
}

/// Numbers for the encoder's graph: the window of `samples` that ends at `end`. `seed` draws the noise before the
/// recording.
///
/// # Errors
/// Where the frontend is not possible.
pub(super) fn input(samples: &[f32], end: usize, rate: u32, hears: &Hears, seed: u64) -> Result<Vec<f32>> {
    match hears {
        Hears::Audio { samples: length } => Ok(stretch(samples, end, *length, seed)),
        Hears::LogMel { frames, frontend, .. } => {
            // The first frame looks back by a window.
            let before = frontend.window.div_ceil(frontend.hop);
            let sound = stretch(samples, end, (frames + before) * frontend.hop, seed);
            let mut log_mel = LogMel::new(rate, frontend)?;
            let mut numbers = Vec::with_capacity((frames + before) * frontend.mels);
            log_mel.push_all(&sound, |frame| numbers.extend_from_slice(frame));
            Ok(numbers.split_off(before * frontend.mels))
        }
    }
}

/// Nothing but the noise of a room, from digital silence to a loud fan.
pub(super) fn room(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let level = if seed.is_multiple_of(4) { 0.0 } else { 10.0_f32.powf(rng.random_range(-5.0..-1.5)) };
    (0..length).map(|_| level * rng.random_range(-1.0..1.0_f32)).collect()
}

fn stretch(samples: &[f32], end: usize, length: usize, seed: u64) -> Vec<f32> {
    let from = end.saturating_sub(length);
    let mut rng = StdRng::seed_from_u64(seed);
    let silent = length - (end - from);
    let mut sound: Vec<f32> = (0..silent).map(|_| FLOOR * rng.random_range(-1.0..1.0_f32)).collect();
    sound.extend_from_slice(&samples[from..end]);
    sound
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn windows_end_while_the_note_sounds_and_noise_stands_before_it() {
        let mut note = vec![0.0; 1600];
        note.extend(vec![0.5; 1600]);
        note.extend(vec![0.0; 3200]);
        let found = ends(&note, 16_000, 4);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|end| (1601..=3200).contains(end)), "{found:?}");
        assert!(found.is_sorted() && found[3] == 3200);
        assert!(ends(&[0.0; 800], 16_000, 4).is_empty());
        assert_eq!(ends(&[0.5; 100], 16_000, 4), [100], "shorter than one moment");

        let hears = Hears::Audio { samples: 4000 };
        let window = input(&note, 3200, 16_000, &hears, 1).unwrap();
        assert_eq!(window.len(), 4000);
        assert_eq!(window[800..], note[..3200]);
        let before = &window[..800];
        assert!(before.iter().all(|s| s.abs() <= FLOOR) && before.iter().any(|s| *s != 0.0));
    }

    #[test]
    fn a_log_mel_window_holds_the_frames_of_the_whole_recording() {
        let frontend = tocco_models::FrontendConfig { mels: 20, ..tocco_models::FrontendConfig::default() };
        let sound: Vec<f32> = (0..24_000_u16).map(|i| (f32::from(i) * 0.05).sin()).collect();
        let mut log_mel = LogMel::new(24_000, &frontend).unwrap();
        let whole: Vec<f32> = sound.iter().filter_map(|s| log_mel.push(*s).map(<[f32]>::to_vec)).flatten().collect();
        let end = 80 * frontend.hop;
        let hears = Hears::LogMel { frames: 30, frontend, bands_first: false, scale: 1.0, offset: 0.0 };
        let window = input(&sound, end, 24_000, &hears, 1).unwrap();
        assert_eq!(window, whole[50 * 20..80 * 20]);
    }
}
