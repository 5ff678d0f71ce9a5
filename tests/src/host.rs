//! A small CLAP host inside the process: what a workstation does, as far as the tests need it.
//!
//! [`Host`] is the main thread's half, [`Processor`] the audio thread's: it can be moved to another thread.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
#[cfg(target_os = "linux")]
use clack_extensions::gui::{GuiApiType, GuiConfiguration, PluginGui, Window};
use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::latency::{HostLatency, HostLatencyImpl, PluginLatency};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamInfoBuffer, ParamRescanFlags,
    PluginParams,
};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::{HostState, HostStateImpl, PluginState};
use clack_extensions::thread_check::{HostThreadCheck, HostThreadCheckImpl};
use clack_extensions::track_info::{HostTrackInfo, HostTrackInfoImpl, TrackInfo, TrackInfoWriter};
use clack_host::prelude::*;

use crate::state::State;

mod processor;

pub use processor::{Emitted, Input, Message, Processor, watched};

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

/// The framework of the plugin opens no panel without it; this host leaves a panel the size it has.
impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}
    fn request_resize(&self, _: GuiSize) -> Result<(), HostError> {
        Err(HostError::Message("this host does not resize panels"))
    }
    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn closed(&self, _: bool) {}
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
            writer.set(&TrackInfo::new().with_name(Some(track)));
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
            .register::<HostGui>()
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
    /// How many threads this process had before the panel was opened.
    #[cfg(target_os = "linux")]
    threads_before_panel: usize,
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
        Self::of_entry(&entry, track).with_context(|| format!("{} holds no plugin {PLUGIN_ID:?}", file.display()))
    }

    /// The plugin as it is linked into this program: what it asks of the system can be counted.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn inside() -> Result<Self> {
        // SAFETY: the entry is this project's own, and lives as long as the program.
        let entry =
            unsafe { PluginEntry::load_from_raw(&tocco_plugin::clap_entry, c"") }.map_err(|e| anyhow!("{e}"))?;
        Self::of_entry(&entry, None)
    }

    fn of_entry(entry: &PluginEntry, track: Option<&str>) -> Result<Self> {
        let info = HostInfo::new("Tocco tests", "The Tocco developers", "https://example.org", "1.0")?;
        let instance = PluginInstance::<Handlers>::new(
            |()| Shared { main_thread: std::thread::current().id(), callback_wanted: AtomicBool::new(false) },
            |_| MainThread { track: track.map(|name| name.as_bytes().to_vec()) },
            entry,
            PLUGIN_ID,
            &info,
        )
        .map_err(|e| anyhow!("{e}"))?;
        Ok(Self {
            instance,
            #[cfg(target_os = "linux")]
            threads_before_panel: 0,
        })
    }

    /// Gives the plugin the main-thread call it asked for, if it did.
    pub fn run_callbacks(&mut self) {
        let wanted = self.instance.access_shared_handler(|shared| shared.callback_wanted.swap(false, Ordering::SeqCst));
        if wanted {
            self.instance.call_on_main_thread_callback();
        }
    }

    /// Lives for so long, as a host does that is waited for.
    pub fn live_for(&mut self, duration: Duration) {
        let start = Instant::now();
        while start.elapsed() < duration {
            self.run_callbacks();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the plugin whatever a host may ask on its main thread.
    pub fn ask<T>(&mut self, question: impl FnOnce(&PluginMainThreadHandle<'_>) -> T) -> T {
        question(&self.instance.plugin_handle())
    }

    /// The plugin's state as a project would keep it.
    ///
    /// # Errors
    /// Where the plugin refuses, or its state is not what it documents.
    pub fn save(&mut self) -> Result<State> {
        let mut bytes = Vec::new();
        self.save_to(&mut bytes)?;
        State::from_bytes(&bytes)
    }

    /// Has the plugin write its state to a stream.
    ///
    /// # Errors
    /// Where the plugin says that it could not.
    pub fn save_to(&mut self, stream: &mut impl Write) -> Result<()> {
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().context("the plugin has no state extension")?;
        Ok(extension.save(&handle, stream)?)
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
        self.restore_from(&mut bytes)
    }

    /// Has the plugin read a state from a stream.
    ///
    /// # Errors
    /// Where the plugin says that it could not.
    pub fn restore_from(&mut self, stream: &mut impl Read) -> Result<()> {
        let handle = self.instance.plugin_handle();
        let extension: PluginState = handle.get_extension().context("the plugin has no state extension")?;
        Ok(extension.load(&handle, stream)?)
    }

    /// Moves parameters while the plugin is not activated.
    ///
    /// # Errors
    /// Where it is, or has no parameters.
    pub fn flush(&mut self, events: &[Input]) -> Result<()> {
        let mut incoming = EventBuffer::new();
        for &event in events {
            processor::push(&mut incoming, 0, event);
        }
        let mut outgoing = EventBuffer::new();
        let mut handle = self.instance.inactive_plugin_handle().context("the plugin is active")?;
        let extension: PluginParams = handle.get_extension().context("the plugin has no parameters")?;
        extension.flush(&mut handle, &incoming.as_input(), &mut outgoing.as_output());
        Ok(())
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
        let layouts = {
            let handle = self.instance.plugin_handle();
            let extension: PluginAudioPortsConfig =
                handle.get_extension().context("the plugin offers no other layouts")?;
            extension.count(&handle)
        };
        for index in 0..layouts {
            if self.select_layout(index) && self.channels()? == (channels, channels) {
                return Ok(());
            }
        }
        anyhow::bail!("the plugin offers no layout of {channels} channels")
    }

    /// Opens the panel in an X11 window; gives its width and height in pixels.
    ///
    /// # Errors
    /// Where the plugin has no panel or can't open it.
    #[cfg(target_os = "linux")]
    pub fn open_panel(&mut self, parent: u32) -> Result<(u32, u32)> {
        let size = self.make_panel(parent)?;
        self.show_panel();
        Ok(size)
    }

    /// Makes the panel in an X11 window without showing it; gives its width and height in pixels.
    ///
    /// # Errors
    /// Where the plugin has no panel or can't make it.
    #[cfg(target_os = "linux")]
    pub fn make_panel(&mut self, parent: u32) -> Result<(u32, u32)> {
        let handle = self.instance.plugin_handle();
        let extension: PluginGui = handle.get_extension().context("the plugin has no panel")?;
        self.threads_before_panel = threads();
        extension.create(&handle, GuiConfiguration { api_type: GuiApiType::X11, is_floating: false })?;
        let size = extension.get_size(&handle).context("the panel has no size")?;
        // SAFETY: the window outlives the panel: it is the root window of a display that ends after this host.
        unsafe { extension.set_parent(&handle, Window::from_x11_handle(parent.into())) }?;
        Ok((size.width, size.height))
    }

    /// Shows the panel, as a workstation does whenever its tab comes to the front.
    #[cfg(target_os = "linux")]
    pub fn show_panel(&mut self) {
        let handle = self.instance.plugin_handle();
        if let Some(extension) = handle.get_extension::<PluginGui>() {
            // A plugin may show an embedded panel without being asked and refuse this.
            let _ = extension.show(&handle);
        }
    }

    /// Hides the panel without closing it, as a workstation does whose tab goes to the back.
    #[cfg(target_os = "linux")]
    pub fn hide_panel(&mut self) {
        let handle = self.instance.plugin_handle();
        if let Some(extension) = handle.get_extension::<PluginGui>() {
            let _ = extension.hide(&handle);
        }
    }

    /// Closes the panel.
    ///
    /// Its window's thread may end a little later (baseview 0.4.2 does not always wait for it), and would then miss
    /// its display or its code: this waits for it, at most two seconds.
    #[cfg(target_os = "linux")]
    pub fn close_panel(&mut self) {
        let handle = self.instance.plugin_handle();
        if let Some(extension) = handle.get_extension::<PluginGui>() {
            extension.destroy(&handle);
        }
        let start = std::time::Instant::now();
        while threads() > self.threads_before_panel && start.elapsed().as_secs() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn select_layout(&mut self, index: u32) -> bool {
        let handle = self.instance.plugin_handle();
        let Some(extension) = handle.get_extension::<PluginAudioPortsConfig>() else { return false };
        let mut buffer = AudioPortsConfigBuffer::new();
        extension.get(&handle, index, &mut buffer).is_some_and(|c| extension.select(&handle, c.id).is_ok())
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
        Ok(Processor::new(started, channels as usize, largest as usize))
    }

    /// Stops processing.
    pub fn deactivate(&mut self, processor: Processor) {
        self.instance.deactivate(processor.stop());
    }
}

/// Threads of this process.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
