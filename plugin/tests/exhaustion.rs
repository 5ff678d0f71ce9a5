//! The audio thread's memory runs out: the instance falls to the worker, and nothing that was promised breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use host::{Host, Pace, phrase};
use nice_plug::prelude::*;
use tocco_plugin::mode::Mode;
use tocco_plugin::pool::Scope;

const RATE: f32 = 48_000.0;

#[test]
fn an_exhausted_pool_is_survived_counted_and_told() {
    let settings = serde_json::json!({
        "model": {"library": "bowed-plucked"},
        "osc": {"host": "127.0.0.1", "port": 9},
        "mappings": {
            "none": {"mode": "note", "channel": 1, "number": 60},
            "bowed": {"mode": "off", "channel": 1, "number": 0},
            "plucked": {"mode": "off", "channel": 1, "number": 0},
        }
    });
    let mut host = Host::new(&settings, &[("run_in", 0.5)], RATE, 512, ProcessMode::Realtime);
    let mut silence = [0.0; 512];
    let mut pace = Pace::default();
    let mut play = |host: &mut Host, blocks: usize| {
        let mut events = Vec::new();
        for _ in 0..blocks {
            host.process(&mut silence);
            events.extend(host.block.sent.clone());
            pace.wait(512.0 / f64::from(RATE));
        }
        events
    };
    assert!(play(&mut host, 10).iter().any(|event| matches!(event, NoteEvent::NoteOn { .. })));
    assert_eq!(host.plugin.mode(), Mode::AudioThread);

    // Everything that is left, in blocks of every size.
    let mut hoard: Vec<Vec<u8>> = Vec::with_capacity(1 << 20);
    {
        let scope = Scope::enter();
        for bits in (6..20).rev() {
            let before = scope.system_calls();
            while scope.system_calls() == before {
                hoard.push(Vec::with_capacity(1 << bits));
            }
        }
    }
    // A thread that has no scratch yet needs more than what one step gives back.
    host.system_calls = 0;
    let (mut host, events) = std::thread::spawn(move || {
        let mut events = Vec::new();
        let mut pace = Pace::default();
        // The start of the phrase is silent: `none` goes on.
        for samples in phrase(RATE).chunks_mut(512).take(36) {
            host.process(samples);
            events.extend(host.block.sent.clone());
            pace.wait(512.0 / f64::from(RATE));
        }
        (host, events)
    })
    .join()
    .unwrap();
    assert!(host.system_calls > 0, "the pool was not exhausted");
    assert_eq!(host.plugin.mode(), Mode::Worker);
    assert!(host.plugin.why().contains("memory"), "{}", host.plugin.why());
    assert!(matches!(events[..], [NoteEvent::NoteOff { .. }, NoteEvent::NoteOn { .. }]), "{events:?}");
    drop(hoard);
    // With the next activation it gets what it needs.
    host.activate(RATE, 512, ProcessMode::Realtime);
    assert!(play(&mut host, 20).iter().any(|event| matches!(event, NoteEvent::NoteOn { .. })));
    assert_eq!(host.plugin.mode(), Mode::AudioThread);
}
