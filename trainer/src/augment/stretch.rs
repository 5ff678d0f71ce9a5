//! Longer and shorter sounds of the same pitch, and the tone colour of a body under another pitch.

use std::f32::consts::TAU;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

/// Length of a grain, in seconds: two periods of the lowest string.
const GRAIN_S: f32 = 0.05;
/// How far a grain may be moved so that it goes on where the one before ends, in seconds.
const SEARCH_S: f32 = 0.0125;

/// `samples` made `factor` times as long at the same pitch: grains overlapped so that their waves go on in each other
/// (WSOLA; W. Verhelst and M. Roelands 1993). The length of the result is rounded to a sample.
#[must_use]
pub fn stretch(samples: &[f32], factor: f64, rate: f32) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of clips")]
    let (length, hop, search) =
        ((samples.len() as f64 * factor).round() as usize, (0.5 * GRAIN_S * rate) as usize, (SEARCH_S * rate) as isize);
    let window: Vec<f32> = (0..2 * hop).map(|i| 0.5 - 0.5 * (TAU * i as f32 / (2 * hop) as f32).cos()).collect();
    let mut out = vec![0.0; length + 3 * hop];
    // The first grain starts half a grain early, so that the sound begins at full level.
    let mut last = 0_isize;
    for (n, at) in (0..length + hop).step_by(hop).enumerate() {
        let start = signed(at) - signed(hop);
        #[expect(clippy::cast_possible_truncation, reason = "a position within a clip")]
        let ideal = ((start as f64) / factor).round() as isize;
        let from = if n == 0 { start } else { best_start(samples, last + signed(hop), ideal, search, hop) };
        for (i, (cell, w)) in out[at..at + 2 * hop].iter_mut().zip(&window).enumerate() {
            *cell += w * sample(samples, from + signed(i));
        }
        last = from;
    }
    out.drain(..hop);
    out.truncate(length);
    out
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

fn sample(samples: &[f32], at: isize) -> f32 {
    usize::try_from(at).ok().and_then(|at| samples.get(at)).copied().unwrap_or(0.0)
}

/// Where, near `ideal`, the sound is most like what follows from `natural` on: first on every fourth sample, then
/// around the best of those.
fn best_start(samples: &[f32], natural: isize, ideal: isize, search: isize, grain: usize) -> isize {
    const COARSE: usize = 4;
    let likeness = |from: isize, step: usize| {
        let (mut product, mut power) = (0.0_f32, 1e-9_f32);
        for i in (0..grain).step_by(step).map(signed) {
            let candidate = sample(samples, from + i);
            product += candidate * sample(samples, natural + i);
            power += candidate * candidate;
        }
        product / power.sqrt()
    };
    // The first of equals, counted from the middle: silence stays where it is.
    let best = |middle: isize, reach: isize, apart: usize, step: usize| {
        let candidates = (middle - reach..=middle + reach).step_by(apart).map(|from| (from, likeness(from, step)));
        candidates.fold((middle, likeness(middle, step)), |best, next| if next.1 > best.1 { next } else { best }).0
    };
    let near = best(ideal, search, COARSE, COARSE);
    best(near, signed(COARSE) - 1, 1, 2)
}

/// Gives a sound whose frequencies were all multiplied by `ratio` the tone colour from before: the smooth course of each
/// short spectrum (its cepstrum's beginning) is moved back by the ratio.
#[must_use]
pub fn restore_formants(samples: &[f32], ratio: f32, rate: f32) -> Vec<f32> {
    /// What varies quicker over the spectrum than this is the string or the voice, not the body, in seconds.
    const LIFTER_S: f32 = 0.0015;
    /// Most that any band is changed, in nepers: 20 dB.
    const MOST: f32 = 2.3;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand samples")]
    let (size, lifter) = (((0.03 * rate) as usize).next_power_of_two(), (LIFTER_S * rate) as usize);
    let hop = size / 4;
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let window: Vec<f32> = (0..size).map(|i| 0.5 - 0.5 * (TAU * i as f32 / size as f32).cos()).collect();
    // Squared Hann windows a quarter apart sum to 1.5; the inverse transform multiplies by the size.
    let scale = 1.0 / (1.5 * size as f32);
    let mut out = vec![0.0; samples.len() + 2 * size];
    let (mut wave, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    let mut course = backward.make_input_vec();
    for at in (0..samples.len() + size).step_by(hop) {
        for (i, (cell, w)) in wave.iter_mut().zip(&window).enumerate() {
            *cell = w * sample(samples, signed(at + i) - signed(size));
        }
        let mut done = forward.process(&mut wave, &mut spectrum).is_ok();
        for (c, s) in course.iter_mut().zip(&spectrum) {
            *c = Complex32::new((s.norm() + 1e-6).ln() / size as f32, 0.0);
        }
        done &= backward.process(&mut course, &mut wave).is_ok();
        wave[lifter..=size - lifter].fill(0.0);
        done &= forward.process(&mut wave, &mut course).is_ok();
        for (k, s) in spectrum.iter_mut().enumerate() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the spectrum")]
            let before = ((k as f32 * ratio).round() as usize).min(size / 2);
            *s *= (course[before].re - course[k].re).clamp(-MOST, MOST).exp();
        }
        spectrum[0].im = 0.0;
        spectrum[size / 2].im = 0.0;
        done &= backward.process(&mut spectrum, &mut wave).is_ok();
        // The plans' own lengths: no transform can refuse them.
        debug_assert!(done);
        for ((cell, s), w) in out[at..].iter_mut().zip(&wave).zip(&window) {
            *cell += s * w * scale;
        }
    }
    out.drain(..size);
    out.truncate(samples.len());
    out
}
