//! `cargo xtask demo`: a phrase, the plugin in a host, and what it said.

use anyhow::{Result, ensure};
use tocco_tests::{demo, locate, phrase};

/// The share that is promised.
const PROMISED: f64 = 0.85;

fn main() -> Result<()> {
    let clap = locate::clap()?;
    let phrase = phrase::Phrase::load(&locate::repository().join("tests/demo"))?;
    println!("Plugin: {}", clap.display());
    println!("Phrase: {:.0} s of double bass, bowed, then plucked; it plays in real time.\n", phrase.duration_s());
    println!("   time  recognised  confidence  played");
    let outcome = demo::play(&clap, &phrase, |event| {
        let played = phrase::class_at(&phrase.truth, f64::from(event.time_s));
        println!("{:6.2} s  {:10}  {:10.2}  {played}", event.time_s, event.class, event.confidence);
    })?;
    println!("\nTimeline:\n{}", demo::timeline(&outcome));
    println!("Received on a UDP socket:\n{}", demo::osc_lines(&outcome));
    println!("MIDI events: {}\n", outcome.midi.len());
    println!("Share of the time that was recognised:");
    for (class, recall) in &outcome.recalls {
        println!("  {class:8} {recall:.3}");
    }
    let accuracy = outcome.macro_accuracy();
    println!("  macro    {accuracy:.3}  (promised: {PROMISED})");
    ensure!(accuracy >= PROMISED, "the macro accuracy {accuracy:.3} is below the promised {PROMISED}");
    Ok(())
}
