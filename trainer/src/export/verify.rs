//! Whether an engine computes what the trainer computes.

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocco_models::{LogMel, Runner};

use crate::net::{Hearing, Net, values};
use crate::train::Settings;

/// The largest difference of a logit that is let pass.
pub const TOLERANCE: f32 = 1e-4;

/// How near an engine came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Largest absolute difference of a logit.
    pub difference: f32,
    /// Steps compared.
    pub steps: usize,
}

/// The trainer's own answer to a sequence of raw frames `[frames, mels]`: the logits after each step, one after the
/// other.
#[must_use]
pub fn whole_sequence(net: &Net, settings: &Settings, frames: &[f32]) -> Vec<f32> {
    let size = settings.options.frontend.frame_size();
    let time = frames.len() / size;
    let mut normalised = frames.to_vec();
    for frame in normalised.chunks_exact_mut(size) {
        for ((x, mean), deviation) in frame.iter_mut().zip(&settings.mean).zip(&settings.deviation) {
            *x = (*x - mean) / deviation;
        }
    }
    let step = settings.step_frames();
    if let Hearing::Window { .. } = settings.options.shape.hearing() {
        let windows = TensorData::new(normalised, [time / step, step, size]);
        return values(&net.forward(Tensor::<3>::from_data(windows, &Device::flex())));
    }
    let input = Tensor::<3>::from_data(TensorData::new(normalised, [1, time, size]), &Device::flex());
    let logits = values(&net.forward(input));
    let classes = settings.classes.len();
    (1..=time / step).flat_map(|s| logits[(s * step - 1) * classes..s * step * classes].iter().copied()).collect()
}

/// Runs `inputs` (each from reset) and compares with `expected`.
///
/// # Errors
/// Where a step fails, or a logit is further than [`TOLERANCE`] away.
pub fn agree(
    engine: &str,
    mut runner: Box<dyn Runner>,
    settings: &Settings,
    inputs: &[Vec<f32>],
    expected: &[Vec<f32>],
) -> Result<Agreement> {
    let classes = settings.classes.len();
    let mut logits = vec![0.0; classes];
    let mut agreement = Agreement { difference: 0.0, steps: 0 };
    for (frames, expected) in inputs.iter().zip(expected) {
        runner.reset()?;
        let steps = frames.chunks_exact(settings.step_frames() * settings.options.frontend.frame_size());
        for (step, wanted) in steps.zip(expected.chunks_exact(classes)) {
            runner.step(step, &mut logits)?;
            for (got, wanted) in logits.iter().zip(wanted) {
                let distance = (got - wanted).abs();
                // A NaN must not pass for agreement.
                agreement.difference =
                    agreement.difference.max(if distance.is_nan() { f32::INFINITY } else { distance });
            }
            agreement.steps += 1;
        }
    }
    if agreement.difference > TOLERANCE {
        bail!(
            "{engine} computes the network differently from the trainer: a logit is off by {:.2e}, {TOLERANCE:.0e} is \
             allowed",
            agreement.difference
        );
    }
    Ok(agreement)
}

/// What engines are compared on: frames of noise, and frames that the frontend makes of sound.
pub(super) fn inputs(settings: &Settings) -> Result<Vec<Vec<f32>>> {
    let step = settings.step_frames();
    // A window is as much work as many steps.
    let (noise, sound) = match settings.options.shape.hearing() {
        Hearing::Stream => (200, 150),
        Hearing::Window { .. } => (6, 10),
    };
    Ok(vec![noise_frames(settings, noise * step, 2), sound_frames(settings, sound * step)?])
}

/// Frames like those of training, but without rhyme: mean and deviation of each band are right. `[frames, mels]`
pub(super) fn noise_frames(settings: &Settings, frames: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..frames)
        .flat_map(|_| settings.mean.iter().zip(&settings.deviation).collect::<Vec<_>>())
        .map(|(mean, deviation)| mean + deviation * rng.random_range(-1.7..1.7_f32))
        .collect()
}

/// Frames of plucked strings with pauses, made here, through the real frontend.
fn sound_frames(settings: &Settings, frames: usize) -> Result<Vec<f32>> {
    let frontend = &settings.options.frontend;
    let rate = settings.options.sample_rate;
    let mut log_mel = LogMel::new(rate, frontend)?;
    let mut rng = StdRng::seed_from_u64(3);
    let mut out = Vec::with_capacity(frames * frontend.frame_size());
    let note = rate as usize / 2;
    let mut hz = 110.0_f32;
    for i in 0..frames * frontend.hop {
        if i % note == 0 {
            hz = 55.0 * rng.random_range(0.0..3.0_f32).exp2();
        }
        let t = (i % note) as f32 / rate as f32;
        let partials = (1..=8).map(|k| (std::f32::consts::TAU * hz * k as f32 * t).sin() / k as f32).sum::<f32>();
        let sample = 0.3 * (-12.0 * t).exp() * partials + 1e-4 * rng.random_range(-1.0..1.0_f32);
        if let Some(frame) = log_mel.push(sample) {
            out.extend_from_slice(frame);
        }
    }
    Ok(out)
}
