//! Scenes: what sounds when, and what is said about it.

use std::sync::Arc;

use tocco_models::FrontendConfig;

use super::super::*;
use super::sine;

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

pub(super) fn config(augmentation: Config) -> SceneConfig {
    SceneConfig {
        rate: 24_000,
        frontend: FrontendConfig::default(),
        frames: 150,
        stay: 0.5,
        overlap: 0.0,
        balance: 0.0,
        none_share: 0.5,
        none: None,
        voices: Voices::default(),
        augmentation,
        made: Vec::new(),
        library: Arc::default(),
        cut: None,
    }
}

#[test]
fn the_same_seed_makes_the_same_scene() {
    let (config, clips) = (config(Config::default()), clips());
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
    let mut augmentation = Config::default();
    (augmentation.noise.chance, augmentation.room.chance, augmentation.band_mask.chance) = (0.0, 0.0, 0.0);
    augmentation.gain.peak_dbfs = Range(-6.0, 0.0);
    let (config, clips) = (config(augmentation), clips());
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
    clips[0] = Clip::new(clips[0].samples.to_vec(), 0b101, 0b001, "tone").unwrap();
    let config = SceneConfig { overlap: 1.0, ..config(Config::default()) };
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

/// A plucked string that has all but died away under a wind player is asked for neither as there nor as absent; alone it
/// is still there.
#[test]
fn what_louder_notes_cover_is_not_asked() {
    let fading: Vec<f32> =
        sine(300.0, 48_000).iter().enumerate().map(|(i, s)| s * gain(-38.0 * i as f32 / 48e3)).collect();
    let clips = [Clip::single(fading, 0, "").unwrap(), Clip::single(sine(3000.0, 48_000), 1, "").unwrap()];
    let mut config = config(Config::off());
    config.voices = Voices { polyphony: "2".parse().unwrap(), gain_db: Range(0.0, 0.0), ..Voices::default() };
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    let (mut both, mut covered, mut alone) = (0, 0, 0);
    for scene in (0..40).map(|seed| maker.make(seed)) {
        for (target, known) in scene.targets.iter().zip(&scene.known) {
            match (target, known & 0b11) {
                (FrameTarget::Sounds(0b11), 0b11) => both += 1,
                (FrameTarget::Sounds(0b10), 0b10) => covered += 1,
                (FrameTarget::Sounds(0b01), 0b11) => alone += 1,
                _ => {}
            }
        }
    }
    assert!(both > 300 && covered > 300 && alone > 300, "{both} {covered} {alone}");
}

#[test]
fn clips_of_no_class_are_drawn_and_sound_like_silence_of_the_classes() {
    let clips = vec![Clip::new(sine(440.0, 24_000), 0, 0b01, "other").unwrap(), clips().remove(1)];
    let (config, mut others) = (config(Config::default()), 0);
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    for scene in (0..20).map(|seed| maker.make(seed)) {
        others += scene.known.iter().filter(|known| **known == 0b01).count();
    }
    assert!(others > 200, "{others} frames");
}

/// Notes that keep their length or their formants are still where their targets say.
#[test]
fn targets_hold_for_stretched_notes() {
    for keep in [config::Keep::Time, config::Keep::Formants] {
        let mut augmentation = Config::off();
        (augmentation.pitch_shift.chance, augmentation.pitch_shift.keep) = (1.0, keep);
        (augmentation.time_stretch.chance, augmentation.detune.chance) = (1.0, 1.0);
        let (config, clips) = (config(augmentation), clips());
        let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
        let (mut sounding, mut silent) = (Vec::new(), Vec::new());
        for scene in (0..6).map(|seed| maker.make(seed)) {
            for (frame, target) in scene.frames.chunks_exact(config.frontend.mels).zip(&scene.targets) {
                let loudest = frame.iter().copied().fold(f32::MIN, f32::max);
                match target {
                    FrameTarget::Sounds(_) => sounding.push(loudest),
                    FrameTarget::Silence => silent.push(loudest),
                    FrameTarget::Unclear => {}
                }
            }
        }
        let quietest = sounding.iter().copied().fold(f32::MAX, f32::min);
        let mean_silence = silent.iter().sum::<f32>() / silent.len() as f32;
        assert!(quietest > mean_silence + 3.0, "{keep:?}: {quietest} against {mean_silence}");
    }
}

#[test]
fn several_voices_sound_together_each_number_equally_often() {
    let mut config = config(Config::default());
    config.voices = Voices { polyphony: "1..3".parse().unwrap(), ..Voices::default() };
    let clips: Vec<Clip> =
        (0_u8..6).map(|c| Clip::single(sine(200.0 * f32::from(c + 1), 48_000), c.into(), "").unwrap()).collect();
    let mut maker = SceneMaker::new(&config, &clips, 6).unwrap();
    let mut most = [0; 4];
    for scene in (0..120).map(|seed| maker.make(seed)) {
        let together = scene.targets.iter().map(|t| if let FrameTarget::Sounds(s) = t { s.count_ones() } else { 0 });
        most[together.max().unwrap_or(0) as usize] += 1;
    }
    // Two voices may play the same class by chance, and a few scenes are noise.
    assert!(most[1] > 25 && most[2] > 20 && most[3] > 15, "{most:?}");
}

#[test]
fn voices_by_range_come_from_low_and_high() {
    let hz = [100.0, 150.0, 200.0, 2000.0, 3000.0, 4000.0];
    let middles: Vec<f32> = hz.iter().map(|hz| middle_hz(&sine(*hz, 24_000), 24_000)).collect();
    assert!(middles.iter().zip(hz).all(|(got, hz)| (got - hz).abs() < 10.0), "{middles:?}");
    let registers = Registers::new(&middles);
    for (recording, voice) in [(0, 0), (2, 0), (3, 1), (5, 1)] {
        assert!(registers.fits(recording, voice, 2) && !registers.fits(recording, 1 - voice, 2), "{recording}");
    }
    let mut config = config(Config::off());
    config.voices = Voices { polyphony: "2".parse().unwrap(), choice: Choice::Range, ..Voices::default() };
    let clips: Vec<Clip> =
        hz.iter().enumerate().map(|(c, hz)| Clip::single(sine(*hz, 48_000), c % 3, "").unwrap()).collect();
    let mut maker = SceneMaker::new(&config, &clips, 3).unwrap();
    let mels = config.frontend.mels;
    let mut both = 0;
    for scene in (0..10).map(|seed| maker.make(seed)) {
        let loud = |frame: &[f32], part: std::ops::Range<usize>| {
            frame[part].iter().any(|x| *x > frame.iter().copied().fold(f32::MIN, f32::max) - 4.0)
        };
        both += scene.frames.chunks_exact(mels).filter(|f| loud(f, 0..mels / 4) && loud(f, mels / 2..mels)).count();
    }
    assert!(both > 500, "low and high together in {both} of 1500 frames");
}

#[test]
fn a_mixed_scene_says_what_it_is_made_of() {
    let mut augmentation = Config::default();
    augmentation.mixup.chance = 1.0;
    let (config, clips) = (config(augmentation), clips());
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    let mut together = 0;
    for scene in (0..20).map(|seed| maker.make(seed)) {
        let mixed = scene.mixed.unwrap();
        assert!((0.1..=0.9).contains(&mixed.share));
        for ((target, a), b) in scene.targets.iter().zip(&mixed.first).zip(&mixed.second) {
            match (a, b, target) {
                (FrameTarget::Unclear, _, t) | (_, FrameTarget::Unclear, t) => assert_eq!(*t, FrameTarget::Unclear),
                (FrameTarget::Sounds(a), FrameTarget::Sounds(b), t) => {
                    assert_eq!(*t, FrameTarget::Sounds(a | b));
                    together += usize::from(a != b);
                }
                (FrameTarget::Silence, one, t) | (one, FrameTarget::Silence, t) => assert_eq!(t, one),
            }
        }
    }
    assert!(together > 100, "{together}");
}

#[test]
fn blanked_moments_and_bands_are_as_wide_as_they_may_be() {
    let mut augmentation = Config::default();
    augmentation.band_mask.chance = 0.0;
    let (plain, clips) = (config(augmentation.clone()), clips());
    augmentation.time_mask = config::TimeMask { chance: 1.0, count: 2, longest_s: 0.1 };
    augmentation.band_mask = config::BandMask { chance: 1.0, count: 1, widest: 0.2 };
    let masked = config(augmentation);
    let mels = plain.frontend.mels;
    let (mut longest, mut widest) = (0, 0);
    for seed in 0..12 {
        let before = SceneMaker::new(&plain, &clips, 2).unwrap().make(seed);
        let after = SceneMaker::new(&masked, &clips, 2).unwrap().make(seed);
        assert_eq!(before.targets, after.targets);
        let blank = |frame: usize, band: usize| before.frames[frame * mels + band] != after.frames[frame * mels + band];
        let frames = (0..plain.frames).filter(|f| (0..mels).all(|m| blank(*f, m))).count();
        let bands = (0..mels).filter(|m| (0..plain.frames).all(|f| blank(f, *m))).count();
        assert!((1..=20).contains(&frames) && (1..=mels / 5).contains(&bands), "{frames} frames, {bands} bands");
        (longest, widest) = (longest.max(frames), widest.max(bands));
    }
    assert!(longest > 8 && widest > 4, "{longest} frames, {widest} bands");
}
