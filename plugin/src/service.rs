//! The threads that belong to the process, shared by all instances: inference, network, loader.
//!
//! They start with the first instance that needs them and are joined when the last one leaves, since a host may
//! unload the library right after. An instance leaves before it is dropped: when [`Membership`] is gone, no
//! thread touches it any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::inference::Engine;
use crate::instance::{Instance, lock};
use crate::loader;
use crate::mode::Mode;
use crate::network;

/// How often the inference threads look while anything plays.
pub const BUSY: Duration = Duration::from_millis(1);
/// How often they look while nothing does: the most that the first note after a silence waits.
const IDLE: Duration = Duration::from_millis(10);
/// So long after the last sound they count as idle.
const LINGER: Duration = Duration::from_secs(2);
/// How often the network thread looks.
pub const NETWORK: Duration = Duration::from_millis(1);
/// How often the loader looks for changed settings.
const LOADER: Duration = Duration::from_millis(30);
/// Instances are many, cores few: more threads than this only take turns.
const MOST_INFERENCE_THREADS: usize = 4;

/// All threads of the process.
struct Service {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What its threads see.
pub struct Shared {
    members: RwLock<Vec<Arc<Instance>>>,
    /// Moves whenever an instance joins or leaves.
    revision: AtomicU64,
    stop: AtomicBool,
    /// The network thread, once it runs.
    network: OnceLock<Thread>,
}

/// An instance's place among the members; dropping it is leaving.
pub struct Membership {
    service: Arc<Service>,
    id: u64,
}

static SERVICE: Mutex<Weak<Service>> = Mutex::new(Weak::new());

impl Membership {
    /// Joins, and starts the threads where this is the first member.
    #[must_use]
    pub fn new(instance: &Arc<Instance>) -> Self {
        let mut current = lock(&SERVICE);
        let service = current.upgrade().unwrap_or_else(|| {
            let service = Arc::new(Service::start());
            *current = Arc::downgrade(&service);
            service
        });
        service.shared.change(|members| members.push(Arc::clone(instance)));
        instance.is_member.store(true, Ordering::Release);
        Self { service, id: instance.id }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut left = None;
        self.service.shared.change(|members| {
            left = members.iter().position(|member| member.id == self.id).map(|at| members.swap_remove(at));
        });
        // A thread that is at work on this instance holds one of its locks: wait until it is through. Whoever takes
        // one later sees that it is no member any more.
        if let Some(instance) = left {
            instance.is_member.store(false, Ordering::Release);
            drop(instance.engine());
            drop(lock(&instance.slot));
            drop(lock(&instance.resolved));
            drop(lock(&instance.network));
        }
    }
}

impl Service {
    fn start() -> Self {
        let shared = Arc::new(Shared {
            members: RwLock::new(Vec::new()),
            revision: AtomicU64::new(1),
            stop: AtomicBool::new(false),
            network: OnceLock::new(),
        });
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut threads = Vec::new();
        let mut start = |name: String, work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            // A system that can't start a thread leaves this part of the work undone; the panel shows that
            // nothing moves, and the host lives.
            threads.extend(thread::Builder::new().name(name).spawn(move || work(&shared)).ok());
        };
        for n in 0..(cores / 2).clamp(1, MOST_INFERENCE_THREADS) {
            start(format!("tocco-infer-{n}"), infer);
        }
        start("tocco-network".into(), send);
        start("tocco-loader".into(), load);
        Self { shared, threads }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A thread that panicked is gone too.
            let _ = thread.join();
        }
        loader::forget_models();
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Instance>>)) {
        change(&mut self.members.write().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Calls `work` with all members, again and again, pausing as long as it answers, until told to stop.
    fn repeat(&self, mut work: impl FnMut(&[Arc<Instance>]) -> Duration) {
        let mut seen = 0;
        let mut members = Vec::new();
        while !self.stop.load(Ordering::Acquire) {
            let revision = self.revision.load(Ordering::Acquire);
            if revision != seen {
                members.clone_from(&self.members.read().unwrap_or_else(std::sync::PoisonError::into_inner));
                seen = revision;
            }
            // Members that left stay in this list for a round: `Instance::is_member`, asked under a lock, guards them.
            thread::park_timeout(work(&members));
        }
    }
}

fn infer(shared: &Shared) {
    let mut last_sound = Instant::now();
    shared.repeat(|members| {
        let mut has_news = false;
        for instance in members {
            if instance.published.mode() == Mode::Worker && recognise(instance, &mut has_news) {
                last_sound = Instant::now();
            }
        }
        // Spares what was said here the wait for the network thread's next look. The audio thread wakes nobody: what
        // it says waits.
        if has_news && let Some(network) = shared.network.get() {
            network.unpark();
        }
        if last_sound.elapsed() < LINGER { BUSY } else { IDLE }
    });
}

/// Recognises what waits in one instance, unless another thread does; answers whether anything did, and notes whether
/// there is something to send.
fn recognise(instance: &Instance, has_news: &mut bool) -> bool {
    let Some(mut engine) = instance.engine.try_lock() else { return true };
    // Under the lock, mode and membership hold still until this round is over.
    let is_mine = instance.published.mode() == Mode::Worker
        && engine.plan().mode == Mode::Worker
        && instance.is_member.load(Ordering::Acquire);
    if !is_mine || !engine.is_waiting() {
        return false;
    }
    guarded(instance, &mut engine, |engine| engine.drain(&instance.controls(), Mode::Worker));
    *has_news |= engine.has_reports();
    true
}

/// Runs the recognizer; what it throws or fails with goes to the panel. After a panic nothing that was decided
/// stays held; after a second one recognising stays off.
pub fn guarded(instance: &Instance, engine: &mut Engine, work: impl FnOnce(&mut Engine) -> tocco_models::Result<()>) {
    if instance.broken.load(Ordering::Relaxed) {
        return;
    }
    let sentence = match catch_unwind(AssertUnwindSafe(|| work(engine))) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => return lock(&instance.notices).fail(error.to_string()),
        Err(panic) => {
            engine.give_up();
            let panics = instance.panics.fetch_add(1, Ordering::Relaxed) + 1;
            instance.broken.store(true, Ordering::Relaxed);
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            let then = if panics == 1 { "it was restarted" } else { "it stays off: choose another model" };
            format!("Recognising failed inside ({reason}); {then}.")
        }
    };
    lock(&instance.notices).break_down(sentence);
}

