//! From a sound to the messages about it, measured in a host: what is decision, and what is transport.
//!
//! A decision is known with one certain sample of the sound ([`Known::at`]): everything before is the decision's own
//! time (analysis window, network, policy), everything after is transport. A sound card delivers a block when its last
//! sample has been played, so a message's transport is the rest of the block behind that sample, and the time from the
//! block's delivery to the message's arrival.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rosc::{OscMessage, OscType};
use serde_json::json;
use tocco_models::{Card, Model, NONE, Policy, Recognizer, Task};

use crate::host::{Emitted, Host, Processor};
use crate::locate;
use crate::osc::{self, Receiver};
use crate::state::State;

mod notes;
pub mod report;
mod spread;
mod terms;

pub use notes::{Note, Notes, clicks, cut, double_bass, held_out, sequence};
pub use spread::{Row, Spread, table};
pub use terms::{Term, terms};

/// The rate of every measurement, in Hz.
pub const RATE: f64 = 48_000.0;
/// The gate's controllers: one a class, from this number on.
const GATES: u8 = 20;
/// The first block is one sample shorter than a multiple of 64, of which hops of the models here are: with the smallest
/// blocks a decision falls on a block's first sample and waits for all of it.
const FIRST_BLOCK: usize = 63;

/// A block that comes so much too late is no play of the scheduler any more.
const STALL: Duration = Duration::from_millis(50);
/// How often the plugin is asked to run where it is to.
const ATTEMPTS: usize = 40;

/// Where the recognizer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunIn {
    /// Inside `process`.
    AudioThread,
    /// On the inference thread.
    Worker,
}

impl RunIn {
    /// The name in `/status`, and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AudioThread => "audio-thread",
            Self::Worker => "worker",
        }
    }

    fn parameter(self) -> &'static str {
        match self {
            Self::AudioThread => "audio",
            Self::Worker => "worker",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Where the recognizer runs.
    pub run_in: RunIn,
    /// Samples a block.
    pub block: usize,
}

impl Setup {
    /// Both modes, each with small and large blocks.
    pub const ALL: [Self; 4] = [
        Self { run_in: RunIn::AudioThread, block: 64 },
        Self { run_in: RunIn::AudioThread, block: 512 },
        Self { run_in: RunIn::Worker, block: 64 },
        Self { run_in: RunIn::Worker, block: 512 },
    ];

    /// Length of a block in seconds.
    #[must_use]
    pub fn block_s(self) -> f64 {
        self.block as f64 / RATE
    }
}

/// A change of decision, as it follows from the sound alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The sample with which it is known.
    pub at: u64,
    /// The sample that it speaks of.
    pub about: u64,
    /// Index of the class that holds from here on; absent where none does, which only instruments may.
    pub class: Option<usize>,
}

impl Known {
    /// Name of the class, as OSC has it.
    fn name(self, classes: &[String]) -> &str {
        self.class.and_then(|class| classes.get(class)).map_or("", String::as_str)
    }
}

/// Every change of decision in a sound, computed without any plugin.
///
/// # Errors
/// Where the model or the policy is refused.
pub fn known(model: &[u8], sound: &[f32], rate: f64, policy: &Policy) -> Result<Vec<Known>> {
    let model = Model::from_bytes(model)?;
    let none = model.card().none_class();
    let mut recognizer = Recognizer::new(&model, rate, policy)?;
    let (mut last, mut changes) = (none, Vec::new());
    recognizer.push(sound, |decision| {
        if decision.class != last {
            last = decision.class;
            changes.push(Known { at: decision.known_at - 1, about: decision.about, class: last });
        }
    })?;
    Ok(changes)
}

/// A change of decision with what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// The decision.
    pub known: Known,
    /// The sample of its MIDI event; absent for `none`, which sends nothing here.
    pub midi: Option<u64>,
    /// From the moment in which a sound card has played [`Known::at`] until the block was delivered, in seconds.
    pub block_wait: f64,
    /// From then until the OSC datagram arrived, in seconds.
    pub after_delivery: f64,
}

impl Heard {
    /// A decision whose messages nobody waits for.
    #[must_use]
    pub fn decided(known: Known) -> Self {
        Self { known, midi: None, block_wait: 0.0, after_delivery: 0.0 }
    }

    /// From the deciding sample to the datagram, in seconds.
    #[must_use]
    pub fn osc(&self) -> f64 {
        self.block_wait + self.after_delivery
    }

    /// From the deciding sample to the MIDI event's, in seconds of sound.
    #[must_use]
    pub fn midi_s(&self) -> Option<f64> {
        self.midi.map(|at| (at as f64 - self.known.at as f64) / RATE)
    }
}

