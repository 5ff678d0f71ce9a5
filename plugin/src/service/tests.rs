#![allow(clippy::unwrap_used, clippy::expect_used)]

use tocco_models::{Recognizer, Runner};

use super::*;
use crate::inference::sound_room;
use crate::midi::MidiMap;
use crate::params::ToccoParams;
use crate::state::{ModelChoice, Settings};
use crate::stream::{SoundInput, sound};
use nice_plug::params::persist::PersistentField;

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

fn activated() -> (Arc<Instance>, SoundInput) {
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    let (input, output) = sound(sound_room(RATE, 512));
    lock(&instance.engine).connect(output, RATE, 512);
    let mut slot = lock(&instance.slot);
    slot.activate(RATE);
    loader::refresh(&instance, &mut slot);
    drop(slot);
    assert!(instance.model.load().is_some());
    (instance, input)
}

fn plant(instance: &Instance) {
    let loaded = instance.model.load_full().unwrap();
    let card = loaded.model.card();
    let bomb = Recognizer::with_runner(card, Box::new(Bomb), RATE, &instance.params.policy()).unwrap();
    lock(&instance.engine).install(Some(card), Some(bomb), MidiMap::default(), loaded.number);
}

fn hear(instance: &Instance, input: &mut SoundInput) -> u64 {
    let before = instance.published.hops.load(Ordering::Relaxed);
    // 0.4 s, under what counts as late.
    input.push(19_200, (0..19_200).map(|n| (n as f32 * 0.05).sin()));
    let mut engine = lock(&instance.engine);
    guarded(instance, || engine.drain(&instance.controls(), Mode::Worker));
    instance.published.hops.load(Ordering::Relaxed) - before
}

#[test]
fn a_panic_is_caught_shown_and_restarted_once() {
    let (instance, mut input) = activated();
    assert!(hear(&instance, &mut input) > 5);
    plant(&instance);
    assert_eq!(hear(&instance, &mut input), 0);
    let sentence = lock(&instance.notices).inference.clone().unwrap();
    assert!(sentence.contains("planted") && sentence.contains("restarted"), "{sentence}");

    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(hear(&instance, &mut input) > 5, "restarted with the real network");

    plant(&instance);
    hear(&instance, &mut input);
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert_eq!(hear(&instance, &mut input), 0, "stays off after the second");
    assert!(lock(&instance.notices).inference.clone().unwrap().contains("stays off"));

    instance.try_again.store(true, Ordering::Relaxed);
    loader::refresh(&instance, &mut lock(&instance.slot));
    assert!(hear(&instance, &mut input) > 5, "until the player chooses a model");
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

#[cfg(target_os = "linux")]
#[test]
fn threads_start_with_the_first_instance_and_end_with_the_last() {
    let running = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with("tocco-")).count()
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
