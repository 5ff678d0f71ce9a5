//! What an open panel costs the audio thread.
//!
//! The plugin plays the demonstration in real time, in blocks of 256 samples at 48 kHz, on a display without a screen; the
//! panel is open for some seconds, closed for some, twenty times, and which comes first changes from pair to pair. What is
//! counted is the time for which the audio thread itself ran inside of `process` (`CLOCK_THREAD_CPUTIME_ID`), so that
//! who else had a core does not count.
//!
//! `panel_cost [PAIRS [SECONDS]]`, after `cargo xtask bundle`; ends with 1 where the promise is broken.

/// The panel may cost the audio thread a tenth, by the upper end of the interval.
#[cfg(target_os = "linux")]
const PROMISE: f64 = 1.10;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use anyhow::{Context, ensure};
    use tocco_tests::figures::{geometric_mean, median};

    let mut numbers = std::env::args().skip(1).map(|text| {
        let number = text.parse::<u32>().ok().filter(|number| *number > 0);
        number.with_context(|| format!("«{text}» is no number above 0. Usage: panel_cost [PAIRS [SECONDS]]"))
    });
    let pairs = numbers.next().transpose()?.unwrap_or(20);
    let seconds = numbers.next().transpose()?.unwrap_or(5);
    ensure!(pairs >= 6, "{pairs} pairs are too few for an interval: take 6 or more");

    let measured = measure::run(pairs, f64::from(seconds))?;
    println!("{pairs} pairs of {seconds} s, blocks of {} samples at {} Hz", measure::BLOCK, measure::RATE);
    println!("the clock itself, already taken off: {:.2} us a block", measured.clock_us);
    println!("microseconds of the audio thread a block: mean over all, median of the sides' means, median block, p99");
    for (name, side) in [("panel closed", &measured.closed), ("panel open", &measured.open)] {
        let blocks: Vec<f64> = side.concat();
        let mean = blocks.iter().sum::<f64>() / blocks.len() as f64;
        let middle = median(&side.iter().map(|blocks| measure::mean(blocks)).collect::<Vec<_>>());
        println!("  {name:13} {mean:8.2} {middle:8.2} {:8.2} {:8.2}", median(&blocks), measure::p99(&blocks));
    }
    let ratios: Vec<f64> =
        measured.open.iter().zip(&measured.closed).map(|(o, c)| measure::mean(o) / measure::mean(c)).collect();
    let (ratio, interval) = geometric_mean(&ratios);
    println!(
        "open / closed, geometric mean of the pairs: {ratio:.3} (95 % {:.3} to {:.3})",
        interval.start(),
        interval.end()
    );
    ensure!(*interval.end() <= PROMISE, "the panel costs more than was promised: {:.3} > {PROMISE}", interval.end());
    println!("promised: upper end at most {PROMISE}. Kept.");
    Ok(())
}

#[cfg(target_os = "linux")]
mod measure {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    use anyhow::{Result, anyhow, ensure};
    use serde_json::json;
    use tocco_tests::display::Display;
    use tocco_tests::host::{Host, Processor};
    use tocco_tests::locate;
    use tocco_tests::panel::SIZE;
    use tocco_tests::phrase::Phrase;
    use tocco_tests::state::State;

    pub const BLOCK: usize = 256;
    pub const RATE: f64 = 48_000.0;
    /// After the panel opened or closed so long nothing counts.
    const SETTLE: Duration = Duration::from_millis(700);

    /// Microseconds a block, in lists of one side each.
    pub struct Measured {
        pub closed: Vec<Vec<f64>>,
        pub open: Vec<Vec<f64>>,
        pub clock_us: f64,
    }

    /// Which list a block belongs to.
    const NOWHERE: u32 = u32::MAX;

    pub fn run(pairs: u32, seconds: f64) -> Result<Measured> {
        let phrase = Phrase::load(&locate::repository().join("tests/demo"))?;
        ensure!(f64::from(phrase.rate) == RATE, "the phrase has {} Hz", phrase.rate);
        let display = Display::start(&format!("{}x{}x24", SIZE.0, SIZE.1))?;
        display.make_current();
        let mut host = Host::load(&locate::clap()?)?;
        host.restore(&State::empty().with_parameter("osc_on", json!({"bool": false})))?;
        let processor = host.activate(RATE, u32::try_from(BLOCK)?)?;
        let (side, ends) = (AtomicU32::new(NOWHERE), AtomicBool::new(false));
        let (processor, blocks, clock_us, outcome) = std::thread::scope(|scope| {
            let audio = scope.spawn(|| play(processor, &phrase.samples, &side, &ends));
            let mut live = || -> Result<()> {
                host.live_for(Duration::from_secs(2));
                for pair in 0..pairs {
                    // Number 2n is closed, 2n + 1 is open.
                    for is_open in [pair % 2 == 0, pair % 2 == 1] {
                        if is_open {
                            host.open_panel(display.root_window()?)?;
                        }
                        host.live_for(SETTLE);
                        side.store(2 * pair + u32::from(is_open), Ordering::SeqCst);
                        host.live_for(Duration::from_secs_f64(seconds));
                        side.store(NOWHERE, Ordering::SeqCst);
                        if is_open {
                            host.close_panel();
                        }
                    }
                }
                Ok(())
            };
            let outcome = live();
            ends.store(true, Ordering::SeqCst);
            let (processor, blocks, clock_us) = audio.join().map_err(|_| anyhow!("the audio thread panicked"))??;
            Ok::<_, anyhow::Error>((processor, blocks, clock_us, outcome))
        })?;
        host.deactivate(processor);
        outcome?;
        let mut measured =
            Measured { closed: vec![Vec::new(); pairs as usize], open: vec![Vec::new(); pairs as usize], clock_us };
        for (number, spent) in blocks {
            let list = if number % 2 == 1 { &mut measured.open } else { &mut measured.closed };
            list[number as usize / 2].push(spent - clock_us);
        }
        ensure!(measured.open.iter().chain(&measured.closed).all(|side| !side.is_empty()), "a side without a block");
        Ok(measured)
    }

    type Played = (Processor, Vec<(u32, f64)>, f64);

    /// Plays at the pace of a sound card; gives for each block its side and the microseconds that it took.
    fn play(mut processor: Processor, sound: &[f32], side: &AtomicU32, ends: &AtomicBool) -> Result<Played> {
        let mut output = vec![vec![0.0; BLOCK]; 2];
        let mut blocks = Vec::with_capacity(1 << 20);
        let start = Instant::now();
        for block in sound.chunks_exact(BLOCK).cycle() {
            let due = start + Duration::from_secs_f64(processor.position() as f64 / RATE);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let number = side.load(Ordering::SeqCst);
            let before = thread_us();
            processor.process(&[block, block], &mut output, &[])?;
            let spent = thread_us() - before;
            if number != NOWHERE {
                blocks.push((number, spent));
            }
            if ends.load(Ordering::SeqCst) {
                break;
            }
        }
        let clock: Vec<f64> = (0..1000)
            .map(|_| {
                let before = thread_us();
                thread_us() - before
            })
            .collect();
        Ok((processor, blocks, tocco_tests::figures::median(&clock)))
    }

    /// The time for which this thread ran, in microseconds.
    fn thread_us() -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: fills in the structure that it is given.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    }

    pub fn mean(blocks: &[f64]) -> f64 {
        blocks.iter().sum::<f64>() / blocks.len() as f64
    }

    pub fn p99(blocks: &[f64]) -> f64 {
        let mut sorted = blocks.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() * 99 / 100]
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The panel is driven on a display without a screen, which only Linux has.");
    std::process::exit(1);
}
