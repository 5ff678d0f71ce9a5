//! What each effect does to a whole sound.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::*;
use super::{RATE, band_db, buzz, hiss, level_db, sine, strongest_hz};

/// The sound after one effect alone.
fn after(config: &Config, sound: &[f32], seed: u64) -> Vec<f32> {
    let library = Library::default();
    through(config, &library, sound, seed)
}

fn through(config: &Config, library: &Library, sound: &[f32], seed: u64) -> Vec<f32> {
    config.check().unwrap();
    let mut sound = sound.to_vec();
    let mut effects = Effects::new(config, library, sound.len(), RATE);
    effects.apply(&mut sound, &mut StdRng::seed_from_u64(seed));
    sound
}

/// A configuration in which only what `set` says happens.
fn only(set: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::off();
    set(&mut config);
    config
}

#[test]
fn filters_change_what_they_are_asked_to_and_leave_the_rest() {
    let rate = RATE as f32;
    let cases = [
        (Biquad::shelf(true, 2000.0, 9.0, rate), 9000.0, 60.0, 9.0),
        (Biquad::shelf(false, 400.0, -7.0, rate), 40.0, 6000.0, -7.0),
        (Biquad::peak(1000.0, 1.0, 6.0, rate), 1000.0, 60.0, 6.0),
        (Biquad::pass(false, 500.0, rate), 1000.0, 60.0, -12.3),
        (Biquad::pass(true, 500.0, rate), 250.0, 6000.0, -12.3),
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
fn high_pass_takes_lows_low_pass_takes_highs() {
    let sound: Vec<f32> = sine(100.0, 24_000).iter().zip(sine(6000.0, 24_000)).map(|(a, b)| a + b).collect();
    let change = |config: &Config, from, to| band_db(&after(config, &sound, 1), from, to) - band_db(&sound, from, to);
    let low = only(|c| (c.low_pass.chance, c.low_pass.hz) = (1.0, Range(1500.0, 1500.0)));
    assert!(change(&low, 5800.0, 6200.0) < -20.0 && change(&low, 80.0, 120.0).abs() < 0.5);
    let high = only(|c| (c.high_pass.chance, c.high_pass.hz) = (1.0, Range(400.0, 400.0)));
    assert!(change(&high, 80.0, 120.0) < -20.0 && change(&high, 5800.0, 6200.0).abs() < 0.5);
}

#[test]
fn tilt_is_a_straight_slope_around_a_kilohertz() {
    let config = only(|c| (c.tilt.chance, c.tilt.db_per_octave) = (1.0, Range(-2.0, -2.0)));
    for (hz, wanted) in [(250.0, 4.0), (500.0, 2.0), (1000.0, 0.0), (2000.0, -2.0), (4000.0, -4.0)] {
        let db = level_db(&after(&config, &sine(hz, 24_000), 1));
        assert!((db - wanted).abs() < 0.6, "{db} dB at {hz} Hz");
    }
}

/// Values of ISO 9613-1:1993, table 1, in dB a kilometre.
#[test]
fn air_swallows_what_the_standard_says() {
    let table = [(20.0, 70.0, 1000.0, 4.98), (20.0, 70.0, 8000.0, 76.6), (10.0, 70.0, 4000.0, 32.8)];
    for (celsius, humidity, hz, db) in table {
        let got = 1000.0 * air_absorption(hz, celsius, humidity);
        assert!((got / db - 1.0).abs() < 0.02, "{got} dB/km at {hz} Hz, {celsius} degrees");
    }
    let config = only(|c| {
        c.air.chance = 1.0;
        (c.air.metres, c.air.celsius, c.air.humidity) = (Range(100.0, 100.0), Range(20.0, 20.0), Range(70.0, 70.0));
    });
    let db = level_db(&after(&config, &sine(8000.0, 24_000), 1));
    assert!((db + 7.66).abs() < 0.3, "{db} dB after 100 m");
}

#[test]
fn a_room_comes_behind_the_direct_sound() {
    let mut sound = vec![0.0; 12_000];
    sound[100] = 1.0;
    let got = after(&only(|c| c.room.chance = 1.0), &sound, 4);
    assert!((got[100] - 1.0).abs() < 1e-3, "the direct sound stays");
    assert!(got[..100].iter().all(|s| s.abs() < 1e-4), "nothing comes before it");
    assert!(got[150..2000].iter().any(|s| s.abs() > 1e-4), "the room answers");
}

#[test]
fn a_recorded_room_is_read_from_its_folder_and_starts_with_its_direct_sound() {
    let folder = tempfile::tempdir().unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(folder.path().join("hall.wav"), spec).unwrap();
    for i in 0..4800_u16 {
        writer
            .write_sample(match i {
                50 => 0.5_f32,
                650 => -0.25,
                _ => 0.0,
            })
            .unwrap();
    }
    writer.finalize().unwrap();
    let mut config = only(|c| c.recorded_room.chance = 1.0);
    config.recorded_room.folder = folder.path().into();
    let library = Library::load(&config, RATE).unwrap();
    let mut sound = vec![0.0; 3000];
    sound[10] = 1.0;
    let got = through(&config, &library, &sound, 1);
    assert!((got[10] - 1.0).abs() < 1e-4 && (got[610] + 0.5).abs() < 1e-4, "{} {}", got[10], got[610]);
    config.recorded_room.folder = folder.path().join("nowhere");
    let refusal = format!("{:#}", Library::load(&config, RATE).unwrap_err());
    assert!(refusal.contains("recorded_room.folder") && refusal.contains("nowhere"), "{refusal}");
}

#[test]
fn a_phone_lets_speech_pass_and_little_else() {
    let config = only(|c| {
        c.microphone.chance = 1.0;
        c.microphone.kinds = vec![config::Microphone::Phone];
        c.microphone.ripple_db = 0.0;
    });
    let db = |hz| level_db(&after(&config, &sine(hz, 24_000), 3));
    assert!(
        db(1000.0).abs() < 1.0 && db(60.0) < -30.0 && db(8000.0) < -30.0,
        "{} {} {}",
        db(1000.0),
        db(60.0),
        db(8000.0)
    );
    let curves: Vec<f32> = {
        let config = only(|c| c.microphone.chance = 1.0);
        (0..4).map(|seed| level_db(&after(&config, &sine(1000.0, 24_000), seed))).collect()
    };
    assert!(curves.windows(2).all(|w| (w[0] - w[1]).abs() > 0.01), "no two microphones are alike: {curves:?}");
}

#[test]
fn gain_sets_the_peak_and_polarity_turns_the_wave() {
    let sound = sine(300.0, 12_000);
    let config = only(|c| (c.gain.chance, c.gain.peak_dbfs) = (1.0, Range(-20.0, -20.0)));
    let peak = after(&config, &sound, 1).iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    assert!((peak - 0.1).abs() < 1e-4, "{peak}");
    let turned = after(&only(|c| c.polarity.chance = 1.0), &sound, 1);
    assert!(turned.iter().zip(&sound).all(|(a, b)| *a == -b));
}

#[test]
fn clipping_leaves_nothing_above_its_limit_and_makes_partials() {
    let sound = sine(500.0, 24_000);
    for (soft, level) in [(0.0, gain(-12.0)), (1.0, gain(-12.0))] {
        let config =
            only(|c| (c.clipping.chance, c.clipping.over_db, c.clipping.soft) = (1.0, Range(12.0, 12.0), soft));
        let got = after(&config, &sound, 1);
        let peak = got.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
        assert!(peak <= level * 1.001 && peak > 0.9 * level, "{peak}");
        assert!(band_db(&got, 1400.0, 1600.0) > band_db(&sound, 1400.0, 1600.0) + 40.0, "a third partial");
    }
}

#[test]
fn a_crushed_sound_has_as_many_levels_as_its_bits_say() {
    let config = only(|c| (c.bit_crush.chance, c.bit_crush.bits) = (1.0, Range(5.0, 5.0)));
    let levels: std::collections::BTreeSet<u32> =
        after(&config, &sine(1.3, 24_000), 1).iter().map(|s| s.to_bits()).collect();
    assert_eq!(levels.len(), 32);
}

#[test]
fn a_lower_rate_folds_back_what_it_can_not_hold() {
    let config = only(|c| (c.decimation.chance, c.decimation.hz) = (1.0, Range(8000.0, 8000.0)));
    let sound = sine(5000.0, 24_000);
    let got = after(&config, &sound, 1);
    assert!((strongest_hz(&got, 100.0, 4000.0) - 3000.0).abs() < 5.0, "5 kHz comes back as 3 kHz");
    assert!(band_db(&got, 2900.0, 3100.0) > band_db(&sound, 2900.0, 3100.0) + 40.0);
}

#[test]
fn noises_have_the_level_and_the_colour_that_they_are_asked_for() {
    let under = |set: fn(&mut config::NoiseShares)| {
        let mut config = only(|c| (c.noise.chance, c.noise.under_db) = (1.0, Range(20.0, 20.0)));
        let mut shares = config::NoiseShares { coloured: 0, hum: 0, clicks: 0, white: 0, pink: 0 };
        set(&mut shares);
        config.noise.shares = shares;
        let mut sound = vec![0.0; 24_000];
        sound[0] = 1.0;
        let mut got = after(&config, &sound, 2);
        got[0] = 0.0;
        got
    };
    let rms_db = |s: &[f32]| level_db(s) - 3.01;
    let (white, pink) = (under(|s| s.white = 1), under(|s| s.pink = 1));
    assert!((rms_db(&white) + 20.0).abs() < 0.5, "{}", rms_db(&white));
    assert!((rms_db(&pink) + 20.0).abs() < 1.5, "{}", rms_db(&pink));
    for (sound, slope) in [(&white, 3.0), (&pink, 0.0)] {
        // Each octave of white noise holds twice the power of the one below, of pink noise as much.
        let octaves = [200.0, 400.0, 800.0, 1600.0, 3200.0].map(|hz| band_db(sound, hz, 2.0 * hz));
        let mean = (octaves[4] - octaves[0]) / 4.0;
        assert!((mean - slope).abs() < 0.7, "{mean} dB an octave: {octaves:?}");
    }
    let hum = under(|s| s.hum = 1);
    let mains = strongest_hz(&hum, 30.0, 500.0);
    let harmonic = [50.0, 60.0].iter().any(|m| (mains / m - (mains / m).round()).abs() < 0.02);
    assert!(harmonic, "{mains} Hz");
}

#[test]
fn backgrounds_come_from_their_recordings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("hall")).unwrap();
    let config = only(|c| {
        (c.backgrounds.chance, c.backgrounds.under_db) = (1.0, Range(30.0, 30.0));
        c.backgrounds.folder = folder.path().into();
    });
    assert!(Library::load(&config, RATE).unwrap_err().to_string().contains("holds no recording"));
    crate::audio::write_wav(&folder.path().join("hall/hum.wav"), &sine(700.0, 5000), RATE).unwrap();
    let library = Library::load(&config, RATE).unwrap();
    let mut sound = vec![0.0; 24_000];
    sound[0] = 1.0;
    let got = through(&config, &library, &sound, 5);
    assert!((strongest_hz(&got, 100.0, 5000.0) - 700.0).abs() < 3.0);
    assert!((level_db(&got) - 3.01 + 30.0).abs() < 0.3, "{}", level_db(&got));
}

