//! Tocco as CLAP, VST3 and standalone.
//!
//! The file name says the thread: `audio` is the audio thread, `inference` whatever runs the recognizer,
//! `network` sends OSC, `loader` fetches models, `editor` draws. `service` holds the threads, which
//! belong to the process; `midi` and `published` are what crosses between them. `mode` says where the
//! recognizer runs, by what `trial` measured; `pool` is the memory that lets it run on the audio thread. `standalone` is
//! for the program without a host.
//!
//! # Promises
//! - In a host, sound passes bit for bit and without latency.
//! - Live, `process` allocates nothing from the system, takes no lock and waits for nobody, wherever the recognizer
//!   runs. What is excepted stands in `audio`.
//! - Offline and live give the same decisions with the same stamps where nothing was dropped.
//! - No thread that touches an instance outlives it. What may outlive the last one is a thread that lists a
//!   folder for the panel or asks the system for a host's address: it owns what it works on, and nobody waits for
//!   it. For its sake the library stays loaded, as far as the system allows (see `build.rs`).

mod audio;
mod editor;
mod inference;
mod instance;
mod latency;
mod loader;
mod midi;
pub mod mode;
mod network;
pub mod params;
pub mod pool;
mod published;
mod remote;
mod service;
pub mod standalone;
pub mod state;
mod take;
mod trial;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nice_plug::prelude::*;

use crate::audio::Audio;
use crate::instance::{Instance, lock};
use crate::loader::Activation;
use crate::midi::{Incoming, Sounding};
use crate::mode::Placed;
use crate::params::ToccoParams;

#[global_allocator]
static ALLOCATOR: pool::Allocator = pool::Allocator;

/// The plugin.
pub struct Tocco {
    params: Arc<ToccoParams>,
    instance: Arc<Instance>,
    /// Present while the host has it activated.
    audio: Option<Audio>,
    /// What the host was left with between two activations.
    sounding: Sounding,
}

impl Default for Tocco {
    fn default() -> Self {
        let params = Arc::new(ToccoParams::default());
        if let Some(standalone) = standalone::current() {
            standalone.restore(&params);
        }
        let instance = Instance::new(Arc::clone(&params));
        Self { params, instance, audio: None, sounding: Sounding::default() }
    }
}

impl Drop for Tocco {
    fn drop(&mut self) {
        self.disconnect();
        // The host may unload this library next.
        self.instance.leave();
    }
}

impl Tocco {
    /// Where the recognizer runs.
    #[must_use]
    pub fn mode(&self) -> mode::Mode {
        self.instance.published.mode()
    }

    /// Where it is to run live, and why there; while the host renders it runs as [`Tocco::mode`] says.
    #[must_use]
    pub fn plan(&self) -> Placed {
        self.instance.published.plan()
    }

    /// Why it runs there, in a few words.
    #[must_use]
    pub fn why(&self) -> String {
        self.instance.published.reason()
    }

    /// Decisions so far.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.instance.published.hops.load(Ordering::Relaxed)
    }

    /// Does at once what the loader thread would do within its next rounds: afterwards the model, the mapping and the
    /// place are those that parameters and settings say. May load a file, so it is nothing for the audio thread.
    pub fn settle(&self) {
        loader::refresh(&self.instance, &mut lock(&self.instance.slot));
    }

    fn disconnect(&mut self) {
        self.instance.published.set_placed(Placed::INACTIVE);
        self.instance.published.sample_rate.set(0.0);
        if let Some(audio) = self.audio.take() {
            self.sounding = audio.into_sounding();
        }
        self.instance.engine().disconnect();
        lock(&self.instance.slot).deactivate();
    }
}

const fn layout(channels: u32, name: &'static str) -> AudioIOLayout {
    AudioIOLayout {
        main_input_channels: NonZeroU32::new(channels),
        main_output_channels: NonZeroU32::new(channels),
        names: PortNames { layout: Some(name), ..PortNames::const_default() },
        ..AudioIOLayout::const_default()
    }
}

impl Plugin for Tocco {
    const NAME: &'static str = "Tocco";
    const VENDOR: &'static str = "Tocco developers";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[layout(2, "Stereo"), layout(1, "Mono")];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    /// A VST3 host may tell all parameters at once, and each controller there is counts as one.
    const INPUT_EVENT_CAPACITY: usize = 4096;

    type Editor = editor::ToccoEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::clone(&self.params) as Arc<dyn Params>
    }

    fn filter_state(state: &mut PluginState) {
        params::bring_into_range(state);
    }

    fn editor(&mut self, _executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        Some(editor::ToccoEditor::new(Arc::clone(&self.instance)))
    }

    fn activate(
        &mut self,
        _layout: &AudioIOLayout,
        config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.disconnect();
        self.instance.panics.store(0, Ordering::Relaxed);
        // nice-plug 0.4.2 learns a VST3 host's word one activation late: then it says nothing.
        let is_known = context.plugin_api() != PluginApi::Vst3;
        let is_rendering = is_known && config.process_mode == ProcessMode::Offline;
        let sounding = std::mem::take(&mut self.sounding);
        self.audio = Some(Audio::new(&self.instance, config, is_rendering, sounding, Incoming::new(!is_known)));
        {
            let mut slot = lock(&self.instance.slot);
            slot.activate(Activation {
                sample_rate: f64::from(config.sample_rate),
                largest_block: config.max_buffer_size as usize,
                is_rendering,
            });
            // Here and now, so that the first sample after a project opens, or of a bounce, is recognised.
            loader::refresh(&self.instance, &mut slot);
        }
        loader::resolve(&self.instance);
        let published = &self.instance.published;
        published.sample_rate.set(config.sample_rate);
        published.set_placed(if is_rendering { Placed::OFFLINE } else { published.plan() });
        self.instance.join();
        true
    }

    fn reset(&mut self) {
        if let Some(audio) = &mut self.audio {
            audio.reset();
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        if let Some(audio) = &mut self.audio {
            audio.process(buffer, context);
        }
        // Silence is heard too: it closes the gate and ends notes.
        ProcessStatus::KeepAlive
    }

    fn stop_processing(&mut self) {
        if let Some(audio) = &mut self.audio {
            audio.stop();
        }
    }

    fn deactivate(&mut self) {
        self.disconnect();
    }
}

impl ClapPlugin for Tocco {
    const CLAP_ID: &'static str = "org.tocco.tocco";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("Hears how and what a musician plays, and tells it by OSC and MIDI");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::Analyzer,
        ClapFeature::Utility,
        ClapFeature::Stereo,
        ClapFeature::Mono,
    ];
}

impl Vst3Plugin for Tocco {
    const VST3_CLASS_ID: [u8; 16] = *b"ToccoRecognizer1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Fx, Vst3SubCategory::Analyzer];
}

nice_export_clap!(Tocco);
nice_export_vst3!(Tocco);
