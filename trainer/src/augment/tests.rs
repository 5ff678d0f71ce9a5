#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::f32::consts::TAU;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tocco_models::FrontendConfig;

use super::effects::{self, Rooms};
use super::*;

const RATE: f32 = 24_000.0;

fn sine(hz: f32, samples: u16) -> Vec<f32> {
    (0..samples).map(|i| (TAU * hz * f32::from(i) / RATE).sin()).collect()
}

/// Level of the second half, in dB relative to a full sine.
fn level_db(samples: &[f32]) -> f32 {
    let half = &samples[samples.len() / 2..];
    10.0 * (2.0 * half.iter().map(|s| s * s).sum::<f32>() / half.len() as f32).log10()
}

#[test]
fn filters_change_what_they_are_asked_to_and_leave_the_rest() {
    let cases = [
        (Biquad::shelf(true, 2000.0, 9.0, RATE), 9000.0, 60.0, 9.0),
        (Biquad::shelf(false, 400.0, -7.0, RATE), 40.0, 6000.0, -7.0),
        (Biquad::peak(1000.0, 1.0, 6.0, RATE), 1000.0, 60.0, 6.0),
    ];
    for (filter, inside, outside, db) in cases {
        for (hz, wanted) in [(inside, db), (outside, 0.0)] {
            let mut sound = sine(hz, 24_000);
            filter.run(&mut sound);
            assert!((level_db(&sound) - wanted).abs() < 0.4, "{filter:?} at {hz} Hz: {} dB", level_db(&sound));
        }
    }
}

#[test]
fn speed_changes_pitch() {
    let slow = sine(500.0, 24_000);
    let fast = sine(700.0, 16_000);
    let worst = (10..16_000_u16)
        .map(|i| effects::sample_at(&slow, f64::from(i) * 1.4) - fast[usize::from(i)])
        .fold(0.0_f32, |m, d| m.max(d.abs()));
    assert!(worst < 0.01, "{worst}");
}

#[test]
fn a_room_comes_behind_the_direct_sound() {
    let mut sound = vec![0.0; 12_000];
    sound[100] = 1.0;
    Rooms::new(sound.len(), RATE).apply(&mut sound, RATE, &mut StdRng::seed_from_u64(4));
    assert!((sound[100] - 1.0).abs() < 1e-3, "the direct sound stays");
    assert!(sound[..100].iter().all(|s| s.abs() < 1e-4), "nothing comes before it");
    assert!(sound[150..2000].iter().any(|s| s.abs() > 1e-4), "the room answers");
}

/// One clip a class: half a second of silence, then a second of a tone.
fn clips() -> Vec<Clip> {
    [220.0, 880.0]
        .iter()
        .enumerate()
        .map(|(class, &hz)| {
            let mut samples = vec![0.0; 12_000];
            samples.extend(sine(hz, 24_000));
            Clip::single(samples, class, "tone").unwrap()
        })
        .collect()
}

fn config(strength: Strength) -> SceneConfig {
    SceneConfig {
        rate: 24_000,
        frontend: FrontendConfig::default(),
        frames: 150,
        stay: 0.5,
        overlap: 0.0,
        balance: 0.0,
        none: None,
        strength,
    }
}

#[test]
fn the_same_seed_makes_the_same_scene() {
    let (config, clips) = (config(Strength::default()), clips());
    let make = |seeds: &[u64]| {
        let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
        seeds.iter().map(|seed| maker.make(*seed)).collect::<Vec<_>>()
    };
    let scenes = make(&[1, 2, 3]);
    assert_eq!(scenes, make(&[1, 2, 3]));
    assert_eq!(scenes[2], make(&[3])[0], "whatever was made before");
    assert_ne!(scenes[0], scenes[1]);
}

#[test]
fn targets_say_what_sounds() {
    let strength = Strength { noise: 0.0, room: 0.0, band_mask: 0.0, quietest_dbfs: -6.0, ..Strength::default() };
    let (config, clips) = (config(strength), clips());
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    let (mut sounding, mut silent, mut classes) = (Vec::new(), Vec::new(), 0);
    for seed in 0..20 {
        let scene = maker.make(seed);
        for (frame, target) in scene.frames.chunks_exact(config.frontend.mels).zip(&scene.targets) {
            let loudest = frame.iter().copied().fold(f32::MIN, f32::max);
            match target {
                FrameTarget::Sounds(set) => {
                    sounding.push(loudest);
                    classes |= set;
                    assert_eq!(set.count_ones(), 1, "nothing overlaps here");
                }
                FrameTarget::Silence => silent.push(loudest),
                FrameTarget::Unclear => {}
            }
        }
    }
    let quietest_sound = sounding.iter().copied().fold(f32::MAX, f32::min);
    let mean_silence = silent.iter().sum::<f32>() / silent.len() as f32;
    assert!(quietest_sound > mean_silence + 3.0, "{quietest_sound} against {mean_silence}");
    assert_eq!(classes, 0b11, "both classes are drawn");
}

#[test]
fn silence_is_no_clip() {
    assert!(Clip::single(vec![0.0; 1000], 0, "").is_none());
    assert!(Clip::single(Vec::new(), 0, "").is_none());
}

/// A class that nobody listened for in one of two clips is unknown while that clip sounds, and known elsewhere.
#[test]
fn what_nobody_listened_for_is_not_known_to_be_absent() {
    let mut clips = clips();
    clips[0] = Clip::new(clips[0].samples.clone(), 0b101, 0b001, "tone").unwrap();
    let config = SceneConfig { overlap: 1.0, ..config(Strength::default()) };
    let mut maker = SceneMaker::new(&config, &clips, 4).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for scene in (0..20).map(|seed| maker.make(seed)) {
        for (target, known) in scene.targets.iter().zip(&scene.known) {
            let FrameTarget::Sounds(set) = target else { continue };
            let expected = match set {
                0b101 => 0b101,
                0b111 => 0b111,
                0b010 => u128::MAX,
                other => panic!("no clip or mixture is {other:b}"),
            };
            // A clip that is too faint to be asked for still hides what nobody listened for in it.
            assert!(*known == expected || (*set == 0b010 && *known == 0b111), "{set:b}: {known:b}");
            seen.insert(*set);
        }
    }
    assert_eq!(seen.len(), 3, "each clip alone, and both: {seen:?}");
}

#[test]
fn clips_of_no_class_are_drawn_and_sound_like_silence_of_the_classes() {
    let clips = vec![Clip::new(sine(440.0, 24_000), 0, 0b01, "other").unwrap(), clips().remove(1)];
    let (config, mut others) = (config(Strength::default()), 0);
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    for scene in (0..20).map(|seed| maker.make(seed)) {
        others += scene.known.iter().filter(|known| **known == 0b01).count();
    }
    assert!(others > 200, "{others} frames");
}
