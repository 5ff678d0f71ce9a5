//! Records what arrives at a JACK MIDI port.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jack::{AsyncClient, Client, ClientOptions, Control, MidiIn, Port, PortFlags, ProcessHandler, ProcessScope};

/// A message of a channel: status, then two data bytes.
pub type Message = [u8; 3];

/// A client with one MIDI input; it ends with this.
pub struct Recorder {
    client: AsyncClient<(), Recording>,
    port: String,
    received: Arc<Mutex<Vec<Message>>>,
}

struct Recording {
    port: Port<MidiIn>,
    received: Arc<Mutex<Vec<Message>>>,
}

impl ProcessHandler for Recording {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.extend(self.port.iter(scope).filter_map(|event| Message::try_from(event.bytes).ok()));
        Control::Continue
    }
}

impl Recorder {
    /// A client of the current server.
    ///
    /// # Errors
    /// Where the server does not let it in.
    pub fn start() -> Result<Self> {
        let (client, _) = Client::new("recorder", ClientOptions::NO_START_SERVER)?;
        let port = client.register_port("in", MidiIn::default())?;
        let name = port.name()?;
        let received = Arc::default();
        let recording = Recording { port, received: Arc::clone(&received) };
        Ok(Self { client: client.activate_async((), recording)?, port: name, received })
    }

    /// Listens to another client's port, as soon as there is one of that name.
    ///
    /// # Errors
    /// Where there is none within ten seconds.
    pub fn connect(&self, source: &str) -> Result<()> {
        let start = Instant::now();
        let client = self.client.as_client();
        while client.port_by_name(source).is_none() {
            let ports = || client.ports(None, None, PortFlags::empty()).join(", ");
            ensure!(start.elapsed() < Duration::from_secs(10), "no port {source} among {}", ports());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(client.connect_ports_by_name(source, &self.port)?)
    }

    /// What arrived since this was asked last.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
