//! Many instances in one audio thread.

use std::time::{Duration, Instant};

use nice_plug::prelude::*;
use tocco_plugin::mode::Mode;
use tocco_plugin::pool;

use super::cost::host;
use super::host::{Host, resident_kb};
use super::stages::noise;
use super::table::{Table, percentile};

const RATE: f32 = 48_000.0;

/// Instances whose hops fall into the same block, for so many seconds of sound.
pub fn measure(table: &mut Table, seconds: f32) {
    table.part(
        &format!("instances on one audio thread, hops aligned, {seconds:.0} s of sound"),
        &["block", "block us", "median us", "worst us", "worst of own time us", "blocks over time"],
    );
    for (instances, size) in [(40, 64), (60, 64), (200, 512), (300, 512)] {
        let mut hosts = crowd(instances, size);
        let blocks = (seconds * RATE) as usize / size;
        let run = run(&mut hosts, size, blocks);
        let whole = size as f32 / RATE * 1e6;
        let over = run.wall.iter().filter(|&&us| us > whole).count();
        let cells = [
            size.to_string(),
            format!("{whole:.0}"),
            format!("{:.0}", percentile(&run.wall, 0.5)),
            format!("{:.0}", percentile(&run.wall, 1.0)),
            format!("{:.0}", percentile(&run.own, 1.0)),
            format!("{over} of {blocks}"),
        ];
        table.row(&format!("{instances} instances"), &cells);
    }
}

fn crowd(instances: usize, size: usize) -> Vec<Host> {
    let hosts: Vec<Host> = (0..instances).map(|_| host(0.5, ProcessMode::Realtime, size)).collect();
    assert!(hosts.iter().all(|host| host.plugin.mode() == Mode::AudioThread), "{}", hosts[0].plugin.why());
    hosts
}

/// Whole blocks in us, sorted.
struct Run {
    /// As a clock on the wall says.
    wall: Vec<f32>,
    /// What this thread was running of it.
    own: Vec<f32>,
}

fn run(hosts: &mut [Host], size: usize, blocks: usize) -> Run {
    let sound = noise(1 << 16);
    let mut block = vec![0.0; size];
    let (mut wall, mut own) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
    // The first second warms up.
    let warm = RATE as usize / size;
    for n in 0..blocks + warm {
        let at = n * size % (sound.len() - size);
        block.copy_from_slice(&sound[at..at + size]);
        let (start, own_start) = (Instant::now(), own_time());
        for host in hosts.iter_mut() {
            host.process(&mut block);
        }
        let (wall_us, own_us) = (start.elapsed(), own_time().saturating_sub(own_start));
        if n >= warm {
            wall.push(wall_us.as_secs_f32() * 1e6);
            own.push(own_us.as_secs_f32() * 1e6);
        }
    }
    wall.sort_by(f32::total_cmp);
    own.sort_by(f32::total_cmp);
    Run { wall, own }
}

/// For how long this thread has been running.
#[cfg(unix)]
fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value of the right type.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Not told apart from the clock on the wall here.
#[cfg(not(unix))]
fn own_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

/// What one more instance takes.
pub fn memory(table: &mut Table) {
    const INSTANCES: usize = 100;
    table.part("memory, audio-thread mode", &["kB"]);
    let first = crowd(1, 512);
    let before = resident_kb();
    let others = crowd(INSTANCES, 512);
    table.row("one more instance", &[(resident_kb().saturating_sub(before)) / INSTANCES]);
    let (reserved, used) = pool::usage();
    table.row("of it reserved for the audio thread", &[reserved / 1024 / (INSTANCES + 1)]);
    table.row("of that ever used", &[used / 1024 / (INSTANCES + 1)]);
    drop((first, others));
}
