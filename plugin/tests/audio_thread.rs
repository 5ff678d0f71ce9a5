//! What the audio thread promises in each mode: sound untouched, nothing asked of the system, every event on its
//! sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use std::sync::LazyLock;
use std::sync::mpsc::channel;

use host::{Host, Pace, phrase};
use nice_plug::prelude::*;
use proptest::prelude::*;
use tocco_plugin::mode::Mode;
use tocco_plugin::pool::system_calls;

const RATE: f32 = 48_000.0;

fn settings() -> serde_json::Value {
    // Port 9 discards.
    serde_json::json!({"model": {"library": "techniques"}, "osc": {"host": "127.0.0.1", "port": 9}})
}

/// The parameter that says where the recognizer runs.
const WORKER: (&str, f32) = ("run_in", 1.0);
const AUDIO_THREAD: (&str, f32) = ("run_in", 0.5);

#[test]
fn worker_mode_allocates_nothing_in_process() {
    let mut host = Host::new(&settings(), &[WORKER], RATE, 64, ProcessMode::Realtime);
    let sound = phrase(RATE);
    let (mut blocks, mut events) = (0, 0);
    let mut pace = Pace::default();
    for pass in 0..3 {
        for chunk in sound.chunks_exact(64) {
            let mut samples = [0.0; 64];
            samples.copy_from_slice(chunk);
            host.process(&mut samples);
            assert!(samples.iter().zip(chunk).all(|(out, sent)| out.to_bits() == sent.to_bits()));
            events += host.block.sent.len();
            blocks += 1;
            if pass == 1 && blocks % 1000 == 0 {
                host.plugin.reset();
            }
            // In real time, so that the inference thread has its say in every state of the ring.
            pace.wait(64.0 / f64::from(RATE));
        }
    }
    println!("{blocks} blocks of 64 samples, {events} MIDI events, {} allocator calls", host.system_calls);
    assert!(blocks > 6000 && events > 50, "{blocks} blocks gave {events} MIDI events");
    assert_eq!(host.system_calls, 0);
}

#[test]
fn the_counter_counts() {
    let before = system_calls();
    drop(std::hint::black_box(Box::new(3)));
    assert_eq!(system_calls() - before, 2);
}

/// The phrase and two seconds of silence, so that the last decisions come out in worker mode too.
fn sound() -> Vec<f32> {
    let mut sound = phrase(RATE);
    sound.resize(sound.len() + 2 * RATE as usize, 0.0);
    sound
}

type Placed = (u64, NoteEvent<()>);

/// Plays a part of a sound that starts at `from`; every event with its place.
fn play(host: &mut Host, sound: &mut [f32], from: usize, sizes: &[usize], pace: Option<&mut Pace>) -> Vec<Placed> {
    let (mut events, mut at, mut pace) = (Vec::new(), 0, pace);
    for &size in sizes.iter().cycle() {
        let size = size.min(sound.len() - at);
        if size == 0 {
            break;
        }
        host.process(&mut sound[at..at + size]);
        events.extend(host.block.sent.drain(..).map(|mut event| {
            let place = (from + at) as u64 + u64::from(event.timing());
            event.subtract_timing(event.timing());
            (place, event)
        }));
        at += size;
        if let Some(pace) = &mut pace {
            pace.wait(size as f64 / f64::from(RATE));
        }
    }
    events
}

fn offline(sizes: &[usize]) -> Vec<Placed> {
    let mut host = Host::new(&settings(), &[], RATE, 8192, ProcessMode::Offline);
    play(&mut host, &mut sound(), 0, sizes, None)
}

fn on_the_audio_thread() -> Host {
    let host = Host::new(&settings(), &[AUDIO_THREAD], RATE, 8192, ProcessMode::Realtime);
    assert_eq!(host.plugin.mode(), Mode::AudioThread);
    host
}

#[test]
fn midi_lands_on_the_same_sample_for_every_block_size_live_and_offline() {
    let whole = offline(&[8192]);
    assert!(whole.len() > 20, "only {} events", whole.len());
    assert_eq!(offline(&[17, 1, 503]), whole);
    for sizes in [&[1][..], &[32], &[64], &[480], &[512], &[2048], &[17, 1, 503]] {
        let mut host = on_the_audio_thread();
        assert_eq!(play(&mut host, &mut sound(), 0, sizes, None), whole, "in blocks of {sizes:?}");
        assert_eq!(host.plugin.mode(), Mode::AudioThread);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn no_cut_into_blocks_changes_an_event(sizes in prop::collection::vec(1_usize..4096, 1..40)) {
        static WHOLE: LazyLock<Vec<Placed>> = LazyLock::new(|| offline(&[8192]));
        prop_assert_eq!(&play(&mut on_the_audio_thread(), &mut sound(), 0, &sizes, None), &*WHOLE);
    }
}

#[test]
fn a_worker_gives_the_events_of_offline_in_the_same_order_and_later() {
    let offline = offline(&[512]);
    let mut host = Host::new(&settings(), &[WORKER], RATE, 512, ProcessMode::Realtime);
    let live = play(&mut host, &mut sound(), 0, &[512], Some(&mut Pace::default()));
    let only_events = |events: &[Placed]| events.iter().map(|(_, event)| *event).collect::<Vec<_>>();
    assert_eq!(only_events(&live), only_events(&offline));
    let late = live.iter().zip(&offline).map(|((live, _), (offline, _))| live - offline).max().unwrap();
    println!("latest event {:.1} ms behind its sample", late as f32 / RATE * 1000.0);
}

#[test]
fn process_moves_over_cold_threads_and_asks_nothing_of_the_system() {
    let whole = offline(&[64]);
    let mut host = on_the_audio_thread();
    let mut sound = sound();
    let part = sound.len().div_ceil(8);
    let mut events = Vec::new();
    for (n, sound) in sound.chunks_mut(part).enumerate() {
        // A thread that never saw the plugin, and ends before the next one starts.
        let mut sound = sound.to_vec();
        let (moved, part_events) = std::thread::spawn(move || {
            let events = play(&mut host, &mut sound, n * part, &[64], None);
            (host, events)
        })
        .join()
        .unwrap();
        host = moved;
        events.extend(part_events);
        assert_eq!(host.system_calls, 0, "on thread {n}");
        assert_eq!(host.plugin.mode(), Mode::AudioThread);
    }
    assert_eq!(events, whole);
}

#[test]
fn instances_may_go_before_the_threads_that_ran_them_and_after_them() {
    let (to_thread, hosts) = channel::<Host>();
    let (from_thread, back) = channel::<Host>();
    let thread = std::thread::spawn(move || {
        for mut host in hosts {
            let events = play(&mut host, &mut sound(), 0, &[64], None);
            assert!(events.len() > 20);
            from_thread.send(host).unwrap();
        }
    });
    let mut last = None;
    for _ in 0..6 {
        to_thread.send(on_the_audio_thread()).unwrap();
        // Dropped here, while the thread lives on with the engine's scratch.
        last = Some(back.recv().unwrap());
    }
    drop(to_thread);
    thread.join().unwrap();
    // And one that outlives its thread.
    let mut host = last.unwrap();
    host.plugin.reset();
    assert!(play(&mut host, &mut sound(), 0, &[64], None).len() > 20);
}
