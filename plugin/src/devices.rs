//! What this computer hears and plays with, by the names under which the framework takes it.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{HostId, SupportedBufferSize, SupportedStreamConfigRange};
use jack::{Client, ClientOptions, PortFlags};
use midir::MidiOutput;
use nice_plug::prelude::Plugin;
use tocco_plugin::Tocco;
use tocco_plugin::standalone::{Device, Format, JACK, Listing};

/// The audio systems, those first that are the better choice where they run.
pub const SYSTEMS: &[&str] = &[
    JACK,
    #[cfg(target_os = "macos")]
    "core-audio",
    #[cfg(windows)]
    "wasapi",
    #[cfg(all(unix, not(target_os = "macos")))]
    "alsa",
];

/// What JACK calls its ports of sound and of MIDI.
const SOUND: &str = "32 bit float mono audio";
const MIDI: &str = "8 bit raw midi";
/// ALSA's device that is there on every machine and gives zeros.
const ALSA_ZEROS: &str = "null";

/// What a system has.
///
/// # Errors
/// A sentence, where it does not run.
pub fn list(system: &str) -> Result<Listing, String> {
    if system == JACK { of_jack() } else { of_cpal(system) }
}

fn of_jack() -> Result<Listing, String> {
    let (client, _) = Client::new("tocco-ports", ClientOptions::NO_START_SERVER)
        .map_err(|_| "JACK does not run: start its server first.".to_owned())?;
    let own = format!("{}:", Tocco::NAME.to_lowercase());
    let ports = |kind, flags| {
        let mut ports = client.ports(None, Some(kind), flags);
        // It is not to hear itself.
        ports.retain(|port| !port.starts_with(&own));
        ports
    };
    let port = |name| Device { name, formats: Vec::new() };
    Ok(Listing {
        inputs: ports(SOUND, PortFlags::IS_OUTPUT).into_iter().map(port).collect(),
        outputs: Vec::new(),
        usual_output: None,
        midi: ports(MIDI, PortFlags::IS_INPUT),
        fixed: Some((client.sample_rate(), client.buffer_size())),
    })
}

fn of_cpal(system: &str) -> Result<Listing, String> {
    // cpal says «CoreAudio», the framework's command line «core-audio».
    let is_asked = |id: &HostId| id.name().eq_ignore_ascii_case(&system.replace('-', ""));
    let id = cpal::available_hosts().into_iter().find(is_asked).ok_or("There is no such audio system here.")?;
    let host = cpal::host_from_id(id).map_err(|error| error.to_string())?;
    let inputs = host.input_devices().map_err(|error| error.to_string())?;
    let outputs = host.output_devices().map_err(|error| error.to_string())?;
    Ok(Listing {
        inputs: one_of_each_name(inputs.filter_map(|device| to_hear(&device))),
        outputs: one_of_each_name(outputs.filter_map(|device| to_play(&device))),
        usual_output: host.default_output_device().and_then(|device| to_play(&device)),
        midi: midi_outputs(),
        fixed: None,
    })
}

/// A device that can do something.
fn about(device: &cpal::Device, formats: Vec<Format>) -> Option<Device> {
    if formats.is_empty() || device.id().is_ok_and(|id| id.id() == ALSA_ZEROS) {
        return None;
    }
    Some(Device { name: device.description().ok()?.name().to_owned(), formats })
}

fn to_hear(device: &cpal::Device) -> Option<Device> {
    about(device, device.supported_input_configs().into_iter().flatten().filter_map(format).collect())
}

fn to_play(device: &cpal::Device) -> Option<Device> {
    about(device, device.supported_output_configs().into_iter().flatten().filter_map(format).collect())
}

/// Where a device does not tell its buffers, the framework does not take it.
fn format(range: SupportedStreamConfigRange) -> Option<Format> {
    let &SupportedBufferSize::Range { min, max } = range.buffer_size() else { return None };
    let rates = (range.min_sample_rate(), range.max_sample_rate());
    Some(Format { channels: range.channels(), rates, buffers: (min, max) })
}

/// The first of several devices of one name: the framework, which goes by names, opens that.
fn one_of_each_name(devices: impl Iterator<Item = Device>) -> Vec<Device> {
    let mut named: Vec<Device> = Vec::new();
    for device in devices {
        if named.iter().all(|other| other.name != device.name) {
            named.push(device);
        }
    }
    named
}

fn midi_outputs() -> Vec<String> {
    let Ok(midi) = MidiOutput::new("tocco-ports") else { return Vec::new() };
    midi.ports().iter().filter_map(|port| midi.port_name(port).ok()).collect()
}
