//! Measures the figures of `docs/latency.md` on this machine.
//!
//! `latency BOWED-PLUCKED.csv INSTRUMENTS.csv`: the manifests are those of the shipped models (see `models/library`); their
//! held-out recordings are played, in real time: it takes five minutes.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tocco_models::{Model, Policy, Smoothing, library};
use tocco_tests::latency::{
    Heard, Notes, RATE, RunIn, Setup, Totals, clicks, cut, held_out, known, measure, play, report, sequence, terms,
};
use tocco_tests::synthetic;

/// More classes than this are shown as one.
const MOST_ROWS: usize = 4;

fn main() -> Result<()> {
    let usage = "Usage: latency BOWED-PLUCKED.csv INSTRUMENTS.csv";
    let manifests: Vec<String> = std::env::args().skip(1).collect();
    let [bowed_plucked, instruments] = &manifests[..] else { bail!(usage) };
    for rate in [RATE, 44_100.0] {
        println!("{}", report::terms(rate, &terms(rate)?));
    }
    println!("## Clicks, a network that answers at once\n");
    show(&synthetic::at_once()?, &clicks(60), &Setup::ALL)?;
    let [_, audio_thread, _, worker] = Setup::ALL;
    for (model, manifest, most, setups) in [
        ("bowed-plucked", bowed_plucked, usize::MAX, &Setup::ALL[..]),
        ("instruments", instruments, 4, &[audio_thread, worker]),
    ] {
        let (_, bytes) = library::all().into_iter().find(|(name, _)| *name == model).context(model)?;
        let files = held_out(Path::new(manifest), most)?;
        let cuts = files.iter().map(|(file, class)| cut(file, class)).collect::<Result<Vec<_>>>()?;
        let cuts: Vec<_> = cuts.into_iter().flatten().collect();
        println!("## {model}: {} held-out notes\n", cuts.len());
        real(bytes, &sequence(&cuts, true), &sequence(&cuts, false), setups)?;
    }
    Ok(())
}

/// The same notes out of silence, and each straight on one of another class.
fn real(model: &[u8], alone: &Notes, straight: &Notes, setups: &[Setup]) -> Result<()> {
    by_policy(model, "after silence", alone)?;
    by_policy(model, "after silence, from 20 dB under the loudest on", &alone.clone().when_loud())?;
    by_policy(model, "after the other class", straight)?;
    println!("### Out of silence\n");
    show(model, alone, setups)?;
    println!("### Straight on another class\n");
    show(model, straight, &[Setup { run_in: RunIn::AudioThread, block: 512 }])
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
        let decided: Vec<_> = known(model, &notes.sound, RATE, &policy)?.into_iter().map(Heard::decided).collect();
        print!("{}", report::decisions(name, &few(Totals::of(notes, &decided, &classes), &classes)));
    }
    println!();
    Ok(())
}

/// Many classes as one.
fn few(totals: Totals, classes: &[String]) -> Totals {
    if classes.len() > MOST_ROWS { totals.pooled("all") } else { totals }
}

/// All setups at once, as the tracks of a studio.
fn show(model: &[u8], notes: &Notes, setups: &[Setup]) -> Result<()> {
    let classes = Model::from_bytes(model)?.card().classes.clone();
    let decisions = known(model, &notes.sound, RATE, &Policy::default())?;
    for (&setup, heard) in setups.iter().zip(measure(setups, model, notes, &decisions)) {
        // Where the machine stood still, once more.
        let heard = heard.or_else(|error| {
            println!("once more: {error}\n");
            play(setup, model, &notes.sound, &decisions)
        })?;
        println!("{}", report::transport(setup, &heard));
        println!("{}", report::totals(&few(Totals::of(notes, &heard, &classes), &classes)));
    }
    Ok(())
}
