//! From sound to decisions to messages: everything that runs beside the recognizer, whichever thread runs it.
//!
//! The [`Engine`] of an instance lies behind a lock that is never contended where it matters: in worker mode the
//! inference threads take it and the audio thread does not, in the other modes it is the other way round. Who installs
//! something holds it for the time of some pointers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringbuf::traits::{Observer, Split};
use ringbuf::{HeapCons, HeapRb};
use tocco_models::stream::{Piece, SoundOutput};
use tocco_models::{Card, ClassSet, Policy, Recognizer, Task};

use crate::latency::Terms;
use crate::midi::{Due, Message, MidiMap};
use crate::mode::{Mode, Placed};
use crate::pool::Share;
use crate::published::Published;
use crate::take::{Take, take};

mod outlet;

use outlet::Outlet;

/// MIDI messages that can wait for the audio thread.
const MIDI_ROOM: usize = 4096;
/// Reports that can wait for the network thread: 40 seconds of hops of 10 ms.
const REPORT_ROOM: usize = 4096;
/// Samples that are recognised between two looks at the clock.
const PIECE: usize = 512;
/// A worker that meets more than so many seconds of sound skips to the newest.
const LATE_S: f64 = 0.5;
/// After so long a worker lets go of the engine, however much waits: whoever needs the engine gets it.
const SLICE: Duration = Duration::from_millis(20);
/// A worker that has worked for a slice and is still so many seconds behind does not catch up by working: it skips to
/// the newest.
const BEHIND_S: f64 = 0.05;
/// A network whose step takes more of a hop than this does not catch up soon after it was held up.
const HEAVY: f64 = 0.5;
/// The audio thread catches up on so many seconds, or four blocks, and skips where it is further behind.
const CATCH_UP_S: f64 = 0.025;
/// Over so many seconds of sound the load is averaged.
const LOAD_WINDOW_S: f64 = 1.0;

/// What the network thread learns of one hop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Report {
    /// A class other than `none` holds and the gate is open: the compatible message.
    Class(u8),
    /// The decision changed.
    Event {
        /// The class that holds now.
        class: Option<u8>,
        /// Its probability.
        confidence: f32,
        /// The sound it speaks of, in seconds since activation.
        seconds: f32,
    },
    /// The set that sounds changed (`instruments`).
    Active(ClassSet),
    /// From here on class indices are those of this model, counted by [`Engine::install`].
    Model(u64),
}

/// What the parameters say now.
#[derive(Debug, Clone, Copy)]
pub struct Controls {
    /// The decision policy.
    pub policy: Policy,
    /// Whether MIDI goes out.
    pub midi_on: bool,
}

/// The ends that go to the other threads.
pub struct Ends {
    /// To the audio thread.
    pub midi: HeapCons<Due>,
}

/// A recognizer that is ready to run.
#[derive(Debug)]
pub struct Ready {
    /// It.
    pub recognizer: Recognizer,
    /// What is kept for it in the audio thread's pool.
    pub share: Option<Share>,
    /// Where it is to run live.
    pub plan: Placed,
}

/// A recognizer with all that its decisions reach.
pub struct Engine {
    hearing: Option<Hearing>,
    ready: Option<Ready>,
    outlet: Outlet,
    /// What the recognizer was told last, and the mode that the latency was published for.
    told: Option<(Policy, Mode)>,
    sample_rate: f64,
    largest_block: usize,
    piece: Vec<f32>,
    load: Load,
}

struct Hearing {
    sound: SoundOutput,
    /// Position at which the recognizer counts from 0.
    base: u64,
}

impl Engine {
    /// An engine without sound or model, and the network thread's end.
    #[must_use]
    pub fn new(published: Arc<Published>) -> (Self, HeapCons<Report>, Take) {
        let (take_input, take) = take();
        let (reports, reports_out) = HeapRb::new(REPORT_ROOM).split();
        let outlet = Outlet {
            published,
            midi: None,
            map: MidiMap::default(),
            midi_was_on: true,
            reports,
            task: Task::Technique,
            none: None,
            last: (None, ClassSet::default()),
            sample_rate: 48_000.0,
            generation: 0,
            take: take_input,
        };
        let engine = Self {
            hearing: None,
            ready: None,
            outlet,
            told: None,
            sample_rate: 0.0,
            largest_block: 0,
            piece: vec![0.0; PIECE],
            load: Load::default(),
        };
        (engine, reports_out, take)
    }

    /// Connects the engine to an activation's sound: position 0, at `sample_rate` Hz. Allocates.
    pub fn connect(&mut self, sound: SoundOutput, sample_rate: f64, largest_block: usize) -> Ends {
        let (midi, midi_out) = HeapRb::new(MIDI_ROOM).split();
        self.outlet.midi = Some(midi);
        self.outlet.map.forget();
        self.outlet.sample_rate = sample_rate;
        self.outlet.take.start(sample_rate);
        self.outlet.generation = sound.generation();
        self.hearing = Some(Hearing { sound, base: 0 });
        self.sample_rate = sample_rate;
        self.largest_block = largest_block;
        // The latency has the block in it.
        self.told = None;
        self.load = Load::default();
        Ends { midi: midi_out }
    }

