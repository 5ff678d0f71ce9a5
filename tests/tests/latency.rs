//! From a sound to the messages about it, through the hosted plugin at the pace of a sound card.
//!
//! What is tested: the MIDI event's place to the sample where the recognizer runs inside `process`; and of the way to
//! the socket, that what is neither analysis nor policy takes at most a block and 2 ms, in the median and for 95 of 100
//! messages. Programs beside this one only ever add to that, so the quietest of three attempts counts, and the longest
//! of all is printed, not tested.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Mutex, PoisonError};

use tocco_models::{Model, Policy, library};
use tocco_tests::latency::{
    Heard, Notes, RATE, RunIn, Setup, Spread, Totals, clicks, cut, double_bass, known, measure, report, sequence, terms,
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
            // Never longer than computed; shorter by what the chunk of the resampler happened not to wait, and by the
            // grid of the changes in the sound.
            assert!((-0.0015..0.0003).contains(&late), "{term:?} at {rate} Hz");
        }
    }
}

#[test]
fn clicks_reach_midi_on_their_sample_and_the_socket_within_a_block_and_2_ms() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let model = synthetic::at_once().unwrap();
    let notes = clicks(40);
    let decisions = known(&model, &notes.sound, RATE, &Policy::default()).unwrap();
    let classes = Model::from_bytes(&model).unwrap().card().classes.clone();
    for setup in Setup::ALL {
        let heard = quietest(|| measure(&[setup], &model, &notes, &decisions).remove(0), setup);
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
    let (_, model) = library::all().into_iter().find(|(name, _)| *name == "techniques").unwrap();
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
        // All at once: a studio has more than one track, too.
        for (setup, heard) in Setup::ALL.into_iter().zip(measure(&Setup::ALL, model, &notes, &decisions)) {
            let heard = heard.unwrap();
            println!("{}", report::transport(setup, &heard));
            check_midi(setup, &heard);
            let totals = Totals::of(&notes, &heard, &classes);
            println!("{}", report::totals(&totals));
            let (missed, all) = (totals.missed.values().sum::<usize>(), notes.notes.len());
            assert!(missed * 10 <= all, "{missed} of {all} notes were not heard as what they are");
            let median = spread(heard.iter().map(Heard::osc)).median;
            assert!(median <= setup.block_s() + PROMISED_S, "{median} s in {setup:?}");
        }
    }
}

/// Up to three attempts; the first that keeps the promise, else the last complaint.
fn quietest(mut attempt: impl FnMut() -> anyhow::Result<Vec<Heard>>, setup: Setup) -> Vec<Heard> {
    let mut complaint = String::new();
    for _ in 0..3 {
        let heard = match attempt() {
            Ok(heard) => heard,
            Err(error) => {
                complaint = format!("{error:#}");
                eprintln!("{complaint}");
                continue;
            }
        };
        let after = spread(heard.iter().map(|h| h.after_delivery));
        let whole = spread(heard.iter().map(Heard::osc));
        // The stricter half: without the wait for the block's end.
        if after.median <= PROMISED_S && whole.p95 <= setup.block_s() + PROMISED_S {
            return heard;
        }
        complaint = format!("{setup:?}: after delivery {after:?}, from the deciding sample {whole:?}");
        eprintln!("{complaint}");
    }
    panic!("{complaint}");
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
