//! The part of the settings that only the program without a host has: where sound comes from and goes to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Button, ComboBox, Context, Grid, RichText, Ui, ViewportCommand};

use super::errand::Errand;
use super::{settings, theme};
use crate::instance::Instance;
use crate::standalone::{self, Choice, Device, JACK, Listing, Standalone};

/// From the wish to start anew until the window closes: a few blocks, in which what sounds ends.
const FAREWELL: Duration = Duration::from_millis(300);
/// How often it is looked whether there are settings to keep, and whether sound comes.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Says that no input is taken.
const NONE: &str = "none";
/// Of the lists of devices, in points.
const WIDTH: f32 = 320.0;

/// What is being chosen.
#[derive(Default)]
pub struct Entry {
    choice: Option<Choice>,
    listing: Listing,
    trouble: Option<String>,
    /// The system that was asked for its devices.
    listed: Option<String>,
    answer: Errand<Listing>,
}

/// What the panel of the program without a host sees to, whichever page is open. In a host it does nothing.
pub struct Watch {
    looked: Instant,
    keeping: Errand<()>,
    /// Blocks of sound at the last look.
    blocks: u64,
    stands_still: bool,
    /// When a new start was asked for.
    leaving: Option<Instant>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { looked: Instant::now(), keeping: Errand::default(), blocks: 0, stands_still: false, leaving: None }
    }
}

impl Watch {
    /// Keeps what was changed, looks whether sound comes, and closes the window for a new start.
    pub fn look(&mut self, context: &Context, instance: &Instance) {
        let Some(standalone) = standalone::current() else { return };
        if standalone.wants_restart() && self.leaving.get_or_insert_with(Instant::now).elapsed() > FAREWELL {
            context.send_viewport_cmd(ViewportCommand::Close);
        }
        if self.keeping.take().is_some() || self.keeping.is_busy() || self.looked.elapsed() < BETWEEN_LOOKS {
            return;
        }
        self.looked = Instant::now();
        let blocks = standalone.blocks();
        self.stands_still = blocks == self.blocks;
        self.blocks = blocks;
        let params = Arc::clone(&instance.params);
        self.keeping.start("tocco-keep", move || {
            standalone.keep(&params);
            Ok(())
        });
    }

    /// What is wrong with the sound.
    pub fn trouble(&self) -> Option<&'static str> {
        self.stands_still.then_some("The sound stands still: choose devices on the page «Settings».")
    }
}

