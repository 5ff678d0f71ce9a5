//! What a decision costs on this machine.
//!
//! Times are medians, and several models are timed in turns, so that whatever else the machine does meets them all
//! alike: compare costs of one run, not of two.

use std::time::{Duration, Instant};

use anyhow::Result;
use tocco_models::{Policy, Recognizer, Runner};

use crate::listen::Ear;

/// Calls in one turn.
const TURN: usize = 40;
/// Turns at most.
const TURNS: usize = 50;
/// No further turn is begun after this much time for each thing that is timed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that is called again and again.
pub trait Work {
    /// Does it once.
    ///
    /// # Errors
    /// Where the engine fails.
    fn once(&mut self) -> Result<()>;
}

/// The network alone, a step.
pub struct Step {
    runner: Box<dyn Runner>,
    input: Vec<f32>,
    logits: Vec<f32>,
}

/// The whole chain, from a hop of sound to its decision.
pub struct Hop {
    recognizer: Recognizer,
    block: Vec<f32>,
}

impl Step {
    /// One step of the ear's network on tract.
    ///
    /// # Errors
    /// The engine makes no runner.
    pub fn new(ear: &Ear) -> Result<Self> {
        let card = ear.model.card();
        let input = (0..card.step_input()).map(|i| (i as f32 * 0.37).sin()).collect();
        Ok(Self { runner: ear.model.runner()?, input, logits: vec![0.0; card.classes.len()] })
    }
}

impl Hop {
    /// One hop of sound at `sample_rate` Hz through the ear's engine, the gate open.
    ///
    /// # Errors
    /// The rate is out of range, or the engine makes no runner.
    pub fn new(ear: &Ear, sample_rate: f64) -> Result<Self> {
        let recognizer = ear.recognizer(sample_rate, &Policy { gate_dbfs: -120.0, ..Policy::default() })?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred samples")]
        let samples = (hop_s(ear) * sample_rate).round().max(1.0) as usize;
        Ok(Self { recognizer, block: (0..samples).map(|i| (i as f32 * 0.05).sin() * 0.3).collect() })
    }
}

impl Work for Step {
    fn once(&mut self) -> Result<()> {
        Ok(self.runner.step(&self.input, &mut self.logits)?)
    }
}

impl Work for Hop {
    fn once(&mut self) -> Result<()> {
        Ok(self.recognizer.push(&self.block, |_| ())?)
    }
}

/// Seconds of sound from one decision to the next.
#[must_use]
pub fn hop_s(ear: &Ear) -> f64 {
    let card = ear.model.card();
    card.hop() as f64 / f64::from(card.sample_rate)
}

/// The median time of each work's calls in microseconds, taken in turns.
///
/// # Errors
/// A call fails.
pub fn medians_us(works: &mut [Box<dyn Work>]) -> Result<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(TURN * TURNS); works.len()];
    let begin = Instant::now();
    let patience = PATIENCE * u32::try_from(works.len())?;
    for turn in 0..TURNS {
        for (work, times) in works.iter_mut().zip(&mut times) {
            for _ in 0..TURN {
                let start = Instant::now();
                work.once()?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                if turn == 0 && times.len() >= 8 && start.elapsed() > PATIENCE / 40 {
                    break;
                }
            }
        }
        if begin.elapsed() > patience {
            break;
        }
    }
    let median = |times: &mut Vec<f64>| {
        // The first quarter warms up.
        times.drain(..times.len() / 4);
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(times.iter_mut().map(median).collect())
}
