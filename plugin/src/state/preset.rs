//! Mappings as a file that travels with a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tocco_models::write_with_folder;

use super::{Mapping, ModelChoice};

/// The version of the file that this code writes, and its key.
const VERSION: u32 = 1;
const KEY: &str = "tocco_preset";
/// More is no preset.
const LARGEST: u64 = 1 << 20;

/// The mappings of a model's classes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preset {
    /// The name of the model they were made with.
    pub model: String,
    /// By class.
    pub mappings: BTreeMap<String, Mapping>,
}

impl Preset {
    /// Where the preset of a model lies: beside its file, for a shipped one in the home folder.
    #[must_use]
    pub fn place(model: &ModelChoice) -> Option<PathBuf> {
        match model {
            ModelChoice::Path(path) => Some(path.with_extension("mappings.json")),
            ModelChoice::Library(name) => {
                Some(std::env::home_dir()?.join("Tocco").join(format!("{name}.mappings.json")))
            }
        }
    }

    /// Reads a preset.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let sentence = |reason: &str| format!("{}: {reason}.", path.display());
        let length = std::fs::metadata(path).map_err(|error| sentence(&format!("it can't be read ({error})")))?.len();
        if length > LARGEST {
            return Err(sentence("it is too large to be a preset of Tocco"));
        }
        let bytes = std::fs::read(path).map_err(|error| sentence(&format!("it can't be read ({error})")))?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| sentence(&format!("it is no JSON ({error})")))?;
        if value.get(KEY).and_then(Value::as_u64).is_none() {
            return Err(sentence("it is no preset of Tocco"));
        }
        let mut preset = Self::default();
        if let Some(model) = value.get("model").and_then(Value::as_str) {
            model.clone_into(&mut preset.model);
        }
        for (class, mapping) in value.get("mappings").and_then(Value::as_object).into_iter().flatten() {
            let mapping =
                Mapping::read(mapping).ok_or_else(|| sentence(&format!("the mapping of «{class}» is broken")))?;
            preset.mappings.insert(class.clone(), mapping);
        }
        Ok(preset)
    }

    /// Writes it, beside and renamed; the folder is made where it is missing.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let value = json!({KEY: VERSION, "model": self.model, "mappings": self.mappings});
        write_with_folder(path, format!("{value:#}").as_bytes()).map_err(|error| error.to_string())
    }
}
