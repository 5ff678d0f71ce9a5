//! The audio thread's half of a hosted plugin, and what goes in and comes out with a block.

use anyhow::{Context, Result, anyhow, ensure};
use clack_extensions::tail::{PluginTail, TailLength};
use clack_host::events::event_types::{MidiEvent, ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::prelude::*;

use super::Handlers;

/// A MIDI message or a note that came out of the plugin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Emitted {
    /// The sample since activation at which it is to sound.
    pub at: u64,
    /// What it is.
    pub message: Message,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Message {
    /// Three bytes of MIDI 1.0.
    Midi([u8; 3]),
    /// A note starts: channel, key, velocity from 0 to 1.
    NoteOn(u16, u16, f64),
    /// A note ends: channel, key.
    NoteOff(u16, u16),
}

impl Message {
    /// Channel (from 0), controller and value, where it is a control change.
    #[must_use]
    pub fn control_change(self) -> Option<(u8, u8, u8)> {
        match self {
            Self::Midi([status, controller, value]) if status & 0xf0 == 0xb0 => {
                Some((status & 0x0f, controller, value))
            }
            _ => None,
        }
    }
}

/// What goes into the plugin with a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A parameter's new value.
    Parameter(ClapId, f64),
    /// Three bytes of MIDI 1.0.
    Midi([u8; 3]),
}

/// Under the realtime sanitizer (feature `rtsan`) whatever allocates from the system, locks, waits or does I/O in here
/// ends the program with a report.
pub fn watched<T>(is_watched: bool, process: impl FnOnce() -> T) -> T {
    if !(cfg!(feature = "rtsan") && is_watched) {
        return process();
    }
    #[cfg(feature = "rtsan")]
    rtsan_standalone::realtime_enter();
    let result = process();
    #[cfg(feature = "rtsan")]
    rtsan_standalone::realtime_exit();
    result
}

/// The audio thread's half of an instance.
pub struct Processor {
    started: StartedPluginAudioProcessor<Handlers>,
    inputs: AudioPorts,
    outputs: AudioPorts,
    /// The plugin gets its own copy of the input, as a host gives it.
    scratch: Vec<Vec<f32>>,
    incoming: EventBuffer,
    events: EventBuffer,
    position: u64,
    /// Whether the host's transport runs.
    pub playing: bool,
    /// How often the system's allocator was called while the plugin processed, where the plugin is
    /// [inside this program](super::Host::inside): one from a file has an allocator of its own.
    pub system_calls: u64,
    /// Whether the realtime sanitizer watches, where it is built in.
    pub is_watched: bool,
}

impl Processor {
    pub(super) fn new(started: StartedPluginAudioProcessor<Handlers>, channels: usize, largest: usize) -> Self {
        Self {
            started,
            inputs: AudioPorts::with_capacity(channels, 1),
            outputs: AudioPorts::with_capacity(channels, 1),
            scratch: vec![vec![0.0; largest]; channels],
            incoming: EventBuffer::with_capacity(64),
            events: EventBuffer::with_capacity(256),
            position: 0,
            playing: true,
            system_calls: 0,
            is_watched: false,
        }
    }

    pub(super) fn stop(self) -> StoppedPluginAudioProcessor<Handlers> {
        self.started.stop_processing()
    }

    /// Samples since activation.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Runs one block: `input` and `output` hold one slice a channel, all of one length.
    ///
    /// # Errors
    /// Where the plugin fails or the slices do not fit it.
    pub fn process(&mut self, input: &[&[f32]], output: &mut [Vec<f32>], events: &[Input]) -> Result<Vec<Emitted>> {
        self.incoming.clear();
        for &event in events {
            push(&mut self.incoming, 0, event);
        }
        self.block(input, output)
    }

    /// The same with events at samples of the block, in whatever order they are given.
    ///
    /// # Errors
    /// As [`Processor::process`].
    pub fn process_at(
        &mut self,
        input: &[&[f32]],
        output: &mut [Vec<f32>],
        events: &[(u32, Input)],
    ) -> Result<Vec<Emitted>> {
        self.incoming.clear();
        for &(at, event) in events {
            push(&mut self.incoming, at, event);
        }
        self.block(input, output)
    }

