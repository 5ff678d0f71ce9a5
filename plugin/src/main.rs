//! Tocco without a host. It starts with the devices that were chosen on its panel; `--help` lists the options with which
//! they can be given by hand.

mod devices;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nice_plug::prelude::*;
use tocco_plugin::Tocco;
use tocco_plugin::standalone::{self, Choice, Standalone};

/// How often devices are asked for that this program itself had until a moment ago, and the time between.
const TRIALS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
    let standalone = standalone::open(&home.join("Tocco").join("standalone.json"), devices::SYSTEMS, devices::list);
    let went_well = if arguments.len() > 1 {
        nice_export_standalone_with_args::<Tocco, _>(arguments)
    } else {
        with_chosen_devices(standalone)
    };
    standalone.ended(went_well)
}

/// Where the system refuses the devices, the window opens without sound: there others can be chosen.
fn with_chosen_devices(standalone: &Standalone) -> bool {
    let choice = standalone.choice();
    for trial in 1.. {
        if run_with(standalone, &choice) {
            return true;
        }
        if !standalone::is_started_again() || trial == TRIALS {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    // Ports of MIDI come and go, and change their names.
    let without_midi = Choice { midi: None, ..choice.clone() };
    if let Some(midi) = &choice.midi {
        standalone.tell(format!("MIDI goes nowhere: the port «{midi}» can't be had."));
        if run_with(standalone, &without_midi) {
            return true;
        }
    }
    standalone.tell(format!("There is no sound. Refused: {}. Choose on the page «Settings».", told(&choice)));
    standalone.runs_with(None);
    run(vec!["--backend=dummy".into()])
}

fn run_with(standalone: &Standalone, choice: &Choice) -> bool {
    standalone.runs_with(Some(choice.clone()));
    let listing = (standalone.list)(&choice.system).ok();
    // The framework only logs that a port is gone.
    if let (Some(listing), Some(input)) = (&listing, &choice.input)
        && !listing.inputs.iter().any(|device| device.name == *input)
    {
        standalone.tell(format!("Nothing is heard: {} has no input «{input}» now.", choice.system));
    }
    run(choice.arguments(listing.and_then(|listing| listing.fixed)))
}

fn run(arguments: Vec<String>) -> bool {
    let program = [Tocco::NAME.to_owned()].into_iter();
    nice_export_standalone_with_args::<Tocco, _>(program.chain(arguments))
}

/// All of a choice that a system may refuse.
fn told(choice: &Choice) -> String {
    let usual = || "as usual".to_owned();
    format!(
        "{}, input {}, output {}, {} samples at {} Hz",
        choice.system,
        choice.input.clone().unwrap_or_else(|| "none".into()),
        choice.output.clone().unwrap_or_else(usual),
        choice.buffer,
        choice.rate
    )
}
