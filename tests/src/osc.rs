//! A real UDP socket that collects OSC.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rosc::{OscMessage, OscPacket, OscType};

/// One datagram.
#[derive(Debug, Clone, PartialEq)]
pub struct Datagram {
    /// When it arrived.
    pub at: Instant,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// The message, where it is one bare OSC message.
    #[must_use]
    pub fn message(&self) -> Option<OscMessage> {
        match rosc::decoder::decode_udp(&self.bytes) {
            Ok(([], OscPacket::Message(message))) => Some(message),
            _ => None,
        }
    }
}

/// A change of decision, from `/tocco/<name>/event`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Name of the class.
    pub class: String,
    /// Its probability.
    pub confidence: f32,
    /// Seconds of the sound since activation.
    pub time_s: f32,
    /// Index of the class in the model's order.
    pub index: i32,
}

/// Collects datagrams on a thread of its own until it is dropped.
pub struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Datagram>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// On a free port of this machine.
    ///
    /// # Errors
    /// Where the system gives none.
    pub fn start() -> Result<Self> {
        Self::at(0)
    }

    /// On a port of this machine; 0 is any free one.
    ///
    /// # Errors
    /// Where it is taken.
    pub fn at(port: u16) -> Result<Self> {
        let socket =
            UdpSocket::bind(("127.0.0.1", port)).with_context(|| format!("the UDP port {port} can't be had"))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let port = socket.local_addr()?.port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (received, stop) = (Arc::clone(&received), Arc::clone(&stop));
            move || {
                let mut buffer = vec![0; 65_536];
                while !stop.load(Ordering::Relaxed) {
                    // A timeout is how this loop gets to look at `stop`.
                    let Ok(length) = socket.recv(&mut buffer) else { continue };
                    let datagram = Datagram { at: Instant::now(), bytes: buffer[..length].to_vec() };
                    received.lock().unwrap_or_else(PoisonError::into_inner).push(datagram);
                }
            }
        });
        Ok(Self { port, received, stop, thread: Some(thread) })
    }

    /// The port it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything received so far.
    #[must_use]
    pub fn datagrams(&self) -> Vec<Datagram> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages whose address ends so.
    #[must_use]
    pub fn messages(&self, ending: &str) -> Vec<OscMessage> {
        self.datagrams().iter().filter_map(Datagram::message).filter(|m| m.addr.ends_with(ending)).collect()
    }

    /// The changes of decision so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.messages("/event").iter().filter_map(event).collect()
    }

    /// Waits until `enough` holds for what was received, at most `longest`; tells whether it does.
    #[must_use]
    pub fn wait(&self, longest: Duration, enough: impl Fn(&[Datagram]) -> bool) -> bool {
        let start = Instant::now();
        loop {
            if enough(&self.datagrams()) {
                return true;
            }
            if start.elapsed() > longest {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which its own message tells.
            let _ = thread.join();
        }
    }
}

/// Reads `,sffi`: class name, confidence, time, class index.
#[must_use]
pub fn event(message: &OscMessage) -> Option<Event> {
    match message.args.as_slice() {
        [OscType::String(class), OscType::Float(confidence), OscType::Float(time_s), OscType::Int(index)] => {
            Some(Event { class: class.clone(), confidence: *confidence, time_s: *time_s, index: *index })
        }
        _ => None,
    }
}
