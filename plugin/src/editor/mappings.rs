//! The page that says what each class does on the MIDI output.

use std::ops::RangeInclusive;
use std::sync::Mutex;

use egui::{Button, ComboBox, DragValue, Grid, RichText, Slider, Ui};
use nice_plug::prelude::ParamSetter;

use super::presets::Presets;
use super::{settings::toggle, theme};
use crate::instance::{Instance, lock};
use crate::midi::{default_mapping, mapping_of};
use crate::state::{Mapping, MidiMode, Snapshot, Velocity};

/// A mapping that was copied, for all panels of the process.
static COPIED: Mutex<Option<Mapping>> = Mutex::new(None);

/// The page's state.
#[derive(Default)]
pub struct Page {
    /// The class whose mapping is open, by name.
    chosen: Option<String>,
    presets: Presets,
}

impl Page {
    /// Opens the mapping of a class.
    pub fn choose(&mut self, class: &str) {
        self.chosen = Some(class.to_owned());
    }

    /// A row per class of the model, and all of the one that is open.
    pub fn show(&mut self, ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>) {
        let loaded = instance.model.load();
        let Some(loaded) = loaded.as_ref() else {
            ui.label(RichText::new("No model is loaded yet.").color(theme::of(ui).dim));
            return;
        };
        let classes = &loaded.model.card().classes;
        ui.horizontal(|ui| {
            toggle(ui, &instance.params.midi_on, setter, "Send MIDI");
            if ui.button("Default mapping").on_hover_text("For all classes of this model").clicked() {
                instance.params.settings.change(|settings| settings.mappings.retain(|name, _| !classes.contains(name)));
            }
        });
        self.presets.show(ui, instance, snapshot, &loaded.choice, classes);
        ui.separator();
        let open = self.chosen.as_ref().and_then(|chosen| classes.iter().position(|class| class == chosen));
        if let Some(class) = open {
            one(ui, instance, snapshot, class, &classes[class]);
        } else {
            let hint = RichText::new("Click a class for its curve, range and threshold.").small();
            ui.label(hint.color(theme::of(ui).dim));
        }
        ui.separator();
        self.rows(ui, instance, snapshot, classes);
    }

    fn rows(&mut self, ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, classes: &[String]) {
        Grid::new("mappings").num_columns(6).spacing([14.0, 6.0]).show(ui, |ui| {
            for heading in ["", "Class", "Sends", "Channel", "Number", ""] {
                ui.label(RichText::new(heading).color(theme::of(ui).dim));
            }
            ui.end_row();
            for (class, name) in classes.iter().enumerate() {
                let before = mapping_of(&snapshot.settings.mappings, class, name);
                let mut mapping = before;
                ui.checkbox(&mut mapping.on, "").on_hover_text(format!("Whether «{name}» sends MIDI"));
                if ui.selectable_label(self.chosen.as_ref() == Some(name), name).clicked() {
                    self.chosen = Some(name.clone());
                }
                message(ui, &mut mapping, ("mode", class));
                test(ui, instance, &mapping, class);
                ui.end_row();
                set(instance, name, before, mapping);
            }
        });
    }
}

/// Everything about the mapping of one class.
fn one(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, class: usize, name: &str) {
    let before = mapping_of(&snapshot.settings.mappings, class, name);
    let mut mapping = before;
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).size(18.0).strong());
        test(ui, instance, &mapping, class);
        ui.add_space(12.0);
        if ui.button("Copy").clicked() {
            *lock(&COPIED) = Some(mapping);
        }
        let copied = *lock(&COPIED);
        if ui.add_enabled(copied.is_some(), Button::new("Paste")).on_hover_text("All but channel and number").clicked()
            && let Some(copied) = copied
        {
            mapping = Mapping { channel: mapping.channel, number: mapping.number, ..copied };
        }
        if ui.button("Reset").clicked() {
            mapping = default_mapping(class);
        }
    });
    Grid::new("mapping").num_columns(2).spacing([18.0, 6.0]).show(ui, |ui| {
        ui.checkbox(&mut mapping.on, "Sends");
        ui.horizontal(|ui| {
            message(ui, &mut mapping, ("open", class));
            ui.label(RichText::new("channel and number").color(theme::of(ui).dim));
        });
        ui.end_row();
        if matches!(mapping.mode, MidiMode::Probability | MidiMode::Note) {
            shape(ui, &mut mapping);
        }
        ui.label("Threshold");
        ui.horizontal(|ui| threshold(ui, &mut mapping));
        ui.end_row();
        if mapping.mode != MidiMode::Probability {
            milliseconds(ui, "Minimum duration", &mut mapping.min_duration_ms);
        }
    });
    set(instance, name, before, mapping);
}

