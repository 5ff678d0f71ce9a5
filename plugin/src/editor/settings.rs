//! The page of the decision policy, the OSC target and the panel's own size.

use egui::{ComboBox, DragValue, Grid, RichText, TextEdit, Ui};
use nice_plug::prelude::{BoolParam, Enum, EnumParam, FloatParam, ParamSetter};

use super::theme;
use crate::instance::Instance;
use crate::params::SmoothingKind;
use crate::state::{LONGEST_NAME, OscTarget, SharedSettings, Snapshot};

/// What is being typed.
#[derive(Debug, Default)]
pub struct OscEntry {
    name: String,
    target: OscTarget,
    /// The settings these were copied from.
    revision: Option<u64>,
}

impl OscEntry {
    /// Puts what was typed into the settings, where it differs, can be a target, and nobody changed them since.
    pub fn commit(&self, shared: &SharedSettings) {
        let now = shared.snapshot();
        let differs = self.target != now.settings.osc || self.name != now.settings.name;
        if self.revision == Some(now.revision) && differs && !self.target.host.trim().is_empty() {
            shared.change(|settings| {
                settings.osc.clone_from(&self.target);
                settings.name.clone_from(&self.name);
            });
        }
    }

    /// The player left the page: what was typed is committed, and what could not be is forgotten.
    pub fn leave(&mut self, shared: &SharedSettings) {
        self.commit(shared);
        self.revision = None;
    }
}

/// The page.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>, entry: &mut OscEntry) {
    let params = &instance.params;
    heading(ui, "Decision");
    Grid::new("decision").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
        slider(ui, &params.gate_dbfs, setter, "Gate threshold");
        slider(ui, &params.gate_hold_ms, setter, "Gate hold");
        choice(ui, &params.smoothing, setter, "Smoothing");
        match params.smoothing.value() {
            SmoothingKind::Average => slider(ui, &params.smoothing_ms, setter, "Smoothing time"),
            SmoothingKind::Leaky => slider(ui, &params.sensitivity, setter, "Sensitivity"),
        }
        slider(ui, &params.hysteresis, setter, "Hysteresis");
        slider(ui, &params.min_confidence, setter, "Minimum confidence");
        slider(ui, &params.min_duration_ms, setter, "Minimum duration");
        choice(ui, &params.channel, setter, "Channel");
        choice(ui, &params.run_in, setter, "Run in");
    });
    heading(ui, "OSC");
    osc(ui, instance, snapshot, setter, entry);
    heading(ui, "Panel");
    ui.horizontal(|ui| {
        ui.label("Size");
        for (zoom, name) in [(0.8, "80 %"), (1.0, "100 %"), (1.25, "125 %"), (1.5, "150 %"), (2.0, "200 %")] {
            let now = ui.ctx().zoom_factor();
            if ui.selectable_label((now - zoom).abs() < 0.01, name).clicked() {
                ui.ctx().set_zoom_factor(zoom);
            }
        }
    });
}

fn osc(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>, entry: &mut OscEntry) {
    if entry.revision != Some(snapshot.revision) {
        entry.revision = Some(snapshot.revision);
        entry.name.clone_from(&snapshot.settings.name);
        entry.target.clone_from(&snapshot.settings.osc);
    }
    ui.horizontal(|ui| {
        toggle(ui, &instance.params.osc_on, setter, "Send OSC");
        toggle(ui, &instance.params.compatible, setter, "Bare /class for existing patches");
    });
    Grid::new("osc").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
        ui.label("Host");
        let host = ui.add(TextEdit::singleline(&mut entry.target.host).desired_width(200.0));
        ui.end_row();
        ui.label("Port");
        let port = ui.add(DragValue::new(&mut entry.target.port).range(1..=65535));
        ui.end_row();
        ui.label("Name");
        let name = ui.add(TextEdit::singleline(&mut entry.name).desired_width(200.0).char_limit(LONGEST_NAME));
        ui.end_row();
        slider(ui, &instance.params.probs_hz, setter, "Probabilities");
        // Not at every digit of a port: each would be a target.
        if [&host, &name, &port].iter().any(|field| field.lost_focus()) || port.drag_stopped() {
            entry.commit(&instance.params.settings);
        }
    });
    ui.label(RichText::new("Where the host tells the track's name, that one is used.").color(theme::DIM).small());
}

fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(6.0);
    ui.label(RichText::new(text).color(theme::DIM));
}

/// A switch for a parameter.
pub fn toggle(ui: &mut Ui, param: &BoolParam, setter: &ParamSetter<'_>, label: &str) {
    let mut on = param.value();
    if ui.checkbox(&mut on, label).changed() {
        setter.begin_set_parameter(param);
        setter.set_parameter(param, on);
        setter.end_set_parameter(param);
    }
}

fn slider(ui: &mut Ui, param: &FloatParam, setter: &ParamSetter<'_>, label: &str) {
    ui.label(label);
    ui.add(nice_plug_egui::widgets::ParamSlider::for_param(param, setter).with_width(220.0));
    ui.end_row();
}

fn choice<T: Enum + PartialEq + 'static>(ui: &mut Ui, param: &EnumParam<T>, setter: &ParamSetter<'_>, label: &str) {
    ui.label(label);
    let now = param.value().to_index();
    let mut chosen = now;
    let variants = T::variants();
    ComboBox::from_id_salt(label).selected_text(variants[now]).show_ui(ui, |ui| {
        for (index, name) in variants.iter().enumerate() {
            ui.selectable_value(&mut chosen, index, *name);
        }
    });
    ui.end_row();
    if chosen != now {
        setter.begin_set_parameter(param);
        setter.set_parameter(param, T::from_index(chosen));
        setter.end_set_parameter(param);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(shared: &SharedSettings, host: &str) -> OscEntry {
        let target = OscTarget { host: host.into(), port: 9001 };
        OscEntry { name: "typed".into(), target, revision: Some(shared.revision()) }
    }

    #[test]
    fn what_was_typed_is_kept_when_the_page_is_left() {
        let shared = SharedSettings::default();
        typed(&shared, "mixer.local").leave(&shared);
        let settings = shared.snapshot().settings;
        assert_eq!((settings.osc.host.as_str(), settings.osc.port), ("mixer.local", 9001));
        assert_eq!(settings.name, "typed");
    }

    #[test]
    fn what_is_no_target_or_out_of_date_is_not() {
        let shared = SharedSettings::default();
        let before = shared.snapshot().settings;
        let mut blank = typed(&shared, " ");
        blank.leave(&shared);
        assert_eq!(blank.revision, None, "the page shows what is in force again");
        // A project was restored meanwhile.
        let stale = typed(&shared, "mixer.local");
        shared.change(|_| {});
        stale.commit(&shared);
        OscEntry::default().commit(&shared);
        let after = shared.snapshot().settings;
        assert_eq!((after.osc, after.name), (before.osc, before.name));
    }
}
