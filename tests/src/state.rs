//! The plugin's state as a project keeps it: a length, then JSON.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The plugin's id as VST3 hosts write it.
pub const VST3_ID: &str = "546F63636F5265636F676E697A657231";

/// A state that can be read and changed.
#[derive(Debug, Clone, PartialEq)]
pub struct State(Value);

impl State {
    /// A state that says nothing: everything keeps what it is.
    #[must_use]
    pub fn empty() -> Self {
        Self(json!({"version": "0.1.0", "params": {}, "fields": {}}))
    }

    /// From what the CLAP state extension writes: 8 bytes of length (little-endian), then JSON.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (length, json) = bytes.split_first_chunk::<8>().context("a state without a length")?;
        ensure!(u64::from_le_bytes(*length) == json.len() as u64, "the state's length is not that of its JSON");
        Ok(Self(serde_json::from_slice(json)?))
    }

    /// As the CLAP state extension reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = self.0.to_string();
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(json.as_bytes());
        bytes
    }

    /// As a `.vstpreset` that VST3 hosts load: a head with the plugin's id and the place of a list behind, the state (a
    /// VST3 writes it without its length), the list of what there is.
    #[must_use]
    pub fn to_vst_preset(&self) -> Vec<u8> {
        const HEAD: u64 = 48;
        let state = self.0.to_string();
        let length = state.len() as u64;
        let mut file = b"VST3".to_vec();
        file.extend(1_i32.to_le_bytes());
        file.extend(VST3_ID.as_bytes());
        file.extend((HEAD + length).to_le_bytes());
        file.extend(state.as_bytes());
        file.extend(b"List");
        file.extend(1_i32.to_le_bytes());
        file.extend(b"Comp");
        file.extend(HEAD.to_le_bytes());
        file.extend(length.to_le_bytes());
        file
    }

    /// From what [`State::to_vst_preset`] and VST3 hosts write.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn from_vst_preset(preset: &[u8]) -> Result<Self> {
        let number = |at: usize| -> Result<usize> {
            let bytes = preset.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            Ok(usize::try_from(u64::from_le_bytes(bytes.context("a preset that is cut off")?))?)
        };
        let entry = number(40)? + 8;
        ensure!(preset.get(entry..entry + 4) == Some(b"Comp"), "the preset does not start with the component's state");
        let (start, length) = (number(entry + 4)?, number(entry + 12)?);
        Ok(Self(serde_json::from_slice(preset.get(start..start + length).context("the preset is cut off")?)?))
    }

    /// A parameter as the plugin wrote it, e.g. `{"f32": -40.0}`.
    #[must_use]
    pub fn parameter(&self, id: &str) -> &Value {
        &self.0["params"][id]
    }

    /// All parameters, by their ids.
    #[must_use]
    pub fn parameters(&self) -> &Value {
        &self.0["params"]
    }

    /// With a parameter, e.g. `{"bool": false}`.
    #[must_use]
    pub fn with_parameter(mut self, id: &str, value: Value) -> Self {
        self.0["params"][id] = value;
        self
    }

    /// What the project keeps besides the parameters.
    #[must_use]
    pub fn settings(&self) -> Value {
        self.0["fields"]["settings"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_else(|| json!({}))
    }

    /// With one of the settings, e.g. `"model"`.
    #[must_use]
    pub fn with_setting(mut self, key: &str, value: Value) -> Self {
        let mut settings = self.settings();
        settings[key] = value;
        self.0["fields"]["settings"] = settings.to_string().into();
        self
    }

    /// With an OSC target on this machine.
    #[must_use]
    pub fn with_osc_port(self, port: u16) -> Self {
        self.with_setting("osc", json!({"host": "127.0.0.1", "port": port}))
    }

    /// With a model file.
    #[must_use]
    pub fn with_model(self, path: &std::path::Path) -> Self {
        self.with_setting("model", json!({"path": path}))
    }
}
