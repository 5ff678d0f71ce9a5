//! One plugin in one host: what its threads share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use ringbuf::HeapCons;
use tocco_models::Model;
use try_lock::{Locked, TryLock};

use crate::inference::{Controls, Engine, Report};
use crate::loader::{Resolved, Slot};
use crate::mode::Mode;
use crate::network::{Sender, Target};
use crate::params::ToccoParams;
use crate::published::Published;
use crate::remote::Remote;
use crate::service::Membership;
use crate::state::ModelChoice;
use crate::take::Take;

/// Locks a mutex whose content stays whole even if a thread panicked while holding it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two looks at whether the engine is free.
const ENGINE_PAUSE: Duration = Duration::from_micros(100);

/// A model in use.
#[derive(Debug)]
pub struct Loaded {
    /// It.
    pub model: Arc<Model>,
    /// Counts the models of this instance.
    pub number: u64,
    /// Where it came from.
    pub choice: ModelChoice,
}

/// Sentences for the panel.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    /// Why the chosen model is not the one in use.
    pub model: Option<String>,
    /// What went wrong while recognising.
    pub inference: Option<String>,
    /// When it was seen last, where it may pass by itself.
    pub inference_seen: Option<Instant>,
    /// Why OSC does not arrive, as far as this side can know.
    pub osc: Option<String>,
    /// What that was last, and when.
    pub osc_last: Option<(Instant, String)>,
    /// How the control port does, where it is on.
    pub control: Option<String>,
    /// The name in OSC addresses; empty before the first message.
    pub osc_name: String,
}

impl Notices {
    /// An error is shown for so long after it was seen last.
    const ERROR_SHOWN: Duration = Duration::from_secs(5);

    /// The network failed at a step; the next may do.
    pub fn fail(&mut self, sentence: String) {
        (self.inference, self.inference_seen) = (Some(sentence), Some(Instant::now()));
    }

    /// Recognising is over until something changes.
    pub fn break_down(&mut self, sentence: String) {
        (self.inference, self.inference_seen) = (Some(sentence), None);
    }

    /// Recognising starts afresh.
    pub fn recover(&mut self) {
        (self.inference, self.inference_seen) = (None, None);
    }

    /// Drops an error that has not come again.
    pub fn age(&mut self) {
        if self.inference_seen.is_some_and(|seen| seen.elapsed() > Self::ERROR_SHOWN) {
            self.recover();
        }
    }
}

/// What the network thread alone uses.
pub struct NetworkEnd {
    /// What the recognizer reports.
    pub reports: HeapCons<Report>,
    /// The socket and its timers.
    pub sender: Sender,
}

/// What the threads of one plugin share. The audio thread touches `params`, `published` and `engine`.
pub struct Instance {
    /// Differs from that of every other instance in this process.
    pub id: u64,
    /// Parameters and settings.
    pub params: Arc<ToccoParams>,
    /// The newest values.
    pub published: Arc<Published>,
    /// The recognizer and what it reaches; see [`crate::inference`]. The audio thread only ever tries this lock, and
    /// giving it back wakes nobody: others wait for it by [`Instance::engine`].
    pub engine: TryLock<Engine>,
    /// The model in use.
    pub model: ArcSwapOption<Loaded>,
    /// Where OSC goes, as far as the hosts' names are resolved.
    pub targets: ArcSwap<Vec<Target>>,
    /// What a patch set by the control port.
    pub remote: Remote,
    /// What is known of those hosts' names.
    pub resolved: Mutex<Resolved>,
    /// What the loader did so far.
    pub slot: Mutex<Slot>,
    /// Whether the chosen model is to be loaded again, e.g. since its file was put back.
    pub try_again: AtomicBool,
    /// The network thread's.
    pub network: Mutex<NetworkEnd>,
    /// For the panel.
    pub notices: Mutex<Notices>,
    /// The track's name, where the host tells it.
    pub track: Mutex<Option<String>>,
    /// What was heard and decided.
    pub take: Mutex<Take>,
    /// Panels that are open: they show the model's classes before the host activates the plugin.
    pub panels: AtomicU32,
    /// Whether recognising is off after panics, until the next model or activation.
    pub broken: AtomicBool,
    /// Panics since the last model or activation.
    pub panics: AtomicU64,
    /// Whether the process's threads may touch it; changed while they hold none of its locks.
    pub is_member: AtomicBool,
    /// Whether a panic on the audio thread has yet to be told on the panel.
    pub panicked_live: AtomicBool,
    membership: Mutex<Option<Membership>>,
}

impl Instance {
    /// A new one, which no thread knows yet.
    #[must_use]
    pub fn new(params: Arc<ToccoParams>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let published = Arc::new(Published::default());
        let (engine, reports, take) = Engine::new(Arc::clone(&published));
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            params,
            published,
            engine: TryLock::new(engine),
            model: ArcSwapOption::empty(),
            targets: ArcSwap::default(),
            remote: Remote::default(),
            resolved: Mutex::default(),
            slot: Mutex::default(),
            try_again: AtomicBool::new(false),
            network: Mutex::new(NetworkEnd { reports, sender: Sender::default() }),
            notices: Mutex::default(),
            track: Mutex::default(),
            take: Mutex::new(take),
            panels: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            is_member: AtomicBool::new(false),
            panicked_live: AtomicBool::new(false),
            membership: Mutex::new(None),
        })
    }

    /// Joins the process's threads, if it has not.
    pub fn join(self: &Arc<Self>) {
        let mut membership = lock(&self.membership);
        if membership.is_none() {
            *membership = Some(Membership::new(self));
        }
    }

    /// Leaves the process's threads: afterwards none of them touches this instance.
    pub fn leave(&self) {
        let membership = lock(&self.membership).take();
        drop(membership);
    }

    /// The engine, as soon as nobody else has it. Not for the audio thread while it plays.
    pub fn engine(&self) -> Locked<'_, Engine> {
        loop {
            if let Some(engine) = self.engine.try_lock() {
                return engine;
            }
            std::thread::sleep(ENGINE_PAUSE);
        }
    }

    /// The classes of the model with this number, and which of them is `none`, while it is in use.
    #[must_use]
    pub fn classes(&self, model: u64) -> Option<(Vec<String>, Option<usize>)> {
        let loaded = self.model.load_full().filter(|loaded| loaded.number == model)?;
        let card = loaded.model.card();
        Some((card.classes.clone(), card.none_class()))
    }

    /// What the parameters say now.
    #[must_use]
    pub fn controls(&self) -> Controls {
        Controls {
            policy: self.remote.bend(self.params.policy()),
            midi_on: self.params.midi_on.value() && !self.params.bypass.value() && !self.remote.is_off(),
        }
    }

    /// Whether the host has activated the plugin.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.published.mode() != Mode::Inactive
    }

    /// The name the player or the host gave, before it is made fit for an address.
    #[must_use]
    pub fn wished_name(&self) -> String {
        let track = lock(&self.track).clone().filter(|track| !track.trim().is_empty());
        track.unwrap_or_else(|| self.params.settings.snapshot().settings.name)
    }
}
