//! What a bad input does to a sound: clipping, few bits, a low sample rate.

/// Cuts off what passes `limit`, hard.
pub(super) fn clip_hard(samples: &mut [f32], limit: f32) {
    samples.iter_mut().for_each(|s| *s = s.clamp(-limit, limit));
}

/// Bends what comes near `limit`, so that nothing passes it.
pub(super) fn clip_soft(samples: &mut [f32], limit: f32) {
    samples.iter_mut().for_each(|s| *s = limit * (*s / limit).tanh());
}

/// Leaves 2^`bits` levels between -1 and 1.
pub(super) fn crush(samples: &mut [f32], bits: u32) {
    let half = 0.5 * 2.0_f32.powi(i32::try_from(bits).unwrap_or(16));
    samples.iter_mut().for_each(|s| *s = (s.clamp(-1.0, 1.0) * half).floor().min(half - 1.0) / half + 0.5 / half);
}

/// Holds each sample until one of the lower rate `hz` is due; nothing is filtered, so that what lies above half of it
/// folds back.
pub(super) fn decimate(samples: &mut [f32], hz: f32, rate: f32) {
    let (mut due, mut held) = (0.0_f64, 0.0);
    let step = f64::from(rate / hz).max(1.0);
    for (i, sample) in samples.iter_mut().enumerate() {
        if i as f64 >= due {
            held = *sample;
            due += step;
        }
        *sample = held;
    }
}
