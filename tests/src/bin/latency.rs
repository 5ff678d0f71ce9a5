//! Measures the figures of `docs/latency.md` on this machine.
//!
//! `cargo run -p tocco_tests --bin latency -- MANIFEST.csv`: the manifest is that of the shipped technique model
//! (see `models/library`), whose held-out recordings are played.

use std::path::Path;

use anyhow::{Context, Result};
use tocco_models::{Model, Policy, library};
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
    show(&synthetic::at_once()?, &clicks(150), &Setup::ALL)?;
    let (_, model) = library::all().into_iter().find(|(name, _)| *name == "techniques").context("no techniques")?;
    let files = held_out(Path::new(&manifest))?;
    let cuts = files.iter().map(|(file, class)| cut(file, class)).collect::<Result<Vec<_>>>()?;
    let cuts: Vec<_> = cuts.into_iter().flatten().collect();
    println!("## {} held-out notes, each out of silence\n", cuts.len());
    show(model, &sequence(&cuts, true), &Setup::ALL)?;
    println!("## The same, each straight on one of another class\n");
    let straight = sequence(&cuts, false);
    show(model, &straight, &[Setup { run_in: RunIn::AudioThread, block: 512 }])
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
