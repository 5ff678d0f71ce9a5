//! The bottom lines: where messages go and how the machine keeps up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use egui::{Color32, RichText, Ui};

use super::theme;
use crate::instance::{Instance, lock};
use crate::state::Snapshot;

/// So long the MIDI lamp stays lit.
const LAMP: Duration = Duration::from_millis(150);

/// OSC, MIDI, latency, load, late windows.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, midi_seen: &mut (u64, Option<Instant>)) {
    let params = &instance.params;
    let published = &instance.published;
    ui.horizontal_wrapped(|ui| {
        let trouble = lock(&instance.notices).osc.clone();
        let target = &snapshot.settings.osc;
        match trouble {
            _ if !params.osc_on.value() => lamp(ui, theme::DIM, "OSC off".into()),
            Some(sentence) => lamp(ui, theme::BAD, format!("OSC: {sentence}")),
            None if instance.is_active() => lamp(ui, theme::GOOD, format!("OSC to {target}")),
            None => lamp(ui, theme::DIM, format!("OSC to {target}, waiting for the host")),
        }
        let sent = published.midi_sent.load(Ordering::Relaxed);
        if sent != midi_seen.0 {
            *midi_seen = (sent, Some(Instant::now()));
        }
        let lit = midi_seen.1.is_some_and(|at| at.elapsed() < LAMP);
        let midi = if params.midi_on.value() { format!("MIDI, {sent} sent") } else { "MIDI off".into() };
        lamp(ui, if lit { theme::HOLDS } else { theme::DIM }, midi);
    });
    ui.horizontal_wrapped(|ui| {
        let late = published.late_windows.load(Ordering::Relaxed);
        let color = if late > 0 { theme::BAD } else { theme::DIM };
        ui.label(RichText::new(format!("late windows {late}")).color(color))
            .on_hover_text("Decisions dropped because the machine was too slow; the newest sound goes first.");
        ui.label(RichText::new(format!("load {:.1} %", 100.0 * published.load.get())).color(theme::DIM))
            .on_hover_text("Share of one core that recognising takes");
        let terms = published.latency.get();
        let sums = format!("latency {:.0} ms, OSC {:.0} ms", terms.midi(), terms.osc());
        ui.label(RichText::new(sums).color(theme::DIM))
            .on_hover_ui(|ui| _ = ui.label(RichText::new(terms.text()).monospace()));
        let rate = published.sample_rate.get();
        if rate > 0.0 {
            ui.label(RichText::new(format!("{:.1} kHz", rate / 1000.0)).color(theme::DIM));
        }
    });
}

fn lamp(ui: &mut Ui, color: Color32, text: String) {
    theme::lamp(ui, color);
    let words = if color == theme::BAD { color } else { theme::TEXT };
    ui.label(RichText::new(text).color(words));
    ui.add_space(10.0);
}