    fn block(&mut self, input: &[&[f32]], output: &mut [Vec<f32>]) -> Result<Vec<Emitted>> {
        ensure!(input.len() == self.scratch.len() && output.len() == input.len(), "wrong number of channels");
        let frames = input.first().map_or(0, |channel| channel.len());
        for (scratch, channel) in self.scratch.iter_mut().zip(input) {
            scratch[..frames].copy_from_slice(channel);
        }
        let transport = self.transport();
        let audio_in = self.inputs.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(
                self.scratch.iter_mut().map(|channel| InputChannel::variable(&mut channel[..frames])),
            ),
        }]);
        let mut audio_out = self.outputs.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(output.iter_mut().map(|channel| &mut channel[..frames])),
        }]);
        self.events.clear();
        let (incoming, mut outgoing) = (self.incoming.as_input(), self.events.as_output());
        let before = tocco_plugin::pool::system_calls();
        let outcome = watched(self.is_watched, || {
            let (position, transport) = (Some(self.position), Some(&transport));
            self.started.process(&audio_in, &mut audio_out, &incoming, &mut outgoing, position, transport)
        });
        self.system_calls += tocco_plugin::pool::system_calls() - before;
        outcome.map_err(|e| anyhow!("{e}"))?;
        let emitted = self.emitted(frames)?;
        self.position += frames as u64;
        Ok(emitted)
    }

    /// Runs a whole sound in blocks of `block` samples; gives what came out, sound and events.
    ///
    /// # Errors
    /// See [`Processor::process`].
    pub fn run(&mut self, sound: &[Vec<f32>], block: usize) -> Result<(Vec<Vec<f32>>, Vec<Emitted>)> {
        let length = sound.first().map_or(0, Vec::len);
        let mut heard = vec![Vec::with_capacity(length); sound.len()];
        let mut output = vec![vec![0.0; block]; sound.len()];
        let mut emitted = Vec::new();
        for start in (0..length).step_by(block) {
            let end = (start + block).min(length);
            let input: Vec<&[f32]> = sound.iter().map(|channel| &channel[start..end]).collect();
            emitted.extend(self.process(&input, &mut output, &[])?);
            for (heard, channel) in heard.iter_mut().zip(&output) {
                heard.extend_from_slice(&channel[..end - start]);
            }
        }
        Ok((heard, emitted))
    }

    /// Forgets everything heard, as a host does after a jump.
    pub fn reset(&mut self) {
        self.started.reset();
    }

    /// Stops calling the plugin and starts again, as some hosts do with the transport.
    ///
    /// # Errors
    /// Where the plugin does not start again.
    pub fn pause(self) -> Result<Self> {
        let started = self.started.stop_processing().start_processing().map_err(|e| anyhow!("{e}"))?;
        Ok(Self { started, ..self })
    }

    /// For how long the plugin says that it goes on after the sound has ended.
    pub fn tail(&mut self) -> Option<TailLength> {
        let plugin = self.started.plugin_handle();
        plugin.get_extension::<PluginTail>().map(|extension| extension.get(&plugin))
    }

    fn transport(&self) -> TransportEvent {
        let mut flags = TransportFlags::HAS_TEMPO;
        flags.set(TransportFlags::IS_PLAYING, self.playing);
        TransportEvent {
            header: EventHeader::new_core(0, clack_host::events::EventFlags::empty()),
            flags,
            song_pos_beats: 0.0.into(),
            song_pos_seconds: 0.0.into(),
            tempo: 120.0,
            tempo_inc: 0.0,
            loop_start_beats: 0.0.into(),
            loop_end_beats: 0.0.into(),
            loop_start_seconds: 0.0.into(),
            loop_end_seconds: 0.0.into(),
            bar_start: 0.0.into(),
            bar_number: 0,
            time_signature_numerator: 4,
            time_signature_denominator: 4,
        }
    }

    fn emitted(&self, frames: usize) -> Result<Vec<Emitted>> {
        let mut emitted = Vec::new();
        for event in self.events.iter() {
            let offset = event.header().time();
            ensure!((offset as usize) < frames.max(1), "an event at sample {offset} of a block of {frames}");
            let message = match event.as_core_event() {
                Some(CoreEventSpace::Midi(midi)) => Message::Midi(midi.data()),
                Some(CoreEventSpace::NoteOn(note)) => {
                    let pckn = note.pckn();
                    Message::NoteOn(number(pckn.raw_channel())?, number(pckn.raw_key())?, note.velocity())
                }
                Some(CoreEventSpace::NoteOff(note)) => {
                    let pckn = note.pckn();
                    Message::NoteOff(number(pckn.raw_channel())?, number(pckn.raw_key())?)
                }
                _ => continue,
            };
            emitted.push(Emitted { at: self.position + u64::from(offset), message });
        }
        Ok(emitted)
    }
}

/// Puts an event for a sample of the block behind the others.
pub(super) fn push(events: &mut EventBuffer, at: u32, event: Input) {
    match event {
        Input::Parameter(id, value) => events.push(&ParamValueEvent::new(at, id, Pckn::match_all(), value)),
        Input::Midi(bytes) => events.push(&MidiEvent::new(at, 0, bytes)),
    }
}

fn number(raw: i16) -> Result<u16> {
    u16::try_from(raw).context("a note event for all channels or keys")
}
