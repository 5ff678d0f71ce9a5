//! An hour of sound, faster than it is played, with everything that a host and a player may do to it in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use std::collections::BTreeMap;

use host::{Host, Pace, phrase, resident_kb};
use nice_plug::midi::{Channel, Key};
use nice_plug::prelude::*;
use tocco_plugin::mode::Mode;
use tocco_plugin::pool;

/// Seconds of sound in all.
const HOUR: f64 = 3600.0;
/// After so much of it everything has its size: what grows from there on is a leak.
const WARM: f64 = 600.0;
/// Allocators keep some of what they were given back.
const SLACK_KB: usize = 3 * 1024;
/// What blocks of new sizes may still take of the pool.
const POOL_SLACK: usize = 64 * 1024;

struct Dice(u64);

impl Dice {
    /// Marsaglia's xorshift64.
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, end: usize) -> usize {
        (self.roll() >> 11) as usize % end
    }
    fn unit(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1_u64 << 24) as f32
    }
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Slot 1 is the other shipped model, slot 2 a file that is not there; `none` and `bowed` are notes.
fn settings() -> serde_json::Value {
    serde_json::json!({
        "model": {"library": "bowed-plucked"},
        "slots": {"1": {"library": "instruments"}, "3": {"library": "bowed-plucked"}},
        "osc": {"host": "127.0.0.1", "port": 9},
        "mappings": {
            "none": {"mode": "note", "channel": 1, "number": 60},
            "bowed": {"mode": "note", "channel": 2, "number": 61},
            "plucked": {"mode": "gate", "channel": 3, "number": 20},
        }
    })
}

/// The parameters that a host may move at any time, and the values that [`calm`] gives back.
const MOVED: [(&str, f32); 12] = [
    ("gate_dbfs", 0.39),
    ("gate_hold", 0.3),
    ("smooth_kind", 0.0),
    ("smooth_ms", 0.3),
    ("smooth_sens", 0.3),
    ("hyster", 0.0),
    ("min_conf", 0.0),
    ("min_dur", 0.0),
    ("channel", 1.0),
    ("midi_on", 1.0),
    ("bypass", 0.0),
    ("slot", 0.0),
];

fn calm(host: &mut Host) {
    for (id, value) in MOVED {
        host.set(id, value);
    }
    host.block.transport.playing = true;
    host.plugin.settle();
}

/// What the host holds; every event must make sense against it.
#[derive(Default)]
struct Held {
    notes: BTreeMap<(Channel, Key), usize>,
    events: usize,
    /// How often the phrase was compared.
    compared: usize,
}

impl Held {
    fn take(&mut self, events: &[NoteEvent<()>], length: usize) {
        let mut before = 0;
        for event in events {
            assert!((event.timing() as usize) < length && event.timing() >= before, "{events:?} in {length} samples");
            before = event.timing();
            match *event {
                NoteEvent::NoteOn { channel, key, velocity, .. } => {
                    assert!((0.0..=1.0).contains(&velocity) && velocity > 0.0, "{event:?}");
                    assert_eq!(self.notes.insert((channel, key), self.events), None, "struck twice: {event:?}");
                }
                NoteEvent::NoteOff { channel, key, .. } => {
                    assert!(self.notes.remove(&(channel, key)).is_some(), "ended without a start: {event:?}");
                }
                NoteEvent::MidiCC { value, channel, cc, .. } => {
                    assert!((0.0..=1.0).contains(&value) && channel < 16 && cc < 120, "{event:?}");
                }
                _ => panic!("{event:?} was never asked for"),
            }
            self.events += 1;
        }
    }
}

type Heard = Vec<(u64, NoteEvent<()>)>;

/// The phrase from a reset, in blocks of one size, by place.
fn reference(host: &mut Host, rate: f32, block: usize, held: &mut Held) -> Heard {
    host.plugin.reset();
    // What is held ends with the first block; a sample is too little for anything else.
    host.process(&mut [0.0]);
    held.take(&host.block.sent, 1);
    host.plugin.reset();
    let mut heard = Vec::new();
    for (n, samples) in phrase(rate).chunks_mut(block).enumerate() {
        host.process(samples);
        held.take(&host.block.sent, samples.len());
        heard.extend(host.block.sent.iter().map(|event| {
            let mut event = *event;
            let place = (n * block) as u64 + u64::from(event.timing());
            event.subtract_timing(event.timing());
            (place, event)
        }));
    }
    heard
}

