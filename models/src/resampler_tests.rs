#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::test_models::sine;

#[test]
fn a_clip_keeps_its_time_and_its_shape() {
    for from in [22_050.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0] {
        let resampled = resample_all(&sine(from, 440.0, 0.5), from, 24_000.0).unwrap();
        let wanted = sine(24_000.0, 440.0, 0.5);
        assert_eq!(resampled.len(), wanted.len());
        let middle = 1000..wanted.len() - 1000;
        let worst =
            resampled[middle.clone()].iter().zip(&wanted[middle]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // One sample late at most: the steepest slope of the sine is 0.0346 a sample.
        assert!(worst < 0.036, "from {from} Hz: {worst} off a sine of 0.3");
    }
}

#[test]
fn what_was_resampled_before_leaves_no_trace() {
    let (first, second) = (sine(44_100.0, 440.0, 0.3), sine(44_100.0, 1_000.0, 0.2));
    let alone = std::thread::scope(|s| s.spawn(|| resample_all(&second, 44_100.0, 24_000.0).unwrap()).join().unwrap());
    for rate in [44_100.0, 48_000.0] {
        resample_all(&first, rate, 24_000.0).unwrap();
        assert!(resample_all(&second, 44_100.0, 24_000.0).unwrap() == alone);
    }
    assert!(resample_all(&first, 1.0, 24_000.0).is_err());
    assert!(resample_all(&second, 44_100.0, 24_000.0).unwrap() == alone);
}

#[test]
fn what_the_model_can_not_hear_does_not_fold_back() {
    let resampled = resample_all(&sine(48_000.0, 17_000.0, 0.5), 48_000.0, 24_000.0).unwrap();
    let loudest = resampled[1000..11_000].iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    assert!(loudest < 0.001, "{loudest}");
}

/// The highest bands of a model, and what folds into them, must not tell at which rate a host runs.
#[test]
fn the_edge_of_hearing_is_the_same_at_every_rate() {
    let level_db = |from: f64, hz: f64| {
        let resampled = resample_all(&sine(from, hz, 0.3), from, 24_000.0).unwrap();
        let middle = &resampled[1000..resampled.len() - 1000];
        10.0 * (middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32).log10()
    };
    for hz in [9_500.0, 10_500.0, 11_200.0, 12_500.0] {
        let wanted = level_db(48_000.0, hz);
        for from in [44_100.0, 88_200.0, 96_000.0, 96_100.0, 192_000.0] {
            let got = level_db(from, hz);
            assert!(
                (got - wanted).abs() < 1.5 || got.max(wanted) < -60.0,
                "{hz} Hz from {from}: {got} dB, not {wanted}"
            );
        }
    }
}

#[test]
fn absurd_rates_are_refused() {
    for rate in [0.0, -48_000.0, f64::NAN, 1e9] {
        assert!(Resampler::new(rate, 24_000.0).is_err(), "{rate}");
    }
}

#[test]
fn a_tone_comes_out_as_it_went_in() {
    // 96.1 kHz has no exact filter.
    for from in [22_050.0, 44_100.0, 48_000.0, 88_200.0, 96_100.0] {
        let to = 24_000.0;
        let mut resampler = Resampler::new(from, to).unwrap();
        let late_s = resampler.delay_s();
        let mut out = Vec::new();
        resampler.push(&sine(from, 5_000.0, 0.2), |sample| out.push(f64::from(sample)));
        // The amplitude and phase of the tone by projection, and what is left beside it.
        let turn = |i: usize| std::f64::consts::TAU * 5_000.0 * (i as f64 / to - late_s);
        let middle = 480..4_320;
        let share = |wave: fn(f64) -> f64| middle.clone().map(|i| out[i] * wave(turn(i))).sum::<f64>() / 1_920.0;
        let (sine, cosine) = (share(f64::sin), share(f64::cos));
        assert!((sine.hypot(cosine) - 0.3).abs() < 1e-4, "from {from} Hz: {sine} {cosine}");
        let beside = middle.map(|i| (out[i] - sine * turn(i).sin() - cosine * turn(i).cos()).abs()).fold(0.0, f64::max);
        assert!(beside < 2e-5, "from {from} Hz: {beside}");
        // A sample and a half at most off the delay that is told.
        assert!(cosine.atan2(sine).abs() < 1.5 * turn(1) - 1.5 * turn(0), "from {from} Hz: {sine} {cosine}");
    }
}

#[test]
fn blocks_of_any_length_give_the_same_samples_at_the_same_time() {
    let sound = sine(44_100.0, 440.0, 0.1);
    for from in [44_100.0, 44_101.0, 48_000.0] {
        let cut = |block: usize| {
            let mut resampler = Resampler::new(from, 24_000.0).unwrap();
            resampler.push(&sound[..1_000], |_| ());
            resampler.reset();
            let mut out = Vec::new();
            for block in sound.chunks(block) {
                resampler.push_known(block, |known| {
                    out.extend((0..known.samples.len()).map(|i| (known.samples[i].to_bits(), known.at(i))));
                });
            }
            out
        };
        let whole = cut(sound.len());
        assert!(whole.len() > 2_000);
        for block in [1, 7, 59, 64, 1_000] {
            assert!(cut(block) == whole, "from {from} Hz in blocks of {block}");
        }
    }
}
