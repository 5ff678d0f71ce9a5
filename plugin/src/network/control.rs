//! The way back: a patch switches models, sets the gate, switches recognising off and on.
//!
//! | address | argument | does |
//! |---|---|---|
//! | `/tocco/<name>/model` | `s` | a shipped model by its name, or a file by its path |
//! | `/tocco/<name>/slot` | `i` | the model that is kept in a slot, 1 to 8 |
//! | `/tocco/<name>/gate` | `f` | the gate's threshold in dBFS, until the host moves its parameter |
//! | `/tocco/<name>/enable` | `i` | 0: nothing is recognised or sent; 1: on again |
//!
//! Numbers may come in any type that OSC has for them: Pure Data sends all as `f`, Max a whole one as `i`. What a patch
//! said of gate and recognising ends when the port is closed. Instances that want one port share it.
//!
//! Where other computers may use it, it is announced to the local network. A model chosen so is in use where the host's parameter *Model slot* is 0. Off by default, and on this computer only unless the player allows more. `<name>` may be `*`.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rosc::{OscMessage, OscPacket, OscType};

use super::announce::Announcement;
use crate::instance::{Instance, lock};
use crate::state::{ControlPort, ModelChoice, SLOTS};

/// A port that is taken is tried again after this pause.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Datagrams that are read in one round.
const MOST: usize = 32;
/// Datagrams that are kept for instances whose turn has not come.
const KEPT: usize = 256;

/// The ports of this process.
static PORTS: Mutex<Vec<Weak<Port>>> = Mutex::new(Vec::new());

/// A port that is open; it closes with the last instance that wants it.
struct Port {
    wanted: ControlPort,
    socket: UdpSocket,
    heard: Mutex<Heard>,
}

/// What came, in order.
#[derive(Default)]
struct Heard {
    /// The number of the first packet that is kept.
    first: u64,
    packets: VecDeque<OscPacket>,
}

impl Port {
    fn open(wanted: ControlPort) -> std::io::Result<Arc<Self>> {
        let mut ports = lock(&PORTS);
        ports.retain(|port| port.strong_count() > 0);
        if let Some(port) = ports.iter().filter_map(Weak::upgrade).find(|port| port.wanted == wanted) {
            return Ok(port);
        }
        let address = if wanted.anyone { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let socket = UdpSocket::bind(SocketAddr::from((address, wanted.port)))?;
        socket.set_nonblocking(true)?;
        let port = Arc::new(Self { wanted, socket, heard: Mutex::default() });
        ports.push(Arc::downgrade(&port));
        Ok(port)
    }

    /// What came from packet number `from` on, and the number of the next.
    fn since(&self, from: u64) -> (Vec<OscPacket>, u64) {
        let mut heard = lock(&self.heard);
        let mut bytes = [0; 1536];
        for _ in 0..MOST {
            let Ok(length) = self.socket.recv(&mut bytes) else { break };
            let Ok((_, packet)) = rosc::decoder::decode_udp(&bytes[..length]) else { continue };
            heard.packets.push_back(packet);
        }
        let old = heard.packets.len().saturating_sub(KEPT);
        heard.packets.drain(..old);
        heard.first += old as u64;
        let known = usize::try_from(from.saturating_sub(heard.first)).unwrap_or(usize::MAX);
        (heard.packets.iter().skip(known).cloned().collect(), heard.first + heard.packets.len() as u64)
    }
}

/// One instance's part of a port.
#[derive(Default)]
pub struct Control {
    wanted: Option<ControlPort>,
    port: Option<Arc<Port>>,
    /// The number of the next packet.
    next: u64,
    tried: Option<Instant>,
    /// Where other computers may use it, they can find it under this name.
    announced: Option<(String, Option<Announcement>)>,
    shown: Option<String>,
}

impl Control {
    /// Does what arrived. `name` is the instance's in addresses.
    pub fn serve(&mut self, instance: &Instance, wanted: ControlPort, name: &str) {
        if self.wanted != Some(wanted) {
            *self = Self { wanted: Some(wanted), shown: self.shown.take(), ..Self::default() };
            if !wanted.on {
                self.say(instance, None);
                instance.remote.forget();
            }
        }
        if !wanted.on {
            return;
        }
        if self.port.is_none() && self.tried.is_none_or(|tried| tried.elapsed() > RETRY_AFTER) {
            self.tried = Some(Instant::now());
            match Port::open(wanted) {
                Ok(port) => {
                    // What came before was not for this one.
                    (_, self.next) = port.since(u64::MAX);
                    self.port = Some(port);
                    self.say(instance, Some(format!("open at port {}", wanted.port)));
                }
                Err(error) => self.say(instance, Some(format!("port {} can't be opened: {error}", wanted.port))),
            }
        }
        self.announce(instance, name);
        let Some(port) = &self.port else { return };
        let (packets, next) = port.since(self.next);
        self.next = next;
        for packet in packets {
            if let Some(sentence) = obey(instance, &packet, name) {
                self.say(instance, Some(sentence));
            }
        }
    }