#[cfg(feature = "codecs")]
#[test]
fn coders_keep_the_note_in_its_place_and_lose_something() {
    let mut sound = vec![0.0; 6000];
    sound.extend(buzz(440.0).iter().take(12_000));
    sound.resize(24_000, 0.0);
    for kind in [Codec::Mp3, Codec::Opus] {
        let config = only(|c| {
            c.lossy_coding.chance = 1.0;
            (c.lossy_coding.kinds, c.lossy_coding.kbits) = (vec![kind], Range(48.0, 48.0));
        });
        let got = after(&config, &sound, 1);
        let power: f32 = sound.iter().map(|s| s * s).sum();
        let wrong: f32 = got.iter().zip(&sound).map(|(a, b)| (a - b) * (a - b)).sum();
        assert!(wrong > 1e-6 * power, "{kind:?} is lossy");
        let likeness = |by: usize| got[by..].iter().zip(&sound).map(|(a, b)| a * b).sum::<f32>();
        let best = (0..400).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        assert!(best <= 2, "{kind:?} is {best} samples late");
        assert!(super::cents(440.0, strongest_hz(&got, 300.0, 600.0)).abs() < 2.0, "{kind:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    let refusal = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aug.toml");
        std::fs::write(&path, text).unwrap();
        format!("{:#}", Config::read(&path, &Config::default()).unwrap_err())
    };
    assert!(refusal("[detune]\nchance = 2").contains("detune.chance is 2"));
    assert!(refusal("[gain]\npeak_dbfs = [0, -20]").contains("the first must not be above the second"));
    assert!(refusal("[room]\nrt60_s = [0.1, 9]").contains("room.rt60_s"));
    assert!(refusal("[release]\nafter_s = [0, 2]").contains("release.after_s"));
    let unknown = refusal("[detune]\ncent = [1, 2]");
    let meant = "aug.toml, line 2: augmentation has no key «detune.cent» (did you mean «cents»?)";
    assert!(unknown.ends_with(meant), "{unknown}");
    let unknown = refusal("[detune]\nchance = 1\n\n[pich_shift]\nchance = 1");
    assert!(unknown.contains("line 4") && unknown.contains("(did you mean «pitch_shift»?)"), "{unknown}");
    let wrong = refusal("[detune]\nchance = 1\ncents = 3");
    assert!(wrong.contains("aug.toml, line 3: «detune.cents»"), "{wrong}");
    let deeper = refusal("[noise.shares]\nwhit = 3");
    assert!(deeper.contains("«noise.shares.whit» (did you mean «white»?)"), "{deeper}");
    if !Codec::BUILT_IN {
        assert!(refusal("[lossy_coding]\nchance = 0.5").contains("--features codecs"));
    }
}

