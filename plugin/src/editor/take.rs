//! The page of the take: what was recognised since it began, to be corrected and to be taken along.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use egui::{ComboBox, RichText, ScrollArea, TextEdit, Ui};
use tocco_models::timeline::{Export, Segment};
use tocco_models::write_with_folder;

use super::errand::Errand;
use super::theme;
use crate::instance::{Instance, lock};
use crate::take::{Folder, Span};

/// The height of a row.
const ROW: f32 = 24.0;

/// The page's state.
#[derive(Default)]
pub struct Page {
    folder: Option<String>,
    work: Errand<String>,
    /// What came of it, and whether it went well.
    said: Option<(String, bool)>,
}

impl Page {
    /// The page.
    pub fn show(&mut self, ui: &mut Ui, instance: &Instance) {
        self.collect();
        self.head(ui, instance);
        self.along(ui, instance);
        ui.separator();
        spans(ui, instance);
    }

    fn head(&mut self, ui: &mut Ui, instance: &Instance) {
        let mut take = lock(&instance.take);
        ui.horizontal(|ui| {
            let mut keep = take.recording().is_some();
            let hint = "Up to ten minutes, in memory: for a training folder. Leave it off where nobody trains.";
            if ui.checkbox(&mut keep, "Keep the sound").on_hover_text(hint).changed() {
                take.record(keep);
            }
            if ui.button("New take").on_hover_text("Forgets what is below, and the sound.").clicked() {
                take.clear();
            }
            let kept = take.recording().map_or(0.0, crate::take::Recording::duration_s);
            let text = format!("{} so far, {kept:.0} s of sound kept", take.spans().count());
            ui.label(RichText::new(text).color(theme::of(ui).dim));
        });
    }

    /// What can be taken along.
    fn along(&mut self, ui: &mut Ui, instance: &Instance) {
        let folder = self.folder.get_or_insert_with(|| first_folder().display().to_string());
        ui.horizontal(|ui| {
            ui.label("Folder");
            ui.add(TextEdit::singleline(folder).desired_width((ui.available_width() - 20.0).max(120.0)));
        });
        let folder = PathBuf::from(folder.trim());
        ui.horizontal_wrapped(|ui| {
            for export in Export::ALL {
                if ui.add_enabled(!self.work.is_busy(), egui::Button::new(export.name())).clicked() {
                    let segments: Vec<Segment> =
                        lock(&instance.take).spans().map(|span| span.segment.clone()).collect();
                    let file = folder.join(format!("{}-{}.{}", name(instance), seconds_now(), export.ending()));
                    self.work.start("tocco-take", move || write(&file, &export.write(&segments)));
                }
            }
            let button = egui::Button::new("Training folder");
            let hint = "A folder for each class, a WAV file for each row below: `tocco prepare` reads it.";
            if ui.add_enabled(!self.work.is_busy(), button).on_hover_text(hint).clicked() {
                let copied = Folder::of(&lock(&instance.take), &name(instance));
                self.work.start("tocco-take", move || {
                    let written = copied?.write(&folder.join("training"))?;
                    Ok(format!("{written} files in {}", folder.join("training").display()))
                });
            }
        });
        if let Some((said, well)) = &self.said {
            let color = if *well { theme::of(ui).dim } else { theme::of(ui).bad };
            ui.label(RichText::new(said).color(color).small());
        }
    }

    fn collect(&mut self) {
        self.said = match self.work.take() {
            Some(Ok(sentence)) => Some((sentence, true)),
            Some(Err(sentence)) => Some((sentence, false)),
            None => return,
        };
    }
}

/// The newest spans first; their names can be changed.
fn spans(ui: &mut Ui, instance: &Instance) {
    let (count, classes): (usize, Vec<String>) = {
        let take = lock(&instance.take);
        (take.spans().count(), take.classes().to_vec())
    };
    if count == 0 {
        ui.label(RichText::new("Nothing was recognised yet. Play.").color(theme::of(ui).dim));
        return;
    }
    let mut correction = None;
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, count, |ui, rows| {
        let take = lock(&instance.take);
        let shown: Vec<(usize, Span)> = rows
            .filter_map(|row| count.checked_sub(row + 1))
            .filter_map(|index| Some((index, take.spans().nth(index)?.clone())))
            .collect();
        drop(take);
        for (index, span) in shown {
            ui.horizontal(|ui| {
                ui.set_min_height(ROW - 6.0);
                let Span { segment: Segment { start_s, end_s, class, name, confidence }, corrected } = span;
                let text = format!("{start_s:9.2} s   {:6.2} s", end_s - start_s);
                ui.label(RichText::new(text).monospace().color(theme::of(ui).dim));
                ComboBox::from_id_salt(("span", index)).width(150.0).selected_text(name).show_ui(ui, |ui| {
                    for (other, name) in classes.iter().enumerate() {
                        if ui.selectable_label(other == class, name).clicked() {
                            correction = Some((index, other));
                        }
                    }
                });
                let sure = if corrected { "corrected".into() } else { format!("{:.0} %", 100.0 * confidence) };
                ui.label(RichText::new(sure).color(theme::of(ui).dim));
            });
        }
    });
    if let Some((index, class)) = correction {
        lock(&instance.take).correct(index, class);
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<String, String> {
    write_with_folder(file, bytes).map_err(|error| error.to_string())?;
    Ok(format!("Written: {}", file.display()))
}

fn name(instance: &Instance) -> String {
    tocco_models::osc::sanitise(&instance.wished_name())
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn first_folder() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join("Tocco").join("takes")
}