/// One activation: chaos, then silence, then the phrase, whose events must be what they always are.
fn activation(host: &mut Host, dice: &mut Dice, held: &mut Held, known: &mut BTreeMap<u32, Heard>) -> f64 {
    let rate = dice.pick(&[44_100.0_f32, 48_000.0, 48_000.0, 96_000.0]);
    let largest = dice.pick(&[64_usize, 512, 2048]);
    host.set("run_in", dice.pick(&[0.5, 0.5, 0.5, 1.0]));
    host.activate(rate, largest as u32, ProcessMode::Realtime);
    let sound = phrase(rate);
    let (mut at, mut played) = (0, 0);
    let mut pace = Pace::default();
    // A worker hears only what comes at the pace of playing.
    let seconds = if dice.below(12) == 0 { 0.3 } else { 20.0 };
    while played < (seconds * rate) as usize {
        match dice.below(400) {
            0 => host.plugin.reset(),
            1 => host.plugin.stop_processing(),
            2 => host.block.transport.playing = !host.block.transport.playing,
            3..=20 => {
                let (id, _) = dice.pick(&MOVED);
                host.set(id, dice.unit());
            }
            21 => host.plugin.settle(),
            _ => {}
        }
        let length = (1 + dice.below(largest)).min(sound.len() - at);
        let mut samples = sound[at..at + length].to_vec();
        if dice.below(100) == 0 {
            samples[0] = dice.pick(&[f32::NAN, f32::INFINITY, 1e30, 1e-40]);
        }
        let sent: Vec<u32> = samples.iter().map(|sample| sample.to_bits()).collect();
        host.process(&mut samples);
        assert!(samples.iter().map(|sample| sample.to_bits()).eq(sent), "the sound was touched");
        held.take(&host.block.sent, length);
        at = (at + length) % sound.len();
        played += length;
        if seconds < 1.0 {
            pace.wait(length as f64 / f64::from(rate));
        }
    }
    calm(host);
    if host.plugin.mode() == Mode::AudioThread {
        let heard = reference(host, rate, largest, held);
        assert!(heard.len() > 5, "only {} events", heard.len());
        let known = known.entry(rate as u32).or_insert_with(|| heard.clone());
        held.compared += 1;
        assert!(*known == heard, "{known:?}\nthen {heard:?}\nat {rate} Hz in blocks of {largest}");
    }
    host.plugin.deactivate();
    f64::from(played as f32 / rate) + 3.0
}

#[test]
fn an_hour_of_everything_leaves_nothing_behind() {
    let mut dice = Dice(0x5eed_2026);
    let mut host = Host::new(&settings(), &[], 48_000.0, 512, ProcessMode::Realtime);
    let (mut held, mut known) = (Held::default(), BTreeMap::new());
    let (mut seconds, mut warm) = (0.0, None);
    while seconds < HOUR {
        seconds += activation(&mut host, &mut dice, &mut held, &mut known);
        if seconds > WARM && warm.is_none() {
            warm = Some((resident_kb(), pool::usage()));
        }
    }
    let (before, pool_before) = warm.unwrap();
    let (after, pool_after) = (resident_kb(), pool::usage());
    println!(
        "{seconds:.0} s of sound, {} events, {before} kB then {after} kB, pool {pool_before:?} then {pool_after:?}",
        held.events
    );
    assert!(held.events > 10_000 && held.compared > 50, "{} events, {} compared", held.events, held.compared);
    assert!(pool_after.1 <= pool_before.1 + POOL_SLACK, "the pool: {pool_before:?}, then {pool_after:?}");
    assert!(after <= before + SLACK_KB, "{before} kB after {WARM} s, {after} kB after {HOUR} s");
    // Everything ends with a last block.
    host.activate(48_000.0, 512, ProcessMode::Realtime);
    host.set("bypass", 1.0);
    host.process(&mut [0.0; 512]);
    held.take(&host.block.sent, 512);
    assert!(held.notes.is_empty(), "{:?} hang", held.notes);
}
