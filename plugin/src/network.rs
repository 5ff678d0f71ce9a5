//! The network thread: OSC over UDP, out and, where the player wants it, in. It never waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringbuf::traits::{Consumer, Observer};
use tocco_models::osc::{self, Names};

use crate::inference::Report;
use crate::instance::{Instance, Loaded, NetworkEnd, lock};
use crate::mode::{Mode, Placed};
use crate::state::OscSettings;

mod announce;
mod control;
mod line;

use control::Control;
use line::Line;
pub use line::Target;

/// How often `/classes` is repeated for receivers that start later.
const CLASSES_EVERY: Duration = Duration::from_secs(3);
/// How often `/status` goes out.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// One instance's sockets and timers. Only the network thread uses it.
#[derive(Default)]
pub struct Sender {
    lines: Vec<Line>,
    /// Datagrams that the system took.
    sent: u64,
    /// What the panel was told to be wrong.
    shown: Option<String>,
    control: Control,
    /// The settings' part, copied when it changes.
    osc: OscSettings,
    revision: Option<u64>,
    model: Option<Arc<Loaded>>,
    name: String,
    placed: Option<Placed>,
    hops: u64,
    probs_sent: Option<Instant>,
    classes_sent: Option<Instant>,
    status_sent: Option<Instant>,
}

/// Sends what is due for one instance.
pub fn send(instance: &Instance, end: &mut NetworkEnd, names: &mut Names) {
    let NetworkEnd { reports, sender } = end;
    // What the last block before a deactivation led to still goes out.
    let on = instance.params.osc_on.value() && (instance.is_active() || !reports.is_empty());
    sender.take_settings(instance);
    if on {
        sender.connect(instance);
    }
    if on || sender.osc.control.on {
        sender.take_name(instance, names);
    }
    while let Some(report) = reports.try_pop() {
        sender.report(instance, report, on);
    }
    if on {
        sender.repeat(instance);
    } else {
        sender.placed = None;
        sender.lines.clear();
    }
    let (control, name) = (sender.osc.control, sender.name.clone());
    sender.control.serve(instance, control, &name);
    sender.show_trouble(instance);
}

impl Sender {
    fn report(&mut self, instance: &Instance, report: Report, on: bool) {
        if let Report::Model(number) = report {
            self.model = instance.model.load_full().filter(|loaded| loaded.number >= number);
            self.classes_sent = None;
        }
        if !on {
            return;
        }
        // Before any message speaks of a class, its receiver knows the list.
        if self.classes_sent.is_none() {
            self.send_classes();
        }
        let class_name = |class: Option<u8>| {
            let classes = self.model.as_ref().map(|loaded| &loaded.model.card().classes);
            classes
                .zip(class)
                .and_then(|(classes, class)| classes.get(usize::from(class)))
                .map_or(tocco_models::NONE, String::as_str)
        };
        let bytes = match report {
            Report::Model(_) => return,
            Report::Class(class) if instance.params.compatible.value() => osc::class(i32::from(class)),
            Report::Class(_) => return,
            Report::Event { .. } if !self.osc.messages.event => return,
            Report::Active(_) if !self.osc.messages.active => return,
            Report::Event { class, confidence, seconds } => {
                osc::event(&self.name, class_name(class), confidence, seconds, class.map_or(-1, i32::from))
            }
            Report::Active(active) => {
                let classes = self.model.as_ref().map_or(&[][..], |loaded| &loaded.model.card().classes);
                let sounding = active.iter().filter_map(|class| classes.get(class)).map(String::as_str);
                osc::names(&self.name, "active", sounding.filter(|&class| class != tocco_models::NONE))
            }
        };
        self.datagram(&bytes);
    }

    /// What goes out by the clock.
    fn repeat(&mut self, instance: &Instance) {
        let now = Instant::now();
        let due = |sent: Option<Instant>, every| sent.is_none_or(|sent| now.duration_since(sent) >= every);
        if due(self.classes_sent, CLASSES_EVERY) {
            self.send_classes();
        }
        let published = &instance.published;
        let placed = published.placed();
        let is_told = self.osc.messages.status && placed.mode != Mode::Inactive;
        if is_told && (self.placed != Some(placed) || due(self.status_sent, STATUS_EVERY)) {
            self.placed = Some(placed);
            self.status_sent = Some(now);
            let late = published.late_windows.load(Ordering::Relaxed);
            let (latency_ms, load) = (published.latency.get().osc(), published.load.get());
            let bytes = osc::status(&self.name, placed.mode.name(), latency_ms, load, late, &published.reason());
            self.datagram(&bytes);
        }
        let rate = instance.params.probs_hz.value();
        let hops = published.hops.load(Ordering::Relaxed);
        let is_due = self.osc.messages.probs
            && rate > 0.0
            && due(self.probs_sent, Duration::from_secs_f32(1.0 / rate.max(0.01)));
        if let Some(loaded) = self.model.as_ref().filter(|_| is_due && hops != self.hops) {
            let classes = loaded.model.card().classes.len();
            let bytes = osc::probs(&self.name, (0..classes).map(|class| published.probability(class)));
            self.hops = hops;
            self.probs_sent = Some(now);
            self.datagram(&bytes);
        }
    }

    fn send_classes(&mut self) {
        if let Some(loaded) = self.model.as_ref().filter(|_| self.osc.messages.classes) {
            let classes = loaded.model.card().classes.iter().map(String::as_str);
            let bytes = osc::names(&self.name, "classes", classes);
            self.classes_sent = Some(Instant::now());
            self.datagram(&bytes);
        }
    }

    fn take_settings(&mut self, instance: &Instance) {
        let settings = &instance.params.settings;
        if self.revision != Some(settings.revision()) {
            let snapshot = settings.snapshot();
            self.revision = Some(snapshot.revision);
            self.osc = snapshot.settings.osc;
        }
    }

    fn take_name(&mut self, instance: &Instance, names: &mut Names) {
        let name = names.of(instance.id, &instance.wished_name());
        if self.name != name {
            name.clone_into(&mut self.name);
            lock(&instance.notices).osc_name = name.to_owned();
            self.classes_sent = None;
        }
    }

    fn connect(&mut self, instance: &Instance) {
        let targets = instance.targets.load();
        if !self.lines.iter().map(|line| &line.target).eq(targets.iter()) {
            let mut before = std::mem::take(&mut self.lines);
            self.lines = targets
                .iter()
                .map(|target| match before.iter().position(|line| line.target == *target) {
                    Some(at) => before.swap_remove(at),
                    None => Line::new(target.clone()),
                })
                .collect();
        }
        for line in &mut self.lines {
            if line.open() {
                self.classes_sent = None;
            }
        }
    }

    fn datagram(&mut self, bytes: &[u8]) {
        for line in &mut self.lines {
            self.sent += u64::from(line.send(bytes));
        }
    }

    fn show_trouble(&mut self, instance: &Instance) {
        instance.published.osc_sent.store(self.sent, Ordering::Relaxed);
        let troubles: Vec<&str> = self.lines.iter_mut().filter_map(Line::trouble).collect();
        let now = (!troubles.is_empty()).then(|| troubles.join(" "));
        if self.shown != now {
            let mut notices = lock(&instance.notices);
            if let Some(sentence) = &now {
                notices.osc_last = Some((Instant::now(), sentence.clone()));
            }
            notices.osc.clone_from(&now);
            drop(notices);
            self.shown = now;
        }
    }
}

#[cfg(test)]
mod tests;
