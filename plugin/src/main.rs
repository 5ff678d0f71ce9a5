//! Tocco without a host: `--help` lists the audio backends and devices.

use nice_plug::prelude::*;

fn main() -> std::process::ExitCode {
    if nice_export_standalone::<tocco_plugin::Tocco>() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
