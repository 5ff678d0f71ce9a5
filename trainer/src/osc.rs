//! The plugin's messages, sent by the command while it listens to a file or a device.

use std::net::{ToSocketAddrs, UdpSocket};

use anyhow::{Context, Result};
use tocco_models::{Card, Decision, NONE, Task, osc};

/// Sends what is heard in one recording, or live.
#[derive(Debug)]
pub struct Sender {
    socket: UdpSocket,
    name: String,
    classes: Vec<String>,
    none: Option<usize>,
    task: Task,
    /// Datagrams that the system did not take.
    pub lost: u64,
}

impl Sender {
    /// To `target` (`HOST:PORT`), for a recording of this name; the class names go out at once.
    ///
    /// # Errors
    /// The target is no address, or there is no network.
    pub fn new(target: &str, recording: &str, card: &Card) -> Result<Self> {
        let address = target
            .to_socket_addrs()
            .with_context(|| format!("«{target}» is no address: write HOST:PORT, e.g. 127.0.0.1:5005"))?
            .next()
            .with_context(|| format!("«{target}» has no address"))?;
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).context("no socket for OSC can be opened")?;
        socket.connect(address).with_context(|| format!("nothing can be sent to {target}"))?;
        let mut sender = Self {
            socket,
            name: osc::sanitise(recording),
            classes: card.classes.clone(),
            none: card.none_class(),
            task: card.task,
            lost: 0,
        };
        sender.classes();
        Ok(sender)
    }

    /// Sends the class names, once more for receivers that start later.
    pub fn classes(&mut self) {
        let classes = osc::names(&self.name, "classes", self.classes.iter().map(String::as_str));
        self.send(&classes);
    }

    /// Sends what one decision says: `/class` while something is played, and the change, if it is one. What the
    /// network loses is counted in `lost`.
    pub fn decision(&mut self, decision: &Decision<'_>, rate: u32) {
        let index = decision.class.and_then(|class| i32::try_from(class).ok()).unwrap_or(-1);
        if decision.gate_open && decision.class.is_some() && decision.class != self.none {
            self.send(&osc::class(index));
        }
        if !decision.changed {
            return;
        }
        let class = decision.class.map_or(NONE, |class| &self.classes[class]);
        // OSC's type `f` is a single.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = (decision.about as f64 / f64::from(rate)) as f32;
        self.send(&osc::event(&self.name, class, decision.confidence, seconds, index));
        if self.task == Task::Instruments {
            let sounding = decision.active.iter().filter(|&class| Some(class) != self.none);
            let active = sounding.map(|class| self.classes[class].as_str());
            self.send(&osc::names(&self.name, "active", active));
        }
    }

    fn send(&mut self, message: &[u8]) {
        if self.socket.send(message).is_err() {
            self.lost += 1;
        }
    }
}
