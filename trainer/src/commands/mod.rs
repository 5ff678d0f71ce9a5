//! The subcommands of `tocco`. Their names and options are what scripts rely on: they stay.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod augment;
pub mod compare;
#[cfg(feature = "live")]
pub mod devices;
mod encoder;
mod engine;
pub mod ensemble;
pub mod evaluate;
pub mod export;
pub mod inspect;
#[cfg(feature = "live")]
pub mod listen;
pub mod mix;
pub mod policy;
pub mod prepare;
pub mod recognize;
pub mod report;
pub mod train;

/// Trains, checks and runs models that hear how and what a musician plays.
#[derive(Debug, Parser)]
#[command(name = "tocco", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads folders of recordings and writes a manifest: one row a file, with its labels, group and split.
    Prepare(prepare::Args),
    /// Writes varied copies of recordings, and a manifest with them.
    Augment(augment::Args),
    /// Writes polyphonic recordings made of single notes, and a manifest of them.
    Mix(mix::Args),
    /// Trains a model on a manifest.
    Train(Box<train::Args>),
    /// Writes a trained run as an ONNX file with its card, and checks it.
    Export(export::Args),
    /// Combines models into one, with weights learnt on a validation split.
    Ensemble(ensemble::Args),
    /// Measures a model on held-out recordings.
    Evaluate(evaluate::Args),
    /// Puts models side by side on the same held-out recordings.
    Compare(compare::Args),
    /// Runs a model over recordings and prints what it hears.
    Recognize(recognize::Args),
    /// Runs a model over live sound from an audio interface and prints what it hears.
    #[cfg(feature = "live")]
    Listen(listen::Args),
    /// Lists the audio devices that `tocco listen` can open.
    #[cfg(feature = "live")]
    Devices(devices::Args),
    /// Writes a page about a run or model: curves, figures, calibration, its worst mistakes to be heard.
    Report(report::Args),
    /// Shows a model's card, size, operators and cost on this machine.
    Inspect(inspect::Args),
}

/// Parses the command line and runs the subcommand. The exit status is 0, 1 for a refusal or failure, and 2 for
/// a command line that can't be understood.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Prepare(args) => prepare::run(args),
        Command::Augment(args) => augment::run(args),
        Command::Mix(args) => mix::run(args),
        Command::Train(args) => train::run(*args),
        Command::Export(args) => export::run(args),
        Command::Ensemble(args) => ensemble::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Recognize(args) => recognize::run(args),
        #[cfg(feature = "live")]
        Command::Listen(args) => listen::run(&args),
        #[cfg(feature = "live")]
        Command::Devices(args) => devices::run(&args),
        Command::Report(args) => report::run(args),
        Command::Inspect(args) => inspect::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            remark(format_args!("tocco: {}", sentence(&error)));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error. Unlike `eprintln!` it does not panic where that is closed: nobody is left to tell.
pub(crate) fn remark(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The error and its causes; those that the text before already tells are left out.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the reader of standard output went away (`tocco ... | head`): that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |e: &(dyn std::error::Error + 'static)| {
        let of_json = || e.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        e.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or_else(of_json)
    };
    error.chain().any(|e| kind(e) == Some(std::io::ErrorKind::BrokenPipe))
}
