//! From a sound to the messages about it, through the hosted plugin at the pace of a sound card.
//!
//! What is tested: the MIDI event's place to the sample where the recognizer runs inside `process`; and of the way to
//! the socket, that what is neither analysis nor policy takes at most a block and 2 ms, in the median and for 95 of 100
//! messages. Programs beside this one only ever add to that, so the quietest of three attempts counts, and the longest
//! of all is printed, not tested.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use tocco_models::{Model, Policy, library};
use tocco_tests::latency::{
    Heard, Notes, RATE, RunIn, Setup, Spread, Totals, clicks, cut, double_bass, known, measure, play, report, sequence,
    terms,
};
use tocco_tests::{locate, synthetic};

/// What the way to the socket may take beside a block, in seconds.
const PROMISED_S: f64 = 0.002;

/// Measurements in real time disturb each other.
static ALONE: Mutex<()> = Mutex::new(());

fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
    Spread::of(values).unwrap()
}

#[test]
fn each_term_takes_what_is_computed() {
    for rate in [44_100.0, 48_000.0] {
        let terms = terms(rate).unwrap();
        println!("{}", report::terms(rate, &terms));
        for term in &terms {
            let late = term.measured - term.computed;
            // What one chunk of the resampler happens to wait at the one measurement and not at the other.
            assert!(late.abs() < 0.0014, "{term:?} at {rate} Hz");
        }
        let sum = terms.last().unwrap();
        assert!(sum.measured <= sum.computed + 0.0001, "{sum:?} at {rate} Hz");
    }
}

#[test]
fn clicks_reach_midi_on_their_sample_and_the_socket_within_a_block_and_2_ms() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let model = synthetic::at_once().unwrap();
    let notes = clicks(40);
    let decisions = known(&model, &notes.sound, RATE, &Policy::default()).unwrap();
    let classes = Model::from_bytes(&model).unwrap().card().classes.clone();
    // All at once: a studio has more than one track, too.
    for (setup, heard) in Setup::ALL.into_iter().zip(measure(&Setup::ALL, &model, &notes, &decisions)) {
        let heard = quietest(heard, setup, || play(setup, &model, &notes.sound, &decisions));
        println!("{}", report::transport(setup, &heard));
        check_midi(setup, &heard);
        let totals = Totals::of(&notes, &heard, &classes);
        println!("{}", report::totals(&totals));
        assert_eq!(totals.missed["high"], 0, "a click was not heard");
    }
}

#[test]
fn real_onsets_reach_midi_and_the_socket() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, model) = library::all().into_iter().find(|(name, _)| *name == "bowed-plucked").unwrap();
    let classes = Model::from_bytes(model).unwrap().card().classes.clone();
    let mut sounds = vec![Notes::of_phrase(&locate::repository().join("tests/demo")).unwrap().with_tail()];
    match double_bass(&locate::repository().join("../shared/data"), 20) {
        Ok(files) => {
            let cuts: Vec<_> = files.iter().filter_map(|(file, class)| cut(file, class).unwrap()).collect();
            sounds.push(sequence(&cuts, true));
        }
        Err(reason) => eprintln!("SKIPPED: notes of the double bass: {reason:#}"),
    }
    for notes in sounds {
        let decisions = known(model, &notes.sound, RATE, &Policy::default()).unwrap();
        for (setup, heard) in Setup::ALL.into_iter().zip(measure(&Setup::ALL, model, &notes, &decisions)) {
            let heard = quietest(heard, setup, || play(setup, model, &notes.sound, &decisions));
            println!("{}", report::transport(setup, &heard));
            check_midi(setup, &heard);
            let totals = Totals::of(&notes, &heard, &classes);
            println!("{}", report::totals(&totals));
            let (missed, all) = (totals.missed.values().sum::<usize>(), notes.notes.len());
            assert!(missed * 10 <= all, "{missed} of {all} notes were not heard as what they are");
        }
    }
}

/// What the first of up to three attempts gave that kept the promise.
fn quietest(first: Result<Vec<Heard>>, setup: Setup, again: impl Fn() -> Result<Vec<Heard>>) -> Vec<Heard> {
    let mut attempt = first;
    for left in (0..3).rev() {
        let complaint = match attempt.and_then(|heard| promise(setup, &heard).map(|()| heard)) {
            Ok(heard) => return heard,
            Err(complaint) => format!("{complaint:#}"),
        };
        assert!(left > 0, "{complaint}");
        eprintln!("once more: {complaint}");
        attempt = again();
    }
    unreachable!("the last attempt returns or fails");
}

/// The promise about the socket, and its stricter half: the wait for the end of the block left out.
fn promise(setup: Setup, heard: &[Heard]) -> Result<()> {
    let after = spread(heard.iter().map(|h| h.after_delivery));
    let whole = spread(heard.iter().map(Heard::osc));
    let is_kept = after.median <= PROMISED_S && whole.p95 <= setup.block_s() + PROMISED_S;
    ensure!(is_kept, "{setup:?}: after delivery {after:?}, from the deciding sample {whole:?}");
    Ok(())
}

fn check_midi(setup: Setup, heard: &[Heard]) {
    let waits: Vec<f64> = heard.iter().filter_map(Heard::midi_s).collect();
    assert!(!waits.is_empty());
    match setup.run_in {
        RunIn::AudioThread => assert!(waits.iter().all(|&wait| wait == 0.0), "{waits:?}"),
        // The block in which it became known is over; so may be the next ones, where they are shorter than a look.
        RunIn::Worker => {
            let waits = spread(waits);
            assert!(waits.min > 0.0 && waits.median <= setup.block_s() + PROMISED_S, "{setup:?}: {waits:?}");
        }
    }
}
