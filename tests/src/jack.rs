//! A JACK server without a sound card, and a player that its clients hear.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jack::{
    AsyncClient, AudioIn, AudioOut, Client, ClientOptions, Control, Port, PortFlags, ProcessHandler, ProcessScope,
};

use crate::locate::{self, Child};

/// Names of servers. JACK remembers eight of them, and forgets one that was killed only when its name comes again.
const NAMES: [&str; 4] = ["tocco-test-1", "tocco-test-2", "tocco-test-3", "tocco-test-4"];
/// Where JACK's library reads the name of the server, in this process and in those that it starts.
const SERVER_NAME: &str = "JACK_DEFAULT_SERVER";
/// How long anything may take to come up or end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with JACK's dummy driver, which keeps time like a sound card and captures silence.
pub struct Server {
    name: &'static str,
    process: Child,
}

impl Server {
    /// At `rate` Hz with buffers of `buffer` samples. This process, and those that it starts from now on, find it.
    ///
    /// # Errors
    /// Where JACK is missing or does not come up.
    pub fn start(rate: u32, buffer: u32) -> Result<Self> {
        let jackd = locate::tool("jackd")?;
        for name in NAMES {
            let mut command = Command::new(&jackd);
            // In step with its clients, so that none misses a buffer on a busy machine.
            command.args(["--no-realtime", "--no-mlock", "--sync", "--name", name]);
            command.args(["-d", "dummy", "--rate", &rate.to_string(), "--period", &buffer.to_string()]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut server = Self { name, process: Child::start(&mut command)? };
            if server.is_up()? {
                return Ok(server);
            }
        }
        bail!("jackd does not come up under any of the names {}", NAMES.join(", "))
    }

    /// Whether clients are let in. It ends by itself where another server has its name.
    fn is_up(&mut self) -> Result<bool> {
        // SAFETY: tests that start a server do so before they start a thread that reads the environment.
        unsafe { std::env::set_var(SERVER_NAME, self.name) };
        let start = Instant::now();
        while self.process.0.try_wait()?.is_none() {
            // Time for a server whose name is taken to end, before the other one answers.
            std::thread::sleep(Duration::from_millis(100));
            if Client::new("knock", ClientOptions::NO_START_SERVER).is_ok() {
                return Ok(self.process.0.try_wait()?.is_none());
            }
            ensure!(start.elapsed() < PATIENCE, "the JACK server {} lets nobody in", self.name);
        }
        Ok(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.process.0.try_wait(), Ok(None)) {
            return;
        }
        // Asked politely, it gives its name and its memory back. `Child` sees to the rest.
        let id = self.process.0.id().to_string();
        if Command::new("kill").arg(id).status().is_ok_and(|status| status.success()) {
            let start = Instant::now();
            while matches!(self.process.0.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

const WAITING: u8 = 0;
const PLAYING: u8 = 1;
const ENDED: u8 = 2;

/// Plays a mono sound out of one port, once, when it is told to.
pub struct Player {
    client: AsyncClient<(), Playing>,
    port: String,
    state: Arc<AtomicU8>,
}

struct Playing {
    port: Port<AudioOut>,
    sound: Vec<f32>,
    position: usize,
    state: Arc<AtomicU8>,
}

impl ProcessHandler for Playing {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let buffer = self.port.as_mut_slice(scope);
        buffer.fill(0.0);
        if self.state.load(Ordering::Acquire) == PLAYING {
            let rest = &self.sound[self.position..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.position += length;
            if self.position == self.sound.len() {
                self.state.store(ENDED, Ordering::Release);
            }
        }
        Control::Continue
    }
}

impl Player {
    /// A client of the current server, with a sound at the server's rate.
    ///
    /// # Errors
    /// Where the server does not let it in.
    pub fn new(sound: Vec<f32>) -> Result<Self> {
        let (client, _) = Client::new("player", ClientOptions::NO_START_SERVER)?;
        let port = client.register_port("out", AudioOut::default())?;
        let name = port.name()?;
        let state = Arc::new(AtomicU8::new(WAITING));
        let playing = Playing { port, sound, position: 0, state: Arc::clone(&state) };
        Ok(Self { client: client.activate_async((), playing)?, port: name, state })
    }

    /// Waits until a client has an audio input whose whole name fits the regular expression, and connects all of them.
    ///
    /// # Errors
    /// Where none comes.
    pub fn connect(&self, inputs: &str) -> Result<()> {
        let client = self.client.as_client();
        let start = Instant::now();
        loop {
            let ports = client.ports(Some(inputs), Some("32 bit float mono audio"), PortFlags::IS_INPUT);
            // A client that is not yet active can't be connected.
            let connect = |port: &String| client.connect_ports_by_name(&self.port, port);
            if !ports.is_empty() && ports.iter().all(|port| connect(port).is_ok()) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "no client has an input like {inputs}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The inputs that hear it.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn listeners(&self) -> Result<Vec<String>> {
        let client = self.client.as_client();
        let port = client.port_by_name(&self.port).context("the player's own port")?;
        let inputs = client.ports(None, None, PortFlags::IS_INPUT);
        Ok(inputs.into_iter().filter(|input| port.is_connected_to(input).unwrap_or(false)).collect())
    }

    /// Plays the sound to its end, in its own time.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub fn play(&self) -> Result<()> {
        self.state.store(PLAYING, Ordering::Release);
        let start = Instant::now();
        while self.state.load(Ordering::Acquire) != ENDED {
            ensure!(start.elapsed() < 2 * PATIENCE, "JACK does not take the sound");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Hears all outputs of a client together.
pub struct Listener {
    _client: AsyncClient<(), Hearing>,
    loudest: Arc<AtomicU32>,
}

struct Hearing {
    port: Port<AudioIn>,
    loudest: Arc<AtomicU32>,
}

impl ProcessHandler for Hearing {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let peak = self.port.as_slice(scope).iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        // The bits of positive numbers are in the order of the numbers.
        self.loudest.fetch_max(peak.to_bits(), Ordering::Relaxed);
        Control::Continue
    }
}

impl Listener {
    /// From now on, to the outputs whose whole name fits the regular expression.
    ///
    /// # Errors
    /// Where there are none, or the server does not let it in.
    pub fn start(outputs: &str) -> Result<Self> {
        let (client, _) = Client::new("listener", ClientOptions::NO_START_SERVER)?;
        let port = client.register_port("in", AudioIn::default())?;
        let name = port.name()?;
        let loudest = Arc::new(AtomicU32::new(0));
        let client = client.activate_async((), Hearing { port, loudest: Arc::clone(&loudest) })?;
        let heard = client.as_client().ports(Some(outputs), None, PortFlags::IS_OUTPUT);
        ensure!(!heard.is_empty(), "no client has an output like {outputs}");
        for output in heard {
            client.as_client().connect_ports_by_name(&output, &name)?;
        }
        Ok(Self { _client: client, loudest })
    }

    /// The highest sample so far, without its sign.
    #[must_use]
    pub fn loudest(&self) -> f32 {
        f32::from_bits(self.loudest.load(Ordering::Relaxed))
    }
}

/// The samples that a player plays, as a WAV file for whoever reads files.
///
/// # Errors
/// Where it can't be written.
pub fn write_wav(path: &std::path::Path, sound: &[f32], rate: u32) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec).with_context(|| path.display().to_string())?;
    for &sample in sound {
        writer.write_sample(sample)?;
    }
    Ok(writer.finalize()?)
}
