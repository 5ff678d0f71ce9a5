//! The parameters a host can automate. Their ids are stable: a project keeps working with later versions.

use std::sync::Arc;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;
use tocco_models::{Policy, Smoothing};

use crate::mode::Wish;
use crate::state::{REVISIONS, SLOTS, SharedSettings};

/// Which channel of a stereo track is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum Channel {
    /// The left one.
    #[id = "left"]
    Left,
    /// The right one.
    #[id = "right"]
    Right,
    /// The mean of both.
    #[id = "mix"]
    #[name = "Left + right"]
    Mix,
}

/// How the posterior is smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum SmoothingKind {
    /// The mean over the last milliseconds.
    #[id = "average"]
    #[name = "Moving average"]
    Average,
    /// A leaky integrator.
    #[id = "leaky"]
    #[name = "Leaky integrator"]
    Leaky,
}

/// All parameters, and the settings that the project keeps beside them.
#[derive(Params)]
pub struct ToccoParams {
    /// See [`crate::state`].
    #[persist = "settings"]
    pub settings: SharedSettings,

    /// The gate opens when the level passes this, in dBFS.
    #[id = "gate_dbfs"]
    pub gate_dbfs: FloatParam,
    /// The gate closes when it was quieter for so long, in ms.
    #[id = "gate_hold"]
    pub gate_hold_ms: FloatParam,
    /// Which smoothing is on.
    #[id = "smooth_kind"]
    pub smoothing: EnumParam<SmoothingKind>,
    /// Length of the moving average, in ms.
    #[id = "smooth_ms"]
    pub smoothing_ms: FloatParam,
    /// Sensitivity of the leaky integrator, up to 1.
    #[id = "smooth_sens"]
    pub sensitivity: FloatParam,
    /// How much a class must lead the current one.
    #[id = "hyster"]
    pub hysteresis: FloatParam,
    /// Below this probability nothing is decided.
    #[id = "min_conf"]
    pub min_confidence: FloatParam,
    /// How long a change must hold, in ms.
    #[id = "min_dur"]
    pub min_duration_ms: FloatParam,
    /// Which channel is heard.
    #[id = "channel"]
    pub channel: EnumParam<Channel>,
    /// Whether OSC is sent.
    #[id = "osc_on"]
    pub osc_on: BoolParam,
    /// Whether the bare `/class` is sent.
    #[id = "compat"]
    pub compatible: BoolParam,
    /// How often `/probs` is sent, in Hz; 0 is never.
    #[id = "probs_hz"]
    pub probs_hz: FloatParam,
    /// Whether MIDI is sent.
    #[id = "midi_on"]
    pub midi_on: BoolParam,
    /// The host's bypass: nothing is recognised or sent.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Where the recognizer runs live.
    #[id = "run_in"]
    pub run_in: EnumParam<Wish>,
    /// Which of the settings' slots names the model; 0 is the one chosen on the panel.
    #[id = "slot"]
    pub slot: IntParam,
    /// Moves with the settings, so that hosts mark the project as changed and can undo; see [`crate::state`].
    #[id = "revision"]
    pub revision: IntParam,
}

impl Default for ToccoParams {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            settings: SharedSettings::default(),
            gate_dbfs: float("Gate threshold", policy.gate_dbfs, FloatRange::Linear { min: -90.0, max: 0.0 }, " dBFS"),
            gate_hold_ms: float("Gate hold", policy.gate_hold_ms, skewed(2000.0), " ms"),
            smoothing: EnumParam::new("Smoothing", SmoothingKind::Average),
            smoothing_ms: float("Smoothing time", 60.0, skewed(2000.0), " ms"),
            sensitivity: fraction("Smoothing sensitivity", 0.3, 0.001),
            hysteresis: fraction("Hysteresis", policy.hysteresis, 0.0),
            min_confidence: fraction("Minimum confidence", policy.min_confidence, 0.0),
            min_duration_ms: float("Minimum duration", policy.min_duration_ms, skewed(2000.0), " ms"),
            channel: EnumParam::new("Channel", Channel::Mix),
            osc_on: BoolParam::new("OSC", true),
            compatible: BoolParam::new("OSC /class", true),
            probs_hz: float("OSC probabilities", 20.0, FloatRange::Linear { min: 0.0, max: 100.0 }, " Hz"),
            midi_on: BoolParam::new("MIDI", true),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            run_in: EnumParam::new("Run in", Wish::Auto).non_automatable(),
            slot: IntParam::new("Model slot", 0, IntRange::Linear { min: 0, max: i32::from(SLOTS) }),
            revision: IntParam::new("Settings", 0, IntRange::Linear { min: 0, max: REVISIONS })
                .non_automatable()
                .hide()
                .hide_in_generic_ui(),
        }
    }
}

fn float(name: &str, default: f32, range: FloatRange, unit: &'static str) -> FloatParam {
    FloatParam::new(name, default, range)
        .with_unit(unit)
        .with_value_to_string(formatters::v2s_f32_rounded(1))
        .with_string_to_value(Arc::new(|text| read(text, unit)))
}

fn skewed(max: f32) -> FloatRange {
    FloatRange::Skewed { min: 0.0, max, factor: 0.4 }
}

fn fraction(name: &str, default: f32, min: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max: 1.0 })
        .with_value_to_string(formatters::v2s_f32_rounded(2))
        .with_string_to_value(Arc::new(|text| read(text, "")))
}

