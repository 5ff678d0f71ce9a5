//! The audio thread: passes sound through untouched, hands the heard channel to the recognizer, gives the
//! host its MIDI.
//!
//! Nothing here allocates from the system, locks, waits, logs or does I/O, in worker mode and in audio-thread mode; in
//! offline mode, where there is all the time in the world, the recognizer may.
//!
//! In audio-thread mode the recognizer runs here, inside a [`pool::Scope`]. One thing can't be kept from the system:
//! for a network that is not pulsed (see `tocco_models::Loader`) the engine keeps scratch in thread-locals, and on the
//! first step on a thread they are registered with the C library, which allocates a few words each, and the standard
//! library asks once for random keys. And where the plugin is a file that the host loaded, the system's loader sets up
//! the library's own thread-locals at the first call on a thread.
//!
//! Not every host says that it renders offline, and a VST3 host's word comes too late to be of use. So where a worker
//! would run the recognizer, the [`Clock`] decides too: who delivers sound far ahead of time is not playing it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nice_plug::context::process::SendEventError;
use nice_plug::midi::{Channel as MidiChannel, Key, VoiceID};
use nice_plug::prelude::*;
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;
use tocco_models::stream::{SoundInput, sound};

use crate::inference::{Ends, sound_room};
use crate::instance::{Instance, lock};
use crate::loader;
use crate::midi::{Due, Incoming, Message, Sounding};
use crate::mode::{Mode, Placed, Why};
use crate::params::Channel;
use crate::pool;
use crate::service;
use crate::standalone::{self, Standalone};

/// An activation, as the audio thread sees it.
pub struct Audio {
    instance: Arc<Instance>,
    input: SoundInput,
    midi: HeapCons<Due>,
    sounding: Sounding,
    incoming: Incoming,
    /// Whether the host said that it renders offline.
    is_rendering: bool,
    clock: Clock,
    /// Everything that sounds is to end with the next block.
    release: bool,
    was_playing: bool,
    was_bypassed: bool,
}

impl Audio {
    /// Connects an activation to the instance's engine. `sounding` is what the host was left with by the
    /// activation before. Runs on the host's main thread.
    pub fn new(
        instance: &Arc<Instance>,
        config: &BufferConfig,
        is_rendering: bool,
        sounding: Sounding,
        incoming: Incoming,
    ) -> Self {
        let sample_rate = f64::from(config.sample_rate);
        let largest_block = config.max_buffer_size as usize;
        let (input, output) = sound(sound_room(sample_rate, largest_block));
        let Ends { midi } = instance.engine().connect(output, sample_rate, largest_block);
        let instance = Arc::clone(instance);
        let clock = Clock::new(sample_rate, largest_block);
        instance.published.bypassed.store(false, Ordering::Relaxed);
        Self {
            instance,
            input,
            midi,
            sounding,
            incoming,
            is_rendering,
            clock,
            release: true,
            was_playing: false,
            was_bypassed: false,
        }
    }

    /// What the host still holds.
    #[must_use]
    pub fn into_sounding(self) -> Sounding {
        self.sounding
    }

    /// The recognizer starts from silence; what sounds ends with the next block.
    pub fn reset(&mut self) {
        self.input.reset();
        self.clock.restart();
        self.release = true;
    }

    /// The host stops calling [`Audio::process`] for a while.
    pub fn stop(&mut self) {
        self.release = true;
    }

    /// One block. In a host the samples in `buffer` stay as they are.
    pub fn process<P: Plugin>(&mut self, buffer: &mut Buffer, context: &mut impl ProcessContext<P>) {
        let length = buffer.samples();
        let start = self.input.position();
        self.watch(context.transport().playing);
        let placed = self.place(length);
        if placed != self.instance.published.placed() {
            self.instance.published.set_placed(placed);
        }
        match placed.mode {
            Mode::Worker | Mode::Inactive => {
                self.send_midi(start, length, context);
                self.hear(buffer);
            }
            Mode::AudioThread => {
                self.hear(buffer);
                self.recognise_here();
                self.send_midi(start, length, context);
            }
            Mode::Offline => {
                self.hear(buffer);
                self.recognise();
                self.send_midi(start, length, context);
            }
        }
        if let Some(standalone) = standalone::current() {
            standalone.pass(buffer.as_slice().iter_mut().map(|channel| &mut **channel));
        }
    }

    /// Where this block is recognised. On the audio thread it makes no difference how fast the sound comes.
    fn place(&mut self, length: usize) -> Placed {
        let plan = self.instance.published.plan();
        let is_ahead = self.clock.is_ahead(length);
        let is_offline = self.is_rendering || is_ahead && plan.mode != Mode::AudioThread;
        if is_offline { Placed::OFFLINE } else { plan }
    }