/// The file that is offered as a start holds every effect, and can be read.
#[test]
fn the_recipe_turns_everything_on_that_needs_no_recordings() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/augment.toml");
    let config = Config::read(&path, &Config::default()).unwrap();
    let sound = after(&config, &buzz(220.0), 3);
    assert!(sound.iter().all(|s| s.is_finite()));
    let text = toml::Table::try_from(&config).unwrap();
    let off: Vec<&String> = text.iter().filter(|(_, t)| t["chance"].as_float() == Some(0.0)).map(|(k, _)| k).collect();
    // `glide` and `slur` ask for classes of their names.
    assert_eq!(off, ["backgrounds", "glide", "lossy_coding", "mixup", "recorded_room", "slur"]);
}

/// Filters whose edge lies above half the rate would ring for ever, or give no numbers.
#[test]
fn tone_colour_stays_finite_at_low_rates() {
    let mut config = Config::off();
    config.tone_colour.chance = 1.0;
    for rate in [8000, 11_025] {
        for seed in 0..200 {
            let sound = copy(&hiss(4000, seed), rate, &config, &Library::default(), seed);
            let peak = sound.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
            assert!(sound.iter().all(|s| s.is_finite()) && peak < 100.0, "{rate} Hz, seed {seed}: {peak}");
        }
    }
}

