//! What a recognizer costs on this machine, measured before the audio thread gets it.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tocco_models::{Model, Recognizer, Result};

use crate::inference::hop_samples;
use crate::instance::lock;
use crate::pool::{self, Share};

/// Decisions in one round.
const HOPS: usize = 100;
/// Each round is the same sound from the same state: a block that is slow by itself is slow in every round, one that
/// another program held up is not.
const ROUNDS: usize = 4;
/// Decisions after which a recognizer is warm: its buffers have their sizes.
const WARM_HOPS: usize = 8;
/// A trial takes no longer than this, save where a few decisions do: the host waits for it.
const LONGEST: Duration = Duration::from_millis(250);
/// For so long what was measured for one instance counts for the next of the same model, rate and block.
const VALID: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// The longest that recognising one block took, each block in its quietest round.
    pub slowest: Duration,
    /// The most that one recognizer held of the pool.
    pub pool_bytes: usize,
    /// Calls of the system's allocator once it was warm: 0, or the audio thread is no place for it.
    pub system_calls: u64,
}

/// Warms a recognizer up inside the pool and says what a model costs in blocks of so many samples; with it comes the
/// recognizer's part of the pool. The recognizer is back in its initial state afterwards. A model that is slower than
/// `most` is not looked at any longer.
///
/// # Errors
/// Where the network fails.
pub fn run(
    model: &Arc<Model>,
    recognizer: &mut Recognizer,
    sample_rate: f64,
    block: usize,
    most: Duration,
) -> Result<(Trial, Share)> {
    let noise = noise();
    let sound = &noise[..block.clamp(1, noise.len())];
    let hop = hop_samples(recognizer, sample_rate);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand blocks")]
    let blocks = |hops: usize| (hops as f64 * hop / sound.len() as f64).ceil() as usize;
    let deadline = Instant::now() + LONGEST;
    let mut times = vec![Duration::MAX; blocks(WARM_HOPS)];
    let (warm, pool_bytes) = pool::measure(|| push(recognizer, sound, &mut times, deadline));
    warm?;
    let share = Share::new(pool_bytes);
    // Again, where the pool had to grow first: what the system served would be freed live. And quicker.
    {
        let _scope = pool::Scope::enter();
        push(recognizer, sound, &mut times, deadline)?;
    }
    let mut trial = Trial { slowest: slowest(&times), pool_bytes, system_calls: 0 };
    let key = Key { model: Arc::downgrade(model), sample_rate, block };
    if let Some(known) = known(&key) {
        return Ok((Trial { pool_bytes, ..known }, share));
    }
    if trial.slowest <= most {
        times = vec![Duration::MAX; blocks(HOPS)];
        for _ in 0..ROUNDS {
            let scope = pool::Scope::enter();
            push(recognizer, sound, &mut times, deadline)?;
            trial.system_calls += scope.system_calls();
        }
        trial.slowest = slowest(&times);
    }
    remember(key, trial);
    Ok((trial, share))
}

/// Recognises a block again and again, as often as there are times, each of which becomes the least of itself and of
/// what this took; then goes back to the initial state. After the deadline no more than the first decisions.
fn push(recognizer: &mut Recognizer, block: &[f32], times: &mut [Duration], deadline: Instant) -> Result<()> {
    let mut decisions = 0;
    for time in times {
        let start = Instant::now();
        if start > deadline && decisions > 1 {
            break;
        }
        recognizer.push(block, |_| decisions += 1)?;
        *time = start.elapsed().min(*time);
    }
    recognizer.reset()
}

/// The longest of those that were measured.
fn slowest(times: &[Duration]) -> Duration {
    times.iter().copied().filter(|&time| time < Duration::MAX).max().unwrap_or_default()
}

/// At -20 dBFS, so that the gate is open. The audio thread never waits for its making.
fn noise() -> Vec<f32> {
    let mut state = 1_u32;
    (0..8192)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.17 * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

/// What a measurement holds for.
#[derive(Debug)]
struct Key {
    model: Weak<Model>,
    sample_rate: f64,
    block: usize,
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        self.model.ptr_eq(&other.model)
            && self.block == other.block
            && self.sample_rate.to_bits() == other.sample_rate.to_bits()
    }
}

static KNOWN: Mutex<Vec<(Instant, Key, Trial)>> = Mutex::new(Vec::new());

fn known(key: &Key) -> Option<Trial> {
    let mut known = lock(&KNOWN);
    known.retain(|(since, ..)| since.elapsed() < VALID);
    known.iter().find(|(_, other, _)| other.is(key)).map(|(.., trial)| *trial)
}

fn remember(key: Key, trial: Trial) {
    lock(&KNOWN).push((Instant::now(), key, trial));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tocco_models::{Policy, Runner, library};

    use super::*;

    /// A network whose steps take so long.
    struct Sleeper(Duration);

    impl Runner for Sleeper {
        fn step(&mut self, _input: &[f32], _logits: &mut [f32]) -> Result<()> {
            std::thread::sleep(self.0);
            Ok(())
        }
        fn reset(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_model_that_is_too_slow_is_found_out_before_the_host_waits_for_long() {
        let most = Duration::from_millis(1);
        for (step_ms, longest_ms) in [(5, 1500), (100, 6000)] {
            // A model of its own each: what was measured counts for a while.
            let model = Model::from_bytes(library::TECHNIQUES).unwrap();
            let runner = Box::new(Sleeper(Duration::from_millis(step_ms)));
            let card = model.card();
            let mut recognizer = Recognizer::with_runner(card, runner, 48_000.0, &Policy::default()).unwrap();
            let start = Instant::now();
            let (trial, _) = run(&model, &mut recognizer, 48_000.0, 64, most).unwrap();
            assert!(trial.slowest >= Duration::from_millis(step_ms), "{trial:?}");
            assert!(
                start.elapsed() < Duration::from_millis(longest_ms),
                "{:?} for {step_ms} ms a step",
                start.elapsed()
            );
        }
    }

    #[test]
    fn the_shipped_models_ask_nothing_of_the_system_and_are_back_at_the_start() {
        for (name, bytes) in library::all() {
            let model = Model::from_bytes(bytes).unwrap();
            let mut recognizer = Recognizer::new(&model, 48_000.0, &Policy::default()).unwrap();
            let (trial, _share) = run(&model, &mut recognizer, 48_000.0, 64, Duration::from_millis(100)).unwrap();
            assert_eq!(trial.system_calls, 0, "{name}");
            assert!(trial.pool_bytes > 0 && trial.slowest > Duration::ZERO, "{name}: {trial:?}");
            let mut fresh = Recognizer::new(&model, 48_000.0, &Policy::default()).unwrap();
            let posteriors = |recognizer: &mut Recognizer| {
                let mut all = Vec::new();
                recognizer.push(&noise(), |d| all.extend(d.posterior.iter().map(|p| p.to_bits()))).unwrap();
                all
            };
            assert_eq!(posteriors(&mut recognizer), posteriors(&mut fresh), "{name}");
        }
    }
}
