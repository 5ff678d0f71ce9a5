//! Tocco without a host. It starts with the devices that were chosen on its panel; `--help` lists the options with which
//! they can be given by hand.

mod devices;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nice_plug::prelude::*;
use tocco_plugin::Tocco;
use tocco_plugin::standalone::{self, Standalone};

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

/// Where the devices can't be had, the window opens without sound: there others can be chosen.
fn with_chosen_devices(standalone: &Standalone) -> bool {
    let run = |arguments: Vec<String>| {
        let program = [Tocco::NAME.to_owned()].into_iter();
        nice_export_standalone_with_args::<Tocco, _>(program.chain(arguments))
    };
    let choice = standalone.choice();
    for trial in 1.. {
        if run(choice.arguments()) {
            return true;
        }
        if !standalone::is_started_again() || trial == TRIALS {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    standalone.tell(format!(
        "There is no sound: {} does not give «{}». Choose other devices on the page «Settings».",
        choice.system,
        choice.input.as_deref().or(choice.output.as_deref()).unwrap_or("the usual device"),
    ));
    run(vec!["--backend".into(), "dummy".into()])
}