    fn watch(&mut self, playing: bool) {
        let is_ending = standalone::current().is_some_and(Standalone::wants_restart);
        let bypassed = self.instance.params.bypass.value() || self.instance.remote.is_off() || is_ending;
        if bypassed != self.was_bypassed {
            self.was_bypassed = bypassed;
            self.instance.published.bypassed.store(bypassed, Ordering::Relaxed);
            self.input.reset();
            self.release = true;
        }
        self.release |= self.was_playing && !playing;
        if playing && !self.was_playing && self.sounding.is_silent() {
            // What ended when the host stopped, and holds on, is struck again.
            self.instance.published.strike_again.store(true, Ordering::Relaxed);
        }
        self.was_playing = playing;
    }

    /// Hands the heard channel on. While bypassed, nothing: the reset that began it ends what was decided.
    fn hear(&mut self, buffer: &mut Buffer) {
        let length = buffer.samples();
        if self.was_bypassed {
            return self.input.leave_out(length);
        }
        match buffer.as_slice() {
            [] => self.input.leave_out(length),
            [mono] => self.input.push(length, mono.iter().copied()),
            [left, right, ..] => match self.instance.params.channel.value() {
                Channel::Left => self.input.push(length, left.iter().copied()),
                Channel::Right => self.input.push(length, right.iter().copied()),
                Channel::Mix => {
                    self.input.push(length, left.iter().zip(right.iter()).map(|(l, r)| 0.5 * l + 0.5 * r));
                }
            },
        }
    }

    /// Offline only: waits for the recognizer, and for another model where one was chosen, so that a bounce is the same
    /// however fast it goes.
    fn recognise(&self) {
        loader::refresh(&self.instance, &mut lock(&self.instance.slot));
        let controls = self.instance.controls();
        let mut engine = self.instance.engine();
        service::guarded(&self.instance, &mut engine, |engine| {
            // Served from the pool too: what the engine keeps in thread-locals may be freed live, by another instance
            // on this thread.
            let _scope = pool::Scope::enter();
            engine.drain(&controls, Mode::Offline)
        });
    }

    /// Live: where another thread has the engine, which is while it gets another model or mapping, what was heard waits
    /// for the next block.
    fn recognise_here(&self) {
        let Some(mut engine) = self.instance.engine.try_lock() else { return };
        if engine.plan().mode != Mode::AudioThread {
            return;
        }
        let controls = self.instance.controls();
        let scope = pool::Scope::enter();
        let outcome =
            service::guarded_live(&self.instance, &mut engine, |engine| engine.drain(&controls, Mode::AudioThread));
        if outcome.is_err() {
            engine.move_to(Placed::worker(Why::Failed));
        } else if scope.system_calls() > 0 {
            engine.move_to(Placed::worker(Why::Exhausted));
        }
    }

    /// Gives the host what came in and what is due, in the order of time.
    fn send_midi<P: Plugin>(&mut self, start: u64, length: usize, context: &mut impl ProcessContext<P>) {
        let last = u32::try_from(length.saturating_sub(1)).unwrap_or(u32::MAX);
        if self.release && length > 0 {
            self.sounding.release(|message| give(context, 0, message));
            self.release = !self.sounding.is_silent();
        }
        let mut incoming = context.next_event();
        loop {
            let due = if length > 0 { self.next_due() } else { None };
            let offset = due.map(|due| u32::try_from(due.at.saturating_sub(start)).unwrap_or(last).min(last));
            match (incoming.take(), offset, due) {
                (Some(event), offset, _) if offset.is_none_or(|offset| event.timing() <= offset) => {
                    self.pass_on(context, event);
                    incoming = context.next_event();
                }
                (event, Some(offset), Some(due)) => {
                    incoming = event;
                    if !self.give_due(context, offset, due.message) {
                        // The host takes no more in this block: what is due goes with the next.
                        break;
                    }
                    self.midi.try_pop();
                }
                _ => break,
            }
        }
        while let Some(event) = incoming {
            self.pass_on(context, event);
            incoming = context.next_event();
        }
    }

    /// The next message of this generation.
    fn next_due(&mut self) -> Option<Due> {
        while let Some(&due) = self.midi.try_peek() {
            if due.generation == self.input.generation() {
                return Some(due);
            }
            self.midi.try_pop();
        }
        None
    }

    fn give_due<P: Plugin>(&mut self, context: &mut impl ProcessContext<P>, offset: u32, message: Message) -> bool {
        if message == Message::Release {
            self.sounding.release(|message| give(context, offset, message));
            return self.sounding.is_silent();
        }
        if !self.sounding.changes(message) {
            return true;
        }
        let given = give(context, offset, message);
        if given {
            self.sounding.note_down(message);
            self.instance.published.midi_sent.fetch_add(1, Ordering::Relaxed);
        }
        given
    }

