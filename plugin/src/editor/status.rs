//! The bottom lines: where messages go and how the machine keeps up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use egui::{Color32, RichText, Ui};

use super::theme;
use crate::instance::{Instance, lock};
use crate::state::{OscSettings, Snapshot};

/// So long a lamp stays lit.
const LAMP: Duration = Duration::from_millis(150);
/// Over so long messages are counted.
const COUNTED: Duration = Duration::from_secs(1);

/// What went out lately.
#[derive(Default)]
pub struct Traffic {
    osc: Counter,
    midi: Counter,
}

/// Messages so far, as seen from frame to frame.
#[derive(Default)]
struct Counter {
    seen: u64,
    moved: Option<Instant>,
    /// When the second began that is being counted, and at how many.
    began: Option<(Instant, u64)>,
    per_second: f64,
}

impl Counter {
    fn is_lit(&mut self, sent: u64) -> bool {
        if sent != self.seen {
            (self.seen, self.moved) = (sent, Some(Instant::now()));
        }
        self.moved.is_some_and(|moved| moved.elapsed() < LAMP)
    }

    fn per_second(&mut self, sent: u64) -> f64 {
        let (began, at) = *self.began.get_or_insert((Instant::now(), sent));
        let passed = began.elapsed();
        if passed > COUNTED {
            self.per_second = sent.saturating_sub(at) as f64 / passed.as_secs_f64();
            self.began = Some((Instant::now(), sent));
        }
        self.per_second
    }
}

/// OSC, MIDI, latency, load, late windows.
pub fn show(ui: &mut Ui, instance: &Instance, snapshot: &Snapshot, traffic: &mut Traffic) {
    let params = &instance.params;
    let published = &instance.published;
    ui.horizontal_wrapped(|ui| {
        let trouble = lock(&instance.notices).osc.clone();
        let target = said(&snapshot.settings.osc);
        match trouble {
            _ if !params.osc_on.value() => lamp(ui, theme::of(ui).dim, "OSC off".into()),
            Some(sentence) => lamp(ui, theme::of(ui).bad, format!("OSC: {sentence}")),
            None if instance.is_active() => {
                let rate = traffic.osc.per_second(published.osc_sent.load(Ordering::Relaxed));
                lamp(ui, theme::of(ui).good, format!("OSC to {target}, {rate:.0} a second"));
            }
            None => lamp(ui, theme::of(ui).dim, format!("OSC to {target}, waiting for the host")),
        }
        let sent = published.midi_sent.load(Ordering::Relaxed);
        let lit = traffic.midi.is_lit(sent);
        let midi = if params.midi_on.value() { format!("MIDI, {sent} sent") } else { "MIDI off".into() };
        lamp(ui, if lit { theme::of(ui).holds } else { theme::of(ui).dim }, midi);
    });
    ui.horizontal_wrapped(|ui| {
        let late = published.late_windows.load(Ordering::Relaxed);
        let color = if late > 0 { theme::of(ui).bad } else { theme::of(ui).dim };
        ui.label(RichText::new(format!("late windows {late}")).color(color))
            .on_hover_text("Decisions dropped because the machine was too slow; the newest sound goes first.");
        ui.label(RichText::new(format!("load {:.1} %", 100.0 * published.load.get())).color(theme::of(ui).dim))
            .on_hover_text("Share of one core that recognising takes");
        let terms = published.latency.get();
        let sums = format!("latency {:.0} ms, OSC {:.0} ms", terms.midi(), terms.osc());
        ui.label(RichText::new(sums).color(theme::of(ui).dim))
            .on_hover_ui(|ui| _ = ui.label(RichText::new(terms.text()).monospace()));
        let rate = published.sample_rate.get();
        if rate > 0.0 {
            ui.label(RichText::new(format!("{:.1} kHz", rate / 1000.0)).color(theme::of(ui).dim));
        }
    });
}

fn lamp(ui: &mut Ui, color: Color32, text: String) {
    theme::lamp(ui, color);
    let words = if color == theme::of(ui).bad { color } else { theme::of(ui).text };
    ui.label(RichText::new(text).color(words));
    ui.add_space(10.0);
}

/// The targets in a word or two.
fn said(osc: &OscSettings) -> String {
    let mut on = osc.targets.iter().filter(|target| target.on);
    match (on.next(), on.count()) {
        (None, _) => "nobody".into(),
        (Some(target), 0) => target.to_string(),
        (Some(target), more) => format!("{target} and {more} more"),
    }
}