/// The same on the audio thread, which tells nobody: that is left to the loader thread, and to the worker that takes
/// over. A panic itself goes through the system, as there is no other way.
///
/// # Errors
/// Where the network failed or panicked.
pub fn guarded_live(
    instance: &Instance,
    engine: &mut Engine,
    work: impl FnOnce(&mut Engine) -> tocco_models::Result<()>,
) -> Result<(), ()> {
    if instance.broken.load(Ordering::Relaxed) {
        return Ok(());
    }
    match catch_unwind(AssertUnwindSafe(|| work(engine))) {
        Ok(outcome) => outcome.map_err(drop),
        Err(_) => {
            engine.give_up();
            instance.panics.fetch_add(1, Ordering::Relaxed);
            instance.panicked_live.store(true, Ordering::Relaxed);
            instance.broken.store(true, Ordering::Relaxed);
            Err(())
        }
    }
}

fn send(shared: &Shared) {
    // Set once: there is one network thread.
    let _ = shared.network.set(thread::current());
    let mut names = tocco_models::osc::Names::default();
    let mut known = Vec::new();
    shared.repeat(|members| {
        if !members.iter().map(|member| &member.id).eq(&known) {
            known = members.iter().map(|member| member.id).collect();
            names.keep(&known);
        }
        for instance in members {
            let mut end = lock(&instance.network);
            if instance.is_member.load(Ordering::Acquire) {
                network::send(instance, &mut end, &mut names);
            }
        }
        NETWORK
    });
}

fn load(shared: &Shared) {
    shared.repeat(|members| {
        for instance in members {
            let mut slot = lock(&instance.slot);
            if instance.is_member.load(Ordering::Acquire) {
                loader::refresh(instance, &mut slot);
                lock(&instance.take).tend(|model| instance.classes(model));
                loader::preload(instance, &mut slot);
                drop(slot);
                loader::resolve(instance);
            }
        }
        LOADER
    });
}

#[cfg(test)]
mod tests;
