//! The whole chain, from samples at the host's rate to decisions.

use std::sync::Arc;

use crate::card::{Card, FrontendConfig, NetworkKind, Task};
use crate::decision::{Decider, Decision, Gate, Policy};
use crate::error::{Error, Result};
use crate::frontend::LogMel;
use crate::latency::Latency;
use crate::model::{Model, Runner};
use crate::resampler::Resampler;

/// Recognises a mono stream.
pub struct Recognizer {
    resampler: Resampler,
    listener: Listener,
}

impl std::fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recognizer({}, {:?})", self.listener.card.name, self.resampler)
    }
}

impl Recognizer {
    /// For sound at `sample_rate` Hz, the network running on tract.
    ///
    /// # Errors
    /// [`Error::SampleRate`], [`Error::OutOfRange`], [`Error::Run`].
    pub fn new(model: &Arc<Model>, sample_rate: f64, policy: &Policy) -> Result<Self> {
        Self::with_runner(model.card(), model.runner()?, sample_rate, policy)
    }

    /// The same chain around another engine's runner.
    ///
    /// # Errors
    /// As [`Recognizer::new`].
    pub fn with_runner(card: &Card, runner: Box<dyn Runner>, sample_rate: f64, policy: &Policy) -> Result<Self> {
        let resampler = Resampler::new(sample_rate, f64::from(card.sample_rate))?;
        let late = resampler.delay_s() * f64::from(card.sample_rate);
        let listener = Listener::new(card, runner, resampler.ratio(), late, policy)?;
        Ok(Self { resampler, listener })
    }

    /// Feeds a block of any length and calls back once a hop. The decisions and their stamps do not depend on
    /// how the sound was cut into blocks.
    ///
    /// # Errors
    /// [`Error::Run`] where the network failed; the sound of this block counts as heard.
    pub fn push(&mut self, block: &[f32], mut on_decision: impl FnMut(&Decision<'_>)) -> Result<()> {
        let mut outcome = Ok(());
        let Self { resampler, listener } = self;
        resampler.push_known(block, |known| {
            for (i, &sample) in known.samples.iter().enumerate() {
                if let Err(error) = listener.hear(sample, known.at(i), &mut on_decision) {
                    outcome = Err(error);
                }
            }
        });
        outcome
    }

    /// Hears a block as [`Recognizer::push`] does, but leaves out the decisions of a network that computes a whole
    /// window at each: whoever is late saves the time, and loses nothing but those. Answers how many were left out;
    /// a `stream` network must hear everything, so for it this is none, and nothing is heard.
    pub fn pass_over(&mut self, block: &[f32]) -> Option<u64> {
        let Self { resampler, listener } = self;
        if listener.card.network.is_stream() {
            return None;
        }
        let mut left_out = 0;
        resampler.push_known(block, |known| {
            left_out += known.samples.iter().map(|&sample| u64::from(listener.collect(sample))).sum::<u64>();
        });
        Some(left_out)
    }

    /// Jumps over `samples` of input that were lost. Positions go on as if they had been heard; filters and
    /// network start from silence, what was decided holds on.
    ///
    /// # Errors
    /// [`Error::Run`] where the engine fails.
    pub fn skip(&mut self, samples: u64) -> Result<()> {
        self.resampler.skip(samples);
        self.listener.restart_hearing()
    }

    /// Back to silence, position 0.
    ///
    /// # Errors
    /// [`Error::Run`] where the engine fails.
    pub fn reset(&mut self) -> Result<()> {
        self.resampler.reset();
        self.listener.gate.reset();
        self.listener.decider.reset();
        self.listener.restart_hearing()
    }

    /// Changes the decision policy; one that is out of range is ignored.
    pub fn set_policy(&mut self, policy: &Policy) {
        if policy.check().is_ok() {
            self.listener.gate.set(policy.gate_dbfs, policy.gate_hold_ms);
            self.listener.decider.set_policy(policy);
            self.listener.policy = *policy;
        }
    }

    /// Input samples pushed since the start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.resampler.pushed()
    }

    /// What makes a decision late, with the policy as it is.
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency::new(&self.listener.card, &self.resampler, &self.listener.policy)
    }

    /// The model's card.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.listener.card
    }

    /// Level of the last whole 10 ms, in dBFS.
    #[must_use]
    pub fn level_dbfs(&self) -> f32 {
        self.listener.gate.level_dbfs()
    }
}

/// Everything behind the resampler.
struct Listener {
    card: Card,
    policy: Policy,
    gate: Gate,
    /// Absent where the network eats raw audio.
    log_mel: Option<LogMel>,
    /// The network's next input, oldest first.
    input: Vec<f32>,
    /// What silence looks like in `input`.
    silence: f32,
    /// Numbers of `input` that a step makes stale.
    stale: usize,
    /// Numbers of `input` that are already there.
    filled: usize,
    runner: Box<dyn Runner>,
    probabilities: Vec<f32>,
    decider: Decider,
    /// From the middle of the newest window, of several the shortest, to the newest input sample, in input samples.
    behind: u64,
}

