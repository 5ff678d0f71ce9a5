//! Tocco without a host. It starts with the devices that were chosen on its panel; `--help` lists the options with which
//! they can be given by hand.

mod devices;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nice_plug::prelude::*;
use tocco_plugin::Tocco;
use tocco_plugin::standalone::{self, Choice, JACK, Standalone};

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
    if let Some(midi) = &choice.midi {
        let sentence = format!("MIDI goes nowhere: there is no port «{midi}». Choose another on the page «Settings».");
        standalone.tell(sentence);
        if run_with(standalone, &Choice { midi: None, ..choice.clone() }) {
            return true;
        }
    }
    standalone.tell(format!("There is no sound: {}. Choose others on the page «Settings».", refused(&choice)));
    standalone.runs_with(None);
    run(vec!["--backend=dummy".into()])
}

fn run_with(standalone: &Standalone, choice: &Choice) -> bool {
    standalone.runs_with(Some(choice.clone()));
    // Other systems refuse by themselves what they do not have, and are slow to list it.
    let jack = (choice.system == JACK).then(|| (standalone.list)(JACK).ok()).flatten();
    if let (Some(jack), Some(input)) = (&jack, &choice.input)
        && !jack.inputs.iter().any(|port| port.name == *input)
    {
        let what = "Start what has it, then Tocco again, or choose another on the page «Settings».";
        standalone.tell(format!("Nothing is heard: JACK has no port «{input}» now. {what}"));
    }
    run(choice.arguments(jack.and_then(|jack| jack.fixed)))
}

fn run(arguments: Vec<String>) -> bool {
    let program = [Tocco::NAME.to_owned()].into_iter();
    nice_export_standalone_with_args::<Tocco, _>(program.chain(arguments))
}

/// All of a choice that a system may refuse.
fn refused(choice: &Choice) -> String {
    let Choice { system, input, output, rate, buffer, .. } = choice;
    let input = input.as_deref().unwrap_or("none");
    let output = output.as_deref().unwrap_or("the usual one");
    format!("{system} refuses this input ({input}), output ({output}), buffer ({buffer} samples) or rate ({rate} Hz)")
}
