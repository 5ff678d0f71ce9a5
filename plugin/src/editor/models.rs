//! The page on which a model is chosen: a shipped one, a path, or a file found in the folders.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use egui::{RichText, Ui};
use tocco_models::library;

use super::errand::Errand;
use super::theme;
use crate::instance::Instance;
use crate::state::{ModelChoice, SLOTS, Snapshot};

/// The page's state.
#[derive(Default)]
pub struct Browser {
    /// The path as it is being typed.
    path: String,
    folder: Option<PathBuf>,
    entries: Entries,
    /// Why the folder can't be read.
    trouble: Option<String>,
    reading: Errand<Entries>,
}

#[derive(Default)]
struct Entries {
    folders: Vec<PathBuf>,
    models: Vec<PathBuf>,
}

impl Browser {
    /// The page.
    pub fn show(&mut self, ui: &mut Ui, instance: &Instance, snapshot: &Snapshot) {
        self.collect();
        ui.label(RichText::new("With Tocco").color(theme::of(ui).dim));
        ui.horizontal_wrapped(|ui| {
            for (name, _) in library::all() {
                let choice = ModelChoice::Library(name.into());
                if ui.selectable_label(snapshot.settings.model == choice, name).clicked() {
                    choose(instance, choice);
                }
            }
        });
        about(ui, instance);
        slots(ui, instance, snapshot);
        ui.separator();
        ui.label(RichText::new("From a file").color(theme::of(ui).dim));
        ui.horizontal(|ui| {
            let room = (ui.available_width() - 90.0).max(120.0);
            let entry = egui::TextEdit::singleline(&mut self.path).hint_text("/path/to/model.onnx").desired_width(room);
            let entered = ui.add(entry).lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            if (ui.button("Load").clicked() || entered) && !self.path.trim().is_empty() {
                // Paths copied from a file manager come with quotes.
                let path = self.path.trim().trim_matches(['"', '\'']);
                choose(instance, ModelChoice::Path(path.into()));
            }
        });
        self.browse(ui, instance, snapshot);
    }

    fn browse(&mut self, ui: &mut Ui, instance: &Instance, snapshot: &Snapshot) {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => {
                let folder = first_folder(&snapshot.settings.model);
                self.enter(folder.clone());
                folder
            }
        };
        let mut next = None;
        ui.horizontal(|ui| {
            if let Some(parent) = folder.parent()
                && ui.button("Up").clicked()
            {
                next = Some(parent.to_owned());
            }
            ui.label(RichText::new(folder.display().to_string()).color(theme::of(ui).dim));
        });
        if let Some(sentence) = &self.trouble {
            ui.label(RichText::new(sentence).color(theme::of(ui).bad));
        } else if self.entries.models.is_empty() && !self.reading.is_busy() {
            ui.label(RichText::new("No .onnx file here.").color(theme::of(ui).dim));
        }
        for path in &self.entries.models {
            let chosen = snapshot.settings.model == ModelChoice::Path(path.clone());
            if ui.selectable_label(chosen, file_name(path)).clicked() {
                self.path = path.display().to_string();
                choose(instance, ModelChoice::Path(path.clone()));
            }
        }
        for path in &self.entries.folders {
            let label = RichText::new(format!("{}/", file_name(path))).color(theme::of(ui).dim);
            if ui.selectable_label(false, label).clicked() {
                next = Some(path.clone());
            }
        }
        if let Some(next) = next {
            self.enter(next);
        }
    }

    fn enter(&mut self, folder: PathBuf) {
        self.folder = Some(folder.clone());
        self.entries = Entries::default();
        self.trouble = None;
        self.reading.start("tocco-folder", move || read(&folder));
    }

    fn collect(&mut self) {
        match self.reading.take() {
            Some(Ok(entries)) => self.entries = entries,
            Some(Err(sentence)) => self.trouble = Some(sentence),
            None => {}
        }
    }
}

fn choose(instance: &Instance, choice: ModelChoice) {
    instance.params.settings.change(|settings| settings.model = choice);
    // The same choice again means: try again.
    instance.try_again.store(true, Ordering::Release);
}

/// The models that the host can switch to.
fn slots(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot) {
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("Slots").color(theme::of(ui).dim)).on_hover_text(
            "The host switches between these models by the parameter «Model slot»; at 0 it is the one chosen here.",
        );
        let active = instance.params.slot();
        for slot in 1..=SLOTS {
            let kept = snapshot.settings.slots.get(&slot);
            let text = RichText::new(slot.to_string()).color(if kept.is_some() {
                theme::of(ui).text
            } else {
                theme::of(ui).waits
            });
            let what = kept.map_or("empty".to_owned(), ToString::to_string);
            let response = ui
                .selectable_label(slot == active, text)
                .on_hover_text(format!("{what}\nClick: keep the model above here. Right click: empty it."));
            if response.clicked() {
                let model = snapshot.settings.model.clone();
                instance.params.settings.change(|settings| _ = settings.slots.insert(slot, model));
            } else if response.secondary_clicked() {
                instance.params.settings.change(|settings| _ = settings.slots.remove(&slot));
            }
        }
    });
}

fn about(ui: &mut Ui, instance: &Instance) {
    let loaded = instance.model.load();
    let Some(loaded) = loaded.as_ref() else { return };
    let card = loaded.model.card();
    let size = format!(
        "{}: {} classes, {} parameters, decides every {:.0} ms",
        card.name,
        card.classes.len(),
        loaded.model.parameters(),
        1000.0 * card.hop() as f64 / f64::from(card.sample_rate)
    );
    ui.label(size);
    if let ModelChoice::Path(path) = &loaded.choice {
        ui.label(RichText::new(path.display().to_string()).color(theme::of(ui).dim).small());
    }
    for source in &card.data {
        ui.label(
            RichText::new(format!("Learnt from {} ({})", source.name, source.licence)).color(theme::of(ui).dim).small(),
        );
    }
    if !card.licence.is_empty() {
        ui.label(RichText::new(format!("Licence of the model: {}", card.licence)).color(theme::of(ui).dim).small());
    }
}

fn first_folder(model: &ModelChoice) -> PathBuf {
    let beside = match model {
        ModelChoice::Path(path) => path.parent().filter(|folder| folder.is_dir()).map(Path::to_owned),
        ModelChoice::Library(_) => None,
    };
    beside.or_else(std::env::home_dir).unwrap_or_else(|| PathBuf::from("/"))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn read(folder: &Path) -> Result<Entries, String> {
    let listed = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: the folder can't be read ({error}).", folder.display()))?;
    let mut entries = Entries::default();
    for path in listed.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if file_name(&path).starts_with('.') {
            continue;
        }
        if path.is_dir() {
            entries.folders.push(path);
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            entries.models.push(path);
        }
    }
    entries.folders.sort();
    entries.models.sort();
    Ok(entries)
}