impl Entry {
    /// All of it; nothing in a host.
    pub fn show(&mut self, ui: &mut Ui) {
        let Some(standalone) = standalone::current() else { return };
        let mut choice = self.choice.take().unwrap_or_else(|| standalone.choice());
        self.list(standalone, &mut choice);
        settings::heading(ui, "Sound");
        if let Some(sentence) = &self.trouble {
            ui.label(RichText::new(sentence).color(theme::of(ui).bad));
        }
        Grid::new("sound").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| self.devices(ui, standalone, &mut choice));
        ui.label(RichText::new(delay(&choice, &self.listing)).color(theme::of(ui).dim).small());
        let monitor = ui.checkbox(&mut choice.monitor, "Pass the sound on to the output");
        if monitor.on_hover_text("A microphone may howl.").changed() {
            standalone.choose(&Choice { monitor: choice.monitor, ..standalone.choice() });
        }
        ui.horizontal(|ui| {
            let running = standalone.running().map(|running| Choice { monitor: choice.monitor, ..running });
            let is_new = running.as_ref() != Some(&choice) && !standalone.wants_restart();
            if ui.add_enabled(is_new, Button::new("Start with these")).clicked() {
                standalone.choose(&choice);
                standalone.ask_for_restart();
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
        self.input(ui, choice);
        if !is_jack {
            let outputs: Vec<&str> = self.listing.outputs.iter().map(|output| output.name.as_str()).collect();
            if one_of(ui, "Output", &mut choice.output, &outputs, "the usual one") {
                choice.settle(&self.listing);
            }
        }
        let midi: Vec<&str> = self.listing.midi.iter().map(String::as_str).collect();
        one_of(ui, "MIDI to", &mut choice.midi, &midi, "nobody");
        if !is_jack {
            let rates = self.listing.rates(choice);
            if number(ui, "Rate", &mut choice.rate, &rates, "Hz") {
                choice.settle(&self.listing);
            }
            let buffers = self.listing.buffers(choice);
            number(ui, "Buffer", &mut choice.buffer, &buffers, "samples");
        }
    }

    /// What can't be had is named, so that nobody looks for it in vain.
    fn input(&self, ui: &mut Ui, choice: &mut Choice) {
        ui.label("Input");
        let shown = choice.input.clone().unwrap_or_else(|| NONE.to_owned());
        let mut taken: Option<Option<&Device>> = None;
        ComboBox::from_id_salt("Input").width(WIDTH).selected_text(shown).show_ui(ui, |ui| {
            if ui.selectable_label(choice.input.is_none(), NONE).clicked() {
                taken = Some(None);
            }
            for input in &self.listing.inputs {
                let can = choice.system == JACK || input.layout().is_some();
                let is_chosen = choice.input.as_deref() == Some(&input.name);
                let line = ui.add_enabled(can, Button::selectable(is_chosen, &input.name));
                if line.on_disabled_hover_text("It has more than two channels: take it through JACK.").clicked() {
                    taken = Some(Some(input));
                }
            }
        });
        ui.end_row();
        if let Some(input) = taken {
            choice.take_input(input, &self.listing);
        }
    }

    /// Lists the system's devices, aside: some take a second to answer.
    fn list(&mut self, standalone: &Standalone, choice: &mut Choice) {
        if self.listed.as_deref() != Some(&choice.system) {
            let (list, system) = (standalone.list, choice.system.clone());
            self.answer.start("tocco-devices", move || list(&system));
            self.listed = Some(choice.system.clone());
            (self.listing, self.trouble) = (Listing::default(), None);
        }
        match self.answer.take() {
            Some(Ok(listing)) => {
                self.listing = listing;
                // What was running stays as it is until the player changes it.
                if standalone.running().as_ref() != Some(choice) {
                    choice.settle(&self.listing);
                }
            }
            Some(Err(sentence)) => self.trouble = Some(sentence),
            None => {}
        }
    }
}

/// What is known of how late the sound is, before Tocco.
fn delay(choice: &Choice, listing: &Listing) -> String {
    if choice.system == JACK {
        let told = listing.fixed.map(|(rate, buffer)| {
            let ms = 1e3 * f64::from(buffer) / f64::from(rate);
            format!(
                "Input delay: {ms:.1} ms, a buffer of {buffer} samples at {rate} Hz as JACK has it, and its driver's."
            )
        });
        return told.unwrap_or_default();
    }
    let (buffer, between) = (choice.buffer_ms(), choice.between_ms());
    let whole = buffer + between;
    format!(
        "Input delay: {whole:.1} ms, a buffer of {buffer:.1} + {between:.1} between input and output, and the device's."
    )
}

/// A row that chooses by name, or nothing; true where it did.
fn one_of(ui: &mut Ui, label: &str, chosen: &mut Option<String>, names: &[&str], none: &str) -> bool {
    ui.label(label);
    let before = chosen.clone();
    let shown = chosen.clone().unwrap_or_else(|| none.to_owned());
    ComboBox::from_id_salt(label).width(WIDTH).selected_text(shown).show_ui(ui, |ui| {
        ui.selectable_value(chosen, None, none);
        for &name in names {
            ui.selectable_value(chosen, Some(name.to_owned()), name);
        }
    });
    ui.end_row();
    *chosen != before
}

/// A row that chooses a number; true where it did.
fn number(ui: &mut Ui, label: &str, chosen: &mut u32, values: &[u32], unit: &str) -> bool {
    ui.label(label);
    let before = *chosen;
    ui.horizontal(|ui| {
        for &value in values {
            ui.selectable_value(chosen, value, value.to_string());
        }
        ui.label(RichText::new(unit).color(theme::of(ui).dim));
    });
    ui.end_row();
    *chosen != before
}
