#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

use ringbuf::traits::Consumer;
use tocco_models::{Model, NetworkKind, Runner, library};

use super::*;
use crate::state::{Mapping, MidiMode};
use tocco_models::stream::{SoundInput, sound};

const RATE: f64 = 48_000.0;
const BLOCK: usize = 512;

struct Rig {
    engine: Engine,
    input: SoundInput,
    ends: Ends,
    reports: HeapCons<Report>,
    published: Arc<Published>,
    model: Arc<Model>,
}

impl Rig {
    /// That so many decisions fit so many blocks, within what the start of a window needs.
    fn expect_hops(&self, hops: u64, blocks: usize) {
        let card = self.model.card();
        let expected = (blocks * BLOCK) as f64 / RATE * f64::from(card.sample_rate) / card.hop() as f64;
        assert!((hops as f64 - expected).abs() < 6.0, "{hops} decisions in {blocks} blocks, {expected} expected");
    }
}

fn rig(mapping: Mapping) -> Rig {
    let published = Arc::new(Published::default());
    published.set_placed(Placed::WORKER);
    let (mut engine, reports, _take) = Engine::new(Arc::clone(&published));
    let model = Model::from_bytes(library::TECHNIQUES).unwrap();
    let (input, output) = sound(sound_room(RATE, BLOCK));
    let ends = engine.connect(output, RATE, BLOCK);
    let recognizer = Recognizer::new(&model, RATE, &Policy::default()).unwrap();
    let mappings: BTreeMap<_, _> = model.card().classes.iter().map(|class| (class.clone(), mapping)).collect();
    let ready = Ready { recognizer, share: None, plan: Placed::WORKER };
    engine.install(Some(model.card()), Some(ready), MidiMap::new(&model.card().classes, &mappings), 1);
    Rig { engine, input, ends, reports, published, model }
}

const CONTROLS: fn(bool) -> Controls = |midi_on| Controls { policy: Policy { gate_dbfs: -120.0, ..DEFAULT }, midi_on };
const DEFAULT: Policy = Policy {
    gate_dbfs: -55.0,
    gate_hold_ms: 200.0,
    smoothing: tocco_models::Smoothing::MovingAverage { ms: 60.0 },
    hysteresis: 0.0,
    min_confidence: 0.0,
    min_duration_ms: 0.0,
};
const FOLLOW: Mapping = Mapping::new(MidiMode::Probability, 1, 20);
const GATE: Mapping = Mapping::new(MidiMode::Gate, 1, 20);

fn hum(from: u64, length: usize) -> impl Iterator<Item = f32> {
    (from..).take(length).map(|n| 0.2 * (n as f32 * 0.02).sin())
}

fn push(rig: &mut Rig, blocks: usize) {
    for _ in 0..blocks {
        rig.input.push(BLOCK, hum(rig.input.position(), BLOCK));
    }
}

/// All that waits, slice by slice.
fn work(rig: &mut Rig) {
    while rig.engine.is_waiting() {
        rig.engine.drain(&CONTROLS(true), Mode::Worker).unwrap();
    }
}

/// The stamps of the messages that wait for the audio thread.
fn stamps(rig: &mut Rig) -> Vec<u64> {
    std::iter::from_fn(|| rig.ends.midi.try_pop())
        .filter(|due| due.message != Message::Release)
        .map(|due| due.at)
        .collect()
}

#[test]
fn a_worker_that_is_late_drops_to_the_newest_counts_it_and_keeps_its_place() {
    let mut rig = rig(FOLLOW);
    // 0.32 s wait: not late.
    push(&mut rig, 30);
    work(&mut rig);
    assert_eq!(rig.published.late_windows.load(Ordering::Relaxed), 0);
    let hops = rig.published.hops.load(Ordering::Relaxed);
    rig.expect_hops(hops, 30);
    stamps(&mut rig);
    // 0.85 s wait: all but the newest block is dropped.
    push(&mut rig, 80);
    work(&mut rig);
    let late = rig.published.late_windows.load(Ordering::Relaxed);
    rig.expect_hops(late, 79);
    // The normal delay at once: each block's decisions come with the block.
    let mut told = 0;
    for block in 110..130 {
        push(&mut rig, 1);
        work(&mut rig);
        let stamps = stamps(&mut rig);
        assert!(stamps.iter().all(|&at| at / BLOCK as u64 >= block - 1), "{stamps:?} in block {block}");
        told += stamps.len();
    }
    assert!(told > 5, "{told} messages after the drop");
    assert_eq!(rig.published.late_windows.load(Ordering::Relaxed), late);
}

