//! `tocco export`.

use std::path::PathBuf;

use anyhow::Result;

use super::remark;
use crate::encoder::EncoderRun;
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
    /// Where ONNX Runtime runs the check too, beside the processor; naming one makes ONNX Runtime obligatory. A logit may
    /// be off by 1e-4 on cpu, 2e-2 on cuda (TF32), 5e-2 on coreml (half precision)
    #[arg(long, visible_alias = "execution-provider", value_enum, value_delimiter = ',')]
    verify_on: Vec<Provider>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `tocco export`.
///
/// # Errors
/// Where the run is incomplete or an engine computes the network differently: no file is left then.
pub fn run(args: Args) -> Result<()> {
    check_output(&args.out)?;
    let check = OrtCheck {
        required: args.onnxruntime.is_some() || !args.verify_on.is_empty(),
        library: args.onnxruntime,
        providers: args.verify_on,
    };
    let report = if EncoderRun::is_at(&args.run) {
        let run = EncoderRun::open(&args.run)?;
        run.export(args.name.as_deref().unwrap_or(&run.settings.name), &args.out, &check)?
    } else {
        let run = Run::open(&args.run)?;
        export(&run, args.name.as_deref().unwrap_or(&run.settings.name), &args.out, &check)?
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        remark(report.text());
    }
    Ok(())
}
