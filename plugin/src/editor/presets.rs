//! Mappings out of files and into them.

use std::path::PathBuf;

use egui::{RichText, TextEdit, Ui};

use super::errand::Errand;
use super::theme;
use crate::instance::Instance;
use crate::midi::mapping_of;
use crate::state::{ModelChoice, Preset, Snapshot};

/// The row's state.
#[derive(Default)]
pub struct Presets {
    path: String,
    /// The model whose preset's place stands in `path` as long as nobody types another.
    of: Option<ModelChoice>,
    work: Errand<Done>,
    /// What came of it, and whether it went well.
    said: Option<(String, bool)>,
}

enum Done {
    Written(PathBuf),
    Read(Preset),
}

impl Presets {
    /// A row to save the mappings of a model's classes and to load others.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        instance: &Instance,
        snapshot: &Snapshot,
        model: &ModelChoice,
        classes: &[String],
    ) {
        self.collect(instance, classes);
        if self.of.as_ref() != Some(model) {
            self.of = Some(model.clone());
            self.path = Preset::place(model).map_or_else(String::new, |path| path.display().to_string());
        }
        ui.horizontal(|ui| {
            ui.label("Preset");
            let room = (ui.available_width() - 150.0).max(120.0);
            ui.add(TextEdit::singleline(&mut self.path).desired_width(room).hint_text("FILE.mappings.json"));
            let path = PathBuf::from(self.path.trim().trim_matches(['"', '\'']));
            let can = !self.work.is_busy() && !path.as_os_str().is_empty();
            if ui.add_enabled(can, egui::Button::new("Save")).clicked() {
                let preset = preset(snapshot, model, classes);
                self.work.start("tocco-preset", move || preset.write(&path).map(|()| Done::Written(path)));
            } else if ui.add_enabled(can, egui::Button::new("Load")).clicked() {
                self.work.start("tocco-preset", move || Preset::read(&path).map(Done::Read));
            }
        });
        if let Some((said, well)) = &self.said {
            let color = if *well { theme::of(ui).dim } else { theme::of(ui).bad };
            ui.label(RichText::new(said).color(color).small());
        }
    }

    fn collect(&mut self, instance: &Instance, classes: &[String]) {
        self.said = match self.work.take() {
            Some(Ok(Done::Written(path))) => Some((format!("Saved in {}", path.display()), true)),
            Some(Ok(Done::Read(preset))) => Some(take(instance, preset, classes)),
            Some(Err(sentence)) => Some((sentence, false)),
            None => return,
        };
    }
}

/// The mappings of a model's classes, those by default too: the numbers of later versions may differ.
fn preset(snapshot: &Snapshot, model: &ModelChoice, classes: &[String]) -> Preset {
    let mappings = &snapshot.settings.mappings;
    let mapping = |(class, name): (usize, &String)| (name.clone(), mapping_of(mappings, class, name));
    let model = match model {
        ModelChoice::Library(name) => name.clone(),
        ModelChoice::Path(path) => {
            path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        }
    };
    Preset { model, mappings: classes.iter().enumerate().map(mapping).collect() }
}

fn take(instance: &Instance, preset: Preset, classes: &[String]) -> (String, bool) {
    let known = preset.mappings.keys().filter(|name| classes.contains(name)).count();
    if known == 0 {
        return (format!("The preset is of «{}»: it has none of this model's classes.", preset.model), false);
    }
    instance.params.settings.change(|settings| settings.mappings.extend(preset.mappings));
    (format!("Loaded: {known} of {} classes", classes.len()), true)
}