/// Counts its steps, and takes 25 ms for each while it is told to.
#[derive(Clone, Default)]
struct Windowed {
    steps: Arc<AtomicU64>,
    is_slow: Arc<AtomicBool>,
}

impl Runner for Windowed {
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> tocco_models::Result<()> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.is_slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(25));
        }
        logits.fill(*input.last().unwrap());
        Ok(())
    }
    fn reset(&mut self) -> tocco_models::Result<()> {
        panic!("the window would be lost")
    }
}

#[test]
fn a_late_network_of_whole_windows_decides_on_the_newest_and_hears_all() {
    let mut rig = rig(FOLLOW);
    let mut card = rig.model.card().clone();
    (card.frontend, card.reference) = (None, None);
    let hop = usize::try_from(card.sample_rate / 50).unwrap();
    card.network = NetworkKind::Audio { samples: 8 * hop, hop };
    let runner = Windowed::default();
    let boxed = Box::new(runner.clone());
    let recognizer = Recognizer::with_runner(&card, boxed, RATE, &Policy::default()).unwrap();
    rig.engine.install(
        Some(&card),
        Some(Ready { recognizer, share: None, plan: Placed::WORKER }),
        MidiMap::default(),
        2,
    );
    let counts = |rig: &mut Rig, blocks| {
        push(rig, blocks);
        work(rig);
        let late = rig.published.late_windows.swap(0, Ordering::Relaxed);
        (runner.steps.swap(0, Ordering::Relaxed), late)
    };
    // 0.96 s at once, and it is quick: a step for each hop of 20 ms.
    let (ran, late) = counts(&mut rig, 90);
    assert!((46..=48).contains(&ran) && late == 0, "{ran} steps, {late} late");
    // It is slow: what can't be caught up on is left out and counted, and the rest is the newest.
    runner.is_slow.store(true, Ordering::Relaxed);
    let (ran, late) = counts(&mut rig, 90);
    assert!((1..=8).contains(&ran) && (46..=48).contains(&(ran + late)), "{ran} steps, {late} late");
    // Quick again: in time at once, after one step that shows it.
    runner.is_slow.store(false, Ordering::Relaxed);
    let (ran, late) = (0..90).fold((0, 0), |(ran, late), _| {
        let (more_ran, more_late) = counts(&mut rig, 1);
        (ran + more_ran, late + more_late)
    });
    assert!((46..=48).contains(&ran) && late == 0, "{ran} steps, {late} late");
}

#[test]
fn a_fall_from_the_audio_thread_ends_what_is_held_and_strikes_it_again() {
    let mut rig = rig(GATE);
    let mut drain = |mode| {
        for _ in 0..20 {
            push(&mut rig, 1);
            rig.engine.drain(&CONTROLS(true), mode).unwrap();
        }
        std::iter::from_fn(|| rig.ends.midi.try_pop()).map(|due| due.message).collect::<Vec<_>>()
    };
    let is_on = |message: &Message| matches!(message, Message::Gate { on: true, .. });
    assert!(drain(Mode::AudioThread).iter().any(is_on));
    let after = drain(Mode::Worker);
    assert_eq!(after.first(), Some(&Message::Release), "{after:?}");
    assert!(after.iter().any(is_on), "{after:?}");
    // Rendering goes on where live playing was.
    assert!(!drain(Mode::Offline).contains(&Message::Release));
}

#[test]
fn what_holds_is_struck_again_when_the_host_plays_on() {
    let mut rig = rig(GATE);
    let published = Arc::clone(&rig.published);
    let mut struck = || {
        push(&mut rig, 20);
        work(&mut rig);
        let told = std::iter::from_fn(|| rig.ends.midi.try_pop()).map(|due| due.message);
        told.filter(|message| matches!(message, Message::Gate { on: true, .. })).count()
    };
    assert!(struck() > 0);
    struck();
    assert_eq!(struck(), 0, "the hum goes on");
    published.strike_again.store(true, Ordering::Relaxed);
    assert!(struck() > 0);
    assert_eq!(struck(), 0, "once");
}

