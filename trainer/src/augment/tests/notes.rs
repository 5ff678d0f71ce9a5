//! What happens to single notes: pitch, time, tuning.

use proptest::prelude::*;

use super::super::config::Keep;
use super::super::*;
use super::{RATE, band_db, buzz, cents, hiss, level_db, sine, strongest_hz};

fn only(set: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::off();
    set(&mut config);
    config
}

fn varied(config: &Config, sound: &[f32]) -> Vec<f32> {
    copy(sound, RATE, config, &Library::default(), 1)
}

#[test]
fn speed_changes_pitch() {
    let slow = sine(500.0, 24_000);
    let fast = sine(700.0, 16_000);
    let worst = (10..16_000_u16)
        .map(|i| sample_at(&slow, f64::from(i) * 1.4) - fast[usize::from(i)])
        .fold(0.0_f32, |m, d| m.max(d.abs()));
    assert!(worst < 0.01, "{worst}");
}

#[test]
fn detune_moves_the_pitch_by_its_cents() {
    for wanted in [-35.0, 20.0] {
        let config = only(|c| (c.detune.chance, c.detune.cents) = (1.0, Range(wanted, wanted)));
        let got = cents(440.0, strongest_hz(&varied(&config, &sine(440.0, 24_000)), 300.0, 600.0));
        assert!((got - wanted).abs() < 2.0, "{got} cents");
    }
}

#[test]
fn a_pitch_shift_keeps_what_it_is_told_to_keep() {
    let sound = buzz(220.0);
    // A body that rings at 1500 Hz.
    let mut note = sound.clone();
    Biquad::peak(1500.0, 0.8, 24.0, RATE as f32).run(&mut note);
    let centre = |sound: &[f32]| {
        let bands = (0..40_u8).map(|k| 500.0 + 100.0 * f32::from(k));
        let powers = bands.map(|hz| (hz, gain(2.0 * band_db(sound, hz - 50.0, hz + 50.0))));
        let (weighted, whole) = powers.fold((0.0, 0.0), |(w, s), (hz, p)| (w + hz * p, s + p));
        weighted / whole
    };
    for (keep, length, body) in [
        (Keep::Nothing, 24_000.0 / 1.3348, 1500.0 * 1.3348),
        (Keep::Time, 24_000.0, 1500.0 * 1.3348),
        (Keep::Formants, 24_000.0, 1500.0),
    ] {
        let config = only(|c| {
            (c.pitch_shift.chance, c.pitch_shift.semitones, c.pitch_shift.keep) = (1.0, Range(5.0, 5.0), keep);
        });
        let got = varied(&config, &note);
        let tuned = cents(220.0, strongest_hz(&got, 200.0, 400.0));
        assert!((tuned - 500.0).abs() < 8.0, "{keep:?}: {tuned} cents");
        assert!((got.len() as f32 - length).abs() < 20.0, "{keep:?}: {} samples", got.len());
        let ratio = centre(&got) / centre(&note) * 1500.0 / body;
        assert!((0.9..1.1).contains(&ratio), "{keep:?}: the body rings {ratio} times where it should");
        assert!((level_db(&got) - level_db(&note)).abs() < 3.0, "{keep:?}");
    }
}

#[test]
fn stretching_changes_the_length_and_neither_pitch_nor_level() {
    for hz in [55.0, 440.0, 2000.0] {
        let note = buzz(hz);
        for factor in [0.7, 1.0, 1.5] {
            let got = stretch(&note, factor, RATE as f32);
            assert!((got.len() as f64 - 24_000.0 * factor).abs() <= 0.5);
            let off = cents(hz, strongest_hz(&got, 0.8 * hz, 1.2 * hz));
            assert!(off.abs() < 12.0, "{hz} Hz, {factor}: {off} cents");
            let change = level_db(&got) - level_db(&note);
            assert!(change.abs() < 1.0, "{hz} Hz, {factor}: {change} dB");
        }
    }
}

#[test]
fn a_stretched_note_begins_where_it_began() {
    let mut note = vec![0.0; 12_000];
    note.extend(buzz(330.0));
    let got = stretch(&note, 1.5, RATE as f32);
    let onset = got.iter().position(|s| s.abs() > 0.05).unwrap();
    assert!(onset.abs_diff(18_000) < 900, "the attack stands at {onset}");
}

#[test]
fn time_shift_moves_the_sound_and_fills_with_silence() {
    let sound = sine(100.0, 12_000);
    for (seconds, at) in [(0.1, 2400_usize), (-0.1, 0)] {
        let config = only(|c| (c.time_shift.chance, c.time_shift.seconds) = (1.0, Range(seconds, seconds)));
        let got = varied(&config, &sound);
        assert_eq!(got.len(), sound.len());
        let (to, from) = if seconds > 0.0 { (&got[at..], &sound[..9600]) } else { (&got[..9600], &sound[2400..]) };
        assert_eq!(to, from);
        let rest = if seconds > 0.0 { &got[..2400] } else { &got[9600..] };
        assert!(rest.iter().all(|s| *s == 0.0));
    }
}

#[test]
fn swell_changes_the_level_by_its_slope() {
    let config = only(|c| (c.swell.chance, c.swell.db_per_s) = (1.0, Range(-10.0, -10.0)));
    let got = varied(&config, &sine(500.0, 24_000));
    let drop = level_db(&got[..12_000]) - level_db(&got);
    // From the second quarter to the second half: 0.375 s on average.
    assert!((drop - 3.7).abs() < 0.3, "{drop} dB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_note_stays_finite_under_any_variation(
        length in 0_usize..4000,
        semitones in -12.0_f32..12.0,
        factor in 0.5_f32..2.0,
        seed in any::<u64>(),
    ) {
        let sound = hiss(length, seed);
        for keep in [Keep::Nothing, Keep::Time, Keep::Formants] {
            let config = only(|c| {
                (c.pitch_shift.chance, c.pitch_shift.semitones, c.pitch_shift.keep) = (1.0, Range(semitones, semitones), keep);
                (c.time_stretch.chance, c.time_stretch.factor) = (1.0, Range(factor, factor));
            });
            let got = copy(&sound, RATE, &config, &Library::default(), seed);
            prop_assert!(got.iter().all(|s| s.is_finite()));
            let pitch = if keep == Keep::Nothing { (f64::from(semitones) / 12.0).exp2() } else { 1.0 };
            let wanted = sound.len() as f64 * f64::from(factor) / pitch;
            prop_assert!((got.len() as f64 - wanted).abs() <= 2.0, "{} samples of {wanted}", got.len());
            prop_assert_eq!(got, copy(&sound, RATE, &config, &Library::default(), seed));
        }
    }
}
