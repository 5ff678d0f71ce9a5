#![allow(clippy::unwrap_used, clippy::expect_used)]

use ringbuf::traits::Consumer;
use tocco_models::{Recognizer, Runner};

use super::*;
use crate::inference::{Ends, Ready, sound_room};
use crate::instance::Notices;
use crate::loader::Activation;
use crate::midi::{Message, MidiMap};
use crate::mode::{Placed, Why};
use crate::params::ToccoParams;
use crate::state::{ModelChoice, Settings};
use nice_plug::params::persist::PersistentField;
use nice_plug::prelude::Param;
use tocco_models::stream::{SoundInput, sound};

const RATE: f64 = 48_000.0;

/// A network that fails inside.
struct Bomb;

impl Runner for Bomb {
    fn step(&mut self, _input: &[f32], _logits: &mut [f32]) -> tocco_models::Result<()> {
        panic!("planted")
    }
    fn reset(&mut self) -> tocco_models::Result<()> {
        Ok(())
    }
}

/// A network that takes longer for a hop than the hop lasts, while it is told to.
struct Sloth(Arc<AtomicBool>);

impl Runner for Sloth {
    fn step(&mut self, _input: &[f32], _logits: &mut [f32]) -> tocco_models::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }
    fn reset(&mut self) -> tocco_models::Result<()> {
        Ok(())
    }
}

fn shared(members: Vec<Arc<Instance>>) -> Shared {
    Shared {
        members: RwLock::new(members),
        revision: AtomicU64::new(1),
        stop: AtomicBool::new(false),
        network: OnceLock::new(),
    }
}

fn activated() -> (Arc<Instance>, SoundInput) {
    let (instance, input, _) = connected();
    (instance, input)
}

fn connected() -> (Arc<Instance>, SoundInput, Ends) {
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let (input, output) = sound(sound_room(RATE, 512));
    let ends = instance.engine().connect(output, RATE, 512);
    let mut slot = lock(&instance.slot);
    slot.activate(Activation { sample_rate: RATE, largest_block: 512, is_rendering: false });
    loader::refresh(&instance, &mut slot);
    drop(slot);
    assert!(instance.model.load().is_some());
    // These tests are about the worker, wherever this machine would run it.
    instance.engine().move_to(Placed::WORKER);
    (instance, input, ends)
}

fn plant(instance: &Instance, runner: impl Runner + 'static) {
    let loaded = instance.model.load_full().unwrap();
    let card = loaded.model.card();
    let planted = Recognizer::with_runner(card, Box::new(runner), RATE, &instance.params.policy()).unwrap();
    let ready = Ready { recognizer: planted, share: None, plan: Placed::WORKER };
    instance.engine().install(Some(card), Some(ready), MidiMap::default(), loaded.number);
}

fn hear(instance: &Instance, input: &mut SoundInput) -> u64 {
    let before = instance.published.hops.load(Ordering::Relaxed);
    input.push(19_200, (0..19_200).map(|n| (n as f32 * 0.05).sin()));
    let mut engine = instance.engine();
    guarded(instance, &mut engine, |engine| engine.drain(&instance.controls(), Mode::Offline));
    instance.published.hops.load(Ordering::Relaxed) - before
}

#[test]
fn a_panic_is_caught_shown_and_restarted_once() {
    let (instance, mut input, mut ends) = connected();
    assert!(hear(&instance, &mut input) > 5);
    plant(&instance, Bomb);
    while ends.midi.try_pop().is_some() {}
    assert_eq!(hear(&instance, &mut input), 0);
    assert_eq!(ends.midi.try_pop().map(|due| due.message), Some(Message::Release), "what was held ends");
    let sentence = lock(&instance.notices).inference.clone().unwrap();
    assert!(sentence.contains("planted") && sentence.contains("restarted"), "{sentence}");

    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(hear(&instance, &mut input) > 5, "restarted with the real network");

    plant(&instance, Bomb);
    hear(&instance, &mut input);
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert_eq!(hear(&instance, &mut input), 0, "stays off after the second");
    assert!(lock(&instance.notices).inference.clone().unwrap().contains("stays off"));

    instance.try_again.store(true, Ordering::Relaxed);
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(hear(&instance, &mut input) > 5, "until the player chooses a model");
}

