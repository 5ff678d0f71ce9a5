//! Whether an engine computes what the trainer computes.

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocco_models::{LogMel, Runner};

use crate::engine::Provider;
use crate::net::{Hearing, Net, values};
use crate::train::Settings;

/// The largest difference of a logit that is let pass where 32-bit floats are computed as such.
pub const TOLERANCE: f32 = 1e-4;
/// The same where products are computed in TF32: 10 bits of mantissa instead of 23, as NVIDIA's cards do by default.
pub const TF32_TOLERANCE: f32 = 2e-2;
/// The same where all may be computed in half precision, as Apple's neural engine does: 10 bits, sums included.
pub const HALF_TOLERANCE: f32 = 5e-2;

/// The largest difference of a logit that is let pass on a provider, and what it computes in.
#[must_use]
pub fn tolerance(provider: Provider) -> (f32, &'static str) {
    match provider {
        Provider::Cpu => (TOLERANCE, "32-bit floats"),
        Provider::Cuda => (TF32_TOLERANCE, "TF32"),
        Provider::Coreml => (HALF_TOLERANCE, "half precision"),
    }
}

/// How near an engine came.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
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
    settings.normalise(&mut normalised);
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

/// Runs `inputs` (each from reset, in steps of `step` numbers) and compares with `expected`, `classes` logits a step.
///
/// # Errors
/// Where a step fails, or a logit is further than `tolerance` away.
pub fn agree(
    engine: &str,
    mut runner: Box<dyn Runner>,
    (step, classes): (usize, usize),
    inputs: &[Vec<f32>],
    expected: &[Vec<f32>],
    tolerance: f32,
) -> Result<Agreement> {
    let mut logits = vec![0.0; classes];
    let mut agreement = Agreement { difference: 0.0, steps: 0 };
    for (numbers, expected) in inputs.iter().zip(expected) {
        runner.reset()?;
        for (now, wanted) in numbers.chunks_exact(step).zip(expected.chunks_exact(classes)) {
            runner.step(now, &mut logits)?;
            for (got, wanted) in logits.iter().zip(wanted) {
                let distance = (got - wanted).abs();
                // A NaN must not pass for agreement.
                agreement.difference =
                    agreement.difference.max(if distance.is_nan() { f32::INFINITY } else { distance });
            }
            agreement.steps += 1;
        }
    }
    if agreement.difference > tolerance {
        bail!(
            "{engine} computes the network differently from the trainer: a logit is off by {:.2e}, {tolerance:.0e} is \
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

/// Frames of plucked strings through the real frontend.
fn sound_frames(settings: &Settings, frames: usize) -> Result<Vec<f32>> {
    let frontend = &settings.options.frontend;
    let mut log_mel = LogMel::new(settings.options.sample_rate, frontend)?;
    let mut out = Vec::with_capacity(frames * frontend.frame_size());
    let sound = plucked(settings.options.sample_rate, frames * frontend.hop);
    log_mel.push_all(&sound, |frame| out.extend_from_slice(frame));
    Ok(out)
}

/// Plucked strings with pauses, made here, at a rate in Hz.
pub(crate) fn plucked(rate: u32, samples: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(3);
    let note = rate as usize / 2;
    let mut hz = 110.0_f32;
    (0..samples)
        .map(|i| {
            if i % note == 0 {
                hz = 55.0 * rng.random_range(0.0..3.0_f32).exp2();
            }
            let t = (i % note) as f32 / rate as f32;
            let partials = (1..=8).map(|k| (std::f32::consts::TAU * hz * k as f32 * t).sin() / k as f32).sum::<f32>();
            0.3 * (-12.0 * t).exp() * partials + 1e-4 * rng.random_range(-1.0..1.0_f32)
        })
        .collect()
}
