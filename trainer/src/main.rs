//! The command `tocco`: see [`tocco_trainer`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tocco_trainer::commands::main()
}
