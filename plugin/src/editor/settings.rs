//! The page of the decision policy, the OSC target and the panel's own size.

use egui::{ComboBox, Grid, RichText, Ui};
use nice_plug::prelude::{BoolParam, Enum, EnumParam, FloatParam, ParamSetter};

use super::osc::{self, Entry};
use super::theme;
use crate::instance::Instance;
use crate::params::SmoothingKind;
use crate::state::{Light, Snapshot};

/// The page.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>, entry: &mut Entry) {
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
    osc::show(ui, instance, snapshot, setter, entry);
    heading(ui, "Panel");
    ui.horizontal(|ui| {
        ui.label("Light");
        let editor = snapshot.settings.editor;
        for (light, name) in [(Light::Dark, "dark"), (Light::Light, "light")] {
            if ui.selectable_label(editor.light == light, name).clicked() {
                params.settings.change(|settings| settings.editor.light = light);
            }
        }
    });
    ui.horizontal(|ui| {
        ui.label("Size");
        for percent in [75_u16, 100, 125, 150, 200, 250, 300] {
            let zoom = f32::from(percent) / 100.0;
            let now = ui.ctx().zoom_factor();
            if ui.selectable_label((now - zoom).abs() < 0.01, format!("{percent} %")).clicked() {
                ui.ctx().set_zoom_factor(zoom);
            }
        }
    });
}

/// Above a part of the page.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(6.0);
    ui.label(RichText::new(text).color(theme::of(ui).dim));
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

/// A slider for a parameter.
pub fn slider(ui: &mut Ui, param: &FloatParam, setter: &ParamSetter<'_>, label: &str) {
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
