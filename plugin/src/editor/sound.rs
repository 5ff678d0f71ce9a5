//! The part of the settings that only the program without a host has: where sound comes from and goes to.

use egui::{ComboBox, Grid, RichText, Ui, ViewportCommand};

use super::errand::Errand;
use super::theme;
use crate::standalone::{self, BUFFERS, Choice, JACK, Listing, RATES, Standalone};

/// What is being chosen.
#[derive(Default)]
pub struct Entry {
    choice: Option<Choice>,
    listing: Listing,
    trouble: Option<String>,
    listed: Option<String>,
    listing_now: Errand<Listing>,
}

impl Entry {
    /// All of it; nothing in a host.
    pub fn show(&mut self, ui: &mut Ui) {
        let Some(standalone) = standalone::current() else { return };
        let kept = standalone.choice();
        let mut choice = self.choice.take().unwrap_or_else(|| kept.clone());
        self.list(standalone, &choice.system);
        ui.label(RichText::new("Sound").color(theme::of(ui).dim));
        if let Some(sentence) = &self.trouble {
            ui.label(RichText::new(sentence).color(theme::of(ui).bad));
        }
        Grid::new("sound").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| self.devices(ui, standalone, &mut choice));
        ui.label(RichText::new(delay(&choice, &self.listing)).color(theme::of(ui).dim).small());
        let monitor = "Pass the sound on to the output";
        if ui.checkbox(&mut choice.monitor, monitor).on_hover_text("A microphone may howl.").changed() {
            standalone.choose(&Choice { monitor: choice.monitor, ..kept.clone() });
        }
        ui.horizontal(|ui| {
            let differs = choice != Choice { monitor: choice.monitor, ..kept };
            if ui.add_enabled(differs, egui::Button::new("Start with these")).clicked() {
                standalone.choose(&choice);
                standalone.ask_for_restart();
                ui.ctx().send_viewport_cmd(ViewportCommand::Close);
            }
            if ui.button("Look again").on_hover_text("Lists the devices anew.").clicked() {
                self.listed = None;
            }
        });
        self.choice = Some(choice);
    }

    fn devices(&self, ui: &mut Ui, standalone: &Standalone, choice: &mut Choice) {
        ui.label("System");
        ui.horizontal(|ui| {
            for &system in standalone.systems {
                if ui.selectable_label(choice.system == system, system).clicked() && choice.system != system {
                    *choice = Choice { system: system.into(), monitor: choice.monitor, ..Choice::default() };
                }
            }
        });
        ui.end_row();
        let is_jack = choice.system == JACK;
        one_of(ui, "Input", &mut choice.input, &self.listing.inputs, "none");
        if !is_jack {
            one_of(ui, "Output", &mut choice.output, &self.listing.outputs, "the usual one");
        }
        one_of(ui, "MIDI to", &mut choice.midi, &self.listing.midi, "nobody");
        if !is_jack {
            number(ui, "Buffer", &mut choice.buffer, &BUFFERS, "samples");
            number(ui, "Rate", &mut choice.rate, &RATES, "Hz");
        }
    }

    /// Lists the system's devices, aside: some take a second to answer.
    fn list(&mut self, standalone: &Standalone, system: &str) {
        if self.listed.as_deref() != Some(system) {
            let (list, name) = (standalone.list, system.to_owned());
            self.listing_now.start("tocco-devices", move || list(&name));
            self.listed = Some(system.to_owned());
            (self.listing, self.trouble) = (Listing::default(), None);
        }
        match self.listing_now.take() {
            Some(Ok(listing)) => self.listing = listing,
            Some(Err(sentence)) => self.trouble = Some(sentence),
            None => {}
        }
    }
}

/// What is known of how late the sound is, before Tocco.
fn delay(choice: &Choice, listing: &Listing) -> String {
    if let Some((rate, buffer)) = listing.fixed {
        let ms = 1e3 * f64::from(buffer) / f64::from(rate);
        return format!(
            "Input delay: {ms:.1} ms, a buffer of {buffer} samples at {rate} Hz as JACK has it, and its driver's."
        );
    }
    let (buffer, between) = (choice.buffer_ms(), choice.between_ms());
    let whole = buffer + between;
    format!(
        "Input delay: {whole:.1} ms, a buffer of {buffer:.1} + {between:.1} between input and output, and the device's."
    )
}

/// A row that chooses a device, or none.
fn one_of(ui: &mut Ui, label: &str, chosen: &mut Option<String>, names: &[String], none: &str) {
    ui.label(label);
    let shown = chosen.clone().unwrap_or_else(|| none.to_owned());
    ComboBox::from_id_salt(label).width(320.0).selected_text(shown).show_ui(ui, |ui| {
        ui.selectable_value(chosen, None, none);
        for name in names {
            ui.selectable_value(chosen, Some(name.clone()), name);
        }
    });
    ui.end_row();
}

fn number(ui: &mut Ui, label: &str, chosen: &mut u32, values: &[u32], unit: &str) {
    ui.label(label);
    ui.horizontal(|ui| {
        for &value in values {
            ui.selectable_value(chosen, value, value.to_string());
        }
        ui.label(RichText::new(unit).color(theme::of(ui).dim));
    });
    ui.end_row();
}