    fn pass_on<P: Plugin>(&mut self, context: &mut impl ProcessContext<P>, event: PluginNoteEvent<P>) {
        // Modulation speaks to this plugin's own parameters. What the host does not take back is lost, as it
        // would be without this plugin.
        let is_own = matches!(event, NoteEvent::PolyModulation { .. } | NoteEvent::MonoAutomation { .. });
        if !is_own && self.incoming.is_news(&event) {
            let _ = context.try_send_event(event);
        }
    }
}

/// How far the sound is ahead of the time in which it would be played.
struct Clock {
    last: Instant,
    sample_rate: f64,
    /// Further ahead than this is no playing.
    far_s: f64,
    ahead_s: f64,
    is_ahead: bool,
}

impl Clock {
    /// Hosts that prepare some blocks early stay under it, and the ring holds more.
    const FAR_S: f64 = 0.4;
    /// Back from here to real time.
    const NEAR_S: f64 = 0.05;
    /// A host that stood still may catch up so much at once.
    const DEBT_S: f64 = 0.5;
    /// What is forgotten of the lead in a second, so that a host which goes over to playing is believed.
    const LEAK: f64 = 0.25;

    fn new(sample_rate: f64, largest_block: usize) -> Self {
        let far_s = Self::FAR_S + largest_block as f64 / sample_rate;
        Self { last: Instant::now(), sample_rate, far_s, ahead_s: 0.0, is_ahead: false }
    }

    fn is_ahead(&mut self, length: usize) -> bool {
        let passed = self.last.elapsed();
        self.last += passed;
        self.advance(length, passed.as_secs_f64())
    }

    fn advance(&mut self, length: usize, passed_s: f64) -> bool {
        let leak = if self.ahead_s > 0.0 { Self::LEAK } else { 0.0 };
        let played_s = length as f64 / self.sample_rate;
        self.ahead_s = (self.ahead_s + played_s - passed_s * (1.0 + leak)).clamp(-Self::DEBT_S, self.far_s + 0.5);
        self.is_ahead = self.ahead_s > if self.is_ahead { Self::NEAR_S } else { self.far_s };
        self.is_ahead
    }

    /// Forgets what was: the host starts anew.
    fn restart(&mut self) {
        self.last = Instant::now();
        self.ahead_s = 0.0;
        self.is_ahead = false;
    }
}

/// Sends one message; false where the host has no more room in this block.
fn give<P: Plugin>(context: &mut impl ProcessContext<P>, timing: u32, message: Message) -> bool {
    let event = match message {
        Message::Controller { channel, number, value } => {
            NoteEvent::MidiCC { timing, channel, cc: number, value: f32::from(value) / 127.0 }
        }
        Message::Gate { channel, number, on } => {
            NoteEvent::MidiCC { timing, channel, cc: number, value: if on { 1.0 } else { 0.0 } }
        }
        Message::Note { channel, key, velocity } => {
            let (voice_id, channel, key) = (VoiceID::Wildcard, MidiChannel::Number(channel), Key::Number(key));
            match velocity {
                0 => NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 },
                _ => NoteEvent::NoteOn { timing, voice_id, channel, key, velocity: f32::from(velocity) / 127.0 },
            }
        }
        Message::Program { channel, program } => NoteEvent::MidiProgramChange { timing, channel, program },
        Message::Release => return true,
    };
    !matches!(context.try_send_event(event), Err((_, SendEventError::HostBufferFull)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 480;

    fn clock() -> Clock {
        Clock::new(48_000.0, BLOCK)
    }

    fn blocks(clock: &mut Clock, count: usize, block_s: f64) -> bool {
        (0..count).fold(false, |_, _| clock.advance(BLOCK, block_s))
    }

    #[test]
    fn playing_is_never_taken_for_rendering() {
        assert!(!blocks(&mut clock(), 10_000, 0.01));
        // Blocks that come twenty at once, as large device buffers make them.
        let mut bursts = clock();
        for _ in 0..500 {
            assert!(!bursts.advance(BLOCK, 0.2) && !blocks(&mut bursts, 19, 0.0));
        }
        // A stall, and the host catches up.
        let mut stalled = clock();
        assert!(!stalled.advance(BLOCK, 0.6) && !blocks(&mut stalled, 60, 0.0));
    }

    #[test]
    fn rendering_is_seen_before_the_ring_would_drop_and_playing_afterwards_too() {
        let mut clock = clock();
        assert!(blocks(&mut clock, 45, 0.000_1), "ten times faster than playing, seen within 0.45 s");
        assert!(blocks(&mut clock, 1000, 0.005), "twice as fast goes on");
        assert!(!blocks(&mut clock, 500, 0.01), "five seconds of playing are believed");
    }
}
