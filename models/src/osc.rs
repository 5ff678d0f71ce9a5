//! OSC messages as bytes, and the names that stand in their addresses.

use std::collections::HashMap;

use rosc::{OscMessage, OscPacket, OscType};

/// `/class ,i`: the bare message of the compatible mode.
#[must_use]
pub fn class(index: i32) -> Vec<u8> {
    message("/class".into(), vec![OscType::Int(index)])
}

/// `/tocco/<name>/event ,sffi`; `seconds` is the time of the sound it speaks of, since activation.
#[must_use]
pub fn event(name: &str, class: &str, confidence: f32, seconds: f32, index: i32) -> Vec<u8> {
    let arguments =
        vec![OscType::String(class.into()), OscType::Float(confidence), OscType::Float(seconds), OscType::Int(index)];
    message(format!("/tocco/{name}/event"), arguments)
}

/// `/tocco/<name>/probs ,f…f`, one per class.
#[must_use]
pub fn probs(name: &str, probabilities: impl Iterator<Item = f32>) -> Vec<u8> {
    message(format!("/tocco/{name}/probs"), probabilities.map(OscType::Float).collect())
}

/// `/tocco/<name>/<what> ,s…s`: `classes` of the model or `active`, the set that sounds.
#[must_use]
pub fn names<'a>(name: &str, what: &str, list: impl Iterator<Item = &'a str>) -> Vec<u8> {
    message(format!("/tocco/{name}/{what}"), list.map(|item| OscType::String(item.into())).collect())
}

/// `/tocco/<name>/status ,sffis`: mode, latency in ms, share of a core, late windows so far, and why this mode.
#[must_use]
pub fn status(name: &str, mode: &str, latency_ms: f32, load: f32, late_windows: u64, why: &str) -> Vec<u8> {
    let late = i32::try_from(late_windows).unwrap_or(i32::MAX);
    let arguments = vec![
        OscType::String(mode.into()),
        OscType::Float(latency_ms),
        OscType::Float(load),
        OscType::Int(late),
        OscType::String(why.into()),
    ];
    message(format!("/tocco/{name}/status"), arguments)
}

fn message(addr: String, args: Vec<OscType>) -> Vec<u8> {
    // rosc writes into memory here and knows each of these types: its error can't occur, and an empty
    // datagram would be the mildest answer to it.
    rosc::encoder::encode(&OscPacket::Message(OscMessage { addr, args })).unwrap_or_default()
}

/// A name as it may stand in an address: letters, digits, `-` and `_` stay, all else becomes `_`.
#[must_use]
pub fn sanitise(name: &str) -> String {
    let clean: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
    if clean.is_empty() { "Tocco".into() } else { clean }
}

/// Who goes by which name in this process.
#[derive(Debug, Default)]
pub struct Names {
    given: HashMap<u64, (String, String)>,
}

impl Names {
    /// The name of instance `id` that would like to be called `wish`. It keeps what it has while its wish is
    /// the same; a second one of the same name gets `-2`, a third `-3`.
    pub fn of(&mut self, id: u64, wish: &str) -> &str {
        let base = sanitise(wish);
        if self.given.get(&id).is_none_or(|(wished, _)| *wished != base) {
            self.given.remove(&id);
            let taken = |name: &str| self.given.values().any(|(_, given)| given == name);
            let name = (1_u32..)
                .map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") })
                .find(|name| !taken(name))
                .unwrap_or_else(|| base.clone());
            self.given.insert(id, (base, name));
        }
        self.given.get(&id).map_or("Tocco", |(_, name)| name)
    }

    /// Gives back the names of all but these.
    pub fn keep(&mut self, ids: &[u64]) {
        self.given.retain(|id, _| ids.contains(id));
    }
}

#[cfg(test)]
#[path = "osc_tests.rs"]
mod tests;
