//! A small CLAP host inside the process: what a workstation does, as far as the tests need it.
//!
//! [`Host`] is the main thread's half, [`Processor`] the audio thread's: it can be moved to another thread.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use anyhow::{Context, Result, anyhow, ensure};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
use clack_extensions::latency::{HostLatency, HostLatencyImpl, PluginLatency};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamInfoBuffer, ParamRescanFlags,
    PluginParams,
};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::{HostState, HostStateImpl, PluginState};
use clack_extensions::thread_check::{HostThreadCheck, HostThreadCheckImpl};
use clack_extensions::track_info::{HostTrackInfo, HostTrackInfoImpl, TrackInfo, TrackInfoWriter};
use clack_host::events::event_types::{MidiEvent, ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::spaces::CoreEventSpace;
use clack_host::prelude::*;

use crate::state::State;

/// The id under which the plugin is found in its library.
pub const PLUGIN_ID: &std::ffi::CStr = c"org.tocco.tocco";

/// What the plugin may call from any thread.
pub struct Shared {
    main_thread: ThreadId,
    callback_wanted: AtomicBool,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.callback_wanted.store(true, Ordering::SeqCst);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

impl HostThreadCheckImpl for Shared {
    fn is_main_thread(&self) -> bool {
        std::thread::current().id() == self.main_thread
    }
    fn is_audio_thread(&self) -> bool {
        !self.is_main_thread()
    }
}

/// What the plugin may call from the main thread.
pub struct MainThread {
    track: Option<Vec<u8>>,
}

impl MainThreadHandler<'_> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _: ParamRescanFlags) {}
    fn clear(&self, _: ClapId, _: ParamClearFlags) {}
}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {}
}

impl HostLatencyImpl for MainThread {
    fn changed(&self) {}
}

impl HostTrackInfoImpl for MainThread {
    fn get<'a>(&'a self, writer: &mut TrackInfoWriter<'_, 'a>) {
        if let Some(track) = &self.track {
            writer.set(&TrackInfo::new().with_name(track));
        }
    }
}

/// The host's types, as clack wants them.
pub struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Self::Shared<'_>) {
        builder
            .register::<HostParams>()
            .register::<HostState>()
            .register::<HostLatency>()
            .register::<HostThreadCheck>()
            .register::<HostTrackInfo>();
    }
}

/// One parameter as the plugin describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The number by which events name it.
    pub id: ClapId,
    /// Its name on the screen.
    pub name: String,
    /// Its range and default, in the plugin's plain or normalised values.
    pub range: std::ops::RangeInclusive<f64>,
    /// Its default.
    pub default: f64,
}

/// One instance of the plugin, seen from the main thread.
pub struct Host {
    instance: PluginInstance<Handlers>,
}

impl Host {
    /// Loads the plugin from a `.clap` file and makes an instance.
    ///
    /// # Errors
    /// Where the file can't be loaded or holds no Tocco.
    pub fn load(file: &Path) -> Result<Self> {
        Self::on_track(file, None)
    }

    /// The same on a track with a name.
    ///
    /// # Errors
    /// See [`Host::load`].
    pub fn on_track(file: &Path, track: Option<&str>) -> Result<Self> {
        // SAFETY: the file is this project's own plugin; loading foreign code can't be made safe in any other way.
        let entry = unsafe { PluginEntry::load(file) }
            .map_err(|e| anyhow!("{e}"))
            .with_context(|| format!("{} can't be loaded as a CLAP", file.display()))?;
        let info = HostInfo::new("Tocco tests", "The Tocco developers", "https://example.org", "1.0")?;
        let instance = PluginInstance::<Handlers>::new(
            |()| Shared { main_thread: std::thread::current().id(), callback_wanted: AtomicBool::new(false) },
            |_| MainThread { track: track.map(|name| name.as_bytes().to_vec()) },
            &entry,
            PLUGIN_ID,
            &info,
        )
        .map_err(|e| anyhow!("{e}"))
        .with_context(|| format!("{} holds no plugin {PLUGIN_ID:?}", file.display()))?;
        Ok(Self { instance })
    }

