//! Techniques made of held notes: what they sound like, and what they are called.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::made::{Course, Made};
use super::super::note::{Note, Variation};
use super::super::*;
use super::scenes::config;
use super::{RATE, cents, sine, strongest_hz};

const HELD_HZ: f32 = 440.0;
const SECONDS: usize = 2;
const PLAIN: Variation = Variation { ratio: 1.0, factor: 1.0, formants: false };

fn played(course: Course, variation: &Variation, seed: u64) -> Vec<f32> {
    let clip = Clip::single(sine(HELD_HZ, 60_000), 0, "held").unwrap();
    let length = SECONDS * RATE as usize;
    let made = Made { class: 1, of: 0, chance: 1.0, course };
    let played = made.play(length, RATE as f32, &mut StdRng::seed_from_u64(seed)).unwrap();
    let note = Note::played_as(played, &clip, 0, length, variation, RATE as f32);
    assert_eq!(note.classes, 0b10, "it is no longer of the class of the recording");
    (0..length).map(|i| note.at(i, 1.0)).collect()
}

/// Cents above the held note, every 50 ms, as long as it sounds.
fn course(sound: &[f32]) -> Vec<f32> {
    let windows = sound.chunks_exact(1200).filter(|w| w.iter().any(|s| s.abs() > 0.5));
    windows.map(|window| cents(HELD_HZ, strongest_hz(window, 100.0, 2000.0))).collect()
}

#[test]
fn a_glide_goes_all_the_way_and_through_everything_between() {
    let glide = Course::Glide { semitones: Range(7.0, 7.0), seconds: Range(0.8, 0.8) };
    for seed in 0..6 {
        let course = course(&played(glide, &PLAIN, seed));
        let (low, high) = course.iter().fold((f32::MAX, f32::MIN), |(l, h), c| (l.min(*c), h.max(*c)));
        assert!((600.0..=860.0).contains(&(high - low)), "{seed}: {low} to {high}");
        let between = course.iter().filter(|c| (100.0..600.0).contains(&c.abs())).count();
        assert!(between * 2 > course.len(), "{seed}: {course:?}");
    }
}

#[test]
fn a_slur_steps_from_semitone_to_semitone() {
    let slur = Course::Slur { semitones: Range(2.0, 4.0), seconds: Range(0.3, 0.4) };
    for seed in 0..6 {
        let course = course(&played(slur, &PLAIN, seed));
        let off = |cents: &f32| (cents / 100.0 - (cents / 100.0).round()).abs() * 100.0;
        let on_a_step = course.iter().filter(|c| off(c) < 20.0).count();
        assert!(on_a_step * 4 > course.len() * 3, "{seed}: {course:?}");
        let mut steps: Vec<f32> = course.iter().map(|c| (c / 100.0).round()).collect();
        steps.dedup_by(|a, b| (*a - *b).abs() < 0.5);
        assert!(steps.len() >= 4, "{seed}: {steps:?}");
    }
}

/// Where pitch and time are treated apart, a copy of a part of the recording is played: it must reach to the end.
#[test]
fn what_rises_in_a_stretched_note_sounds_to_its_end() {
    let glide = Course::Glide { semitones: Range(7.0, 7.0), seconds: Range(1.0, 1.0) };
    let stretched = Variation { factor: 1.1, ..PLAIN };
    for seed in 0..6 {
        let sound = played(glide, &stretched, seed);
        let silent = sound.chunks_exact(1200).filter(|w| w.iter().all(|s| s.abs() < 0.1)).count();
        assert_eq!(silent, 0, "{seed}: stretches of silence");
    }
}

#[test]
fn a_note_that_is_too_short_to_be_bent_stays_what_it_is() {
    let course = Course::Slur { semitones: Range(1.0, 5.0), seconds: Range(0.3, 0.7) };
    let made = Made { class: 1, of: 0, chance: 1.0, course };
    let mut rng = StdRng::seed_from_u64(1);
    assert!(made.play(RATE as usize / 5, RATE as f32, &mut rng).is_none());
    assert!(made.play(RATE as usize / 2, RATE as f32, &mut rng).is_some());
}

/// The scene says the class that is heard, not that of the recording, and only for the share that was asked for.
#[test]
fn scenes_call_made_notes_by_their_new_class() {
    let mut clips: Vec<Clip> = [(0, 440.0), (1, 3000.0), (0, 3000.0)]
        .map(|(class, hz)| Clip::single(sine(hz, 40_000), class, "").unwrap())
        .into();
    // What is a phrase already is not bent.
    clips[2].is_phrase = true;
    let mut augmentation = Config::off();
    augmentation.glide.chance = 1.0;
    let names = ["sustained".to_owned(), "glissando".to_owned()];
    let made = Made::chosen(&augmentation, &names).unwrap();
    let scenes = SceneConfig { made, ..config(augmentation) };
    let mut maker = SceneMaker::new(&scenes, &clips, 2).unwrap();
    let mut glided = 0;
    for seed in 0..10 {
        let (scene, sound) = maker.make_heard(seed);
        for (window, targets) in sound.chunks_exact(1200).zip(scene.targets.chunks_exact(5)) {
            if targets.iter().all(|target| *target == FrameTarget::Sounds(0b10)) {
                let hz = strongest_hz(window, 100.0, 4000.0);
                assert!(hz < 2000.0, "the class's own recording, or a phrase, at {hz} Hz");
                glided += 1;
            }
        }
    }
    assert!(glided > 50, "{glided} stretches of the class that is made");
}

#[test]
fn classes_that_the_data_do_not_have_are_refused() {
    let mut augmentation = Config::off();
    augmentation.slur.chance = 0.3;
    let refused = Made::chosen(&augmentation, &["held".into(), "slurred".into()]).unwrap_err().to_string();
    assert_eq!(refused, "slur.of is «sustained», which is no class of the data: held, slurred");
    augmentation.slur.of = "held".into();
    assert_eq!(Made::chosen(&augmentation, &["held".into(), "slurred".into()]).unwrap()[0].of, 0);
    augmentation.slur.of = "none".into();
    let refused = Made::chosen(&augmentation, &["none".into(), "slurred".into()]).unwrap_err().to_string();
    assert!(refused.contains("slur.of is «none»"), "{refused}");
}