    /// Once, and anew under another name.
    fn announce(&mut self, instance: &Instance, name: &str) {
        let Some(ControlPort { anyone: true, port, .. }) = self.wanted.filter(|_| self.port.is_some()) else {
            return;
        };
        if name.is_empty() || self.announced.as_ref().is_some_and(|(announced, _)| announced == name) {
            return;
        }
        self.announced = None;
        let announcement = Announcement::new(name, port);
        if let Err(error) = &announcement {
            self.say(instance, Some(format!("open at port {port}, but not announced: {error}")));
        }
        self.announced = Some((name.to_owned(), announcement.ok()));
    }

    fn say(&mut self, instance: &Instance, sentence: Option<String>) {
        if self.shown != sentence {
            self.shown.clone_from(&sentence);
            lock(&instance.notices).control = sentence;
        }
    }
}

/// Answers with what was done or why not; nothing where it was for somebody else.
fn obey(instance: &Instance, packet: &OscPacket, name: &str) -> Option<String> {
    match packet {
        OscPacket::Message(message) => order(instance, message, name),
        OscPacket::Bundle(bundle) => bundle.content.iter().filter_map(|packet| obey(instance, packet, name)).last(),
    }
}

fn order(instance: &Instance, message: &OscMessage, name: &str) -> Option<String> {
    let (to, what) = message.addr.strip_prefix("/tocco/")?.split_once('/')?;
    if to != name && to != "*" {
        return None;
    }
    let done = match (what, message.args.as_slice()) {
        ("model", [OscType::String(model)]) => choose(instance, model),
        (what, [argument]) => number(argument).is_some_and(|value| set(instance, what, value)),
        _ => false,
    };
    let arguments: Vec<String> = message.args.iter().map(ToString::to_string).collect();
    let arguments = arguments.join(" ");
    let verdict = if done { "done" } else { "not understood" };
    Some(format!("{} {arguments}: {verdict}", message.addr))
}

fn number(argument: &OscType) -> Option<f64> {
    match *argument {
        OscType::Int(value) => Some(value.into()),
        OscType::Float(value) => Some(value.into()),
        OscType::Double(value) => Some(value),
        OscType::Long(value) => i32::try_from(value).ok().map(f64::from),
        OscType::Bool(value) => Some(f64::from(u8::from(value))),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "levels, and whole numbers of slots")]
fn set(instance: &Instance, what: &str, value: f64) -> bool {
    match what {
        "slot" if value.fract() == 0.0 && (1.0..=f64::from(SLOTS)).contains(&value) => {
            let slots = instance.params.settings.snapshot().settings.slots;
            slots.get(&(value as u8)).cloned().is_some_and(|choice| set_model(instance, choice))
        }
        "gate" => instance.remote.set_gate(value as f32),
        "enable" if value.is_finite() => instance.remote.enable(value != 0.0),
        _ => false,
    }
}

fn choose(instance: &Instance, model: &str) -> bool {
    let is_shipped = tocco_models::library::all().iter().any(|(name, _)| *name == model);
    let choice = if is_shipped { ModelChoice::Library(model.into()) } else { ModelChoice::Path(model.into()) };
    !model.trim().is_empty() && set_model(instance, choice)
}

fn set_model(instance: &Instance, choice: ModelChoice) -> bool {
    instance.params.settings.change(|settings| settings.model = choice);
    true
}