    /// The host deactivated the plugin.
    pub fn disconnect(&mut self) {
        if let Some(hearing) = self.hearing.take() {
            self.outlet.fall_silent(hearing.sound.position());
        }
        self.outlet.midi = None;
    }

    /// Takes another recognizer (or none), and another MIDI map, between two pieces of sound. What it held ends.
    /// Gives back the old recognizer, so that it is dropped elsewhere.
    pub fn install(&mut self, card: Option<&Card>, ready: Option<Ready>, map: MidiMap, model: u64) -> Option<Ready> {
        self.install_map(map);
        self.told = None;
        self.outlet.fall_silent(self.position());
        self.outlet.task = card.map_or(Task::Technique, |card| card.task);
        self.outlet.none = card.and_then(Card::none_class);
        self.outlet.last = self.outlet.silence();
        self.outlet.report(Report::Model(model));
        self.outlet.take.model(model);
        if let Some(hearing) = &mut self.hearing {
            hearing.base = hearing.sound.position();
        }
        self.outlet.published.set_plan(ready.as_ref().map_or(Placed::WORKER, |ready| ready.plan));
        std::mem::replace(&mut self.ready, ready)
    }

    /// Where the recognizer is to run live.
    #[must_use]
    pub fn plan(&self) -> Placed {
        self.ready.as_ref().map_or(Placed::WORKER, |ready| ready.plan)
    }

    /// From the next block on it runs somewhere else.
    pub fn move_to(&mut self, plan: Placed) {
        if let Some(ready) = &mut self.ready {
            ready.plan = plan;
            self.outlet.published.set_plan(plan);
        }
    }

    /// Takes another MIDI map. What the old one held ends.
    pub fn install_map(&mut self, map: MidiMap) {
        self.outlet.send(self.position(), Message::Release);
        self.outlet.map = map;
    }

    /// Recognising failed inside: what was decided ends, for the panel, OSC and MIDI alike.
    pub fn give_up(&mut self) {
        self.let_go();
        self.outlet.fall_silent(self.position());
    }

