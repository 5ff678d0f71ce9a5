//! What only the program without a host has: audio devices to choose, and settings that it keeps itself.
//!
//! `main` opens it before the plugin is made; in a host there is none, and nothing here does anything. Which devices
//! there are, `main` finds out: the library that hosts load knows no audio system.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use nice_plug::prelude::Params;
use serde::{Deserialize, Serialize};
use tocco_models::write_with_folder;

use crate::instance::lock;
use crate::params::ToccoParams;

mod ending;

pub use ending::is_started_again;

/// Buffers to choose from, in samples.
pub const BUFFERS: [u32; 6] = [32, 64, 128, 256, 512, 1024];
/// Sample rates to choose from, in Hz.
pub const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
/// The system whose server says rate and buffer, and whose inputs are ports.
pub const JACK: &str = "jack";
/// Of the file.
const VERSION: u32 = 1;
/// Between an input and an output with clocks of their own lie so many buffers.
const BUFFERS_BETWEEN: f32 = 2.0;

static CURRENT: OnceLock<Standalone> = OnceLock::new();
/// Read by the audio thread; stays `false` in a host.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Devices, by the names of their system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What drives them: `jack`, `alsa`, `core-audio`, `wasapi`.
    pub system: String,
    /// Where sound comes from: a device, or with JACK a port; none leaves the inputs open.
    pub input: Option<String>,
    /// Where sound goes; none is the system's choice.
    pub output: Option<String>,
    /// Where MIDI goes.
    pub midi: Option<String>,
    /// In Hz.
    pub rate: u32,
    /// In samples.
    pub buffer: u32,
    /// Whether the input goes on to the output. Off, for a microphone and a loudspeaker in one room howl.
    pub monitor: bool,
}

impl Default for Choice {
    fn default() -> Self {
        let system = String::new();
        Self { system, input: None, output: None, midi: None, rate: 48_000, buffer: 128, monitor: false }
    }
}

impl Choice {
    /// As the framework's command line takes it, after the program's name.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--backend={}", self.system)];
        // A name may begin like an option.
        let mut add = |option: &str, value: &Option<String>| {
            arguments.extend(value.as_ref().map(|value| format!("{option}={value}")));
        };
        if self.system == JACK {
            add("--connect-jack-inputs", &self.input);
            add("--connect-jack-midi-output", &self.midi);
        } else {
            add("--input-device", &self.input);
            add("--output-device", &self.output);
            add("--midi-output", &self.midi);
            add("--sample-rate", &Some(self.rate.to_string()));
            add("--period-size", &Some(self.buffer.to_string()));
            add("--input-latency", &Some((1e-3 * self.between_ms()).to_string()));
        }
        arguments
    }

    /// One buffer, in ms.
    #[must_use]
    pub fn buffer_ms(&self) -> f32 {
        1e3 * self.buffer as f32 / self.rate as f32
    }

    /// What lies between the input's clock and the output's, in ms. JACK has one clock.
    #[must_use]
    pub fn between_ms(&self) -> f32 {
        if self.system == JACK { 0.0 } else { BUFFERS_BETWEEN * self.buffer_ms() }
    }
}

/// What a system has.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// To hear: devices, or with JACK ports.
    pub inputs: Vec<String>,
    /// To play to; empty where that is not for us to choose.
    pub outputs: Vec<String>,
    /// To send MIDI to.
    pub midi: Vec<String>,
    /// Rate in Hz and buffer in samples, where they are not for us to choose.
    pub fixed: Option<(u32, u32)>,
}

/// Lists what a system has, or says why it can't.
pub type List = fn(&str) -> Result<Listing, String>;

/// The file of the program without a host.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "tocco_standalone")]
    version: u32,
    sound: Option<Choice>,
    /// Of each parameter, from 0 to 1.
    #[serde(default)]
    params: BTreeMap<String, f32>,
    /// What the plugin keeps beside them.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// The program without a host.
pub struct Standalone {
    /// The audio systems of this computer.
    pub systems: &'static [&'static str],
    /// What they have.
    pub list: List,
    file: PathBuf,
    kept: Mutex<Kept>,
    notice: Mutex<Option<String>>,
    wants_restart: AtomicBool,
}

/// The program without a host, where this is one.
pub fn current() -> Option<&'static Standalone> {
    CURRENT.get()
}