    /// Gives the plugin the main-thread call it asked for, if it did.
    pub fn run_callbacks(&mut self) {
        let wanted = self.instance.access_shared_handler(|shared| shared.callback_wanted.swap(false, Ordering::SeqCst));
        if wanted {
            self.instance.call_on_main_thread_callback();
        }
    }

    /// The plugin's state as a project would keep it.
    ///
    /// # Errors
    /// Where the plugin refuses, or its state is not what it documents.
    pub fn save(&mut self) -> Result<State> {
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().context("the plugin has no state extension")?;
        let mut bytes = Vec::new();
        extension.save(&handle, &mut bytes)?;
        State::from_bytes(&bytes)
    }

    /// Gives a state back.
    ///
    /// # Errors
    /// Where the plugin refuses.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.restore_bytes(&state.to_bytes())
    }

    /// Gives any bytes as a state.
    ///
    /// # Errors
    /// Where the plugin refuses.
    pub fn restore_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().context("the plugin has no state extension")?;
        Ok(extension.load(&handle, &mut bytes)?)
    }

    /// Tells the plugin whether the host renders in real time or offline.
    ///
    /// # Errors
    /// Where the plugin refuses.
    pub fn set_offline(&mut self, offline: bool) -> Result<()> {
        let handle = self.instance.plugin_handle();
        let extension: PluginRender = handle.get_extension().context("the plugin has no render extension")?;
        let mode = if offline { RenderMode::Offline } else { RenderMode::Realtime };
        Ok(extension.set(&handle, mode)?)
    }

    /// All parameters in the plugin's order.
    ///
    /// # Errors
    /// Where the plugin has none or describes one wrongly.
    pub fn parameters(&mut self) -> Result<Vec<Parameter>> {
        let handle = self.instance.plugin_handle();
        let extension: PluginParams = handle.get_extension().context("the plugin has no parameters")?;
        (0..extension.count(&handle))
            .map(|index| {
                let mut buffer = ParamInfoBuffer::new();
                let info =
                    extension.get_info(&handle, index, &mut buffer).context("a parameter without a description")?;
                Ok(Parameter {
                    id: info.id,
                    name: String::from_utf8_lossy(info.name).into_owned(),
                    range: info.min_value..=info.max_value,
                    default: info.default_value,
                })
            })
            .collect()
    }

    /// The current value of a parameter.
    ///
    /// # Errors
    /// Where the plugin does not know it.
    pub fn value(&mut self, id: ClapId) -> Result<f64> {
        let handle = self.instance.plugin_handle();
        let extension: PluginParams = handle.get_extension().context("the plugin has no parameters")?;
        extension.get_value(&handle, id).with_context(|| format!("the plugin has no parameter {id:?}"))
    }

    /// Latency in samples.
    pub fn latency(&mut self) -> u32 {
        let handle = self.instance.plugin_handle();
        handle.get_extension::<PluginLatency>().map_or(0, |extension| extension.get(&handle))
    }

    /// Channels of the main input and of the main output.
    ///
    /// # Errors
    /// Where the plugin has no such port.
    pub fn channels(&mut self) -> Result<(u32, u32)> {
        let handle = self.instance.plugin_handle();
        let extension: PluginAudioPorts = handle.get_extension().context("the plugin has no audio ports")?;
        let count = |is_input| {
            let mut buffer = AudioPortInfoBuffer::new();
            let info =
                extension.get(&handle, 0, is_input, &mut buffer).context("the plugin lacks a main audio port")?;
            Ok::<_, anyhow::Error>(info.channel_count)
        };
        Ok((count(true)?, count(false)?))
    }

    /// Chooses the layout whose main ports have so many channels.
    ///
    /// # Errors
    /// Where the plugin offers none.
    pub fn select_channels(&mut self, channels: u32) -> Result<()> {
        if self.channels()? == (channels, channels) {
            return Ok(());
        }
        let handle = self.instance.plugin_handle();
        let extension: PluginAudioPortsConfig = handle.get_extension().context("the plugin offers no other layouts")?;
        for index in 0..extension.count(&handle) {
            let mut buffer = AudioPortsConfigBuffer::new();
            let Some(config) = extension.get(&handle, index, &mut buffer) else { continue };
            if extension.select(&handle, config.id).is_ok() && self.channels()? == (channels, channels) {
                return Ok(());
            }
        }
        anyhow::bail!("the plugin offers no layout of {channels} channels")
    }

    /// Starts processing at a rate in Hz, in blocks of at most `largest` samples.
    ///
    /// # Errors
    /// Where the plugin refuses.
    pub fn activate(&mut self, rate: f64, largest: u32) -> Result<Processor> {
        let (channels, _) = self.channels()?;
        let configuration =
            PluginAudioConfiguration { sample_rate: rate, min_frames_count: 1, max_frames_count: largest };
        let stopped = self.instance.activate(|_, _| (), configuration).map_err(|e| anyhow!("{e}"))?;
        let started = stopped.start_processing().map_err(|e| anyhow!("{e}"))?;
        let channels = channels as usize;
        Ok(Processor {
            started,
            inputs: AudioPorts::with_capacity(channels, 1),
            outputs: AudioPorts::with_capacity(channels, 1),
            scratch: vec![vec![0.0; largest as usize]; channels],
            events: EventBuffer::with_capacity(256),
            position: 0,
            playing: true,
        })
    }

    /// Stops processing.
    pub fn deactivate(&mut self, processor: Processor) {
        self.instance.deactivate(processor.started.stop_processing());
    }
}

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