    /// Samples that wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.hearing.as_ref().map_or(0, |hearing| hearing.sound.backlog())
    }

    /// Whether sound or a reset waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.hearing.as_ref().is_some_and(|hearing| hearing.sound.backlog() > 0 || hearing.sound.is_reset())
    }

    /// Whether anything waits for the network thread.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        !self.outlet.reports.is_empty()
    }

    fn position(&self) -> u64 {
        self.hearing.as_ref().map_or(0, |hearing| hearing.sound.position())
    }

    /// Recognises the sound that waits: offline all of it; on the audio thread too, save where it is far behind; on a
    /// worker what a slice of time allows, and no more once another mode is on. Who is too late skips to the newest
    /// sound.
    ///
    /// # Errors
    /// The network's own; the sound counts as heard.
    pub fn drain(&mut self, controls: &Controls, mode: Mode) -> tocco_models::Result<()> {
        self.take_controls(controls, mode);
        let limit = late_limit(mode, self.sample_rate, self.largest_block);
        let mut outcome = self.skip_when_late(limit);
        let began = Instant::now();
        while let Some(heard) = self.hear_next(mode) {
            outcome = outcome.and(heard);
            if mode == Mode::Worker && (began.elapsed() > SLICE || self.outlet.published.mode() != Mode::Worker) {
                let behind = samples(BEHIND_S, self.sample_rate) + 2 * self.largest_block;
                return outcome.and(self.skip_when_late(behind));
            }
        }
        outcome
    }

    /// One piece of what waits; `None` where nothing does.
    fn hear_next(&mut self, mode: Mode) -> Option<tocco_models::Result<()>> {
        let Self { hearing, ready, outlet, piece: buffer, load, sample_rate, largest_block, .. } = self;
        let hearing = hearing.as_mut()?;
        let mut recognizer = ready.as_mut().map(|ready| &mut ready.recognizer);
        let piece = hearing.sound.next(buffer)?;
        let decided = outlet.published.hops.load(Ordering::Relaxed);
        let start = Instant::now();
        let heard = match (piece, &mut recognizer) {
            (Piece::Reset { position }, recognizer) => {
                hearing.base = position;
                outlet.generation = hearing.sound.generation();
                outlet.map.forget();
                outlet.fall_silent(position);
                recognizer.as_mut().map_or(Ok(()), |recognizer| recognizer.reset())
            }
            (Piece::Gap(lost), Some(recognizer)) => {
                outlet.count_late(hops(recognizer, lost, *sample_rate));
                recognizer.skip(lost)
            }
            (Piece::Sound(length), Some(recognizer)) => {
                let sound = &buffer[..length];
                outlet.take.sound(sound, hearing.sound.position() - length as u64);
                // Of a network that sees a whole window at once and does not catch up soon, the newest window counts.
                let hop = hop_samples(recognizer, *sample_rate);
                let (hop_s, may_wait) = (hop / *sample_rate, hop + 2.0 * *largest_block as f64);
                let is_stale =
                    mode == Mode::Worker && load.step_s > HEAVY * hop_s && hearing.sound.backlog() as f64 > may_wait;
                match is_stale.then(|| recognizer.pass_over(sound)).flatten() {
                    Some(left_out) => {
                        outlet.count_late(left_out);
                        Ok(())
                    }
                    None => recognizer.push(sound, |decision| outlet.decide(decision, hearing.base)),
                }
            }
            (_, None) => Ok(()),
        };
        if let Piece::Sound(length) = piece {
            let decisions = outlet.published.hops.load(Ordering::Relaxed) - decided;
            outlet.published.load.set(load.add(start.elapsed(), length as f64 / *sample_rate, decisions));
        }
        Some(heard)
    }

    /// What is held ends, and what holds on is struck anew.
    fn let_go(&mut self) {
        self.outlet.send(self.position(), Message::Release);
        self.outlet.map.forget();
    }

    fn take_controls(&mut self, controls: &Controls, mode: Mode) {
        // Two threads have two orders of time: what the one said is ended before the other speaks.
        if let Some((_, before)) = self.told
            && matches!((before, mode), (Mode::AudioThread, Mode::Worker) | (Mode::Worker, Mode::AudioThread))
        {
            self.let_go();
        }
        if let Some(Ready { recognizer, .. }) = &mut self.ready
            && self.told != Some((controls.policy, mode))
        {
            if self.told.is_none_or(|(policy, _)| policy != controls.policy) {
                recognizer.set_policy(&controls.policy);
            }
            self.told = Some((controls.policy, mode));
            let terms = Terms::new(&recognizer.latency(), mode, self.largest_block, self.sample_rate);
            self.outlet.published.latency.set(&terms);
        }
        if self.outlet.midi_was_on && !controls.midi_on {
            self.let_go();
        }
        if self.outlet.published.strike_again.swap(false, Ordering::Relaxed) {
            self.outlet.map.forget();
        }
        self.outlet.midi_was_on = controls.midi_on;
    }

    /// Where more than `limit` samples wait, all but the newest block are dropped and counted. Not for a network that
    /// sees a whole window at once: it catches up by leaving decisions out, and would miss what was dropped.
    fn skip_when_late(&mut self, limit: usize) -> tocco_models::Result<()> {
        let Some(hearing) = self.hearing.as_mut().filter(|hearing| hearing.sound.backlog() > limit) else {
            return Ok(());
        };
        let recognizer = self.ready.as_mut().map(|ready| &mut ready.recognizer);
        if recognizer.as_ref().is_some_and(|recognizer| !recognizer.card().network.is_stream()) {
            return Ok(());
        }
        let lost = hearing.sound.drop_to_newest(self.largest_block);
        let Some(recognizer) = recognizer else { return Ok(()) };
        self.outlet.count_late(hops(recognizer, lost, self.sample_rate));
        recognizer.skip(lost)
    }
}

/// How many decisions so many samples of input would have led to.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
fn hops(recognizer: &Recognizer, samples: u64, sample_rate: f64) -> u64 {
    (samples as f64 / hop_samples(recognizer, sample_rate)).ceil() as u64
}

/// Samples of input from one decision to the next.
#[must_use]
pub fn hop_samples(recognizer: &Recognizer, sample_rate: f64) -> f64 {
    let card = recognizer.card();
    card.hop() as f64 * sample_rate / f64::from(card.sample_rate)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds of sound at most")]
fn samples(seconds: f64, sample_rate: f64) -> usize {
    (seconds * sample_rate) as usize
}

/// How many samples may wait. A host hands over a block at once, so two blocks are never late.
fn late_limit(mode: Mode, sample_rate: f64, largest_block: usize) -> usize {
    match mode {
        Mode::AudioThread => samples(CATCH_UP_S, sample_rate).max(4 * largest_block),
        Mode::Worker => samples(LATE_S, sample_rate) + 2 * largest_block,
        Mode::Inactive | Mode::Offline => usize::MAX,
    }
}

/// How many samples the ring must hold: twice what is late.
#[must_use]
pub fn sound_room(sample_rate: f64, largest_block: usize) -> usize {
    2 * late_limit(Mode::Worker, sample_rate, largest_block)
}

/// A running share of a core.
#[derive(Debug, Default)]
struct Load {
    share: f64,
    /// What the newest decision took, in seconds.
    step_s: f64,
}

impl Load {
    #[expect(clippy::cast_possible_truncation, reason = "a share for the eye")]
    fn add(&mut self, busy: Duration, sound_s: f64, decisions: u64) -> f32 {
        if decisions > 0 {
            self.step_s = busy.as_secs_f64() / decisions as f64;
        }
        let weight = (sound_s / LOAD_WINDOW_S).min(1.0);
        self.share += weight * (busy.as_secs_f64() / sound_s.max(1e-9) - self.share);
        self.share as f32
    }
}

#[cfg(test)]
mod tests;
