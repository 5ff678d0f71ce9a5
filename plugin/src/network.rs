//! The network thread: OSC over UDP. It never waits: a datagram that can't go is lost, and the panel says so.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringbuf::traits::{Consumer, Observer};
use tocco_models::osc::{self, Names};

use crate::inference::Report;
use crate::instance::{Instance, Loaded, NetworkEnd, lock};
use crate::mode::{Mode, Placed};

/// How often `/classes` is repeated for receivers that start later.
const CLASSES_EVERY: Duration = Duration::from_secs(3);
/// How often `/status` goes out.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// After a failure to open a socket, the pause before the next try.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A trouble is shown for so long after it was seen last.
const TROUBLE_SHOWN: Duration = Duration::from_secs(2);

/// Where OSC goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The address, or a sentence that says why there is none.
    pub address: Result<SocketAddr, String>,
}

/// One instance's socket and timers. Only the network thread uses it.
#[derive(Debug, Default)]
pub struct Sender {
    socket: Option<(SocketAddr, UdpSocket)>,
    opened: Option<Instant>,
    trouble: Option<(Instant, String)>,
    shown: Option<String>,
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
    if on {
        sender.connect(instance);
        sender.take_name(instance, names);
    }
    while let Some(report) = reports.try_pop() {
        sender.report(instance, report, on);
    }
    if on {
        sender.repeat(instance);
    } else {
        sender.placed = None;
        sender.trouble = None;
    }
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
            classes.zip(class).and_then(|(classes, class)| classes.get(usize::from(class))).map_or("", String::as_str)
        };
        let bytes = match report {
            Report::Model(_) => return,
            Report::Class(class) if instance.params.compatible.value() => osc::class(i32::from(class)),
            Report::Class(_) => return,
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
        if placed.mode != Mode::Inactive && (self.placed != Some(placed) || due(self.status_sent, STATUS_EVERY)) {
            self.placed = Some(placed);
            self.status_sent = Some(now);
            let late = published.late_windows.load(Ordering::Relaxed);
            let (latency_ms, load) = (published.latency.get().osc(), published.load.get());
            let bytes = osc::status(&self.name, placed.mode.name(), latency_ms, load, late, &published.reason());
            self.datagram(&bytes);
        }
        let rate = instance.params.probs_hz.value();
        let hops = published.hops.load(Ordering::Relaxed);
        let is_due = rate > 0.0 && due(self.probs_sent, Duration::from_secs_f32(1.0 / rate.max(0.01)));
        if let Some(loaded) = self.model.as_ref().filter(|_| is_due && hops != self.hops) {
            let classes = loaded.model.card().classes.len();
            let bytes = osc::probs(&self.name, (0..classes).map(|class| published.probability(class)));
            self.hops = hops;
            self.probs_sent = Some(now);
            self.datagram(&bytes);
        }
    }

    fn send_classes(&mut self) {
        if let Some(loaded) = &self.model {
            let classes = loaded.model.card().classes.iter().map(String::as_str);
            let bytes = osc::names(&self.name, "classes", classes);
            self.classes_sent = Some(Instant::now());
            self.datagram(&bytes);
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
        let Some(target) = instance.target.load_full() else { return };
        let address = match &target.address {
            Ok(address) => *address,
            Err(sentence) => {
                self.socket = None;
                return self.in_trouble(sentence.clone());
            }
        };
        if self.socket.as_ref().is_some_and(|(connected, _)| *connected == address) {
            return;
        }
        if self.socket.is_none() && self.opened.is_some_and(|opened| opened.elapsed() < RETRY_AFTER) {
            return;
        }
        self.opened = Some(Instant::now());
        self.classes_sent = None;
        match open(address) {
            Ok(socket) => self.socket = Some((address, socket)),
            Err(error) => {
                self.socket = None;
                self.in_trouble(format!("OSC can't go to {address}: {error}."));
            }
        }
    }

    fn datagram(&mut self, bytes: &[u8]) {
        let Some((address, socket)) = &self.socket else { return };
        let address = *address;
        // A refusal speaks of an earlier datagram, and this one was not sent: once more.
        let outcome = match socket.send(bytes) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let _ = socket.send(bytes);
                Err(error)
            }
            outcome => outcome,
        };
        let Err(error) = outcome else { return };
        if !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::WouldBlock) {
            // A socket keeps the route of the network in which it was opened: another network needs another.
            self.socket = None;
        }
        self.in_trouble(match error.kind() {
            ErrorKind::ConnectionRefused => format!("Nothing listens at {address}."),
            _ => format!("OSC to {address} is lost: {error}."),
        });
    }

    fn in_trouble(&mut self, sentence: String) {
        self.trouble = Some((Instant::now(), sentence));
    }

    fn show_trouble(&mut self, instance: &Instance) {
        if self.trouble.as_ref().is_some_and(|(since, _)| since.elapsed() > TROUBLE_SHOWN) {
            self.trouble = None;
        }
        let now = self.trouble.as_ref().map(|(_, sentence)| sentence);
        if self.shown.as_ref() != now {
            self.shown = now.cloned();
            lock(&instance.notices).osc.clone_from(&self.shown);
        }
    }
}

fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    // Lets a patch on another machine be reached by the network's broadcast address.
    socket.set_broadcast(true)?;
    // Connected, so that the system tells when nobody listens.
    socket.connect(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
