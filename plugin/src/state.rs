//! What a project keeps besides the parameters: the model, the instance's name, the OSC target, the MIDI
//! mappings and the window.
//!
//! A host stores the plugin's state as JSON, `{"version", "params", "fields"}`; these settings are the field
//! `settings`, itself JSON in a string:
//!
//! ```json
//! {"version": 1,
//!  "model": {"library": "techniques"},
//!  "slots": {"1": {"library": "instruments"}},
//!  "name": "Tocco",
//!  "osc": {"host": "127.0.0.1", "port": 5005},
//!  "mappings": {"bowed": {"mode": "probability", "channel": 1, "number": 12}},
//!  "editor": {"width": 760.0, "height": 600.0, "zoom": 1.0}}
//! ```
//!
//! `model` is `{"library": NAME}` for a shipped model or `{"path": FILE}`. `slots` are models that the host can
//! switch to by the parameter `slot`, 1 to 8; at 0 it is `model`. `mode` is `probability`, `gate`,
//! `note` or `off`. Each part is read by itself: what is missing, of a wrong kind or out of range keeps its
//! default and the rest is kept, so no state of another version or of a broken project can do harm.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// The version of [`Settings`] that this code writes.
pub const SETTINGS_VERSION: u32 = 1;

/// How many models can wait for the host to switch to them.
pub const SLOTS: u8 = 8;
/// The longest instance name, in characters.
pub const LONGEST_NAME: usize = 64;

/// Which model an instance uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelChoice {
    /// One of the shipped models, by its name.
    Library(String),
    /// A file.
    Path(PathBuf),
}

impl Default for ModelChoice {
    fn default() -> Self {
        Self::Library("techniques".into())
    }
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(name) => write!(f, "{name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Where OSC goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OscTarget {
    /// A host name or an address.
    pub host: String,
    /// A UDP port.
    pub port: u16,
}

impl Default for OscTarget {
    fn default() -> Self {
        Self { host: "127.0.0.1".into(), port: 5005 }
    }
}

impl fmt::Display for OscTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a class does on the MIDI output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MidiMode {
    /// Nothing.
    Off,
    /// A controller that follows the probability, 0 to 127.
    #[default]
    Probability,
    /// A controller that is 127 while the class holds, else 0.
    Gate,
    /// A note that sounds while the class holds; its velocity is the confidence at the start.
    Note,
}

/// The MIDI output of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// What is sent.
    #[serde(default)]
    pub mode: MidiMode,
    /// The channel as musicians count, 1 to 16.
    pub channel: u8,
    /// The controller or note number, 0 to 127.
    pub number: u8,
}

impl Mapping {
    fn is_valid(&self) -> bool {
        (1..=16).contains(&self.channel) && self.number < 128
    }
}

/// The window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EditorSettings {
    /// Width in logical points.
    pub width: f32,
    /// Height in logical points.
    pub height: f32,
    /// The player's own magnification, on top of the system's.
    pub zoom: f32,
}

impl Default for EditorSettings {
    fn default() -> Self {
        Self { width: 760.0, height: 600.0, zoom: 1.0 }
    }
}

impl EditorSettings {
    /// The smallest window that shows everything, in logical points at a zoom of 1.
    pub const SMALLEST: (f32, f32) = (520.0, 420.0);

    fn is_valid(&self) -> bool {
        (100.0..=8000.0).contains(&self.width)
            && (100.0..=8000.0).contains(&self.height)
            && (0.5..=4.0).contains(&self.zoom)
    }
}

/// Everything that a project keeps besides the parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// [`SETTINGS_VERSION`] at the time of writing.
    pub version: u32,
    /// The model in use, or the one that should be.
    pub model: ModelChoice,
    /// The models of the slots, 1 to [`SLOTS`].
    pub slots: BTreeMap<u8, ModelChoice>,
    /// The instance's name, used in OSC addresses where the host tells no track name.
    pub name: String,
    /// Where OSC goes.
    pub osc: OscTarget,
    /// Per class name; a class that is not here has the default mapping. Classes of other models stay.
    pub mappings: BTreeMap<String, Mapping>,
    /// The window.
    pub editor: EditorSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: SETTINGS_VERSION,
            model: ModelChoice::default(),
            slots: BTreeMap::new(),
            name: "Tocco".into(),
            osc: OscTarget::default(),
            mappings: BTreeMap::new(),
            editor: EditorSettings::default(),
        }
    }
}

impl Settings {
    /// The model of a slot; that of `model` for slot 0 and for a slot that is empty.
    #[must_use]
    pub fn choice(&self, slot: u8) -> &ModelChoice {
        self.slots.get(&slot).unwrap_or(&self.model)
    }

    /// Reads what can be read of any JSON value.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        fn part<T: DeserializeOwned>(value: &serde_json::Value, key: &str) -> Option<T> {
            value.get(key).and_then(|part| T::deserialize(part).ok())
        }
        let mut settings = Self::default();
        if let Some(model) = part(value, "model") {
            settings.model = model;
        }
        if let Some(slots) = value.get("slots").and_then(serde_json::Value::as_object) {
            settings.slots = slots
                .iter()
                .filter_map(|(slot, model)| Some((slot.parse().ok()?, ModelChoice::deserialize(model).ok()?)))
                .filter(|(slot, _)| (1..=SLOTS).contains(slot))
                .collect();
        }
        if let Some(name) = part::<String>(value, "name") {
            settings.name = name.chars().take(LONGEST_NAME).collect();
        }
        if let Some(osc) = part::<OscTarget>(value, "osc").filter(|osc| osc.port != 0 && osc.host.len() <= 255) {
            settings.osc = osc;
        }
        if let Some(mappings) = value.get("mappings").and_then(serde_json::Value::as_object) {
            settings.mappings = mappings
                .iter()
                .filter_map(|(class, mapping)| Some((class.clone(), Mapping::deserialize(mapping).ok()?)))
                .filter(|(_, mapping)| mapping.is_valid())
                .collect();
        }
        if let Some(editor) = part::<EditorSettings>(value, "editor").filter(EditorSettings::is_valid) {
            settings.editor = editor;
        }
        settings
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_value(&serde_json::Value::deserialize(deserializer)?))
    }
}

/// Settings that the host restores, the panel changes and the other threads watch. The audio thread never
/// comes here.
#[derive(Debug, Default)]
pub struct SharedSettings {
    inner: Mutex<Held>,
    /// Moves with every change, so that watching costs one atomic read.
    revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    settings: Settings,
    restored: bool,
}

/// The settings at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Them.
    pub settings: Settings,
    /// Whether they came from the project rather than from the panel.
    pub restored: bool,
    /// When: equal numbers mean equal settings.
    pub revision: u64,
}

impl SharedSettings {
    /// Moves with every change.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// A copy.
    pub fn snapshot(&self) -> Snapshot {
        let held = self.lock();
        Snapshot { settings: held.settings.clone(), restored: held.restored, revision: self.revision() }
    }

    /// Changes them from the panel.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut held = self.lock();
        change(&mut held.settings);
        held.restored = false;
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Remembers the window, which nobody but the project needs to know.
    pub fn remember_editor(&self, editor: EditorSettings) {
        if editor.is_valid() {
            self.lock().settings.editor = editor;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // A panic while the lock was held leaves settings that are whole: they are plain values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PersistentField<'_, Settings> for SharedSettings {
    fn set(&self, settings: Settings) {
        let mut held = self.lock();
        *held = Held { settings, restored: true };
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Settings) -> R,
    {
        f(&self.lock().settings)
    }
}

#[cfg(test)]
mod tests;