/// What was typed, with or without its unit. Unlike the framework's own reading it takes «NaN» for no number.
fn read(text: &str, unit: &str) -> Option<f32> {
    text.trim().trim_end_matches(unit.trim()).trim_end().parse().ok().filter(|number: &f32| !number.is_nan())
}

/// Brings the numbers of a state into their parameters' ranges: the framework takes them as they are, whatever a broken
/// project holds, and the recognizer would refuse to work by them.
pub fn bring_into_range(state: &mut PluginState) {
    let params = ToccoParams::default();
    for (id, pointer, _) in params.param_map() {
        // SAFETY: `params` owns what the pointers of its own map point to, and lives on.
        let [least, most] = [0.0, 1.0].map(|normalized| unsafe { pointer.preview_plain(normalized) });
        match state.params.get_mut(&id) {
            Some(ParamValue::F32(value)) => *value = value.clamp(least, most),
            #[expect(clippy::cast_possible_truncation, reason = "ranges of whole numbers that `f32` holds exactly")]
            Some(ParamValue::I32(value)) => *value = (*value).clamp(least as i32, most as i32),
            _ => {}
        }
    }
}

impl ToccoParams {
    /// What a project keeps, as the framework writes it: values in their units, choices by their ids.
    #[must_use]
    pub fn state(&self) -> PluginState {
        let value = |pointer| {
            // SAFETY: `self` owns what the pointers of its own map point to, and lives on.
            unsafe {
                match pointer {
                    ParamPtr::FloatParam(param) => ParamValue::F32((*param).value()),
                    ParamPtr::IntParam(param) => ParamValue::I32((*param).value()),
                    ParamPtr::BoolParam(param) => ParamValue::Bool((*param).value()),
                    ParamPtr::EnumParam(param) => (*param).unmodulated_plain_id().map_or_else(
                        || ParamValue::I32((*param).unmodulated_plain_value()),
                        |id| ParamValue::String(id.to_owned()),
                    ),
                }
            }
        };
        PluginState {
            version: env!("CARGO_PKG_VERSION").into(),
            params: self.param_map().into_iter().map(|(id, pointer, _)| (id, value(pointer))).collect(),
            fields: self.serialize_fields(),
        }
    }

    /// Goes back to what [`ToccoParams::state`] gave, wherever its numbers are possible. Not while a host has them.
    pub fn restore(&self, state: &mut PluginState) {
        bring_into_range(state);
        for (id, pointer, _) in self.param_map() {
            let Some(value) = state.params.get(&id) else { continue };
            #[expect(clippy::cast_precision_loss, reason = "ranges of whole numbers that `f32` holds exactly")]
            let plain = match (value, pointer) {
                (ParamValue::String(id), ParamPtr::EnumParam(param)) => {
                    // SAFETY: as above.
                    unsafe { (*param).set_from_id(id) };
                    continue;
                }
                (ParamValue::F32(value), ParamPtr::FloatParam(_)) => *value,
                (ParamValue::I32(value), ParamPtr::IntParam(_)) => *value as f32,
                (ParamValue::Bool(value), ParamPtr::BoolParam(_)) => f32::from(u8::from(*value)),
                _ => continue,
            };
            // SAFETY: as above.
            unsafe { pointer._internal_set_normalized_value(pointer.preview_normalized(plain)) };
        }
        self.deserialize_fields(&state.fields);
    }

    /// The slot that the host chose, 0 to [`SLOTS`].
    #[must_use]
    pub fn slot(&self) -> u8 {
        u8::try_from(self.slot.value()).unwrap_or(0)
    }

    /// The decision policy that the parameters say, always within its ranges.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            gate_dbfs: self.gate_dbfs.value(),
            gate_hold_ms: self.gate_hold_ms.value(),
            smoothing: match self.smoothing.value() {
                SmoothingKind::Average => Smoothing::MovingAverage { ms: self.smoothing_ms.value() },
                SmoothingKind::Leaky => Smoothing::Leaky { sensitivity: self.sensitivity.value() },
            },
            hysteresis: self.hysteresis.value(),
            min_confidence: self.min_confidence.value(),
            min_duration_ms: self.min_duration_ms.value(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn every_corner_of_the_parameters_is_a_policy_the_recognizer_takes() {
        let params = ToccoParams::default();
        let map = params.param_map();
        for normalized in [0.0, 0.5, 1.0] {
            for (id, pointer, _) in &map {
                // SAFETY: `params` owns what the pointers of its own map point to, and lives on.
                unsafe { pointer._internal_set_normalized_value(normalized) };
                assert!(params.policy().check().is_ok(), "{id} at {normalized}: {:?}", params.policy());
            }
        }
    }

    #[test]
    fn ids_are_the_ones_that_projects_hold() {
        let ids: Vec<String> = ToccoParams::default().param_map().into_iter().map(|(id, ..)| id).collect();
        let frozen = [
            "gate_dbfs",
            "gate_hold",
            "smooth_kind",
            "smooth_ms",
            "smooth_sens",
            "hyster",
            "min_conf",
            "min_dur",
            "channel",
            "osc_on",
            "compat",
            "probs_hz",
            "midi_on",
            "bypass",
            "run_in",
            "slot",
            "revision",
        ];
        assert_eq!(ids, frozen);
    }
}
