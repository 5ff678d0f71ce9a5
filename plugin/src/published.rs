//! What the panel and the network thread read while the recognizer runs: the newest values, each by itself.
//!
//! Whoever runs the recognizer writes, without waiting for readers. Two values read one after the other may
//! come from neighbouring hops, which an eye can't see.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use tocco_models::{Decision, MAX_CLASSES};

/// How the recognizer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The host has not activated the plugin.
    Inactive,
    /// On the inference threads.
    Worker,
    /// Inside `process`, since the host renders offline.
    Offline,
}

impl Mode {
    /// The name in `/status` and on the panel.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Worker => "worker",
            Self::Offline => "offline",
        }
    }
}

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

/// The newest values. Class indices are those of the model in use.
#[derive(Debug)]
pub struct Published {
    posterior: [AtomicF32; MAX_CLASSES],
    active: [AtomicU64; 2],
    /// The strongest class that holds; 255 is none at all.
    class: AtomicU8,
    mode: AtomicU8,
    /// Probability of that class.
    pub confidence: AtomicF32,
    /// Level of the last 10 ms, in dBFS.
    pub level_dbfs: AtomicF32,
    /// Whether the gate is open.
    pub gate_open: AtomicBool,
    /// From sound to decision, in ms: the sum of the recognizer's terms and of the mode's.
    pub latency_ms: AtomicF32,
    /// Share of one core that recognising took lately.
    pub load: AtomicF32,
    /// Decision hops that were dropped because the machine was too slow.
    pub late_windows: AtomicU64,
    /// The host's sample rate in Hz; 0 while inactive.
    pub sample_rate: AtomicF32,
    /// MIDI messages given to the host.
    pub midi_sent: AtomicU64,
    /// Whether the host bypasses the plugin.
    pub bypassed: AtomicBool,
    /// Moves with each decision.
    pub hops: AtomicU64,
}

impl Default for Published {
    fn default() -> Self {
        let published = Self {
            posterior: std::array::from_fn(|_| AtomicF32::default()),
            active: [AtomicU64::new(0), AtomicU64::new(0)],
            class: AtomicU8::new(u8::MAX),
            mode: AtomicU8::new(Mode::Inactive as u8),
            confidence: AtomicF32::default(),
            level_dbfs: AtomicF32::default(),
            gate_open: AtomicBool::default(),
            latency_ms: AtomicF32::default(),
            load: AtomicF32::default(),
            late_windows: AtomicU64::default(),
            sample_rate: AtomicF32::default(),
            midi_sent: AtomicU64::default(),
            bypassed: AtomicBool::default(),
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
        let bits = decision.active.bits();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
        for (shared, half) in self.active.iter().zip([bits as u64, (bits >> 64) as u64]) {
            shared.store(half, Ordering::Relaxed);
        }
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
        for shared in &self.active {
            shared.store(0, Ordering::Relaxed);
        }
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
        self.active.get(class / 64).is_some_and(|half| half.load(Ordering::Relaxed) >> (class % 64) & 1 == 1)
    }

    /// The strongest class that holds.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        Some(usize::from(self.class.load(Ordering::Relaxed))).filter(|&class| class < MAX_CLASSES)
    }

    /// How the recognizer runs.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            mode if mode == Mode::Worker as u8 => Mode::Worker,
            mode if mode == Mode::Offline as u8 => Mode::Offline,
            _ => Mode::Inactive,
        }
    }

    /// Another mode: by (de)activation, and by the audio thread where it sees the host render.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }
}
