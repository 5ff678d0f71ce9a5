//! What was measured, as it stands in `docs/latency.md`.

use std::fmt::Write as _;

use super::{Heard, Setup, Spread, Term, Totals, table};

/// The terms of the synthetic model, computed and measured.
#[must_use]
pub fn terms(rate: f64, terms: &[Term]) -> String {
    let mut text = format!("Terms at {rate} Hz\n| term | computed ms | measured ms |\n|---|---|---|\n");
    for term in terms {
        // Writing into a string can't fail.
        let _ = writeln!(text, "| {} | {:.2} | {:.2} |", term.name, 1000.0 * term.computed, 1000.0 * term.measured);
    }
    text
}

/// From the deciding sample to the messages.
#[must_use]
pub fn transport(setup: Setup, heard: &[Heard]) -> String {
    let values = |of: fn(&Heard) -> f64| heard.iter().map(of).collect::<Vec<_>>();
    let rows = [
        ("MIDI, in sound".to_owned(), heard.iter().filter_map(Heard::midi_s).collect()),
        ("OSC, wait for the block's end".to_owned(), values(|h| h.block_wait)),
        ("OSC, after delivery".to_owned(), values(|h| h.after_delivery)),
        ("OSC, both".to_owned(), values(Heard::osc)),
    ];
    format!("Transport, {}, blocks of {}\n{}", setup.run_in.name(), setup.block, table(&rows))
}

/// From onsets to decisions with one policy, a line a class.
#[must_use]
pub fn decisions(policy: &str, totals: &Totals) -> String {
    let mut text = String::new();
    for (class, values) in &totals.decision {
        let Some(Spread { count, min, median, p90, max, .. }) = Spread::of(values.iter().map(|s| 1000.0 * s)) else {
            continue;
        };
        let (missed, wrong) = (totals.missed[class], totals.wrong_first[class]);
        // Writing into a string can't fail.
        let _ = writeln!(
            text,
            "| {policy} | {class} | {count} | {min:.0} | {median:.0} | {p90:.0} | {max:.0} | {missed} | {wrong} |"
        );
    }
    text
}

/// From onsets to messages.
#[must_use]
pub fn totals(totals: &Totals) -> String {
    let mut rows = Vec::new();
    for (what, by_class) in [("decision", &totals.decision), ("MIDI", &totals.midi), ("OSC", &totals.osc)] {
        rows.extend(by_class.iter().map(|(class, values)| (format!("{class}: onset to {what}"), values.clone())));
    }
    let count = |counts: &std::collections::BTreeMap<String, usize>| {
        counts.iter().map(|(class, count)| format!("{class} {count}")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "{}never heard right: {}; something else said first: {}\n",
        table(&rows),
        count(&totals.missed),
        count(&totals.wrong_first)
    )
}
