//! Each term of a decision's delay, measured by what changes when it is taken away.

use anyhow::{Context, Result};
use tocco_models::{Frontend, Latency, Model, Policy, Recognizer, Smoothing};

use crate::sounds::{Tone, render};
use crate::synthetic;

/// The rate that the synthetic model works at, in Hz: there nothing is resampled.
const MODEL_RATE: f64 = 24_000.0;
/// The minimum duration that is measured, in ms.
const MIN_DURATION_MS: f32 = 50.0;
/// Changes of the sound, spread evenly over one hop.
const PHASES: usize = 48;
/// The low tone and the high one.
const TONES: [f64; 2] = [220.0, 4000.0];

/// One term.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Its name.
    pub name: &'static str,
    /// As [`Recognizer::latency`] says, in seconds.
    pub computed: f64,
    /// As it was found, in seconds.
    pub measured: f64,
}

/// Every term of the synthetic model that answers at once, for sound at `rate` Hz that changes from one tone to another
/// of the same strength.
///
/// # Errors
/// Where a recognizer can't be made.
pub fn terms(rate: f64) -> Result<Vec<Term>> {
    let off = Policy { smoothing: Smoothing::MovingAverage { ms: 0.0 }, ..Policy::default() };
    let held = Policy { min_duration_ms: MIN_DURATION_MS, ..off };
    let (bare, plain) = (Delays::of(MODEL_RATE, &off)?, Delays::of(rate, &off)?);
    let (smoothed, lasting) = (Delays::of(rate, &Policy::default())?, Delays::of(rate, &held)?);
    let term = |name, computed, measured| Term { name, computed, measured };
    Ok(vec![
        term("resampler", plain.computed.resampler, plain.longest - bare.longest),
        term("half of the analysis window", bare.computed.window, bare.shortest),
        term("hop", bare.computed.hop, bare.longest - bare.shortest),
        term("smoothing", smoothed.computed.smoothing, smoothed.longest - plain.longest),
        term("minimum duration", lasting.computed.min_duration, lasting.longest - plain.longest),
        term("sum, with smoothing", smoothed.computed.total(), smoothed.longest),
    ])
}

/// How long it takes until the new tone is decided on.
struct Delays {
    computed: Latency,
    shortest: f64,
    longest: f64,
}

impl Delays {
    fn of(rate: f64, policy: &Policy) -> Result<Self> {
        let model = Model::from_bytes(&synthetic::at_once()?)?;
        let strength = balance(&model, rate)?;
        let hop = model.card().hop() as f64 / MODEL_RATE;
        let mut delays = Self { computed: Latency::default(), shortest: f64::MAX, longest: 0.0 };
        for phase in 0..PHASES {
            let low_s = 0.5 + hop * phase as f64 / PHASES as f64;
            let low = steady(TONES[0], low_s, rate, 1.0);
            let sound = [low.clone(), steady(TONES[1], 0.4, rate, strength)].concat();
            let mut recognizer = Recognizer::new(&model, rate, policy)?;
            delays.computed = recognizer.latency();
            let mut decided = None;
            recognizer.push(&sound, |decision| {
                if decision.class == Some(synthetic::HIGH) && decision.known_at > low.len() as u64 {
                    decided = decided.or(Some(decision.known_at));
                }
            })?;
            let delay = (decided.context("the high tone is not heard")? as f64 - low.len() as f64) / rate;
            delays.shortest = delays.shortest.min(delay);
            delays.longest = delays.longest.max(delay);
        }
        Ok(delays)
    }
}

/// A tone without fades.
fn steady(hz: f64, seconds: f64, rate: f64, strength: f32) -> Vec<f32> {
    let length = render(&[Tone { hz: 0.0, seconds }], rate).len();
    let faded = render(&[Tone { hz, seconds: seconds + 0.02 }], rate);
    let edge = (faded.len() - length) / 2;
    faded[edge..edge + length].iter().map(|sample| sample * strength).collect()
}

/// How much stronger than the low tone the high one is to be, so that the model hears both alike: bands are as wide as
/// ears have them, and so is what they collect.
fn balance(model: &Model, rate: f64) -> Result<f32> {
    let config = model.card().frontend.clone().context("a model without a frontend")?;
    let energy = |hz: f64| -> Result<f32> {
        let mut frontend = Frontend::new(model.card().sample_rate, &config, rate)?;
        let mut energy = 0.0;
        frontend.push(&steady(hz, 0.3, rate, 1.0), |frame| energy = frame.iter().map(|band| band.exp()).sum());
        Ok(energy)
    };
    Ok((energy(TONES[0])? / energy(TONES[1])?).sqrt())
}
