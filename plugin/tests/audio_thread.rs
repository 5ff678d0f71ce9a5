//! What the audio thread promises: no allocation in worker mode, sound untouched, offline equal to live.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use host::{Host, Pace, phrase};
use nice_plug::prelude::*;
use tocco_plugin::pool::system_calls;

const RATE: f32 = 48_000.0;

fn settings() -> serde_json::Value {
    // Port 9 discards.
    serde_json::json!({"model": {"library": "techniques"}, "osc": {"host": "127.0.0.1", "port": 9}})
}

#[test]
fn worker_mode_allocates_nothing_in_process() {
    let mut host = Host::new(&settings(), &[], RATE, 64, ProcessMode::Realtime);
    let sound = phrase(RATE);
    let (mut blocks, mut events, mut allocations) = (0, 0, 0);
    let mut pace = Pace::default();
    for pass in 0..3 {
        for chunk in sound.chunks_exact(64) {
            let mut samples = [0.0; 64];
            samples.copy_from_slice(chunk);
            let before = system_calls();
            host.process(&mut samples);
            allocations += system_calls() - before;
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
    println!("{blocks} blocks of 64 samples, {events} MIDI events, {allocations} allocator calls");
    assert!(blocks > 6000 && events > 50, "{blocks} blocks gave {events} MIDI events");
    assert_eq!(allocations, 0);
}

#[test]
fn the_counter_counts() {
    let before = system_calls();
    drop(std::hint::black_box(Box::new(3)));
    assert_eq!(system_calls() - before, 2);
}

/// Every event with its place in the sound.
fn render(mode: ProcessMode, sizes: &[usize], params: &[(&str, f32)]) -> Vec<(u64, NoteEvent<()>)> {
    let largest = u32::try_from(*sizes.iter().max().unwrap()).unwrap();
    let mut host = Host::new(&settings(), params, RATE, largest, mode);
    let mut sound = phrase(RATE);
    // Two seconds of silence, so that the last decisions come out in worker mode too.
    sound.resize(sound.len() + 2 * RATE as usize, 0.0);
    let (mut events, mut at) = (Vec::new(), 0);
    let mut pace = Pace::default();
    for &size in sizes.iter().cycle() {
        let size = size.min(sound.len() - at);
        if size == 0 {
            return events;
        }
        host.process(&mut sound[at..at + size]);
        let placed = host.block.sent.drain(..).map(|mut event| {
            let place = at as u64 + u64::from(event.timing());
            event.subtract_timing(event.timing());
            (place, event)
        });
        events.extend(placed);
        at += size;
        if mode == ProcessMode::Realtime {
            pace.wait(size as f64 / f64::from(RATE));
        }
    }
    events
}

#[test]
fn offline_midi_does_not_depend_on_the_block_size() {
    let whole = render(ProcessMode::Offline, &[8192], &[]);
    assert!(whole.len() > 20, "only {} events", whole.len());
    for sizes in [&[1][..], &[17, 1, 503], &[512]] {
        assert_eq!(render(ProcessMode::Offline, sizes, &[]), whole, "with blocks of {sizes:?}");
    }
}

#[test]
fn live_gives_the_events_of_offline_in_the_same_order_and_later() {
    let offline = render(ProcessMode::Offline, &[512], &[]);
    let live = render(ProcessMode::Realtime, &[512], &[]);
    let only_events = |events: &[(u64, NoteEvent<()>)]| events.iter().map(|(_, event)| *event).collect::<Vec<_>>();
    assert_eq!(only_events(&live), only_events(&offline));
    let late = live.iter().zip(&offline).map(|((live, _), (offline, _))| live - offline).max().unwrap();
    println!("latest event {:.1} ms behind its sample", late as f32 / RATE * 1000.0);
}

/// A host in which the class `none` holds and sounds as a note.
fn holding_a_note() -> Host {
    let mut notes = settings();
    notes["mappings"] = serde_json::json!({"none": {"mode": "note", "channel": 1, "number": 60}});
    let mut host = Host::new(&notes, &[], RATE, 4096, ProcessMode::Offline);
    host.process(&mut [0.0; 4096]);
    assert!(host.block.sent.iter().any(|event| matches!(event, NoteEvent::NoteOn { .. })), "{:?}", host.block.sent);
    host
}

fn assert_ends(host: &mut Host) {
    let sound = &phrase(RATE)[..64];
    let mut heard = sound.to_vec();
    host.process(&mut heard);
    assert_eq!(heard, sound);
    assert!(matches!(host.block.sent[..], [NoteEvent::NoteOff { timing: 0, .. }]), "{:?}", host.block.sent);
}

#[test]
fn bypass_silences_and_ends_what_is_held() {
    let mut host = holding_a_note();
    let params = host.plugin.params();
    let (_, bypass, _) = params.param_map().into_iter().find(|(id, ..)| id == "bypass").unwrap();
    // SAFETY: `params` owns what the pointer points to.
    unsafe { bypass._internal_set_normalized_value(1.0) };
    assert_ends(&mut host);
    host.process(&mut [0.1; 4096]);
    assert!(host.block.sent.is_empty());
}

#[test]
fn a_stop_of_the_transport_ends_what_is_held_and_does_not_strike_it_again() {
    let mut host = holding_a_note();
    host.block.transport.playing = false;
    assert_ends(&mut host);
    host.process(&mut [0.0; 4096]);
    let struck = host.block.sent.iter().any(|event| matches!(event, NoteEvent::NoteOn { .. }));
    assert!(!struck, "{:?}", host.block.sent);
}

#[test]
fn a_note_held_over_a_deactivation_ends_with_the_first_block_after_it() {
    let mut host = holding_a_note();
    host.plugin.deactivate();
    host.activate(RATE, 4096, ProcessMode::Offline);
    assert_ends(&mut host);
}
