//! Audio devices, what they can do, and which of them are chosen.

use serde::{Deserialize, Serialize};

/// The system whose server says rate and buffer, and whose inputs are ports.
pub const JACK: &str = "jack";
/// Buffers to choose from where a device has them, in samples.
const BUFFERS: [u32; 6] = [32, 64, 128, 256, 512, 1024];
/// Sample rates to choose from where a device has them, in Hz.
const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
/// Between an input and an output with clocks of their own lie so many buffers.
const BUFFERS_BETWEEN: f32 = 2.0;
/// Channels of the plugin's layouts, in their order.
const LAYOUTS: [u16; 2] = [2, 1];

/// Devices, by the names of their system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What drives them: `jack`, `alsa`, `core-audio`, `wasapi`.
    pub system: String,
    /// Where sound comes from: a device, or with JACK a port; none leaves the inputs open.
    pub input: Option<String>,
    /// Channels of the input: 2 or 1.
    pub channels: u16,
    /// Where sound goes; none is the system's choice.
    pub output: Option<String>,
    /// Where MIDI goes.
    pub midi: Option<String>,
    /// In Hz.
    pub rate: u32,
    /// In samples.
    pub buffer: u32,
    /// Whether the input goes on to the output. Off, for a microphone and a loudspeaker in one room howl.
    pub monitor: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            system: String::new(),
            input: None,
            channels: LAYOUTS[0],
            output: None,
            midi: None,
            rate: 48_000,
            buffer: 128,
            monitor: false,
        }
    }
}

impl Choice {
    /// As the framework's command line takes it, after the program's name. JACK's `fixed` rate and buffer are told too:
    /// the framework believes its command line, not the server.
    #[must_use]
    pub fn arguments(&self, fixed: Option<(u32, u32)>) -> Vec<String> {
        let (rate, buffer) = fixed.unwrap_or((self.rate, self.buffer));
        let mut arguments = vec![
            format!("--backend={}", self.system),
            format!("--sample-rate={rate}"),
            format!("--period-size={buffer}"),
        ];
        // A name may begin like an option.
        let mut add = |option: &str, value: &Option<String>| {
            arguments.extend(value.as_ref().map(|value| format!("{option}={value}")));
        };
        if self.system == JACK {
            add("--connect-jack-inputs", &self.input);
            add("--connect-jack-midi-output", &self.midi);
        } else {
            add("--input-device", &self.input);
            add("--output-device", &self.output);
            add("--midi-output", &self.midi);
            add("--input-latency", &Some((1e-3 * self.between_ms()).to_string()));
            let layout = LAYOUTS.iter().position(|&channels| channels == self.channels).unwrap_or(0) + 1;
            add("--audio-layout", &Some(layout.to_string()));
        }
        arguments
    }

    /// One buffer, in ms.
    #[must_use]
    pub fn buffer_ms(&self) -> f32 {
        1e3 * self.buffer as f32 / self.rate as f32
    }

    /// What lies between the input's clock and the output's, in ms. JACK has one clock.
    #[must_use]
    pub fn between_ms(&self) -> f32 {
        if self.system == JACK { 0.0 } else { BUFFERS_BETWEEN * self.buffer_ms() }
    }

    /// Takes an input, or none, with channels, rate and buffer that it has, the present ones if it can be.
    pub fn take_input(&mut self, input: Option<&Device>, listing: &Listing) {
        self.input = input.map(|input| input.name.clone());
        self.channels = input.and_then(Device::layout).unwrap_or(LAYOUTS[0]);
        self.settle(listing);
    }

    /// Moves rate and buffer to those next to them that the devices have.
    pub fn settle(&mut self, listing: &Listing) {
        let nearest = |values: &[u32], now: u32| values.iter().copied().min_by_key(|value| value.abs_diff(now));
        self.rate = nearest(&listing.rates(self), self.rate).unwrap_or(self.rate);
        self.buffer = nearest(&listing.buffers(self), self.buffer).unwrap_or(self.buffer);
    }
}

/// One way to run a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Its channels.
    pub channels: u16,
    /// The lowest and the highest rate, in Hz.
    pub rates: (u32, u32),
    /// The smallest and the largest buffer, in samples.
    pub buffers: (u32, u32),
}

impl Format {
    fn has_rate(&self, rate: u32) -> bool {
        (self.rates.0..=self.rates.1).contains(&rate)
    }
}

/// A device, or a port of JACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As its system calls it.
    pub name: String,
    /// What it can do; empty for a port.
    pub formats: Vec<Format>,
}

impl Device {
    /// How many channels of it are heard, where that can be: the framework takes a device with exactly as many.
    #[must_use]
    pub fn layout(&self) -> Option<u16> {
        LAYOUTS.into_iter().find(|&layout| self.formats.iter().any(|format| format.channels == layout))
    }
}

/// What a system has.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// To hear: devices, or with JACK ports.
    pub inputs: Vec<Device>,
    /// To play to; empty where that is not for us to choose.
    pub outputs: Vec<Device>,
    /// The output that the system takes by itself.
    pub usual_output: Option<Device>,
    /// To send MIDI to.
    pub midi: Vec<String>,
    /// Rate in Hz and buffer in samples, where they are not for us to choose.
    pub fixed: Option<(u32, u32)>,
}

impl Listing {
    /// The rates that the chosen devices have, in Hz.
    #[must_use]
    pub fn rates(&self, choice: &Choice) -> Vec<u32> {
        let devices = self.chosen(choice);
        let has = |rate: u32| devices.iter().all(|formats| formats.iter().any(|format| format.has_rate(rate)));
        RATES.into_iter().filter(|&rate| has(rate)).collect()
    }

    /// The buffers that the chosen devices have at the chosen rate, in samples. Where a system has but its own, as
    /// Windows often does, that one.
    #[must_use]
    pub fn buffers(&self, choice: &Choice) -> Vec<u32> {
        let devices = self.chosen(choice);
        let has = |buffer: u32| {
            let fits = |format: &Format| (format.buffers.0..=format.buffers.1).contains(&buffer);
            devices.iter().all(|formats| formats.iter().any(|format| format.has_rate(choice.rate) && fits(format)))
        };
        let own = devices.iter().flatten().filter(|format| format.has_rate(choice.rate)).map(|format| format.buffers.0);
        let mut buffers: Vec<u32> = BUFFERS.into_iter().chain(own).filter(|&buffer| has(buffer)).collect();
        buffers.sort_unstable();
        buffers.dedup();
        // The usual ones are enough where there are any.
        let usual: Vec<u32> = buffers.iter().copied().filter(|buffer| BUFFERS.contains(buffer)).collect();
        if usual.is_empty() { buffers } else { usual }
    }

    /// Of input and output, as far as they are known, the formats that count.
    fn chosen(&self, choice: &Choice) -> Vec<Vec<Format>> {
        let named = |devices: &[Device], name: &String| devices.iter().find(|device| device.name == *name).cloned();
        let input = choice.input.as_ref().and_then(|name| named(&self.inputs, name));
        let heard = input.map(|input| input.formats.into_iter().filter(|f| f.channels == choice.channels).collect());
        let output = choice.output.as_ref().map_or(self.usual_output.clone(), |name| named(&self.outputs, name));
        heard.into_iter().chain(output.map(|output| output.formats)).collect()
    }
}
