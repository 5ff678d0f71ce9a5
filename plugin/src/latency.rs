//! How late a message is, term by term: what the decision needs, and what the way to the host and to the network adds.
//!
//! The formulas stand in `docs/latency.md`, with what was measured.

use tocco_models::Latency;

use crate::mode::Mode;
use crate::published::AtomicF32;
use crate::service;

/// The terms in ms, each the longest that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Terms {
    /// Filter of the resampler and the wait for its chunk.
    pub resampler: f32,
    /// Half of what the network sees at once.
    pub window: f32,
    /// The wait for the next decision.
    pub hop: f32,
    /// Smoothing, after another class.
    pub smoothing: f32,
    /// The minimum duration.
    pub min_duration: f32,
    /// The wait until an inference thread looks; 0 where the recognizer runs inside `process`.
    pub inference: f32,
    /// The wait until the network thread looks; 0 where an inference thread wakes it.
    pub network: f32,
    /// The host's largest block.
    pub block: f32,
}

impl Terms {
    /// For a recognizer with its policy as it is, in a mode, with blocks of at most `largest_block` samples.
    #[must_use]
    pub fn new(recognizer: &Latency, mode: Mode, largest_block: usize, sample_rate: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds for the eye")]
        let ms = |seconds: f64| (1000.0 * seconds) as f32;
        let block_s = largest_block as f64 / sample_rate.max(1.0);
        Self {
            resampler: ms(recognizer.resampler),
            window: ms(recognizer.window),
            hop: ms(recognizer.hop),
            smoothing: ms(recognizer.smoothing),
            min_duration: ms(recognizer.min_duration),
            inference: if mode == Mode::Worker { ms(service::BUSY.as_secs_f64()) } else { 0.0 },
            network: if mode == Mode::AudioThread { ms(service::NETWORK.as_secs_f64()) } else { 0.0 },
            block: if matches!(mode, Mode::Worker | Mode::AudioThread) { ms(block_s) } else { 0.0 },
        }
    }

    /// From a change in the sound to the decision, in ms of sound.
    #[must_use]
    pub fn decision(&self) -> f32 {
        self.resampler + self.window + self.hop + self.smoothing + self.min_duration
    }

    /// From a change in the sound to the MIDI event about it, in ms of the sound that passes through. An event goes out
    /// on its sample, save in worker mode: there it waits for the inference thread and for the next block.
    #[must_use]
    pub fn midi(&self) -> f32 {
        let wait = if self.inference > 0.0 { self.inference + self.block } else { 0.0 };
        self.decision() + wait
    }

    /// From a change in the sound to the OSC message about it, in ms of time. The sound comes in blocks, so that its
    /// first sample waits for the last.
    #[must_use]
    pub fn osc(&self) -> f32 {
        self.decision() + self.block + self.inference + self.network
    }

    fn to_array(self) -> [f32; 8] {
        let Self { resampler, window, hop, smoothing, min_duration, inference, network, block } = self;
        [resampler, window, hop, smoothing, min_duration, inference, network, block]
    }

    fn from_array(terms: [f32; 8]) -> Self {
        let [resampler, window, hop, smoothing, min_duration, inference, network, block] = terms;
        Self { resampler, window, hop, smoothing, min_duration, inference, network, block }
    }

    /// The sums and their terms, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let osc_wait = self.block + self.inference + self.network;
        let mut lines = vec![
            "From a sound to the message about it, at the longest.".to_owned(),
            "The sound itself is not delayed.".to_owned(),
        ];
        let mut line = |what: &str, ms: f32| lines.push(format!("{ms:6.1} ms  {what}"));
        line("resampler", self.resampler);
        line("half of what the network sees at once", self.window);
        line("wait for the next decision", self.hop);
        line("smoothing", self.smoothing);
        line("minimum duration", self.min_duration);
        line("to the decision, beside what the network takes to be sure", self.decision());
        line("to its MIDI event: inference thread and next block in worker mode", self.midi() - self.decision());
        line("to its OSC message: the host's block, and a thread's look", osc_wait);
        lines.join("\n")
    }
}

/// The terms as the threads share them.
#[derive(Debug, Default)]
pub struct SharedTerms([AtomicF32; 8]);

impl SharedTerms {
    /// The newest.
    #[must_use]
    pub fn get(&self) -> Terms {
        Terms::from_array(std::array::from_fn(|term| self.0[term].get()))
    }

    /// New ones.
    pub fn set(&self, terms: &Terms) {
        for (shared, term) in self.0.iter().zip(terms.to_array()) {
            shared.set(term);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOGNIZER: Latency =
        Latency { resampler: 0.003, window: 0.02, hop: 0.01, smoothing: 0.04, min_duration: 0.05 };

    #[test]
    fn each_way_has_its_own_sum() {
        let near = |got: f32, ms: f32| assert!((got - ms).abs() < 1e-3, "{got} instead of {ms}");
        let of = |mode| Terms::new(&RECOGNIZER, mode, 480, 48_000.0);
        near(of(Mode::AudioThread).midi(), 123.0);
        near(of(Mode::AudioThread).osc(), 123.0 + 10.0 + 1.0);
        near(of(Mode::Worker).midi(), 123.0 + 10.0 + 1.0);
        near(of(Mode::Worker).osc(), 123.0 + 10.0 + 1.0);
        near(of(Mode::Offline).midi(), 123.0);
        near(of(Mode::Offline).osc(), 123.0);
    }

    #[test]
    fn the_threads_get_every_term_at_its_place() {
        let shared = SharedTerms::default();
        let terms = Terms::new(&RECOGNIZER, Mode::Worker, 512, 44_100.0);
        shared.set(&terms);
        assert_eq!(shared.get(), terms);
        let text = terms.text();
        for term in ["3.0 ms  resampler", "20.0 ms  half", "10.0 ms  wait", "40.0 ms  smoothing", "50.0 ms  minimum"] {
            assert!(text.contains(term), "{term} is not in\n{text}");
        }
    }
}
