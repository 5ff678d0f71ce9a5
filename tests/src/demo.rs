//! Plays the phrase through the plugin in real time, as a workstation would, and compares.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::host::{Emitted, Host, Processor};
use crate::osc::{Datagram, Event, Receiver};
use crate::phrase::{Phrase, SILENCE, Stretch, recall};
use crate::state::State;

/// Samples a block: what a workstation uses by default.
const BLOCK: u32 = 512;
/// One character of the timeline, in seconds.
const CELL_S: f64 = 0.25;

/// What came of it.
pub struct Outcome {
    /// What was played.
    pub played: Vec<Stretch>,
    /// What the plugin said, from its OSC events.
    pub heard: Vec<Stretch>,
    /// For each class that was played, the share of its time that was recognised.
    pub recalls: Vec<(String, f64)>,
    /// Every datagram received.
    pub datagrams: Vec<Datagram>,
    /// When the sound began.
    pub started: Instant,
    /// Every MIDI event that came out.
    pub midi: Vec<Emitted>,
}

impl Outcome {
    /// Mean of the recalls.
    #[must_use]
    pub fn macro_accuracy(&self) -> f64 {
        self.recalls.iter().map(|(_, recall)| recall).sum::<f64>() / self.recalls.len() as f64
    }
}

/// Streams the phrase in real time through a plugin whose state was changed to send to a socket of its own;
/// `on_event` is called for each change of decision as soon as it is received.
///
/// # Errors
/// Where the plugin can't be loaded or run, or where it sends no event at all.
pub fn play(clap: &Path, phrase: &Phrase, mut on_event: impl FnMut(&Event)) -> Result<Outcome> {
    let receiver = Receiver::start()?;
    let mut host = Host::load(clap)?;
    let model = serde_json::json!({"library": "bowed-plucked"});
    host.restore(&State::empty().with_setting("model", model).with_osc_port(receiver.port()))?;
    let processor = host.activate(f64::from(phrase.rate), BLOCK)?;
    let started = Instant::now();
    let mut shown = 0;
    let mut show = |receiver: &Receiver| {
        let events = receiver.events();
        events[shown..].iter().for_each(&mut on_event);
        shown = events.len();
    };
    let (processor, midi) = std::thread::scope(|scope| {
        let audio = scope.spawn(|| stream(processor, &phrase.samples, f64::from(phrase.rate)));
        while !audio.is_finished() {
            host.run_callbacks();
            show(&receiver);
            std::thread::sleep(Duration::from_millis(5));
        }
        audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
    })?;
    // What is on its way still counts.
    std::thread::sleep(Duration::from_millis(300));
    show(&receiver);
    host.deactivate(processor);

    let heard =
        heard(&receiver.events(), phrase.duration_s()).context("no /tocco/…/event arrived on the UDP socket")?;
    let mut classes: Vec<String> = phrase.truth.iter().map(|s| s.class.clone()).collect();
    classes.sort();
    classes.dedup();
    let recalls = classes.into_iter().map(|c| (c.clone(), recall(&phrase.truth, &heard, &c))).collect();
    Ok(Outcome { played: phrase.truth.clone(), heard, recalls, datagrams: receiver.datagrams(), started, midi })
}

/// Runs a mono sound through all channels of a processor at the pace of a sound card.
///
/// # Errors
/// Where the plugin fails.
pub fn stream(mut processor: Processor, sound: &[f32], rate: f64) -> Result<(Processor, Vec<Emitted>)> {
    let mut output = vec![vec![0.0; BLOCK as usize]; 2];
    let mut emitted = Vec::new();
    let start = Instant::now();
    for block in sound.chunks(BLOCK as usize) {
        let due = start + Duration::from_secs_f64(processor.position() as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        emitted.extend(processor.process(&[block, block], &mut output, &[])?);
    }
    Ok((processor, emitted))
}

/// The plugin's events as stretches; `none` is silence. Nothing where there are no events.
fn heard(events: &[Event], duration_s: f64) -> Option<Vec<Stretch>> {
    let first = events.first()?;
    let silence = Stretch { start_s: 0.0, end_s: f64::from(first.time_s), class: SILENCE.into() };
    let ends = events.iter().skip(1).map(|e| f64::from(e.time_s)).chain([duration_s]);
    let stretches = events.iter().zip(ends).map(|(event, end_s)| Stretch {
        start_s: f64::from(event.time_s),
        end_s,
        class: if event.class == tocco_models::NONE { SILENCE.into() } else { event.class.clone() },
    });
    Some([silence].into_iter().chain(stretches).collect())
}

/// Two rows of letters, one every quarter of a second: what was played and what was recognised.
#[must_use]
pub fn timeline(outcome: &Outcome) -> String {
    let row = |stretches: &[Stretch]| -> String {
        let end = stretches.last().map_or(0.0, |s| s.end_s);
        let middles = (0..).map(|cell| (f64::from(cell) + 0.5) * CELL_S).take_while(|&middle| middle < end);
        middles.map(|middle| letter(crate::phrase::class_at(stretches, middle))).collect()
    };
    format!(
        "  played      {}\n  recognised  {}\n  (one letter every {CELL_S} s: B bowed, P plucked, . silence or none)\n",
        row(&outcome.played),
        row(&outcome.heard)
    )
}

fn letter(class: &str) -> char {
    match class {
        SILENCE => '.',
        other => other.chars().next().unwrap_or('?').to_ascii_uppercase(),
    }
}

/// How many messages of each address arrived, with the first of each as it was.
#[must_use]
pub fn osc_lines(outcome: &Outcome) -> String {
    let messages: Vec<_> = outcome.datagrams.iter().filter_map(|d| Some((d.at, d.message()?))).collect();
    let mut addresses: Vec<&str> = messages.iter().map(|(_, m)| m.addr.as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut text = String::new();
    for address in addresses {
        let of_address: Vec<_> = messages.iter().filter(|(_, m)| m.addr == address).collect();
        // Writing into a string can't fail.
        let _ = writeln!(text, "  {address}: {} messages, the first three:", of_address.len());
        for (at, message) in of_address.iter().take(3) {
            let seconds = at.saturating_duration_since(outcome.started).as_secs_f64();
            let arguments: Vec<String> = message.args.iter().map(argument).collect();
            let _ = writeln!(text, "    after {seconds:6.3} s  {address} {}", arguments.join(" "));
        }
    }
    text
}

fn argument(value: &rosc::OscType) -> String {
    match value {
        rosc::OscType::Int(i) => i.to_string(),
        rosc::OscType::Float(f) => format!("{f:.3}"),
        rosc::OscType::String(s) => format!("\"{s}\""),
        other => format!("{other:?}"),
    }
}