/// [`play`] in each of these setups, all at the same time.
pub fn measure(setups: &[Setup], model: &[u8], notes: &Notes, known: &[Known]) -> Vec<Result<Vec<Heard>>> {
    std::thread::scope(|scope| {
        let start = |&setup| scope.spawn(move || play(setup, model, &notes.sound, known));
        let running: Vec<_> = setups.iter().map(start).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("the host's thread panicked"))))
            .collect()
    })
}

/// Plays a mono sound through the plugin at the pace of a sound card and sets what comes out beside what follows from
/// the sound. The decision policy is the
/// default one.
///
/// # Errors
/// Where the plugin fails, does not run in the wanted mode, or says anything else than what follows from the sound
/// (which it does where the machine was too slow, too).
pub fn play(setup: Setup, model: &[u8], sound: &[f32], known: &[Known]) -> Result<Vec<Heard>> {
    let card = Model::from_bytes(model)?.card().clone();
    let Stage { mut host, processor, receiver, _folder } = stage(setup, model, &card)?;
    let (processor, emitted, delivered) = std::thread::scope(|scope| {
        let audio = scope.spawn(|| stream(processor, sound, setup.block));
        audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
    })?;
    std::thread::sleep(Duration::from_millis(100));
    host.deactivate(processor);
    let status = last_status(&receiver).context("no status")?;
    ensure!(is_run_in(setup.run_in, &status), "{setup:?} ran otherwise: {:?}", status.args);
    compare(known, &card, &emitted, &delivered, &receiver)
}

/// An active plugin that runs where it is to.
struct Stage {
    host: Host,
    processor: Processor,
    receiver: Receiver,
    _folder: tempfile::TempDir,
}

/// On a busy machine the plugin may find its model too slow for the audio thread: then it is asked again, as a player
/// would ask.
fn stage(setup: Setup, model: &[u8], card: &Card) -> Result<Stage> {
    let mut status = None;
    for _ in 0..ATTEMPTS {
        // Another file each time: what was measured for this one counts for a while.
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, model)?;
        let receiver = Receiver::start()?;
        let mut host = Host::load(&locate::clap()?)?;
        let state = State::empty()
            .with_model(&file)
            .with_osc_port(receiver.port())
            .with_setting("mappings", mappings(card))
            .with_parameter("run_in", json!({"string": setup.run_in.parameter()}));
        host.restore(&state)?;
        let processor = host.activate(RATE, u32::try_from(setup.block)?)?;
        let is_right = |status: &OscMessage| is_run_in(setup.run_in, status);
        if receiver.wait(Duration::from_millis(300), |_| last_status(&receiver).as_ref().is_some_and(is_right)) {
            return Ok(Stage { host, processor, receiver, _folder: folder });
        }
        status = last_status(&receiver);
        host.deactivate(processor);
    }
    bail!("{setup:?} would run otherwise, {ATTEMPTS} times: {status:?}")
}

fn last_status(receiver: &Receiver) -> Option<OscMessage> {
    receiver.messages("/status").pop()
}

fn is_run_in(run_in: RunIn, status: &OscMessage) -> bool {
    matches!(status.args.first(), Some(OscType::String(mode)) if mode == run_in.name())
}

/// A gate for each class but `none`, so that each change of decision is one event of MIDI.
fn mappings(card: &Card) -> serde_json::Value {
    let of_class = |(class, name): (usize, &String)| {
        let mode = if Some(class) == card.none_class() { "off" } else { "gate" };
        (name.clone(), json!({"mode": mode, "channel": 1, "number": usize::from(GATES) + class}))
    };
    card.classes.iter().enumerate().map(of_class).collect::<serde_json::Map<_, _>>().into()
}

/// When each block had been delivered: its end in samples, and the time.
type Delivered = Vec<(u64, Instant)>;

fn stream(mut processor: Processor, sound: &[f32], block: usize) -> Result<(Processor, Vec<Emitted>, Delivered)> {
    let mut output = vec![vec![0.0; block]; 2];
    let (mut emitted, mut delivered, mut rest) = (Vec::new(), Vec::new(), sound);
    let mut start = Instant::now();
    while !rest.is_empty() {
        let length = if delivered.is_empty() { FIRST_BLOCK.min(block) } else { block }.min(rest.len());
        let (now, later) = rest.split_at(length);
        rest = later;
        let end = processor.position() + length as u64;
        // Delivered when its last sample has been played, as by a sound card.
        let due = start + Duration::from_secs_f64(end as f64 / RATE);
        let wait = due.saturating_duration_since(Instant::now());
        std::thread::sleep(wait);
        // After a stall it does not catch up, as a sound card would not.
        if due.elapsed() > STALL {
            start = Instant::now() - Duration::from_secs_f64(end as f64 / RATE);
        }
        delivered.push((end, Instant::now()));
        emitted.extend(processor.process(&[now, now], &mut output, &[])?);
    }
    Ok((processor, emitted, delivered))
}

