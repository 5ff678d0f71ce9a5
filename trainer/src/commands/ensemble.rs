//! `tocco ensemble`: several models become one.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use tocco_models::{Model, NONE, write_with_folder};

use crate::engine::{self, Provider};
use crate::ensemble::{self, Heard, Member};
use crate::export::check_output;
use crate::manifest::{Manifest, Row, Split};

/// Largest difference of a logit between the engines: logarithms of small numbers are further apart than these are.
const TOLERANCE: f32 = 1e-3;

/// Options of `tocco ensemble`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The models to combine: of one task, with the same classes, frontend and hop, all streaming or all windowed.
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// The weights are learnt on the validation split of this manifest.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The ONNX file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The model's name on the panel; the file's by default.
    #[arg(long)]
    name: Option<String>,
}

/// Runs `tocco ensemble`.
///
/// # Errors
/// Where the models can't be run in step, nothing can be validated on, or an engine computes the ensemble differently:
/// no file is left then.
pub fn run(args: Args) -> Result<()> {
    check_output(&args.out)?;
    let members = args.models.iter().map(|path| Member::open(path)).collect::<Result<Vec<_>>>()?;
    let name = args.name.clone().unwrap_or_else(|| {
        args.out.file_stem().map_or_else(|| "ensemble".into(), |stem| stem.to_string_lossy().into_owned())
    });
    // What can't be merged is told before anything is heard.
    ensemble::merged(&members, &vec![1.0 / members.len() as f64; members.len()], &name)?;
    let heard = heard(&args, &members)?;
    let task = members[0].card().task;
    let observations: Vec<_> = heard.iter().flat_map(|heard| heard.observations(task)).collect();
    ensure!(!observations.is_empty(), "no recording of the validation split says what sounds in it");
    let weights = ensemble::learnt(&observations, members.len());
    let bytes = ensemble::merged(&members, &weights, &name)?;
    let checked = check(&bytes)?;
    write_with_folder(&args.out, &bytes)?;
    super::remark(checked);
    summary(&args, &weights, &heard)
}

fn heard(args: &Args, members: &[Member]) -> Result<Vec<Heard>> {
    let manifest = Manifest::read(&args.manifest)?;
    for remark in manifest.remarks() {
        super::remark(remark);
    }
    let classes = &members[0].card().classes;
    let rows: Vec<&Row> = manifest.split(Split::Val).collect();
    for label in rows.iter().flat_map(|row| &row.labels) {
        ensure!(
            classes.contains(label) || label == NONE,
            "{}: the models know no class «{label}»; their classes are {}",
            args.manifest.display(),
            classes.join(", ")
        );
    }
    let ears = ensemble::ears(&args.models)?;
    let heard = ensemble::hear_all(&ears, &rows, |error| {
        super::remark(format_args!("skipped {}", super::sentence(error)));
    });
    if heard.is_empty() {
        bail!("{}: there is no recording to validate on", args.manifest.display());
    }
    Ok(heard)
}

/// tract runs the reference when it loads the model; ONNX Runtime, where it is found, must answer the same.
fn check(bytes: &[u8]) -> Result<String> {
    let model = Model::from_bytes(bytes)?;
    let library = match engine::library(None) {
        Ok(library) => library,
        Err(why) => return Ok(format!("tract agrees with the members; ONNX Runtime: not checked: {why:#}")),
    };
    let card = model.card();
    let mut runner = engine::runner_from_bytes(bytes, card, &library, Provider::Cpu)?;
    let mut logits = vec![0.0; card.classes.len()];
    let mut difference = 0.0_f32;
    if let Some(reference) = &card.reference {
        let steps = reference.input.chunks_exact(card.step_input());
        for (frames, wanted) in steps.zip(reference.output.chunks_exact(logits.len())) {
            runner.step(frames, &mut logits)?;
            for (got, wanted) in logits.iter().zip(wanted) {
                let distance = (got - wanted).abs();
                difference = difference.max(if distance.is_nan() { f32::INFINITY } else { distance });
            }
        }
    }
    ensure!(
        difference <= TOLERANCE,
        "ONNX Runtime computes the ensemble differently: a logit is off by {difference:.1e}"
    );
    Ok(format!("tract and ONNX Runtime agree with the members; largest difference {difference:.1e}"))
}

/// The weights, and how many recordings of the validation split each model gets right.
fn summary(args: &Args, weights: &[f64], heard: &[Heard]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let sounding: Vec<&Heard> = heard.iter().filter(|h| h.sounds()).collect();
    let accuracy =
        |weights: &[f64]| sounding.iter().filter(|h| h.right(weights)).count() as f64 / sounding.len().max(1) as f64;
    writeln!(out, "{:>7} {:>9}  model", "weight", "accuracy")?;
    for (index, (path, weight)) in args.models.iter().zip(weights).enumerate() {
        let alone: Vec<f64> = (0..weights.len()).map(|i| f64::from(u8::from(i == index))).collect();
        writeln!(out, "{weight:>7.3} {:>9.3}  {}", accuracy(&alone), path.display())?;
    }
    writeln!(out, "{:>7.3} {:>9.3}  {}", 1.0, accuracy(weights), args.out.display())?;
    writeln!(
        out,
        "accuracy: share of {} validation recordings in which a class sounds; the weights were learnt on all {}",
        sounding.len(),
        heard.len()
    )?;
    Ok(())
}
