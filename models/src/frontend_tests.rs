#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::test_models::sine;

#[test]
fn a_sine_lights_its_own_band() {
    let config = FrontendConfig::default();
    for hz in [100.0, 440.0, 3000.0, 9000.0] {
        let mut frames = 0;
        let mut loudest = 0;
        let mut log_mel = LogMel::new(24_000, &config).unwrap();
        for sample in sine(24_000.0, hz, 0.2) {
            if let Some(frame) = log_mel.push(sample) {
                frames += 1;
                loudest = (0..frame.len()).max_by(|&a, &b| frame[a].total_cmp(&frame[b])).unwrap();
            }
        }
        assert_eq!(frames, 20);
        let (low, high) = (hz_to_mel(40.0), hz_to_mel(11_500.0));
        let band = (hz_to_mel(hz) - low) / (high - low) * 65.0 - 1.0;
        assert!((band - loudest as f64).abs() <= 1.0, "{hz} Hz: band {loudest}, not {band:.1}");
    }
}

#[test]
fn silence_is_the_floor_everywhere() {
    let mut log_mel = LogMel::new(24_000, &FrontendConfig::default()).unwrap();
    let frame = (0..240).find_map(|_| log_mel.push(0.0).map(<[f32]>::to_vec)).unwrap();
    assert!(frame.iter().all(|v| (v - 1e-6_f32.ln()).abs() < 1e-6));
}

#[test]
fn bands_between_two_bins_are_refused() {
    let config = FrontendConfig { mels: 512, ..FrontendConfig::default() };
    assert!(LogMel::new(24_000, &config).unwrap_err().to_string().contains("fewer bands"));
}

#[test]
fn further_windows_follow_the_first_and_a_short_one_forgets_sooner() {
    let several = FrontendConfig { extra_windows: vec![256], ..FrontendConfig::default() };
    let alone = FrontendConfig { window: 256, ..FrontendConfig::default() };
    let first = FrontendConfig::default();
    let mut log_mels = [&several, &first, &alone].map(|config| LogMel::new(24_000, config).unwrap());
    let sound: Vec<f32> = sine(24_000.0, 440.0, 0.2).into_iter().chain(std::iter::repeat_n(0.0, 480)).collect();
    let mut frames = [Vec::new(), Vec::new(), Vec::new()];
    for sample in sound {
        for (log_mel, frames) in log_mels.iter_mut().zip(&mut frames) {
            frames.extend(log_mel.push(sample).map(<[f32]>::to_vec));
        }
    }
    let [several, first, alone] = frames;
    for ((both, long), short) in several.iter().zip(&first).zip(&alone) {
        assert_eq!(both, &[long.as_slice(), short].concat());
    }
    let last = several.last().unwrap();
    assert!(last[..64].iter().any(|v| *v > -5.0), "the long window still hears the tone");
    assert!(last[64..].iter().all(|v| *v < -13.0), "the short one is past it");
}

#[test]
fn many_samples_at_once_give_the_frames_of_single_ones() {
    let config = FrontendConfig { extra_windows: vec![300], ..FrontendConfig::default() };
    // More hops than the past is kept for, twice over, and a part of one.
    let sound = sine(24_000.0, 440.0, 0.253);
    let mut log_mel = LogMel::new(24_000, &config).unwrap();
    let single: Vec<Vec<f32>> = sound.iter().filter_map(|s| log_mel.push(*s).map(<[f32]>::to_vec)).collect();
    assert_eq!(single.len(), 25);
    for block in [1, 7, 240, 241, 1_000, sound.len()] {
        log_mel.reset();
        let mut frames = Vec::new();
        sound.chunks(block).for_each(|block| log_mel.push_all(block, |frame| frames.push(frame.to_vec())));
        assert!(frames == single, "in blocks of {block}");
    }
}
