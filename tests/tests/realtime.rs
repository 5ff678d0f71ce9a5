//! A million blocks in a host: the audio thread asks nothing of the system, in each mode. Under the feature `rtsan` the
//! realtime sanitizer watches too, from the first block on a thread that never saw the plugin.
//!
//! Excepted, by design: the first blocks of a network that can't be pulsed. What the engine keeps for it in
//! thread-locals is registered with the C library, which allocates a few words each, and the standard library asks the
//! system once a thread for random keys. So its thread is warmed up with [`WARM`] blocks that nobody watches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tocco_tests::host::{Host, Input, Processor};
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;
use tocco_tests::synthetic;

const RATE: f64 = 48_000.0;
const MILLION: usize = 1_000_000;
/// Blocks before the watch starts, where it does not start at once: half a second of 64 samples each.
const WARM: usize = 400;

/// A hosted plugin in a mode (`audio` or `worker`), with the shipped model or that of a file.
fn hosted(run_in: &str, block: usize, model: Option<&Path>) -> (Host, Processor) {
    let mut host = Host::inside().unwrap();
    let state = State::empty().with_osc_port(9).with_parameter("run_in", json!({"string": run_in}));
    host.restore(&model.map_or(state.clone(), |path| state.with_model(path))).unwrap();
    let mut processor = host.activate(RATE, block as u32).unwrap();
    processor.is_watched = true;
    (host, processor)
}

/// Plays tones and silences in blocks of one size; `pause` after every so many blocks.
fn play(processor: &mut Processor, blocks: usize, block: usize, pause: Option<(usize, Duration)>) -> usize {
    let sound = render(&LOW_AND_HIGH, RATE);
    let mut output = vec![vec![0.0; block]; 2];
    let mut events = 0;
    let last = sound.len() - block;
    for n in 0..blocks {
        let at = n * block % last;
        let input = &sound[at..at + block];
        // A controller comes in now and then, as from a keyboard on the track.
        let incoming = [Input::Midi([0xb0, 1, (n % 128) as u8])];
        let incoming = if n % 50 == 0 { &incoming[..] } else { &[] };
        events += processor.process(&[input, input], &mut output, incoming).unwrap().len();
        if let Some((every, pause)) = pause
            && n % every == 0
        {
            std::thread::sleep(pause);
        }
    }
    events
}

/// Runs the processor on a thread of its own, as a host does, and gives it back with the number of events.
fn on_a_fresh_thread(mut processor: Processor, run: impl FnOnce(&mut Processor) -> usize + Send) -> (Processor, usize) {
    std::thread::scope(|scope| {
        scope
            .spawn(move || {
                let events = run(&mut processor);
                (processor, events)
            })
            .join()
            .unwrap()
    })
}

#[test]
fn a_million_blocks_on_the_audio_thread_ask_nothing_of_the_system() {
    let (mut host, processor) = hosted("audio", 64, None);
    let (processor, events) = on_a_fresh_thread(processor, |processor| play(processor, MILLION, 64, None));
    println!("{MILLION} blocks of 64 samples, {events} events, {} calls of the allocator", processor.system_calls);
    assert!(events > MILLION / 25, "{events} events: hardly more than what came in");
    assert_eq!(processor.system_calls, 0);
    host.deactivate(processor);
}

#[test]
fn a_network_that_keeps_scratch_in_its_threads_asks_nothing_of_the_system_once_it_is_warm() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    assert_eq!(tocco_models::Model::load(&model).unwrap().loader(), tocco_models::Loader::Explicit);
    let (mut host, processor) = hosted("audio", 64, Some(&model));
    let blocks = MILLION / 4;
    let (processor, events) = on_a_fresh_thread(processor, |processor| {
        processor.is_watched = false;
        play(processor, WARM, 64, None);
        processor.is_watched = true;
        play(processor, blocks, 64, None)
    });
    println!("{blocks} blocks of 64 samples, {events} events, {} calls of the allocator", processor.system_calls);
    assert!(events > blocks / 25, "{events} events: hardly more than what came in");
    assert_eq!(processor.system_calls, 0);
    host.deactivate(processor);
}

#[test]
fn the_plugin_as_a_file_stays_off_the_system_too() {
    let Some(file) = tocco_tests::locate::needed(tocco_tests::locate::clap()) else { return };
    let mut host = Host::load(&file).unwrap();
    let state = State::empty().with_osc_port(9).with_parameter("run_in", json!({"string": "audio"}));
    host.restore(&state).unwrap();
    let processor = host.activate(RATE, 64).unwrap();
    // Its allocator is its own and can't be counted from here: this is for the sanitizer, which sees the whole process.
    let (processor, events) = on_a_fresh_thread(processor, |processor| {
        // The system's loader sets up the library's thread-locals.
        play(processor, 1, 64, None);
        processor.is_watched = true;
        play(processor, MILLION / 10, 64, None)
    });
    assert!(events > MILLION / 250, "{events} events");
    host.deactivate(processor);
}

#[test]
fn a_million_blocks_beside_a_worker_ask_nothing_of_the_system() {
    // One sample each, at the pace of a sound card: a million of 64 would take twenty minutes.
    let (mut host, processor) = hosted("worker", 48, None);
    let pause = Some((48, Duration::from_micros(900)));
    let (processor, events) = on_a_fresh_thread(processor, |processor| play(processor, MILLION, 1, pause));
    println!("{MILLION} blocks of a sample, {events} events, {} calls of the allocator", processor.system_calls);
    assert!(events > MILLION / 50, "{events} events: only what came in went out");
    assert_eq!(processor.system_calls, 0);
    host.deactivate(processor);
}

/// In a program of its own, since the sanitizer ends the one in which it finds something.
#[cfg(feature = "rtsan")]
#[test]
fn the_sanitizer_ends_a_program_that_allocates_where_it_watches() {
    const PLANTED: &str = "TOCCO_PLANTED_ALLOCATION";
    if std::env::var_os(PLANTED).is_some() {
        tocco_tests::host::watched(true, || drop(std::hint::black_box(vec![0_u8; 100])));
        return;
    }
    let name = "the_sanitizer_ends_a_program_that_allocates_where_it_watches";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(PLANTED, "1")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && report.contains("RealtimeSanitizer"), "{:?}: {report}", output.status);
}