#[test]
fn a_network_slower_than_the_sound_loses_windows_holds_nobody_up_and_is_back_at_once() {
    let (instance, mut input) = activated();
    let is_slow = Arc::new(AtomicBool::new(true));
    plant(&instance, Sloth(Arc::clone(&is_slow)));
    instance.is_member.store(true, Ordering::Relaxed);
    instance.published.set_placed(Placed::WORKER);
    let shared = shared(vec![Arc::clone(&instance)]);
    let late = || instance.published.late_windows.load(Ordering::Relaxed);
    let mut longest = [Duration::ZERO; 5];
    let mut backlogs = [0; 5];
    let mut late_again = 0;
    thread::scope(|scope| {
        scope.spawn(|| infer(&shared));
        scope.spawn(|| {
            let start = Instant::now();
            while !shared.stop.load(Ordering::Relaxed) {
                while (input.position() as f64) < start.elapsed().as_secs_f64() * RATE {
                    input.push(480, (0..480).map(|n| (n as f32 * 0.05).sin()));
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let start = Instant::now();
        while late() == 0 && start.elapsed() < Duration::from_secs(6) {
            thread::sleep(Duration::from_millis(20));
        }
        for (wait, backlog) in longest.iter_mut().zip(&mut backlogs) {
            let asked = Instant::now();
            let engine = instance.engine();
            *wait = asked.elapsed();
            *backlog = engine.backlog();
            drop(engine);
            thread::sleep(Duration::from_millis(100));
        }
        is_slow.store(false, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(100));
        late_again = late();
        thread::sleep(Duration::from_millis(300));
        late_again = late() - late_again;
        instance.engine().disconnect();
        shared.stop.store(true, Ordering::Release);
    });
    assert!(late() > 0, "nothing was dropped");
    // One slow step may fall on a busy machine; the newest sound is heard and the lock is had in time all the same.
    longest.sort();
    backlogs.sort_unstable();
    assert!(backlogs[2] < 48 * 150, "{backlogs:?} samples wait: a queue");
    assert_eq!(late_again, 0, "the delay is the normal one as soon as the network is");
    assert!(longest[2] < Duration::from_millis(200), "{longest:?} until the engine was free");
}

#[test]
fn a_worker_leaves_alone_what_is_meant_for_the_audio_thread() {
    let (instance, mut input) = activated();
    instance.is_member.store(true, Ordering::Relaxed);
    instance.published.set_placed(Placed::WORKER);
    input.push(4800, (0..4800).map(|n| (n as f32 * 0.05).sin()));
    // The loader has installed it, and the audio thread has not seen that yet.
    instance.engine().move_to(Placed { mode: Mode::AudioThread, why: Why::Fits });
    assert!(!recognise(&instance, &mut false));
    assert_eq!(instance.published.hops.load(Ordering::Relaxed), 0);
    instance.engine().move_to(Placed::WORKER);
    assert!(recognise(&instance, &mut false));
    assert!(instance.published.hops.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_network_that_sleeps_delays_the_others_by_a_slice_at_most() {
    let (slow, mut slow_input) = activated();
    plant(&slow, Sloth(Arc::new(AtomicBool::new(true))));
    let (quick, mut quick_input) = activated();
    for instance in [&slow, &quick] {
        instance.is_member.store(true, Ordering::Relaxed);
        instance.published.set_placed(Placed::WORKER);
    }
    let shared = shared(vec![Arc::clone(&slow), Arc::clone(&quick)]);
    let mut waits = Vec::new();
    thread::scope(|scope| {
        // One thread for both: the worst case.
        scope.spawn(|| infer(&shared));
        for _ in 0..40 {
            for input in [&mut slow_input, &mut quick_input] {
                input.push(1920, (0..1920).map(|n| (n as f32 * 0.05).sin()));
            }
            let start = Instant::now();
            let before = quick.published.hops.load(Ordering::Relaxed);
            while quick.published.hops.load(Ordering::Relaxed) == before && start.elapsed() < Duration::from_secs(2) {
                thread::sleep(Duration::from_millis(1));
            }
            waits.push(start.elapsed());
            thread::sleep(Duration::from_millis(40).saturating_sub(start.elapsed()));
        }
        shared.stop.store(true, Ordering::Release);
    });
    waits.sort();
    assert!(waits[20] < Duration::from_millis(60), "{waits:?} until the quick one decided");
}

#[test]
fn what_a_worker_says_does_not_wait_for_the_network_thread_s_next_look() {
    let (instance, mut input) = activated();
    instance.is_member.store(true, Ordering::Relaxed);
    instance.published.set_placed(Placed::WORKER);
    let shared = shared(vec![Arc::clone(&instance)]);
    shared.network.set(thread::current()).unwrap();
    let waited = thread::scope(|scope| {
        scope.spawn(|| infer(&shared));
        input.push(4800, (0..4800).map(|n| (n as f32 * 0.05).sin()));
        let start = Instant::now();
        thread::park_timeout(Duration::from_secs(5));
        shared.stop.store(true, Ordering::Release);
        start.elapsed()
    });
    assert!(waited < Duration::from_secs(2), "woken after {waited:?}");
}

#[test]
fn an_error_that_does_not_come_again_leaves_the_panel_and_a_panic_stays() {
    let shown = |notices: &Notices| notices.inference.clone();
    let mut notices = Notices::default();
    notices.fail("once".into());
    notices.age();
    assert_eq!(shown(&notices).as_deref(), Some("once"));
    notices.inference_seen = Instant::now().checked_sub(Duration::from_secs(60));
    notices.age();
    assert_eq!(shown(&notices), None);
    notices.break_down("panic".into());
    notices.age();
    assert_eq!(shown(&notices).as_deref(), Some("panic"));

    let (instance, _input) = activated();
    lock(&instance.notices).break_down("no such rate".into());
    let mut slot = lock(&instance.slot);
    slot.activate(Activation { sample_rate: 44_100.0, largest_block: 512, is_rendering: false });
    loader::refresh(&instance, &mut slot);
    assert_eq!(shown(&lock(&instance.notices)), None, "a recognizer was built since");
}

#[test]
fn a_model_that_is_gone_is_named_and_the_settings_are_kept() {
    let (instance, mut input) = activated();
    let gone = ModelChoice::Path("/nowhere/flute.onnx".into());

    // Picked on the panel: the one in use goes on.
    instance.params.settings.change(|settings| settings.model = gone.clone());
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(lock(&instance.notices).model.clone().unwrap().contains("/nowhere/flute.onnx"));
    assert!(hear(&instance, &mut input) > 5);
    assert_eq!(
        instance.params.settings.snapshot().settings.model,
        ModelChoice::default(),
        "the project keeps what works"
    );
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(lock(&instance.notices).model.is_some(), "the sentence stays to be read");

    // Named by a project: no other model may speak in its place.
    let settings = Settings { name: "kept".into(), model: gone.clone(), ..Settings::default() };
    PersistentField::set(&instance.params.settings, settings);
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(instance.model.load().is_none());
    assert_eq!(hear(&instance, &mut input), 0);
    let kept = instance.params.settings.snapshot().settings;
    assert_eq!((kept.model, kept.name.as_str()), (gone, "kept"));

    // Found again.
    instance.params.settings.change(|settings| settings.model = ModelChoice::default());
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(lock(&instance.notices).model.is_none());
    assert!(hear(&instance, &mut input) > 5);
}

#[test]
fn a_slot_whose_model_is_gone_changes_no_setting_and_is_played_once_it_is_back() {
    let (instance, mut input) = activated();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flute.onnx");
    let slots = || [(2, ModelChoice::Path(file.clone()))].into();
    let refresh = || loader::refresh(&instance, &mut lock(&instance.slot));
    let slot = |number: i32| {
        let (pointer, normalized) = (instance.params.slot.as_ptr(), instance.params.slot.preview_normalized(number));
        // SAFETY: the parameter outlives the call, and nobody else moves it.
        unsafe { pointer._internal_set_normalized_value(normalized) };
    };
    let in_use = || instance.model.load().as_ref().map(|loaded| loaded.choice.clone());
    for is_project in [false, true] {
        if is_project {
            PersistentField::set(&instance.params.settings, Settings { slots: slots(), ..Settings::default() });
        } else {
            instance.params.settings.change(|settings| settings.slots = slots());
        }
        refresh();
        let before = instance.params.settings.snapshot();
        slot(2);
        (0..3).for_each(|_| refresh());
        let after = instance.params.settings.snapshot();
        assert_eq!((before.revision, &before.settings), (after.revision, &after.settings), "{is_project}");
        assert_eq!(in_use(), Some(ModelChoice::default()), "the one in use goes on");
        assert!(lock(&instance.notices).model.clone().unwrap().contains("flute.onnx"));
        assert!(hear(&instance, &mut input) > 5);
        slot(0);
        refresh();
        assert_eq!(lock(&instance.notices).model, None);
    }
    slot(2);
    refresh();
    std::fs::write(&file, tocco_models::library::INSTRUMENTS).unwrap();
    thread::sleep(Duration::from_millis(2100));
    refresh();
    assert_eq!(in_use(), Some(ModelChoice::Path(file.clone())));
    // Back to the settings' own, which is gone meanwhile: it stays written down.
    let gone = ModelChoice::Path("/nowhere/flute.onnx".into());
    slot(0);
    PersistentField::set(
        &instance.params.settings,
        Settings { model: gone.clone(), slots: slots(), ..Settings::default() },
    );
    refresh();
    slot(2);
    refresh();
    slot(0);
    instance.params.settings.change(|settings| settings.name = "touched".into());
    refresh();
    assert_eq!(instance.params.settings.snapshot().settings.model, gone);
}

#[cfg(target_os = "linux")]
#[test]
fn threads_start_with_the_first_instance_and_end_with_the_last() {
    let running = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        // A lookup of a host belongs to nobody.
        names.filter(|name| name.starts_with("tocco-") && !name.starts_with("tocco-lookup")).count()
    };
    // A thread gives itself its name, and the system takes a moment to forget one that ended.
    let settles = |enough: &dyn Fn(usize) -> bool| {
        (0..1000).any(|_| {
            enough(running()) || {
                thread::sleep(Duration::from_millis(2));
                false
            }
        })
    };
    assert_eq!(running(), 0);
    let instances: Vec<_> = (0..3).map(|_| Instance::new(Arc::new(ToccoParams::default()))).collect();
    instances.iter().for_each(|instance| instance.join());
    assert!(settles(&|count| count >= 3), "inference, network and loader, {} run", running());
    let all = running();
    instances[0].leave();
    instances[1].leave();
    assert_eq!(running(), all);
    instances[2].leave();
    assert!(settles(&|count| count == 0), "a host may unload the library now, {} run", running());
    assert!(instances.iter().all(|instance| Arc::strong_count(instance) == 1), "no thread holds an instance");
}