impl Listener {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive delay in samples")]
    fn new(card: &Card, runner: Box<dyn Runner>, ratio: f64, late: f64, policy: &Policy) -> Result<Self> {
        let rate = card.sample_rate;
        let log_mel = card.frontend.as_ref().map(|f| LogMel::new(rate, f)).transpose()?;
        let window = match &card.network {
            NetworkKind::Audio { samples, .. } => *samples,
            _ => card.frontend.as_ref().map_or(0, FrontendConfig::shortest_window),
        };
        let input = card.step_input();
        let silence = card.frontend.as_ref().map_or(0.0, |f| f.log_floor.ln());
        let frame = card.frontend.as_ref().map_or(1, FrontendConfig::frame_size);
        let stale = match &card.network {
            NetworkKind::Stream { .. } => input,
            NetworkKind::Window { frames_per_step, .. } => (frames_per_step * frame).min(input),
            NetworkKind::Audio { hop, .. } => (*hop).min(input),
        };
        Ok(Self {
            gate: Gate::new(f64::from(rate), policy.gate_dbfs, policy.gate_hold_ms),
            policy: *policy,
            log_mel,
            input: vec![silence; input],
            silence,
            stale,
            filled: input - stale,
            runner,
            probabilities: vec![0.0; card.classes.len()],
            decider: Decider::new(card, card.hop() as f32 * 1000.0 / rate as f32, policy)?,
            behind: ((late + window as f64 / 2.0) * ratio).round() as u64,
            card: card.clone(),
        })
    }

    /// Takes one sample at the card's rate; true where the network's next input is complete. Then it is either run
    /// on by [`Listener::hear`], or its oldest part is dropped here at the next sample.
    fn collect(&mut self, sample: f32) -> bool {
        if self.filled == self.input.len() {
            self.input.copy_within(self.stale.., 0);
            self.filled = self.input.len() - self.stale;
        }
        self.gate.push(sample);
        match &mut self.log_mel {
            None => {
                self.input[self.filled] = sample;
                self.filled += 1;
            }
            Some(log_mel) => {
                let Some(frame) = log_mel.push(sample) else { return false };
                self.input[self.filled..self.filled + frame.len()].copy_from_slice(frame);
                self.filled += frame.len();
            }
        }
        self.filled == self.input.len()
    }

    /// Takes one sample, and decides at the end of a hop.
    fn hear(&mut self, sample: f32, known_at: u64, on_decision: &mut impl FnMut(&Decision<'_>)) -> Result<()> {
        if !self.collect(sample) {
            return Ok(());
        }
        let outcome = self.run();
        let gate_open = self.gate.is_open();
        let verdict = self.decider.decide(&self.probabilities, gate_open);
        on_decision(&Decision {
            known_at,
            about: known_at.saturating_sub(self.behind),
            gate_open,
            posterior: self.decider.posterior(),
            class: verdict.class,
            active: verdict.active,
            confidence: verdict.confidence,
            changed: verdict.changed,
            level_dbfs: self.gate.level_dbfs(),
        });
        outcome
    }

    /// One step of the network, into probabilities. After a failure every class is equally unlikely.
    fn run(&mut self) -> Result<()> {
        let outcome = self.runner.step(&self.input, &mut self.probabilities).and_then(|()| {
            if self.probabilities.iter().all(|p| p.is_finite()) {
                Ok(())
            } else {
                Err(Error::Run("its outputs are not finite numbers".into()))
            }
        });
        if outcome.is_err() {
            self.probabilities.fill(0.0);
            return self.runner.reset().and(outcome);
        }
        for p in &mut self.probabilities {
            *p /= self.card.temperature;
        }
        match self.card.task {
            Task::Technique => {
                for (p, offset) in self.probabilities.iter_mut().zip(&self.card.offsets) {
                    *p += offset;
                }
                softmax(&mut self.probabilities);
            }
            Task::Instruments => self.probabilities.iter_mut().for_each(|p| *p = 1.0 / (1.0 + (-*p).exp())),
        }
        Ok(())
    }

    fn restart_hearing(&mut self) -> Result<()> {
        if let Some(log_mel) = &mut self.log_mel {
            log_mel.reset();
        }
        self.input.fill(self.silence);
        self.filled = self.input.len() - self.stale;
        self.runner.reset()
    }
}

fn softmax(logits: &mut [f32]) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for l in logits.iter_mut() {
        *l = (*l - highest).exp();
        sum += *l;
    }
    for l in logits {
        *l /= sum;
    }
}

#[cfg(test)]
#[path = "recognizer_tests.rs"]
mod tests;