/// What goes into the plugin with a block, at the block's first sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A parameter's new value.
    Parameter(ClapId, f64),
    /// Three bytes of MIDI 1.0.
    Midi([u8; 3]),
}

/// The audio thread's half of an instance.
pub struct Processor {
    started: StartedPluginAudioProcessor<Handlers>,
    inputs: AudioPorts,
    outputs: AudioPorts,
    /// The plugin gets its own copy of the input, as a host gives it.
    scratch: Vec<Vec<f32>>,
    events: EventBuffer,
    position: u64,
    /// Whether the host's transport runs.
    pub playing: bool,
}

impl Processor {
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
        ensure!(input.len() == self.scratch.len() && output.len() == input.len(), "wrong number of channels");
        let frames = input.first().map_or(0, |channel| channel.len());
        for (scratch, channel) in self.scratch.iter_mut().zip(input) {
            scratch[..frames].copy_from_slice(channel);
        }
        let mut incoming = EventBuffer::new();
        for event in events {
            match event {
                Input::Parameter(id, value) => incoming.push(&ParamValueEvent::new(0, *id, Pckn::match_all(), *value)),
                Input::Midi(bytes) => incoming.push(&MidiEvent::new(0, 0, *bytes)),
            }
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
        self.started
            .process(
                &audio_in,
                &mut audio_out,
                &incoming.as_input(),
                &mut self.events.as_output(),
                Some(self.position),
                Some(&transport),
            )
            .map_err(|e| anyhow!("{e}"))?;
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

    fn transport(&self) -> TransportEvent {
        let mut flags = TransportFlags::HAS_TEMPO;
        flags.set(TransportFlags::IS_PLAYING, self.playing);
        TransportEvent {
            header: EventHeader::new_core(0, clack_host::events::EventFlags::empty()),
            flags,
            song_pos_beats: 0.into(),
            song_pos_seconds: 0.into(),
            tempo: 120.0,
            tempo_inc: 0.0,
            loop_start_beats: 0.into(),
            loop_end_beats: 0.into(),
            loop_start_seconds: 0.into(),
            loop_end_seconds: 0.into(),
            bar_start: 0.into(),
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

fn number(raw: i16) -> Result<u16> {
    u16::try_from(raw).context("a note event for all channels or keys")
}