fn compare(
    known: &[Known],
    card: &Card,
    emitted: &[Emitted],
    delivered: &Delivered,
    receiver: &Receiver,
) -> Result<Vec<Heard>> {
    let arrived: Vec<(Instant, osc::Event)> = receiver
        .datagrams()
        .iter()
        .filter_map(|datagram| Some((datagram.at, datagram.message()?)))
        .filter(|(_, message)| message.addr.ends_with("/event"))
        .filter_map(|(at, message)| Some((at, osc::event(&message)?)))
        .collect();
    ensure!(arrived.len() >= known.len(), "{} events of OSC for {} decisions", arrived.len(), known.len());
    let mut opened = emitted
        .iter()
        .filter_map(|event| Some((event.at, event.message.control_change()?)))
        .filter(|(_, (_, number, value))| *number >= GATES && *value > 0);
    let mut heard = Vec::new();
    for (&known, (arrived, event)) in known.iter().zip(&arrived) {
        let about = known.about as f64 / RATE;
        ensure!(
            event.class == known.name(&card.classes) && (f64::from(event.time_s) - about).abs() < 1e-4,
            "{event:?} instead of {} at {about} s",
            known.name(&card.classes)
        );
        let &(end, delivery) =
            delivered.iter().find(|(end, _)| *end > known.at).context("a decision behind the last block")?;
        // Several instruments may sound at once, each with its gate: then gates are no changes of one decision.
        let midi = if known.class == card.none_class() || card.task == Task::Instruments {
            None
        } else {
            let (at, (_, number, _)) = opened.next().with_context(|| format!("no MIDI about {known:?}"))?;
            ensure!(Some(usize::from(number - GATES)) == known.class, "the gate {number} at {at} for {known:?}");
            Some(at)
        };
        heard.push(Heard {
            known,
            midi,
            block_wait: (end - 1 - known.at) as f64 / RATE,
            after_delivery: arrived.saturating_duration_since(delivery).as_secs_f64(),
        });
    }
    Ok(heard)
}

/// Onset to message: for each note, the first decision for its class while it sounds.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// To the decision, by class, in seconds of sound.
    pub decision: BTreeMap<String, Vec<f64>>,
    /// To the MIDI event, by class, in seconds of sound.
    pub midi: BTreeMap<String, Vec<f64>>,
    /// To the OSC datagram, by class, in seconds.
    pub osc: BTreeMap<String, Vec<f64>>,
    /// Notes that were never heard as what they are, by class.
    pub missed: BTreeMap<String, usize>,
    /// Notes of which something else was said first, by class.
    pub wrong_first: BTreeMap<String, usize>,
}

impl Totals {
    /// Sets decisions beside the notes they are about.
    #[must_use]
    pub fn of(notes: &Notes, heard: &[Heard], classes: &[String]) -> Self {
        let mut totals = Self::default();
        for note in &notes.notes {
            let name = &note.class;
            let during = |h: &&Heard| (note.onset..note.end).contains(&h.known.at);
            let first = heard.iter().filter(during).find(|h| ![NONE, ""].contains(&h.known.name(classes)));
            *totals.wrong_first.entry(name.clone()).or_default() +=
                usize::from(first.is_some_and(|h| h.known.name(classes) != name));
            let right = heard.iter().filter(during).find(|h| h.known.name(classes) == name);
            *totals.missed.entry(name.clone()).or_default() += usize::from(right.is_none());
            let Some(right) = right else { continue };
            let from = if notes.counts_loud { note.loud } else { note.onset };
            let decision = (right.known.at as f64 - from as f64) / RATE;
            totals.decision.entry(name.clone()).or_default().push(decision);
            totals.osc.entry(name.clone()).or_default().push(decision + right.osc());
            totals.midi.entry(name.clone()).or_default().extend(right.midi_s().map(|wait| decision + wait));
        }
        totals
    }

    /// All classes as one.
    #[must_use]
    pub fn pooled(self, name: &str) -> Self {
        let values = |by_class: BTreeMap<String, Vec<f64>>| {
            BTreeMap::from([(name.to_owned(), by_class.into_values().flatten().collect::<Vec<_>>())])
        };
        let sum = |by_class: BTreeMap<String, usize>| BTreeMap::from([(name.to_owned(), by_class.into_values().sum())]);
        Self {
            decision: values(self.decision),
            midi: values(self.midi),
            osc: values(self.osc),
            missed: sum(self.missed),
            wrong_first: sum(self.wrong_first),
        }
    }
}
