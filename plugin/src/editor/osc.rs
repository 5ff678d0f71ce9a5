//! The part of the settings that says where OSC goes, what of it, and by which port a patch may answer.

use std::time::Instant;

use egui::{Button, DragValue, Grid, RichText, TextEdit, Ui};
use nice_plug::prelude::ParamSetter;

use super::settings::{slider, toggle};
use super::theme;
use crate::instance::{Instance, lock};
use crate::state::{LONGEST_NAME, MOST_TARGETS, OscSettings, OscTarget, SharedSettings, Snapshot};

/// What is being typed.
#[derive(Debug, Default)]
pub struct Entry {
    name: String,
    osc: OscSettings,
    /// The settings these were copied from.
    revision: Option<u64>,
}

impl Entry {
    /// Puts what was typed into the settings, where it differs, can be a target, and nobody changed them since.
    pub fn commit(&self, shared: &SharedSettings) {
        let now = shared.snapshot();
        let differs = self.osc != now.settings.osc || self.name != now.settings.name;
        if self.revision == Some(now.revision) && differs && self.osc.targets.iter().all(OscTarget::is_valid) {
            shared.change(|settings| {
                settings.osc.clone_from(&self.osc);
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

/// All of it.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, setter: &ParamSetter<'_>, entry: &mut Entry) {
    if entry.revision != Some(snapshot.revision) {
        entry.revision = Some(snapshot.revision);
        entry.name.clone_from(&snapshot.settings.name);
        entry.osc.clone_from(&snapshot.settings.osc);
    }
    ui.horizontal(|ui| {
        toggle(ui, &instance.params.osc_on, setter, "Send OSC");
        toggle(ui, &instance.params.compatible, setter, "Bare /class for existing patches");
    });
    let mut is_done = targets(ui, &mut entry.osc.targets);
    Grid::new("osc").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
        ui.label("Name");
        let name = TextEdit::singleline(&mut entry.name).desired_width(200.0).char_limit(LONGEST_NAME);
        is_done |= ui.add(name).lost_focus();
        ui.end_row();
        ui.label("Messages");
        is_done |= messages(ui, entry);
        ui.end_row();
        slider(ui, &instance.params.probs_hz, setter, "Probabilities");
        ui.label("Control port");
        is_done |= control(ui, instance, entry);
        ui.end_row();
    });
    if is_done {
        entry.commit(&instance.params.settings);
    }
    ui.label(
        RichText::new("Where the host tells the track's name, that one is used.").color(theme::of(ui).dim).small(),
    );
    last_trouble(ui, instance);
}

/// A row for each target; true where something was decided. Not at every digit of a port: each would be a target.
fn targets(ui: &mut Ui, targets: &mut Vec<OscTarget>) -> bool {
    let mut is_done = false;
    let mut removed = None;
    Grid::new("targets").num_columns(4).spacing([10.0, 6.0]).show(ui, |ui| {
        for (n, target) in targets.iter_mut().enumerate() {
            is_done |= ui.checkbox(&mut target.on, "to").changed();
            let host = TextEdit::singleline(&mut target.host).desired_width(180.0).hint_text("host");
            is_done |= ui.add(host).lost_focus();
            let port = ui.add(DragValue::new(&mut target.port).range(1..=65535).prefix("port "));
            is_done |= port.lost_focus() || port.drag_stopped();
            if ui.button("Remove").clicked() {
                removed = Some(n);
            }
            ui.end_row();
        }
    });
    if let Some(removed) = removed {
        targets.remove(removed);
    }
    let add = ui.add_enabled(targets.len() < MOST_TARGETS, Button::new("Add a target"));
    if add.clicked() {
        let port = targets.last().map_or(5005, |last| last.port.saturating_add(1));
        targets.push(OscTarget::new("127.0.0.1", port));
        return true;
    }
    is_done || removed.is_some()
}

fn messages(ui: &mut Ui, entry: &mut Entry) -> bool {
    let messages = &mut entry.osc.messages;
    ui.horizontal_wrapped(|ui| {
        let mut is_done = false;
        for (on, name) in [
            (&mut messages.event, "event"),
            (&mut messages.probs, "probs"),
            (&mut messages.classes, "classes"),
            (&mut messages.active, "active"),
            (&mut messages.status, "status"),
        ] {
            is_done |= ui.checkbox(on, name).changed();
        }
        is_done
    })
    .inner
}

fn control(ui: &mut Ui, instance: &Instance, entry: &mut Entry) -> bool {
    let control = &mut entry.osc.control;
    ui.horizontal_wrapped(|ui| {
        let hint = "A patch may then switch models, set the gate, and switch Tocco off and on.";
        let mut is_done = ui.checkbox(&mut control.on, "on").on_hover_text(hint).changed();
        let port = ui.add(DragValue::new(&mut control.port).range(1..=65535));
        is_done |= port.lost_focus() || port.drag_stopped();
        is_done |= ui.checkbox(&mut control.anyone, "from other computers too").changed();
        if let Some(sentence) = lock(&instance.notices).control.clone() {
            ui.label(RichText::new(sentence).color(theme::of(ui).dim).small());
        }
        is_done
    })
    .inner
}

fn last_trouble(ui: &mut Ui, instance: &Instance) {
    if let Some((when, sentence)) = lock(&instance.notices).osc_last.clone() {
        let ago = Instant::now().duration_since(when).as_secs();
        let text = format!("Last trouble, {ago} s ago: {sentence}");
        ui.label(RichText::new(text).color(theme::of(ui).dim).small());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(shared: &SharedSettings, host: &str) -> Entry {
        let osc = OscSettings::to(OscTarget::new(host, 9001));
        Entry { name: "typed".into(), osc, revision: Some(shared.revision()) }
    }

    #[test]
    fn what_was_typed_is_kept_when_the_page_is_left() {
        let shared = SharedSettings::default();
        typed(&shared, "mixer.local").leave(&shared);
        let settings = shared.snapshot().settings;
        assert_eq!((settings.osc.targets[0].host.as_str(), settings.osc.targets[0].port), ("mixer.local", 9001));
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
        Entry::default().commit(&shared);
        let after = shared.snapshot().settings;
        assert_eq!((after.osc, after.name), (before.osc, before.name));
    }
}
