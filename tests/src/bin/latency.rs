//! Measures the figures of `docs/latency.md` on this machine.
//!
//! `cargo run -p tocco_tests --bin latency -- MANIFEST.csv`: the manifest is that of the shipped technique model
//! (see `models/library`), whose held-out recordings are played.

use std::path::Path;

use anyhow::{Context, Result};
use tocco_models::{Model, Policy, Smoothing, library};
use tocco_tests::latency::{
    Notes, RATE, RunIn, Setup, Totals, clicks, cut, held_out, known, measure, report, sequence, terms,
};
use tocco_tests::synthetic;

fn main() -> Result<()> {
    let manifest = std::env::args().nth(1).context("Usage: latency MANIFEST.csv")?;
    for rate in [RATE, 44_100.0] {
        println!("{}", report::terms(rate, &terms(rate)?));
    }
    println!("## Clicks, a network that answers at once\n");
    show(&synthetic::at_once()?, &clicks(100), &Setup::ALL)?;
    let (_, model) = library::all().into_iter().find(|(name, _)| *name == "techniques").context("no techniques")?;
    let files = held_out(Path::new(&manifest))?;
    let cuts = files.iter().map(|(file, class)| cut(file, class)).collect::<Result<Vec<_>>>()?;
    let cuts: Vec<_> = cuts.into_iter().flatten().collect();
    let (alone, straight) = (sequence(&cuts, true), sequence(&cuts, false));
    println!("## Onset to decision by policy\n");
    by_policy(model, "after silence", &alone)?;
    by_policy(
        model,
        "after silence, counted from where the note comes within 20 dB of its loudest",
        &alone.clone().when_loud(),
    )?;
    by_policy(model, "after the other class", &straight)?;
    println!("## {} held-out notes, each out of silence\n", cuts.len());
    show(model, &alone, &Setup::ALL)?;
    println!("## The same, each straight on one of another class\n");
    show(model, &straight, &[Setup { run_in: RunIn::AudioThread, block: 512 }])
}

/// What a player gains with other settings, and what it costs.
fn by_policy(model: &[u8], what: &str, notes: &Notes) -> Result<()> {
    let classes = Model::from_bytes(model)?.card().classes.clone();
    let default = Policy::default();
    let average = |ms| Policy { smoothing: Smoothing::MovingAverage { ms }, ..default };
    println!("{what}\n| policy | class | n | min | median | p90 | max | missed | something else first |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, policy) in [
        ("as it comes", default),
        ("smoothing off", average(0.0)),
        ("smoothing off, minimum duration 40 ms", Policy { min_duration_ms: 40.0, ..average(0.0) }),
        ("smoothing 120 ms", average(120.0)),
        ("minimum duration 60 ms", Policy { min_duration_ms: 60.0, ..default }),
        ("smoothing off, minimum confidence 0.8", Policy { min_confidence: 0.8, ..average(0.0) }),
    ] {
        print!("{}", report::decisions(name, notes, &known(model, &notes.sound, RATE, &policy)?, &classes));
    }
    println!();
    Ok(())
}

/// One setup after the other, so that none disturbs another.
fn show(model: &[u8], notes: &Notes, setups: &[Setup]) -> Result<()> {
    let classes = Model::from_bytes(model)?.card().classes.clone();
    let decisions = known(model, &notes.sound, RATE, &Policy::default())?;
    for &setup in setups {
        for heard in measure(&[setup], model, notes, &decisions) {
            let heard = heard?;
            println!("{}", report::transport(setup, &heard));
            println!("{}", report::totals(&Totals::of(notes, &heard, &classes)));
        }
    }
    Ok(())
}
