//! The plugin's messages, sent by the command while it listens to a file.

use std::net::{ToSocketAddrs, UdpSocket};

use anyhow::{Context, Result, anyhow};
use rosc::{OscMessage, OscPacket, OscType};
use tocco_models::{Card, Decision, NONE, Task};

/// Sends what one recording says.
#[derive(Debug)]
pub struct Sender {
    socket: UdpSocket,
    base: String,
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
            base: format!("/tocco/{}", address_part(recording)),
            classes: card.classes.clone(),
            none: card.none_class(),
            task: card.task,
            lost: 0,
        };
        let names = sender.classes.iter().cloned().map(OscType::String).collect();
        sender.send(format!("{}/classes", sender.base), names)?;
        Ok(sender)
    }

    /// Sends what one decision says: `/class` while something is played, and the change, if it is one.
    ///
    /// # Errors
    /// A message can't be encoded (never in practice). What the network loses is counted in `lost`.
    pub fn decision(&mut self, decision: &Decision<'_>, rate: u32) -> Result<()> {
        let index = decision.class.map_or(Ok(-1), i32::try_from)?;
        if decision.gate_open && decision.class.is_some() && decision.class != self.none {
            self.send("/class".into(), vec![OscType::Int(index)])?;
        }
        if !decision.changed {
            return Ok(());
        }
        let name = decision.class.map_or_else(|| NONE.to_owned(), |c| self.classes[c].clone());
        // OSC's type `f` is a single.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = (decision.about as f64 / f64::from(rate)) as f32;
        let event = vec![name.into(), decision.confidence.into(), seconds.into(), index.into()];
        self.send(format!("{}/event", self.base), event)?;
        if self.task == Task::Instruments {
            let names = decision.active.iter().map(|c| OscType::String(self.classes[c].clone())).collect();
            self.send(format!("{}/active", self.base), names)?;
        }
        Ok(())
    }

    fn send(&mut self, addr: String, args: Vec<OscType>) -> Result<()> {
        let packet = OscPacket::Message(OscMessage { addr, args });
        let bytes = rosc::encoder::encode(&packet).map_err(|e| anyhow!("an OSC message can't be encoded: {e}"))?;
        if self.socket.send(&bytes).is_err() {
            self.lost += 1;
        }
        Ok(())
    }
}

/// A name as part of an OSC address: what is no letter, digit, `-` or `_` becomes `_`.
fn address_part(name: &str) -> String {
    let part: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
    if part.is_empty() { "_".into() } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_an_address() {
        assert_eq!(address_part("Double bass/take 1.wav"), "Double_bass_take_1_wav");
        assert_eq!(address_part(""), "_");
    }
}
