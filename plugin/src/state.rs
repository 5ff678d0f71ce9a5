//! What a project keeps besides the parameters: the model, the instance's name, the OSC target, the MIDI
//! mappings and the window.
//!
//! A host stores the plugin's state as JSON, `{"version", "params", "fields"}`; these settings are the field
//! `settings`, itself JSON in a string:
//!
//! ```json
//! {"version": 2,
//!  "model": {"library": "techniques"},
//!  "slots": {"1": {"library": "instruments"}},
//!  "name": "Tocco",
//!  "osc": {"targets": [{"host": "127.0.0.1", "port": 5005, "on": true}],
//!          "messages": {"event": true, "probs": true, "classes": true, "active": true, "status": true},
//!          "control": {"on": false, "port": 5006, "anyone": false}},
//!  "mappings": {"bowed": {"mode": "probability", "channel": 1, "number": 12}},
//!  "editor": {"width": 760.0, "height": 680.0, "zoom": 1.0, "light": "dark"}}
//! ```
//!
//! `model` is `{"library": NAME}` for a shipped model or `{"path": FILE}`. `slots` are models that the host can
//! switch to by the parameter `slot`, 1 to 8; at 0 it is `model`. `mode` is `probability`, `gate`,
//! `note` or `program`; what else a mapping holds stands at [`Mapping`]. Version 1 had the mode `off`, and
//! one target: `"osc": {"host", "port"}`. Each part is read by itself: what is missing, of a wrong kind or out of range keeps its
//! default and the rest is kept, so no state of another version or of a broken project can do harm.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

mod history;
mod mapping;
mod osc;
mod preset;
mod shared;

pub use history::REVISIONS;
pub use mapping::{Mapping, MidiMode, Velocity};
pub use osc::{ControlPort, MOST_TARGETS, OscMessages, OscSettings, OscTarget};
pub use preset::Preset;
pub use shared::{SharedSettings, Snapshot};

/// The version of [`Settings`] that this code writes.
pub const SETTINGS_VERSION: u32 = 2;

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

/// How the panel is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    /// For a stage.
    #[default]
    Dark,
    /// For a room by day.
    Light,
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
    /// Its light.
    #[serde(default)]
    pub light: Light,
}

impl Default for EditorSettings {
    fn default() -> Self {
        Self { width: 760.0, height: 680.0, zoom: 1.0, light: Light::Dark }
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
    /// Where OSC goes, and what of it.
    pub osc: OscSettings,
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
            osc: OscSettings::default(),
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
        if let Some(osc) = value.get("osc") {
            settings.osc = OscSettings::from_value(osc);
        }
        if let Some(mappings) = value.get("mappings").and_then(serde_json::Value::as_object) {
            settings.mappings =
                mappings.iter().filter_map(|(class, mapping)| Some((class.clone(), Mapping::read(mapping)?))).collect();
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

#[cfg(test)]
mod tests;
