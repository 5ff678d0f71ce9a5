//! What a recognizer costs on this machine, measured before the audio thread gets it.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tocco_models::{Model, Recognizer, Result};

use crate::instance::lock;
use crate::pool;

/// Decisions in one round.
const HOPS: usize = 100;
/// Each round is the same sound from the same state: a block that is slow by itself is slow in every round, one that
/// another program held up is not.
const ROUNDS: usize = 4;
/// Decisions after which a recognizer is warm: its buffers have their sizes.
const WARM_HOPS: usize = 8;
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

/// Warms a recognizer up inside the pool and says what a model costs in blocks of so many samples. The recognizer is
/// back in its initial state afterwards.
///
/// # Errors
/// Where the network fails.
pub fn run(model: &Arc<Model>, recognizer: &mut Recognizer, sample_rate: f64, block: usize) -> Result<Trial> {
    // Room for the measuring itself; what is needed in the end is reserved by what is measured here.
    let _room = pool::Share::new(1);
    let noise = noise();
    let hop = samples_per_hop(recognizer, sample_rate);
    let block = block.clamp(1, noise.len());
    let blocks = |hops: usize| (hops * hop).div_ceil(block);
    let mut times = vec![Duration::MAX; blocks(HOPS)];
    let (warm, pool_bytes) = pool::measure(|| push(recognizer, &noise[..block], &mut times[..blocks(WARM_HOPS)]));
    warm?;
    let key = Key { model: Arc::downgrade(model), sample_rate, block };
    if let Some(known) = known(&key) {
        return Ok(Trial { pool_bytes, ..known });
    }
    let mut trial = Trial { slowest: Duration::ZERO, pool_bytes, system_calls: 0 };
    times.fill(Duration::MAX);
    for _ in 0..ROUNDS {
        let scope = pool::Scope::enter();
        push(recognizer, &noise[..block], &mut times)?;
        trial.system_calls += scope.system_calls();
    }
    trial.slowest = times.into_iter().max().unwrap_or_default();
    remember(key, trial);
    Ok(trial)
}

/// Recognises a block again and again, as often as there are times, each of which becomes the least of itself and of
/// what this took; then goes back to the initial state.
fn push(recognizer: &mut Recognizer, block: &[f32], times: &mut [Duration]) -> Result<()> {
    for time in times {
        let start = Instant::now();
        recognizer.push(block, |_| ())?;
        *time = start.elapsed().min(*time);
    }
    recognizer.reset()
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand samples")]
fn samples_per_hop(recognizer: &Recognizer, sample_rate: f64) -> usize {
    let card = recognizer.card();
    (card.hop() as f64 * sample_rate / f64::from(card.sample_rate)).ceil() as usize
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