/// Whether what comes in is kept from the output.
pub fn is_silent() -> bool {
    IS_SILENT.load(Ordering::Relaxed)
}

/// This process is the program without a host, and its settings are in `file`. For `main`, before all else.
pub fn open(file: &Path, systems: &'static [&'static str], list: List) -> &'static Standalone {
    CURRENT.get_or_init(|| {
        let standalone = Standalone::read(file, systems, list);
        IS_SILENT.store(!standalone.choice().monitor, Ordering::Relaxed);
        standalone
    })
}

impl Standalone {
    fn read(file: &Path, systems: &'static [&'static str], list: List) -> Self {
        let (kept, notice) = match read(file) {
            Ok(kept) => (kept, None),
            Err(sentence) => (Kept::default(), Some(sentence)),
        };
        let wants_restart = AtomicBool::new(false);
        Self { systems, list, file: file.to_owned(), kept: Mutex::new(kept), notice: Mutex::new(notice), wants_restart }
    }

    /// The devices of last time; at first JACK where its server runs, else the system's, and no input.
    #[must_use]
    pub fn choice(&self) -> Choice {
        let mut kept = lock(&self.kept);
        // Asked once: a system may take its time to answer.
        let is_here = |choice: &Choice| self.systems.contains(&choice.system.as_str());
        let first = || {
            let runs = |system: &&&str| (self.list)(system).is_ok();
            let system = self.systems.iter().find(runs).or(self.systems.last()).copied().unwrap_or_default();
            Choice { system: system.to_owned(), ..Choice::default() }
        };
        let choice = kept.sound.take().filter(is_here).unwrap_or_else(first);
        kept.sound.insert(choice).clone()
    }

    /// Keeps the devices for the next start.
    pub fn choose(&self, choice: &Choice) {
        IS_SILENT.store(!choice.monitor, Ordering::Relaxed);
        lock(&self.kept).sound = Some(choice.clone());
        self.write();
    }

    /// Asks `main` to start anew when the window is closed.
    pub fn ask_for_restart(&self) {
        self.wants_restart.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.wants_restart.load(Ordering::Relaxed)
    }

    /// What the player should know of devices and file.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        lock(&self.notice).clone()
    }

    /// Says something to the player.
    pub fn tell(&self, sentence: String) {
        *lock(&self.notice) = Some(sentence);
    }

    /// Brings parameters and settings to where they were left.
    pub fn restore(&self, params: &ToccoParams) {
        let kept = lock(&self.kept);
        for (id, pointer, _) in params.param_map() {
            if let Some(value) = kept.params.get(&id).filter(|value| (0.0..=1.0).contains(*value)) {
                // SAFETY: `params` owns what the pointers of its own map point to, and lives on.
                unsafe { pointer._internal_set_normalized_value(*value) };
            }
        }
        params.deserialize_fields(&kept.fields);
    }

    /// Keeps parameters and settings as they are now.
    pub fn keep(&self, params: &ToccoParams) {
        {
            let mut kept = lock(&self.kept);
            kept.params.clear();
            for (id, pointer, _) in params.param_map() {
                // SAFETY: as above.
                kept.params.insert(id, unsafe { pointer.unmodulated_normalized_value() });
            }
            kept.fields = params.serialize_fields();
        }
        self.write();
    }

    fn write(&self) {
        let mut kept = lock(&self.kept);
        kept.version = VERSION;
        let text = serde_json::to_vec_pretty(&*kept).map_err(|error| error.to_string());
        let written = text.and_then(|text| write_with_folder(&self.file, &text).map_err(|error| error.to_string()));
        if let Err(sentence) = written {
            self.tell(format!("The settings are not kept: {sentence}"));
        }
    }
}

/// What is not readable is put aside, so that nothing overwrites it.
fn read(file: &Path) -> Result<Kept, String> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(format!("{}: it can't be read ({error}).", file.display())),
    };
    let kept = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
    let known = kept.and_then(|kept: Kept| match kept.version {
        ..=VERSION => Ok(kept),
        newer => Err(format!("they are of version {newer}, this one knows {VERSION}")),
    });
    known.map_err(|error| {
        let aside = file.with_extension("broken.json");
        let where_to = match std::fs::rename(file, &aside) {
            Ok(()) => format!("it now lies in {}", aside.display()),
            Err(error) => format!("nor can it be put aside: {error}"),
        };
        format!("{}: no settings of this Tocco ({error}); {where_to}.", file.display())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