/// Every effect that changes a whole sound, always on.
fn everything() -> Config {
    let mut config = Config::default();
    let chances = [
        &mut config.tone_colour.chance,
        &mut config.tilt.chance,
        &mut config.high_pass.chance,
        &mut config.low_pass.chance,
        &mut config.air.chance,
        &mut config.room.chance,
        &mut config.microphone.chance,
        &mut config.gain.chance,
        &mut config.noise.chance,
        &mut config.clipping.chance,
        &mut config.bit_crush.chance,
        &mut config.decimation.chance,
        &mut config.polarity.chance,
    ];
    chances.into_iter().for_each(|chance| *chance = 0.5);
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sound_stays_finite_and_as_long_and_equal_seeds_agree(
        length in 0_usize..3000,
        seed in any::<u64>(),
    ) {
        let sound = hiss(length, seed);
        let config = everything();
        let got = after(&config, &sound, seed);
        prop_assert_eq!(got.len(), sound.len());
        prop_assert!(got.iter().all(|s| s.is_finite()));
        prop_assert_eq!(&got, &after(&config, &sound, seed));
        prop_assert_eq!(&sound, &after(&Config::off(), &sound, seed), "what is off changes no bit");
        let library = Library::default();
        prop_assert_eq!(&sound, &copy(&sound, RATE, &Config::off(), &library, seed));
        prop_assert_eq!(copy(&sound, RATE, &config, &library, seed), copy(&sound, RATE, &config, &library, seed));
    }
}
