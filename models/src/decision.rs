//! From posterior to decision: noise gate, smoothing, hysteresis, minimum confidence, minimum duration.
//!
//! Each is a small type that knows nothing of the others; [`Decider`] chains them.

use serde::{Deserialize, Serialize};

use crate::card::{Card, Task};
use crate::error::{Error, Result};

mod choice;
mod gate;
mod smooth;

pub use choice::{ClassSet, Hold};
pub use gate::Gate;
pub use smooth::Smoother;

/// How the posterior is smoothed over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Smoothing {
    /// The mean over the last `ms` milliseconds of decisions; 0 switches it off.
    MovingAverage {
        /// Length in milliseconds.
        ms: f32,
    },
    /// `y += sensitivity * (x - y)` at every decision; 1 switches it off.
    Leaky {
        /// 0 (never moves) to 1 (follows at once).
        sensitivity: f32,
    },
}

/// The decision policy: what a player sets, the same in the plugin, the command and the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The gate opens when the level over the last 10 ms passes this, in dBFS (RMS; 0 is a full-scale square).
    pub gate_dbfs: f32,
    /// The gate closes when every 10 ms of the last so many milliseconds are under the threshold.
    pub gate_hold_ms: f32,
    /// How the posterior is smoothed.
    pub smoothing: Smoothing,
    /// How much a class must lead the current one to replace it, as a difference of probabilities; `instruments`: how
    /// far a class that sounds may fall below its threshold, at most by half of it.
    pub hysteresis: f32,
    /// Below this probability nothing is decided (`technique`; `instruments` use the card's thresholds).
    pub min_confidence: f32,
    /// How long a change must hold before it is believed, in milliseconds.
    pub min_duration_ms: f32,
}

impl Default for Policy {
    /// Chosen on the single notes and the noises that the shipped models were validated with: docs/latency.md tells how.
    fn default() -> Self {
        Self {
            gate_dbfs: -55.0,
            gate_hold_ms: 200.0,
            smoothing: Smoothing::MovingAverage { ms: 60.0 },
            hysteresis: 0.2,
            min_confidence: 0.25,
            min_duration_ms: 0.0,
        }
    }
}

impl Policy {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first that lies outside (NaN included).
    pub fn check(&self) -> Result<()> {
        let within = |name, value: f32, low: f32, high: f32| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(Error::OutOfRange { name, value, low, high }) }
        };
        within("the gate's threshold (dBFS)", self.gate_dbfs, -120.0, 0.0)?;
        within("the gate's hold (ms)", self.gate_hold_ms, 0.0, 10_000.0)?;
        within("the hysteresis", self.hysteresis, 0.0, 1.0)?;
        within("the minimum confidence", self.min_confidence, 0.0, 1.0)?;
        within("the minimum duration (ms)", self.min_duration_ms, 0.0, 10_000.0)?;
        match self.smoothing {
            Smoothing::MovingAverage { ms } => within("the moving average (ms)", ms, 0.0, 10_000.0),
            Smoothing::Leaky { sensitivity } => within("the sensitivity", sensitivity, 0.001, 1.0),
        }
    }

    /// How many hops longer a class takes because of the smoothing, and because of the minimum duration, where the
    /// network goes over from certainty about another class to certainty about this one. Where a high minimum
    /// confidence lets the other class fall to `none` first, it may be less. `threshold` is the probability from which
    /// the class counts as present (`instruments`); absent where one class holds at a time.
    pub(crate) fn extra_hops(&self, hop_ms: f32, threshold: Option<f32>) -> (f64, f64) {
        // With the share `y` of the new class, that of the old one is `1 - y`.
        let wanted = match threshold {
            Some(threshold) => threshold,
            None => self.min_confidence.max(0.5 + 0.5 * self.hysteresis),
        };
        // Figures like 0.55 * 20 hops lie beside a whole number by rounding alone.
        let hops = |exact: f64| (exact - 1e-4).ceil().max(1.0);
        let smoothing = match self.smoothing {
            Smoothing::MovingAverage { ms } => {
                let length = f64::from(smooth::mean_hops(ms, hop_ms));
                // One class of two equally strong ones has no lead yet.
                let lead = if threshold.is_none() { (0.5 * length).floor() + 1.0 } else { 1.0 };
                hops(f64::from(wanted) * length).max(lead).min(length)
            }
            Smoothing::Leaky { sensitivity } if sensitivity < 1.0 => {
                // What is left of the old class after n hops is `(1 - sensitivity)^n`, and never nothing.
                let left = f64::from(1.0 - wanted).max(f64::from(f32::EPSILON));
                hops(left.ln() / f64::from(1.0 - sensitivity).ln())
            }
            Smoothing::Leaky { .. } => 1.0,
        };
        (smoothing - 1.0, f64::from(choice::hops(self.min_duration_ms, hop_ms)) - 1.0)
    }
}

/// What holds after one hop. `posterior` is smoothed, one number a class in the card's order; while the gate
/// is closed it says `none` (or nothing).
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// Input samples that had been pushed since the start when this became known: the sample at
    /// `known_at - 1` completed the hop.
    pub known_at: u64,
    /// The input sample this speaks of: the middle of the newest analysis window.
    pub about: u64,
    /// Whether the gate is open.
    pub gate_open: bool,
    /// Smoothed probabilities, one a class.
    pub posterior: &'a [f32],
    /// The strongest class that holds: for `technique` the current class (`none` included), for
    /// `instruments` the strongest of those that sound.
    pub class: Option<usize>,
    /// Every class that holds.
    pub active: ClassSet,
    /// Probability of `class`; 0 where there is none.
    pub confidence: f32,
    /// Whether `active` differs from the hop before (for `technique`: the current class changed).
    pub changed: bool,
    /// Level of the last 10 ms, in dBFS.
    pub level_dbfs: f32,
}

