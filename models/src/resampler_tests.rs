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

#[test]
fn absurd_rates_are_refused() {
    for rate in [0.0, -48_000.0, f64::NAN, 1e9] {
        assert!(Resampler::new(rate, 24_000.0).is_err(), "{rate}");
    }
}
