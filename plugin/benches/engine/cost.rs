//! What a call of `process` costs, in each mode and for several block sizes.

use std::time::Instant;

use nice_plug::prelude::*;
use tocco_plugin::mode::Mode;

use super::host::Host;
use super::stages::noise;
use super::table::{Table, percentile};

const RATE: f32 = 48_000.0;
/// A host that is reset so often, in seconds of sound, never counts as one that renders ahead of time: so a worker's
/// `process` can be called faster than sound plays.
const RESET_S: f32 = 0.3;

/// Where the recognizer runs, as the parameter says it, and how the host is activated.
const MODES: [(&str, f32, ProcessMode, Mode); 3] = [
    ("worker", 1.0, ProcessMode::Realtime, Mode::Worker),
    ("audio-thread", 0.5, ProcessMode::Realtime, Mode::AudioThread),
    ("offline", 0.0, ProcessMode::Offline, Mode::Offline),
];

/// A million calls for each mode and size.
pub fn measure(table: &mut Table, calls: usize) {
    table.part(
        &format!("process(), {calls} calls, techniques, 48 kHz"),
        &["block", "no hop due, median us", "median us", "p99", "p99.9", "worst", "median / worker's"],
    );
    let mut of_worker = [f32::NAN; 4];
    for (name, run_in, process_mode, mode) in MODES {
        for (size, of_worker) in [32_usize, 64, 128, 512].into_iter().zip(&mut of_worker) {
            let mut host = host(run_in, process_mode, size);
            let (mut all, mut idle) = times(&mut host, mode, size, calls);
            all.sort_by(f32::total_cmp);
            idle.sort_by(f32::total_cmp);
            let median = percentile(&all, 0.5);
            if mode == Mode::Worker {
                *of_worker = median;
            }
            let figures = [percentile(&idle, 0.5), median, percentile(&all, 0.99), percentile(&all, 0.999)];
            let mut cells = vec![size.to_string()];
            cells.extend(figures.iter().map(|us| format!("{us:.2}")));
            cells.push(format!("{:.0}", percentile(&all, 1.0)));
            cells.push(format!("{:.1}", median / *of_worker));
            table.row(name, &cells);
        }
    }
}

pub fn host(run_in: f32, mode: ProcessMode, size: usize) -> Host {
    // Port 9 discards.
    let settings = serde_json::json!({"model": {"library": "techniques"}, "osc": {"host": "127.0.0.1", "port": 9}});
    Host::new(&settings, &[("run_in", run_in)], RATE, u32::try_from(size).unwrap(), mode)
}

/// Each call's time in us; and of those calls in which nothing was decided.
fn times(host: &mut Host, mode: Mode, size: usize, calls: usize) -> (Vec<f32>, Vec<f32>) {
    let sound = noise(1 << 16);
    let mut block = vec![0.0; size];
    let (mut all, mut idle) = (Vec::with_capacity(calls), Vec::with_capacity(calls));
    let calls_to_reset = (RESET_S * RATE) as usize / size;
    for call in 0..calls {
        if mode == Mode::Worker && call % calls_to_reset == 0 {
            host.plugin.reset();
        }
        let at = call * size % (sound.len() - size);
        block.copy_from_slice(&sound[at..at + size]);
        let before = host.plugin.decisions();
        let start = Instant::now();
        host.process(&mut block);
        let us = start.elapsed().as_secs_f32() * 1e6;
        all.push(us);
        if mode == Mode::Worker || host.plugin.decisions() == before {
            idle.push(us);
        }
    }
    assert_eq!(host.plugin.mode(), mode, "{}", host.plugin.why());
    (all, idle)
}
