//! What the panel and the network thread read while the recognizer runs: the newest values, each by itself.
//!
//! Whoever runs the recognizer writes, without waiting for readers. Two values read one after the other may
//! come from neighbouring hops, which an eye can't see.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tocco_models::{ClassSet, Decision, MAX_CLASSES};

use crate::latency::SharedTerms;
use crate::mode::{Mode, Placed};

/// An `f32` that threads share.
#[derive(Debug, Default)]
pub struct AtomicF32(AtomicU32);

impl AtomicF32 {
    /// The newest value.
    pub fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// A new value.
    pub fn set(&self, value: f32) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A set of classes that threads share.
#[derive(Debug, Default)]
struct AtomicClasses([AtomicU64; 2]);

impl AtomicClasses {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
    fn set(&self, classes: ClassSet) {
        let bits = classes.bits();
        for (shared, half) in self.0.iter().zip([bits as u64, (bits >> 64) as u64]) {
            shared.store(half, Ordering::Relaxed);
        }
    }

    fn add(&self, class: usize) {
        if let Some(half) = self.0.get(class / 64) {
            half.fetch_or(1 << (class % 64), Ordering::Relaxed);
        }
    }

    fn contains(&self, class: usize) -> bool {
        self.0.get(class / 64).is_some_and(|half| half.load(Ordering::Relaxed) >> (class % 64) & 1 == 1)
    }

    /// What is in it, which leaves it empty.
    fn take(&self) -> ClassSet {
        let [low, high] = self.0.each_ref().map(|half| u128::from(half.swap(0, Ordering::Relaxed)));
        ClassSet::from_bits(high << 64 | low)
    }
}

/// The newest values. Class indices are those of the model in use.
#[derive(Debug)]
pub struct Published {
    posterior: [AtomicF32; MAX_CLASSES],
    active: AtomicClasses,
    /// The classes whose MIDI the player wants to try out: the panel's word to the recognizer.
    tried: AtomicClasses,
    /// The strongest class that holds; 255 is none at all.
    class: AtomicU8,
    /// Where the recognizer runs.
    placed: AtomicU16,
    /// Where it is to run live, as far as is known; the engine has the last word.
    plan: AtomicU16,
    /// The longest that recognising a block took when it was measured, in us.
    pub slowest_us: AtomicF32,
    /// The host's largest block, in us.
    pub block_us: AtomicF32,
    /// Probability of that class.
    pub confidence: AtomicF32,
    /// Level of the last 10 ms, in dBFS.
    pub level_dbfs: AtomicF32,
    /// Whether the gate is open.
    pub gate_open: AtomicBool,
    /// From a sound to the messages about it, term by term.
    pub latency: SharedTerms,
    /// Share of one core that recognising took lately.
    pub load: AtomicF32,
    /// Decision hops that were dropped because the machine was too slow.
    pub late_windows: AtomicU64,
    /// The host's sample rate in Hz; 0 while inactive.
    pub sample_rate: AtomicF32,
    /// MIDI messages given to the host.
    pub midi_sent: AtomicU64,
    /// OSC messages that the system took.
    pub osc_sent: AtomicU64,
    /// Whether the host bypasses the plugin.
    pub bypassed: AtomicBool,
    /// Set by the audio thread: the host plays again, and the next decision says anew what holds.
    pub strike_again: AtomicBool,
    /// Moves with each decision.
    pub hops: AtomicU64,
}

impl Default for Published {
    fn default() -> Self {
        let published = Self {
            posterior: std::array::from_fn(|_| AtomicF32::default()),
            active: AtomicClasses::default(),
            tried: AtomicClasses::default(),
            class: AtomicU8::new(u8::MAX),
            placed: AtomicU16::new(Placed::INACTIVE.to_bits()),
            plan: AtomicU16::new(Placed::WORKER.to_bits()),
            slowest_us: AtomicF32::default(),
            block_us: AtomicF32::default(),
            confidence: AtomicF32::default(),
            level_dbfs: AtomicF32::default(),
            gate_open: AtomicBool::default(),
            latency: SharedTerms::default(),
            load: AtomicF32::default(),
            late_windows: AtomicU64::default(),
            sample_rate: AtomicF32::default(),
            midi_sent: AtomicU64::default(),
            osc_sent: AtomicU64::new(0),
            bypassed: AtomicBool::default(),
            strike_again: AtomicBool::default(),
            hops: AtomicU64::default(),
        };
        published.level_dbfs.set(f32::NEG_INFINITY);
        published
    }
}

impl Published {
    /// Publishes one decision.
    pub fn decide(&self, decision: &Decision<'_>) {
        for (shared, &probability) in self.posterior.iter().zip(decision.posterior) {
            shared.set(probability);
        }
        self.active.set(decision.active);
        let class = decision.class.and_then(|class| u8::try_from(class).ok()).unwrap_or(u8::MAX);
        self.class.store(class, Ordering::Relaxed);
        self.confidence.set(decision.confidence);
        self.level_dbfs.set(decision.level_dbfs);
        self.gate_open.store(decision.gate_open, Ordering::Relaxed);
        self.hops.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing is heard.
    pub fn clear(&self) {
        for shared in &self.posterior {
            shared.set(0.0);
        }
        self.active.set(ClassSet::default());
        self.class.store(u8::MAX, Ordering::Relaxed);
        self.confidence.set(0.0);
        self.level_dbfs.set(f32::NEG_INFINITY);
        self.gate_open.store(false, Ordering::Relaxed);
        self.load.set(0.0);
    }

    /// The newest probability of a class.
    #[must_use]
    pub fn probability(&self, class: usize) -> f32 {
        self.posterior.get(class).map_or(0.0, AtomicF32::get)
    }

    /// Whether a class holds.
    #[must_use]
    pub fn holds(&self, class: usize) -> bool {
        self.active.contains(class)
    }

    /// The MIDI of a class is to be tried out at the next decision.
    pub fn try_out(&self, class: usize) {
        self.tried.add(class);
    }

    /// The classes to be tried out now.
    #[must_use]
    pub fn take_tried(&self) -> ClassSet {
        self.tried.take()
    }

    /// The strongest class that holds.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        Some(usize::from(self.class.load(Ordering::Relaxed))).filter(|&class| class < MAX_CLASSES)
    }

    /// Where the recognizer runs, and why there.
    #[must_use]
    pub fn placed(&self) -> Placed {
        Placed::from_bits(self.placed.load(Ordering::Acquire))
    }

    /// Where the recognizer runs.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.placed().mode
    }

    /// Another place: by (de)activation, and by the audio thread.
    pub fn set_placed(&self, placed: Placed) {
        self.placed.store(placed.to_bits(), Ordering::Release);
    }

    /// Where the recognizer is to run live.
    #[must_use]
    pub fn plan(&self) -> Placed {
        Placed::from_bits(self.plan.load(Ordering::Acquire))
    }

    /// Another plan: by whoever holds the engine.
    pub fn set_plan(&self, plan: Placed) {
        self.plan.store(plan.to_bits(), Ordering::Release);
    }

    /// Why the recognizer runs where it runs, in a few words.
    #[must_use]
    pub fn reason(&self) -> String {
        let micros = |value: &AtomicF32| Duration::from_secs_f32(value.get().max(0.0) * 1e-6);
        self.placed().reason(micros(&self.slowest_us), micros(&self.block_us))
    }
}
