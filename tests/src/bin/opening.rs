//! How large the plugin is, and how long it takes from loading the file to the first processed block, with the shipped
//! model in place.
//!
//! `opening [RUNS]`, after `cargo xtask bundle --release`. Each run is a process of its own; the file lies in the
//! system's cache, as it does from the second opening on. Ends with 1 where a promise is broken.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tocco_tests::figures::median;
use tocco_tests::host::Host;
use tocco_tests::locate;

const MOST_MB: f64 = 40.0;
const MOST_MS: f64 = 150.0;
const RATE: f64 = 48_000.0;
const BLOCK: usize = 256;
/// How a run is started.
const ONCE: &str = "--once";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plugin = locate::bundles()?.join("Tocco.clap");
    ensure!(plugin.exists(), "{} is missing: run `cargo xtask bundle --release` first", plugin.display());
    // On a Mac a CLAP is a folder.
    let library = if plugin.is_dir() { plugin.join("Contents/MacOS/Tocco") } else { plugin.clone() };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ONCE] => {
            println!("{}", open(&plugin)?);
            Ok(())
        }
        [] => report(&library, 10),
        [runs] => match runs.parse() {
            Ok(runs) if runs > 0 => report(&library, runs),
            _ => bail!("«{runs}» is no number above 0. Usage: opening [RUNS]"),
        },
        _ => bail!("Usage: opening [RUNS]"),
    }
}

fn report(library: &Path, runs: usize) -> Result<()> {
    let megabytes = library.metadata()?.len() as f64 / 1e6;
    println!("{}: {megabytes:.1} MB (promised: under {MOST_MB})", library.display());
    let mut times = Vec::new();
    for _ in 0..runs {
        let output = Command::new(std::env::current_exe()?).arg(ONCE).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "a run failed: {}", error.trim());
        let text = String::from_utf8_lossy(&output.stdout);
        times.push(text.trim().parse::<f64>().with_context(|| format!("a run said «{}»", text.trim()))?);
    }
    let shown: Vec<String> = times.iter().map(|time| format!("{time:.0}")).collect();
    let middle = median(&times);
    println!("milliseconds from loading to the first block, each in a fresh process: {}", shown.join(" "));
    println!("median: {middle:.0} ms (promised: under {MOST_MS})");
    ensure!(megabytes < MOST_MB, "the plugin is larger than was promised: {megabytes:.1} MB (is it a release build?)");
    ensure!(middle < MOST_MS, "the plugin opens more slowly than was promised: {middle:.0} ms");
    Ok(())
}

/// Loads, activates, plays one block; gives the milliseconds. Fails where no model was in place by then.
fn open(plugin: &Path) -> Result<f64> {
    let mut output = vec![vec![0.0; BLOCK]; 2];
    let silence = [0.0; BLOCK];
    let start = Instant::now();
    let mut host = Host::load(plugin)?;
    let mut processor = host.activate(RATE, u32::try_from(BLOCK)?)?;
    let mut emitted = processor.process(&[&silence, &silence], &mut output, &[])?;
    let taken = start.elapsed();
    // The classes' controllers are told at the first decision: within a quarter of a second of silence.
    for _ in 0..48 {
        emitted.extend(processor.process(&[&silence, &silence], &mut output, &[])?);
    }
    ensure!(!emitted.is_empty(), "the plugin decided nothing: its model was not in place");
    host.deactivate(processor);
    Ok(taken.as_secs_f64() * 1e3)
}
