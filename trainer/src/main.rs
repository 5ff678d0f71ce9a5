//! The command `tocco`: see [`tocco_trainer`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tocco_trainer::memory::keep_freed();
    tocco_trainer::commands::main()
}
