//! The decision policy as options, the same for every subcommand.

use tocco_models::{Policy, Smoothing};

/// How probabilities become decisions.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Decision")]
pub struct PolicyArgs {
    /// Level from which the noise gate opens, in dBFS.
    #[arg(long, allow_hyphen_values = true, default_value_t = Policy::default().gate_dbfs)]
    gate_dbfs: f32,
    /// How long everything must be under the threshold before the gate closes, in milliseconds.
    #[arg(long, default_value_t = Policy::default().gate_hold_ms)]
    gate_hold_ms: f32,
    /// Length of the moving average over probabilities, in milliseconds; 0 switches it off.
    #[arg(long, default_value_t = 60.0)]
    smoothing_ms: f32,
    /// Leaky integrator instead of the moving average: 0.001 (slow) to 1 (off).
    #[arg(long, conflicts_with = "smoothing_ms")]
    sensitivity: Option<f32>,
    /// How much a class must lead the current one to replace it; instruments: how far one may fall below its threshold.
    #[arg(long, default_value_t = Policy::default().hysteresis)]
    hysteresis: f32,
    /// Below this probability nothing is decided.
    #[arg(long, default_value_t = Policy::default().min_confidence)]
    min_confidence: f32,
    /// How long a change must hold before it is believed, in milliseconds.
    #[arg(long, default_value_t = Policy::default().min_duration_ms)]
    min_duration_ms: f32,
}

impl PolicyArgs {
    /// The policy, checked.
    ///
    /// # Errors
    /// The first value that is out of its range.
    pub fn policy(&self) -> tocco_models::Result<Policy> {
        let smoothing = match self.sensitivity {
            Some(sensitivity) => Smoothing::Leaky { sensitivity },
            None => Smoothing::MovingAverage { ms: self.smoothing_ms },
        };
        let policy = Policy {
            gate_dbfs: self.gate_dbfs,
            gate_hold_ms: self.gate_hold_ms,
            smoothing,
            hysteresis: self.hysteresis,
            min_confidence: self.min_confidence,
            min_duration_ms: self.min_duration_ms,
        };
        policy.check()?;
        Ok(policy)
    }
}