#[test]
fn sound_that_found_no_room_counts_as_late() {
    let mut rig = rig(FOLLOW);
    push(&mut rig, 20);
    rig.input.leave_out(100 * BLOCK);
    push(&mut rig, 1);
    work(&mut rig);
    rig.expect_hops(rig.published.late_windows.load(Ordering::Relaxed), 100);
}

#[test]
fn the_latency_is_that_of_the_mode() {
    let mut rig = rig(FOLLOW);
    let mut latency_in = |mode| {
        rig.engine.drain(&CONTROLS(true), mode).unwrap();
        f64::from(rig.published.latency.get().midi())
    };
    let (worker, offline, again) = (latency_in(Mode::Worker), latency_in(Mode::Offline), latency_in(Mode::Worker));
    let wait_ms = 1.0 + 1000.0 * BLOCK as f64 / RATE;
    assert!((worker - offline - wait_ms).abs() < 0.01 && worker == again, "{worker}, {offline}, {again} ms");
}

#[test]
fn offline_nothing_is_ever_late() {
    let mut rig = rig(FOLLOW);
    push(&mut rig, 90);
    rig.engine.drain(&CONTROLS(true), Mode::Offline).unwrap();
    assert_eq!(rig.published.late_windows.load(Ordering::Relaxed), 0);
    let hops = rig.published.hops.load(Ordering::Relaxed);
    rig.expect_hops(hops, 90);
}

#[test]
fn another_model_or_midi_switched_off_ends_what_is_held() {
    let mut rig = rig(GATE);
    push(&mut rig, 20);
    rig.engine.drain(&CONTROLS(true), Mode::Offline).unwrap();
    let drain =
        |rig: &mut Rig| std::iter::from_fn(|| rig.ends.midi.try_pop()).map(|due| due.message).collect::<Vec<_>>();
    assert!(drain(&mut rig).iter().any(|message| matches!(message, Message::Gate { on: true, .. })));
    rig.engine.drain(&CONTROLS(false), Mode::Offline).unwrap();
    assert_eq!(drain(&mut rig), [Message::Release]);
    push(&mut rig, 20);
    rig.engine.drain(&CONTROLS(false), Mode::Offline).unwrap();
    assert_eq!(drain(&mut rig), []);
    rig.engine.install(None, None, MidiMap::default(), 2);
    assert_eq!(drain(&mut rig), [Message::Release]);
    let reports: Vec<Report> = std::iter::from_fn(|| rig.reports.try_pop()).collect();
    assert_eq!(reports.last(), Some(&Report::Model(2)));
}

#[test]
fn after_a_reset_stamps_go_on_and_old_sound_is_not_heard() {
    let mut rig = rig(FOLLOW);
    push(&mut rig, 40);
    let generation = rig.input.reset();
    push(&mut rig, 20);
    rig.engine.drain(&CONTROLS(true), Mode::Offline).unwrap();
    let due: Vec<Due> =
        std::iter::from_fn(|| rig.ends.midi.try_pop()).filter(|due| due.message != Message::Release).collect();
    assert!(!due.is_empty());
    assert!(due.iter().all(|due| due.generation == generation && due.at >= 40 * BLOCK as u64), "{due:?}");
}

#[test]
fn decisions_are_told_at_each_change_and_the_compatible_message_at_each_hop() {
    let mut rig = rig(FOLLOW);
    push(&mut rig, 90);
    rig.engine.drain(&CONTROLS(true), Mode::Offline).unwrap();
    let none = rig.model.card().none_class().and_then(|none| u8::try_from(none).ok());
    let (mut now, mut events, mut hops) = (none, 0, 0);
    while let Some(report) = rig.reports.try_pop() {
        match report {
            Report::Event { class, seconds, .. } => {
                assert_ne!(class, now, "an event without a change");
                assert!((0.0..0.96).contains(&seconds));
                (now, events) = (class, events + 1);
            }
            Report::Class(class) => {
                assert_eq!(Some(class), now);
                assert_ne!(Some(class), none);
                hops += 1;
            }
            Report::Active(_) | Report::Model(_) => {}
        }
    }
    assert!(events > 0 && hops > 5, "{events} events, {hops} hops: the hum was to be taken for something");
}
