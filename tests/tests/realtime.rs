//! A million blocks in a host: the audio thread asks nothing of the system, in each mode. Under the feature `rtsan` the
//! realtime sanitizer watches too.
//!
//! Excepted, by design: the first blocks on a thread. What the network engine keeps in thread-locals is registered with
//! the C library, which allocates a few words each, and the standard library asks once a thread for random keys. So each
//! run warms its thread up with [`WARM`] blocks that are counted but not watched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::time::Duration;

use serde_json::json;
use tocco_tests::host::{Host, Input, Processor};
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;

const RATE: f64 = 48_000.0;
const MILLION: usize = 1_000_000;
/// Blocks before the watch starts: half a second of 64 samples each.
const WARM: usize = 400;

/// A hosted plugin with the shipped model, in a mode (`audio` or `worker`).
fn hosted(run_in: &str, block: usize) -> (Host, Processor) {
    let mut host = Host::inside().unwrap();
    host.restore(&State::empty().with_osc_port(9).with_parameter("run_in", json!({"string": run_in}))).unwrap();
    let processor = host.activate(RATE, block as u32).unwrap();
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

#[test]
fn a_million_blocks_on_the_audio_thread_ask_nothing_of_the_system() {
    let (mut host, mut processor) = hosted("audio", 64);
    play(&mut processor, WARM, 64, None);
    (processor.system_calls, processor.is_watched) = (0, true);
    let events = play(&mut processor, MILLION, 64, None);
    println!("{MILLION} blocks of 64 samples, {events} events, {} calls of the allocator", processor.system_calls);
    assert!(events > MILLION / 50, "{events} events: only what came in went out");
    assert_eq!(processor.system_calls, 0);
    host.deactivate(processor);
}

#[test]
fn a_million_blocks_beside_a_worker_ask_nothing_of_the_system() {
    // One sample each, at the pace of a sound card: a million of 64 would take twenty minutes.
    let (mut host, mut processor) = hosted("worker", 48);
    let pause = Some((48, Duration::from_micros(900)));
    play(&mut processor, WARM, 1, pause);
    (processor.system_calls, processor.is_watched) = (0, true);
    let events = play(&mut processor, MILLION, 1, pause);
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
