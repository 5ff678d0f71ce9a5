//! A panel that was opened and closed a hundred times leaves nothing behind: no file, no thread, no window, no memory.
//!
//! In a program of its own: what other tests hold would count.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tocco_tests::display::Display;
use tocco_tests::host::{Host, Processor};
use tocco_tests::locate;
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;

const ROUNDS: i64 = 100;
/// After these the software renderer has loaded and compiled what it keeps for the process.
const WARM_UP: usize = 20;
/// What an opening may keep, in bytes. 83 000 were measured, and all of them are the window library's: baseview 0.4.2 asks
/// for a map of the keyboard for each window and never gives it back (`wrappers/xkbcommon.rs`: the state is released, the
/// map is not). The rest is room for other keyboards; a texture or a ring of the panel's own would not fit into it.
const MOST_KEPT: i64 = 110_000;
/// What the pages may grow in all, in kB: the allocator keeps pages for the next window.
const MOST_RESIDENT: i64 = 30_000;
/// So long a panel is open: some frames.
const OPEN: Duration = Duration::from_millis(150);
const RATE: f64 = 48_000.0;
const BLOCK: usize = 256;

/// What this process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    threads: usize,
    windows: usize,
    /// Allocated and not yet freed, in bytes. It knows no fragments and no arenas that the allocator keeps.
    allocated: i64,
    /// Pages in memory, in kB.
    resident: i64,
}

impl Held {
    fn now(display: &Display) -> Self {
        let entries = |folder| std::fs::read_dir(folder).unwrap().count();
        // SAFETY: reads the allocator's own counters under its locks and answers with a plain structure.
        let counted = unsafe { libc::mallinfo2() };
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            files: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            windows: display.windows().unwrap(),
            allocated: i64::try_from(counted.uordblks + counted.hblkhd).unwrap(),
            resident: resident.trim().trim_end_matches("kB").trim().parse().unwrap(),
        }
    }
}

/// Ends the playing, also where a check fails: the audio thread would be waited for without end.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Plays tones at the pace of a sound card until it is told to end.
fn play(mut processor: Processor, ends: &AtomicBool) -> Processor {
    let sound = render(&LOW_AND_HIGH, RATE);
    let mut output = vec![vec![0.0; BLOCK]; 2];
    let start = Instant::now();
    let mut blocks = sound.chunks_exact(BLOCK).cycle();
    while !ends.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs_f64(processor.position() as f64 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let block = blocks.next().unwrap();
        processor.process(&[block, block], &mut output, &[]).unwrap();
        assert!(output[0] == block && output[1] == block, "the sound changed");
    }
    processor
}

fn open_and_close(host: &mut Host, display: &Display) {
    host.open_panel(display.root_window().unwrap()).unwrap();
    host.live_for(OPEN);
    assert!(display.windows().unwrap() > 0, "the panel is not on the screen");
    host.close_panel();
    host.run_callbacks();
}

#[test]
fn a_hundred_panels_leave_nothing_behind_while_the_plugin_plays() {
    let Some(display) = locate::needed(Display::start("1280x1000x24")) else { return };
    display.make_current();
    // Each of its arenas keeps pages, and how many there are depends on how the windows' threads met: with one, pages tell
    // something. With the system's own number they grew by 130 MB in one run and by 4 MB in the next.
    // SAFETY: sets a number of the allocator's.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    host.restore(&State::empty().with_parameter("osc_on", json!({"bool": false}))).unwrap();
    let processor = host.activate(RATE, u32::try_from(BLOCK).unwrap()).unwrap();
    let ends = AtomicBool::new(false);
    let (processor, before, after) = std::thread::scope(|scope| {
        let audio = scope.spawn(|| play(processor, &ends));
        let ending = Ending(&ends);
        for _ in 0..WARM_UP {
            open_and_close(&mut host, &display);
        }
        let before = Held::now(&display);
        println!("before: {before:?}");
        for round in 1..=ROUNDS {
            open_and_close(&mut host, &display);
            if round % 20 == 0 {
                println!("after {round}: {:?}", Held::now(&display));
            }
        }
        let after = Held::now(&display);
        drop(ending);
        (audio.join().unwrap(), before, after)
    });
    host.deactivate(processor);
    assert_eq!((after.files, after.threads, after.windows), (before.files, before.threads, before.windows));
    let kept = (after.allocated - before.allocated) / ROUNDS;
    println!("an opening keeps {kept} bytes");
    assert!(kept < MOST_KEPT, "an opening keeps {kept} bytes");
    let grown = after.resident - before.resident;
    assert!(grown < MOST_RESIDENT, "{ROUNDS} openings keep {grown} kB of pages");
}
