//! What makes a decision late, term by term.

use crate::card::{Card, FrontendConfig, NetworkKind, Task};
use crate::decision::Policy;
use crate::resampler::Resampler;

/// What makes a decision late, term by term, in seconds of sound.
///
/// The sum is the longest that a network which answers as soon as it can takes from a change in the sound to the
/// decision. Where the sound changes between two equally strong ones, that moment is the middle of the analysis window;
/// an attack out of silence shows earlier. There is no term for looking ahead: no network here hears the future. How
/// long a *trained* network takes to be sure is not in the model's card; it has to be measured on recordings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Latency {
    /// Delay of the resampler's filter and the longest wait for its chunk; 0 where the rates are equal.
    pub resampler: f64,
    /// From the middle of what the network sees at once to its end: half of the analysis window (the shortest, where
    /// there are several), or of the whole window for networks that compute one at each decision.
    pub window: f64,
    /// The longest wait for the next decision.
    pub hop: f64,
    /// The further hops that the smoothed probability takes to turn, where it was all on another class. It starts anew
    /// when the gate opens, so that a network which is right at once after silence loses nothing by it.
    pub smoothing: f64,
    /// The further hops for which a change must hold.
    pub min_duration: f64,
}

impl Latency {
    pub(crate) fn new(card: &Card, resampler: &Resampler, policy: &Policy) -> Self {
        let seconds = |samples: usize| samples as f64 / f64::from(card.sample_rate);
        let hop = seconds(card.hop());
        let window = |frames: usize| card.frontend.as_ref().map_or(0, |f| f.window + (frames - 1) * f.hop);
        let seen = match &card.network {
            NetworkKind::Audio { samples, .. } => *samples,
            NetworkKind::Window { frames, .. } => window((*frames).max(1)),
            NetworkKind::Stream { .. } => card.frontend.as_ref().map_or(0, FrontendConfig::shortest_window),
        };
        let threshold = (card.task == Task::Instruments).then(|| {
            let thresholds = (0..card.classes.len()).map(|class| card.threshold(class));
            thresholds.fold(0.0, f32::max)
        });
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds, as the decider counts them")]
        let (smoothing, min_duration) = policy.extra_hops((hop * 1000.0) as f32, threshold);
        Self {
            resampler: resampler.delay_s() + resampler.chunk_s(),
            window: seconds(seen) / 2.0,
            hop,
            smoothing: smoothing * hop,
            min_duration: min_duration * hop,
        }
    }

    /// The sum of all terms.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.resampler + self.window + self.hop + self.smoothing + self.min_duration
    }
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
