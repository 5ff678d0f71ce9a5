//! The page that says what each class does on the MIDI output.

use egui::{ComboBox, DragValue, Grid, RichText, Ui};
use nice_plug::prelude::ParamSetter;

use super::{settings::toggle, theme};
use crate::instance::Instance;
use crate::midi::default_mapping;
use crate::state::{MidiMode, Snapshot};

/// A row per class of the model.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>) {
    ui.horizontal(|ui| {
        toggle(ui, &instance.params.midi_on, setter, "Send MIDI");
        if ui.button("Default mapping").clicked() {
            instance.params.settings.change(|settings| settings.mappings.clear());
        }
    });
    let loaded = instance.model.load();
    let Some(loaded) = loaded.as_ref() else {
        ui.label(RichText::new("No model is loaded yet.").color(theme::DIM));
        return;
    };
    Grid::new("mappings").num_columns(4).spacing([18.0, 8.0]).show(ui, |ui| {
        for heading in ["Class", "Sends", "Channel", "Number"] {
            ui.label(RichText::new(heading).color(theme::DIM));
        }
        ui.end_row();
        for (class, name) in loaded.model.card().classes.iter().enumerate() {
            let before = snapshot.settings.mappings.get(name).copied().unwrap_or_else(|| default_mapping(class));
            let mut mapping = before;
            ui.label(name);
            ComboBox::from_id_salt(("mode", class)).selected_text(word(mapping.mode)).show_ui(ui, |ui| {
                for mode in [MidiMode::Probability, MidiMode::Gate, MidiMode::Note, MidiMode::Off] {
                    ui.selectable_value(&mut mapping.mode, mode, word(mode));
                }
            });
            ui.add(DragValue::new(&mut mapping.channel).range(1..=16));
            ui.add(DragValue::new(&mut mapping.number).range(0..=127));
            ui.end_row();
            if mapping != before {
                instance.params.settings.change(|settings| {
                    settings.mappings.insert(name.clone(), mapping);
                });
            }
        }
    });
}

fn word(mode: MidiMode) -> &'static str {
    match mode {
        MidiMode::Off => "nothing",
        MidiMode::Probability => "CC, probability",
        MidiMode::Gate => "CC, on or off",
        MidiMode::Note => "note",
    }
}