/// What is sent, on which channel, under which number.
fn message(ui: &mut Ui, mapping: &mut Mapping, salt: (&str, usize)) {
    ComboBox::from_id_salt(salt).selected_text(word(mapping.mode)).show_ui(ui, |ui| {
        for mode in MidiMode::ALL {
            ui.selectable_value(&mut mapping.mode, mode, word(mode));
        }
    });
    ui.add(DragValue::new(&mut mapping.channel).range(1..=16));
    ui.add(DragValue::new(&mut mapping.number).range(0..=127));
}

fn test(ui: &mut Ui, instance: &Instance, mapping: &Mapping, class: usize) {
    let can_send = mapping.on && instance.params.midi_on.value() && instance.is_active();
    let test = ui.add_enabled(can_send, Button::new("Test"));
    if test.on_hover_text("Sends it for a moment: let a synth learn it.").clicked() {
        instance.published.try_out(class);
    }
}

/// The controller's or the velocity's way from probability to value.
fn shape(ui: &mut Ui, mapping: &mut Mapping) {
    if mapping.mode == MidiMode::Note {
        ui.label("Velocity from");
        ui.horizontal(|ui| {
            ui.selectable_value(&mut mapping.velocity, Velocity::Confidence, "confidence");
            ui.selectable_value(&mut mapping.velocity, Velocity::Level, "level");
        });
        ui.end_row();
    }
    ui.label("Range");
    ui.horizontal(|ui| {
        ui.add(DragValue::new(&mut mapping.low).range(0..=127));
        ui.label("to");
        ui.add(DragValue::new(&mut mapping.high).range(0..=127));
    });
    ui.end_row();
    ui.label("Curve");
    slider(ui, &mut mapping.curve, Mapping::CURVES, true)
        .on_hover_text("1 is straight; above 1 low probabilities get less of the range, below 1 more.");
    ui.end_row();
    if mapping.mode == MidiMode::Probability {
        milliseconds(ui, "Smoothing", &mut mapping.smoothing_ms);
    }
}

fn threshold(ui: &mut Ui, mapping: &mut Mapping) {
    let mut own = mapping.threshold.is_some();
    if ui.checkbox(&mut own, "its own").on_hover_text("Otherwise it follows the decision on the panel.").changed() {
        mapping.threshold = own.then_some(0.5);
    }
    if let Some(threshold) = &mut mapping.threshold {
        slider(ui, threshold, 0.0..=1.0, false);
    }
}

fn milliseconds(ui: &mut Ui, label: &str, value: &mut f32) {
    ui.label(label);
    ui.add(DragValue::new(value).range(0.0..=Mapping::LONGEST_MS).speed(2.0).suffix(" ms").max_decimals(0));
    ui.end_row();
}

fn slider(ui: &mut Ui, value: &mut f32, range: RangeInclusive<f32>, by_ratio: bool) -> egui::Response {
    ui.add(Slider::new(value, range).logarithmic(by_ratio).max_decimals(2))
}

fn set(instance: &Instance, name: &str, before: Mapping, mapping: Mapping) {
    if mapping != before && mapping.is_valid() {
        instance.params.settings.change(|settings| {
            settings.mappings.insert(name.to_owned(), mapping);
        });
    }
}

fn word(mode: MidiMode) -> &'static str {
    match mode {
        MidiMode::Probability => "CC, probability",
        MidiMode::Gate => "CC, on or off",
        MidiMode::Note => "note",
        MidiMode::Program => "program change",
    }
}
