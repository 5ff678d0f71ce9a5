//! Windows cut from single recordings, and how often each recording is drawn.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocco_models::FrontendConfig;

use super::super::draw::Draw;
use super::super::*;
use super::{scenes, sine};
use crate::segments::{Padding, Segmentation, Trim};

/// Frames of a window: a third of a second.
const FRAMES: usize = 32;
const COUNT: usize = 4;

fn config(padding: Padding, augmentation: Config) -> SceneConfig {
    let frontend = FrontendConfig::default();
    let segment_s = (FRAMES * frontend.hop) as f32 / 24_000.0;
    let segmentation = Segmentation { segment_s, overlap: 0.5, padding, trim: Trim::Keep };
    let cut = Cut { segmentation, frames: FRAMES, count: COUNT };
    let frames = cut.frames_heard(24_000, &frontend);
    SceneConfig { frames, cut: Some(cut), ..scenes::config(augmentation) }
}

/// Each mel frame's loudest band, for the frames of a window.
fn loudest(scene: &Scene, end: usize) -> Vec<f32> {
    let mels = FrontendConfig::default().mels;
    let frames = scene.frames[(end - FRAMES) * mels..end * mels].chunks_exact(mels);
    frames.map(|frame| frame.iter().copied().fold(f32::MIN, f32::max)).collect()
}

#[test]
fn a_short_note_is_heard_as_on_stage_after_the_noise_of_a_silent_converter() {
    let clips = [Clip::single(sine(440.0, 2400), 1, "").unwrap()];
    let config = config(Padding::Minimal, Config::off());
    let mut maker = SceneMaker::new(&config, &clips, 2).unwrap();
    let mut heard = 0;
    for seed in 0..40 {
        let scene = maker.make(seed);
        assert_eq!(scene, SceneMaker::new(&config, &clips, 2).unwrap().make(seed), "equal seeds, equal windows");
        let windows = scene.windows.as_ref().unwrap();
        assert_eq!(windows.len(), COUNT);
        for window in windows.iter().filter(|w| w.target != FrameTarget::Silence) {
            assert_eq!((window.target, window.end), (FrameTarget::Sounds(0b10), config.frames));
            let levels = loudest(&scene, window.end);
            assert!(levels[FRAMES - 1] > levels[0] + 8.0, "{levels:?}");
            let digital_nothing = FrontendConfig::default().log_floor.ln();
            assert!(levels[..FRAMES - 15].iter().all(|level| *level > digital_nothing + 0.01), "{levels:?}");
            heard += 1;
        }
    }
    assert!(heard > 30 * COUNT && heard < 40 * COUNT, "now and then nothing plays: {heard}");
}

#[test]
fn silence_before_a_note_is_silence_and_windows_follow_each_other() {
    let mut samples = vec![0.0; 24_000];
    samples.extend(sine(440.0, 24_000));
    let clips = [Clip::single(samples, 0, "").unwrap()];
    let config = config(Padding::Full, Config::off());
    let mut maker = SceneMaker::new(&config, &clips, 1).unwrap();
    let (mut silent, mut sounding) = (0, 0);
    for seed in 0..60 {
        let (scene, sound) = maker.make_heard(seed);
        assert_eq!(sound.len(), config.frames * config.frontend.hop);
        let windows = scene.windows.as_ref().unwrap();
        assert!(windows.windows(2).all(|w| w[0].end <= w[1].end) && windows.iter().all(|w| w.end <= config.frames));
        for window in windows {
            let level = loudest(&scene, window.end).into_iter().fold(f32::MIN, f32::max);
            match window.target {
                FrameTarget::Silence => {
                    silent += 1;
                    assert!(level < -5.0, "{level}");
                }
                FrameTarget::Sounds(_) => {
                    sounding += 1;
                    assert!(level > -3.0, "{level}");
                }
                FrameTarget::Unclear => {}
            }
        }
    }
    assert!(silent > 20 && sounding > 20, "{silent} and {sounding}");
}

/// A high note that is shifted up gets shorter than a window: without padding it is heard as it is.
#[test]
fn a_note_that_variation_makes_too_short_is_heard_as_it_is() {
    let clips = [Clip::single(sine(440.0, 8000), 0, "").unwrap()];
    let mut augmentation = Config::off();
    augmentation.pitch_shift.chance = 1.0;
    augmentation.pitch_shift.semitones = Range(12.0, 12.0);
    let config = config(Padding::None, augmentation);
    let mut maker = SceneMaker::new(&config, &clips, 1).unwrap();
    let mut heard = |seed| maker.make(seed).windows.unwrap().iter().any(|w| w.target == FrameTarget::Sounds(1));
    assert!((0..20).filter(|seed| heard(*seed)).count() > 14);
}

#[test]
fn a_recording_is_drawn_as_often_as_its_weight_says() {
    let mut clips: Vec<Clip> =
        (0..4_u8).map(|i| Clip::single(sine(440.0, 4800), usize::from(i / 2), "").unwrap()).collect();
    (clips[0].weight, clips[3].weight) = (3.0, 0.25);
    let config = SceneConfig { cut: None, ..config(Padding::Full, Config::off()) };
    let (draw, mut rng) = (Draw::new(&config, &clips, 2), StdRng::seed_from_u64(rand::rng().random()));
    let mut counts = [0_u32; 4];
    for _ in 0..8000 {
        let class = draw.class(&mut rng);
        counts[draw.clip(class, &mut rng)] += 1;
    }
    let share = |a: usize, b: usize| f64::from(counts[a]) / f64::from(counts[a] + counts[b]);
    assert!((share(0, 1) - 0.75).abs() < 0.05 && (share(2, 3) - 0.8).abs() < 0.05, "{counts:?}");
    let of_first = f64::from(counts[0] + counts[1]) / 8000.0;
    assert!((of_first - 0.5).abs() < 0.05, "--balance 0 still draws all classes alike: {counts:?}");
}

/// Nine notes and a phrase: the square roots of 9 and 1 share the draws, instead of 9 and 1. And `none` as often as told.
#[test]
fn phrases_are_drawn_as_a_kind_of_their_own_and_none_by_its_share() {
    let mut clips: Vec<Clip> = (0..10).map(|_| Clip::single(sine(440.0, 4800), 0, "flute").unwrap()).collect();
    clips[9].is_phrase = true;
    clips.push(Clip::single(sine(440.0, 4800), 1, "").unwrap());
    let config = SceneConfig { none: Some(1), none_share: 0.25, cut: None, ..config(Padding::Full, Config::off()) };
    let (draw, mut rng) = (Draw::new(&config, &clips, 2), StdRng::seed_from_u64(rand::rng().random()));
    let (mut phrases, mut none) = (0, 0);
    for _ in 0..8000 {
        match draw.class(&mut rng) {
            0 => phrases += usize::from(draw.clip(0, &mut rng) == 9),
            _ => none += 1,
        }
    }
    let (phrases, none) = (phrases as f64 / (8000 - none) as f64, f64::from(none) / 8000.0);
    assert!((phrases - 0.25).abs() < 0.03 && (none - 0.2).abs() < 0.03, "{phrases} phrases, {none} of none");
}
