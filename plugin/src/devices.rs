//! What this computer hears and plays with, by the names under which the framework takes it.

use cpal::HostId;
use cpal::traits::{DeviceTrait, HostTrait};
use jack::{Client, ClientOptions, PortFlags};
use midir::MidiOutput;
use nice_plug::prelude::Plugin;
use tocco_plugin::Tocco;
use tocco_plugin::standalone::{JACK, Listing};

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
    Ok(Listing {
        inputs: ports(SOUND, PortFlags::IS_OUTPUT),
        outputs: Vec::new(),
        midi: ports(MIDI, PortFlags::IS_INPUT),
        fixed: Some((client.sample_rate(), client.buffer_size())),
    })
}

fn of_cpal(system: &str) -> Result<Listing, String> {
    // cpal says «CoreAudio», the framework's command line «core-audio».
    let is_asked = |id: &HostId| id.name().eq_ignore_ascii_case(&system.replace('-', ""));
    let id = cpal::available_hosts().into_iter().find(is_asked).ok_or("There is no such audio system here.")?;
    let host = cpal::host_from_id(id).map_err(|error| error.to_string())?;
    let name = |device: cpal::Device| Some(device.description().ok()?.name().to_owned());
    let inputs = host.input_devices().map_err(|error| error.to_string())?;
    let outputs = host.output_devices().map_err(|error| error.to_string())?;
    Ok(Listing {
        inputs: inputs.filter_map(name).collect(),
        outputs: outputs.filter_map(name).collect(),
        midi: midi_outputs(),
        fixed: None,
    })
}

fn midi_outputs() -> Vec<String> {
    let Ok(midi) = MidiOutput::new("tocco-ports") else { return Vec::new() };
    midi.ports().iter().filter_map(|port| midi.port_name(port).ok()).collect()
}
