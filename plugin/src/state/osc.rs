//! Where OSC goes, what of it, and by which port a patch may answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So many targets an instance sends to.
pub const MOST_TARGETS: usize = 8;

/// Where OSC goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OscTarget {
    /// A host name or an address.
    pub host: String,
    /// A UDP port.
    pub port: u16,
    /// Whether anything is sent there.
    #[serde(default = "yes")]
    pub on: bool,
}

impl Default for OscTarget {
    fn default() -> Self {
        Self::new("127.0.0.1", 5005)
    }
}

impl OscTarget {
    /// A target that is sent to.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port, on: true }
    }

    /// Whether it can be a target.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.port != 0 && !self.host.trim().is_empty() && self.host.len() <= 255
    }
}

impl fmt::Display for OscTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Which messages go out; `/class` and the rate of `probs` are parameters of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OscMessages {
    /// `event`
    pub event: bool,
    /// `probs`
    pub probs: bool,
    /// `classes`
    pub classes: bool,
    /// `active`
    pub active: bool,
    /// `status`
    pub status: bool,
}

impl Default for OscMessages {
    fn default() -> Self {
        Self { event: true, probs: true, classes: true, active: true, status: true }
    }
}

/// The port by which a patch may speak to the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlPort {
    /// Whether it is open.
    pub on: bool,
    /// Which.
    pub port: u16,
    /// Whether other computers may use it; otherwise only this one.
    pub anyone: bool,
}

impl Default for ControlPort {
    fn default() -> Self {
        Self { on: false, port: 5006, anyone: false }
    }
}

/// All about OSC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OscSettings {
    /// Where it goes, at most [`MOST_TARGETS`].
    pub targets: Vec<OscTarget>,
    /// What of it.
    pub messages: OscMessages,
    /// The way back.
    pub control: ControlPort,
}

impl Default for OscSettings {
    fn default() -> Self {
        Self { targets: vec![OscTarget::default()], messages: OscMessages::default(), control: ControlPort::default() }
    }
}

impl OscSettings {
    /// To one target, everything.
    #[must_use]
    pub fn to(target: OscTarget) -> Self {
        Self { targets: vec![target], ..Self::default() }
    }

    /// Reads what can be read. Version 1 had one target, `{"host", "port"}`.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let mut osc = Self::default();
        let target = |value: &Value| OscTarget::deserialize(value).ok().filter(OscTarget::is_valid);
        match value.get("targets").and_then(Value::as_array) {
            Some(targets) => osc.targets = targets.iter().filter_map(target).take(MOST_TARGETS).collect(),
            None => {
                if let Some(target) = target(value) {
                    osc.targets = vec![target];
                }
            }
        }
        if let Some(messages) = value.get("messages").and_then(|messages| OscMessages::deserialize(messages).ok()) {
            osc.messages = messages;
        }
        let control = value.get("control").and_then(|control| ControlPort::deserialize(control).ok());
        if let Some(control) = control.filter(|control| control.port != 0) {
            osc.control = control;
        }
        osc
    }
}

fn yes() -> bool {
    true
}
