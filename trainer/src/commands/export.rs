//! `tocco export`.

use std::path::PathBuf;

use anyhow::Result;

use crate::engine::Provider;
use crate::export::{OrtCheck, check_output, export};
use crate::train::Run;

/// Options of `tocco export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder, as `tocco train --out` made it
    #[arg(long)]
    run: PathBuf,
    /// The ONNX file to write
    #[arg(long)]
    out: PathBuf,
    /// The model's name on the panel; the run's own by default
    #[arg(long)]
    name: Option<String>,
    /// The library of ONNX Runtime; it is looked for where this is not given
    #[arg(long)]
    onnxruntime: Option<PathBuf>,
    /// Where ONNX Runtime runs the check; naming one makes ONNX Runtime obligatory
    #[arg(long, value_enum)]
    execution_provider: Option<Provider>,
}

/// Runs `tocco export`.
///
/// # Errors
/// Where the run is incomplete or an engine computes the network differently: no file is left then.
pub fn run(args: Args) -> Result<()> {
    check_output(&args.out)?;
    let run = Run::open(&args.run)?;
    let check = OrtCheck {
        required: args.onnxruntime.is_some() || args.execution_provider.is_some(),
        library: args.onnxruntime,
        provider: args.execution_provider.unwrap_or(Provider::Cpu),
    };
    let name = args.name.unwrap_or_else(|| run.settings.name.clone());
    let report = export(&run, &name, &args.out, &check)?;
    eprintln!("{}", report.text());
    Ok(())
}