/// Smoothing, hysteresis, minimum confidence and minimum duration over a model's posteriors.
#[derive(Debug, Clone)]
pub struct Decider {
    task: Task,
    none: Option<usize>,
    thresholds: Vec<f32>,
    policy: Policy,
    hop_ms: f32,
    smoother: Smoother,
    /// How long each class has been wanted, and last, that nothing is.
    holds: Vec<Hold>,
    active: ClassSet,
    class: Option<usize>,
    closed: Vec<f32>,
    was_open: bool,
}

/// What [`Decider::decide`] found; the recognizer adds the stamps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// See [`Decision::class`].
    pub class: Option<usize>,
    /// See [`Decision::active`].
    pub active: ClassSet,
    /// See [`Decision::confidence`].
    pub confidence: f32,
    /// See [`Decision::changed`].
    pub changed: bool,
}

impl Decider {
    /// For a model's classes; `hop_ms` is the time between two decisions.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] from [`Policy::check`].
    pub fn new(card: &Card, hop_ms: f32, policy: &Policy) -> Result<Self> {
        policy.check()?;
        let classes = card.classes.len();
        let none = card.none_class();
        let mut closed = vec![0.0; classes];
        if let Some(none) = none {
            closed[none] = 1.0;
        }
        let mut decider = Self {
            task: card.task,
            none,
            thresholds: (0..classes).map(|c| card.threshold(c)).collect(),
            policy: *policy,
            hop_ms,
            smoother: Smoother::new(classes, hop_ms, policy.smoothing),
            holds: vec![Hold::default(); classes + 1],
            active: ClassSet::default(),
            class: None,
            closed,
            was_open: false,
        };
        decider.reset();
        Ok(decider)
    }

    /// Back to silence: the class is `none`, or nothing.
    pub fn reset(&mut self) {
        self.smoother.reset();
        self.holds.fill(Hold::default());
        self.class = self.none;
        self.active = self.none.into_iter().collect();
        self.was_open = false;
    }

    /// Changes the policy between two hops, without allocating. What is sounding goes on.
    pub fn set_policy(&mut self, policy: &Policy) {
        if policy.check().is_ok() {
            self.smoother.set(policy.smoothing, self.hop_ms);
            self.policy = *policy;
        }
    }

    /// Takes the network's probabilities of one hop (one number a class) and says what holds now.
    pub fn decide(&mut self, probabilities: &[f32], gate_open: bool) -> Verdict {
        let before = self.active;
        if gate_open {
            if !self.was_open {
                self.smoother.reset();
                self.holds.fill(Hold::default());
            }
            self.smoother.push(probabilities);
            match self.task {
                Task::Technique => self.one_of(),
                Task::Instruments => self.any_of(),
            }
        } else {
            self.class = self.none;
            self.active = self.none.into_iter().collect();
        }
        self.was_open = gate_open;
        let confidence = self.class.map_or(0.0, |c| self.posterior()[c]);
        Verdict { class: self.class, active: self.active, confidence, changed: self.active != before }
    }

    /// The smoothed probabilities; while the gate is closed, all on `none`.
    #[must_use]
    pub fn posterior(&self) -> &[f32] {
        if self.was_open { self.smoother.output() } else { &self.closed }
    }

    fn hops_to_hold(&self) -> u32 {
        choice::hops(self.policy.min_duration_ms, self.hop_ms)
    }

    fn one_of(&mut self) {
        let posterior = self.smoother.output();
        let best = (0..posterior.len()).fold(0, |best, c| if posterior[c] > posterior[best] { c } else { best });
        let mut wanted = Some(best).filter(|&b| posterior[b] >= self.policy.min_confidence).or(self.none);
        if let (Some(now), Some(new)) = (self.class, wanted)
            && now != new
            && Some(new) != self.none
            && posterior[new] < posterior[now] + self.policy.hysteresis
        {
            wanted = self.class;
        }
        let hops = self.hops_to_hold();
        if wanted == self.class {
            self.holds.fill(Hold::default());
            return;
        }
        let slot = wanted.unwrap_or(self.holds.len() - 1);
        for (c, hold) in self.holds.iter_mut().enumerate() {
            if c != slot {
                *hold = Hold::default();
            }
        }
        if self.holds[slot].held(hops) {
            self.class = wanted;
            self.active = wanted.into_iter().collect();
            self.holds.fill(Hold::default());
        }
    }

    fn any_of(&mut self) {
        let hops = self.hops_to_hold();
        let posterior = self.smoother.output();
        for (c, (&p, hold)) in posterior.iter().zip(&mut self.holds).enumerate() {
            let is_on = self.active.contains(c);
            let threshold = self.thresholds[c];
            // Where the threshold is low, a class must still be able to end.
            let lowest = (threshold - self.policy.hysteresis).max(0.5 * threshold);
            let wants_on = p >= if is_on { lowest } else { threshold };
            if Some(c) == self.none || wants_on == is_on {
                *hold = Hold::default();
            } else if hold.held(hops) {
                self.active.set(c, wants_on);
                *hold = Hold::default();
            }
        }
        if let Some(none) = self.none {
            self.active.set(none, false);
            self.active.set(none, self.active.is_empty());
        }
        self.class = self.active.iter().fold(None, |best: Option<usize>, c| match best {
            Some(b) if posterior[b] >= posterior[c] => best,
            _ => Some(c),
        });
    }
}

#[cfg(test)]
mod tests;
