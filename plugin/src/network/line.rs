//! One socket to one target.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

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

/// The way to a target. It never waits: a datagram that can't go is lost, and the panel says so.
#[derive(Debug)]
pub struct Line {
    pub target: Target,
    pub(super) socket: Option<UdpSocket>,
    pub(super) opened: Option<Instant>,
    trouble: Option<(Instant, String)>,
}

impl Line {
    pub fn new(target: Target) -> Self {
        Self { target, socket: None, opened: None, trouble: None }
    }

    /// Opens the socket where it is not; true where a receiver is reached anew.
    pub fn open(&mut self) -> bool {
        let address = match &self.target.address {
            Ok(address) => *address,
            Err(sentence) => {
                self.trouble = Some((Instant::now(), sentence.clone()));
                return false;
            }
        };
        if self.socket.is_some() || self.opened.is_some_and(|opened| opened.elapsed() < RETRY_AFTER) {
            return false;
        }
        self.opened = Some(Instant::now());
        match open(address) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => self.in_trouble(format!("OSC can't go to {address}: {error}.")),
        }
        self.socket.is_some()
    }

    /// Sends one datagram; true where the system took it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        let (Some(socket), Ok(address)) = (&self.socket, &self.target.address) else { return false };
        // A refusal speaks of an earlier datagram, and this one was not sent: once more.
        let outcome = match socket.send(bytes) {
            Err(error) if is_refusal(&error) => {
                let _ = socket.send(bytes);
                Err(error)
            }
            outcome => outcome,
        };
        let Err(error) = outcome else { return true };
        let sentence = if is_refusal(&error) {
            format!("Nothing listens at {address}.")
        } else {
            format!("OSC to {address} is lost: {error}.")
        };
        if !is_refusal(&error) && error.kind() != ErrorKind::WouldBlock {
            // A socket keeps the route of the network in which it was opened: another network needs another.
            self.socket = None;
        }
        self.in_trouble(sentence);
        false
    }

    /// What is wrong now.
    pub fn trouble(&mut self) -> Option<&str> {
        if self.trouble.as_ref().is_some_and(|(since, _)| since.elapsed() > TROUBLE_SHOWN) {
            self.trouble = None;
        }
        self.trouble.as_ref().map(|(_, sentence)| sentence.as_str())
    }

    fn in_trouble(&mut self, sentence: String) {
        self.trouble = Some((Instant::now(), sentence));
    }
}

/// Whether the receiver's computer said that nobody listens; Windows calls it a reset.
fn is_refusal(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
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
