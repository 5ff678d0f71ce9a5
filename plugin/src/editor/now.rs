//! The upper part: the model, what is played now, the input level.

use std::sync::atomic::Ordering;

use egui::{Align, Align2, FontId, Layout, Rect, RichText, Sense, Ui, pos2, vec2};
use nice_plug::prelude::ParamSetter;

use super::theme;
use crate::instance::{Instance, lock};
use crate::mode::Mode;
use crate::standalone::{self, Standalone};
use crate::state::Snapshot;

/// The meter's range, in dBFS.
const LOWEST_DBFS: f32 = -90.0;

/// Name, model and mode; true where the player asks for another model.
pub fn header(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot) -> bool {
    let mut asked = false;
    ui.horizontal(|ui| {
        ui.label(RichText::new("Tocco").size(18.0).strong());
        let loaded = instance.model.load();
        let name = loaded.as_ref().map_or("no model", |loaded| loaded.model.card().name.as_str());
        asked = ui.button(name).on_hover_text("Choose another model").clicked();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let (mode, why) = mode(instance);
            ui.label(RichText::new(mode).color(theme::of(ui).dim)).on_hover_text(why);
            let name = lock(&instance.notices).osc_name.clone();
            let name = if name.is_empty() { snapshot.settings.name.clone() } else { name };
            ui.label(RichText::new(name).color(theme::of(ui).dim))
                .on_hover_text("This instance's name in OSC addresses");
        });
    });
    let notices = lock(&instance.notices).clone();
    for trouble in [notices.model, notices.inference].into_iter().flatten() {
        ui.horizontal_wrapped(|ui| {
            theme::lamp(ui, theme::of(ui).bad);
            ui.label(RichText::new(trouble).color(theme::of(ui).bad));
            if ui.button("Find it").clicked() {
                asked = true;
            }
        });
    }
    if let Some(sentence) = standalone::current().and_then(Standalone::notice) {
        ui.horizontal_wrapped(|ui| {
            theme::lamp(ui, theme::of(ui).bad);
            ui.label(RichText::new(sentence).color(theme::of(ui).bad));
        });
    }
    asked
}

/// What to do next, for who opens the panel for the first time.
pub fn next_step(instance: &Instance, snapshot: &Snapshot) -> Option<&'static str> {
    let published = &instance.published;
    if instance.model.load().is_none() {
        Some("Choose a model on the page «Model».")
    } else if published.level_dbfs.get() <= LOWEST_DBFS
        && standalone::current().is_some_and(|standalone| standalone.choice().input.is_none())
    {
        Some("Choose an input on the page «Settings».")
    } else if !instance.is_active() {
        Some("Switch the host's sound on.")
    } else if published.midi_sent.load(Ordering::Relaxed) == 0 && published.hops.load(Ordering::Relaxed) == 0 {
        Some("Play: the host has sent no sound yet.")
    } else if !snapshot.settings.mappings.is_empty() {
        None
    } else if published.class().is_none() && !published.gate_open.load(Ordering::Relaxed) {
        Some("Play your instrument, louder than the gate.")
    } else {
        Some("Click a class: give it a controller or a note.")
    }
}

fn mode(instance: &Instance) -> (&'static str, String) {
    if instance.published.bypassed.load(Ordering::Relaxed) {
        if instance.remote.is_off() {
            let how =
                "A patch switched Tocco off. Send «/tocco/*/enable 1», or switch the control port off (Settings).";
            return ("switched off", how.into());
        }
        return ("bypassed", "The host bypasses Tocco: nothing is recognised or sent.".into());
    }
    let mode = instance.published.mode();
    let what = match mode {
        Mode::Inactive => "The host has not started the plugin.",
        Mode::Worker => "The network runs on a thread of its own; MIDI goes out with the next block.",
        Mode::AudioThread => "The network runs in step with the sound; MIDI lands on its sample.",
        Mode::Offline => "The host renders offline: the network runs in step with the sound.",
    };
    (mode.name(), format!("{what} Why: {}.", instance.published.reason()))
}

/// The class that holds, large, with its confidence.
pub fn class(ui: &mut Ui, instance: &Instance) {
    let loaded = instance.model.load();
    let published = &instance.published;
    let classes = loaded.as_ref().map_or(&[][..], |loaded| &loaded.model.card().classes);
    let none = classes.iter().position(|class| class == tocco_models::NONE);
    let held = published.class().filter(|&class| class < classes.len() && Some(class) != none);
    let open = published.gate_open.load(Ordering::Relaxed);
    let (text, color) = match held {
        Some(class) => (classes[class].as_str(), theme::of(ui).text),
        None if open => ("none", theme::of(ui).dim),
        None => ("silence", theme::of(ui).waits),
    };
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 96.0), Sense::hover());
    let percent = if held.is_some() { format!("{:.0} %", 100.0 * published.confidence.get()) } else { String::new() };
    let painter = ui.painter_at(rect);
    let shown =
        painter.text(rect.right_center(), Align2::RIGHT_CENTER, percent, FontId::proportional(34.0), theme::of(ui).dim);
    // Long names are drawn smaller rather than cut.
    let room = rect.width() - shown.width() - 20.0;
    let whole = painter.layout_no_wrap(text.to_owned(), FontId::proportional(64.0), color);
    let size = (64.0 * (room / whole.size().x.max(1.0))).clamp(18.0, 64.0);
    painter.text(rect.left_center(), Align2::LEFT_CENTER, text, FontId::proportional(size), color);
}

/// The input level with the gate's threshold, which can be dragged.
pub fn meter(ui: &mut Ui, instance: &Instance, setter: &ParamSetter<'_>) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::click_and_drag());
    let gate = &instance.params.gate_dbfs;
    if response.drag_started() {
        setter.begin_set_parameter(gate);
    }
    if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let share = ((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        setter.set_parameter(gate, LOWEST_DBFS * (1.0 - share));
    }
    if response.drag_stopped() {
        setter.end_set_parameter(gate);
    }
    let level = instance.published.level_dbfs.get();
    let open = instance.published.gate_open.load(Ordering::Relaxed);
    let at = |dbfs: f32| rect.left() + rect.width() * ((dbfs - LOWEST_DBFS) / -LOWEST_DBFS).clamp(0.0, 1.0);
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 4, theme::of(ui).trough);
    let filled = Rect::from_min_max(rect.min, pos2(at(level), rect.bottom()));
    painter.rect_filled(filled, 4, if open { theme::of(ui).level } else { theme::of(ui).waits });
    // A patch may have set another.
    let counts = instance.controls().policy.gate_dbfs;
    let threshold = at(counts);
    painter.vline(threshold, rect.y_range(), (2.0, theme::of(ui).threshold));
    let right_half = threshold > rect.center().x;
    let (side, x) =
        if right_half { (Align2::RIGHT_CENTER, threshold - 6.0) } else { (Align2::LEFT_CENTER, threshold + 6.0) };
    let text = format!("gate {counts:.0} dBFS");
    painter.text(pos2(x, rect.center().y), side, text, FontId::proportional(12.5), theme::of(ui).text);
    let text = if level > LOWEST_DBFS { format!("{level:.0} dBFS") } else { "no input".into() };
    painter.text(
        rect.right_center() - vec2(8.0, 0.0),
        Align2::RIGHT_CENTER,
        text,
        FontId::proportional(12.5),
        theme::of(ui).text,
    );
    response.on_hover_text("Input level. Drag to set the level at which the gate opens.");
}
