//! `tocco evaluate`: figures of a model on recordings that it never heard.
//!
//! Every recording runs through the same recognizer as in the plugin, with smoothing off. The hops that count are
//! those with the noise gate open (all of them where it never opens: a noise too soft for the gate must still come
//! out as `none`). Per hop the decision is the most probable class; the class of a recording is the one with the
//! largest mean probability over its hops.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use tocco_models::{Policy, Smoothing};

use crate::collect::{self, GroupBy, LabelFrom};
use crate::engine::Provider;
use crate::listen::{Ear, Engine};
use crate::manifest::{Manifest, Split};
use crate::metrics::{Figures, argmax};
use crate::predictions::{Prediction, Predictions};

/// Options of `tocco evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file, or the name of a shipped model (techniques, instruments).
    #[arg(long, value_name = "MODEL", required_unless_present = "from_predictions")]
    model: Option<PathBuf>,
    /// Recordings and labels.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    manifest: Option<PathBuf>,
    /// Which part of the manifest, or of a folder that holds train, val and test.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// A folder CLASS/files or train|val|test/DATASET/CLASS/files instead of a manifest.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write confusion.csv, confusion.svg, confusion-frames.csv, predictions.csv and report.json into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write what was predicted for each recording, to be pooled with --from-predictions.
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Run no model: pool predictions, e.g. of all folds, and print the figures over all of them.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["model", "manifest", "data"])]
    from_predictions: Vec<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// What runs the network.
    #[arg(long, value_enum, default_value = "tract")]
    engine: Engine,
    /// Where ONNX Runtime runs it.
    #[arg(long, value_enum, default_value = "cpu")]
    execution_provider: Provider,
    /// Level from which the noise gate opens, in dBFS.
    #[arg(long, allow_hyphen_values = true, default_value_t = Policy::default().gate_dbfs)]
    gate_dbfs: f32,
}

/// Everything that `--json` prints.
#[derive(Serialize)]
struct Report {
    model: String,
    source: String,
    /// Decisions for whole recordings.
    files: Figures,
    /// Decisions hop by hop.
    frames: Figures,
    /// Recordings that could not be used.
    skipped: usize,
}

/// Runs `tocco evaluate`.
///
/// # Errors
/// The model or manifest is refused, or no recording can be used.
pub fn run(args: Args) -> Result<()> {
    let start = Instant::now();
    let (predictions, model, source, skipped) = match &args.model {
        Some(model) => {
            let ear = Ear::open(model, args.engine, args.execution_provider)?;
            let Chosen { wanted, source, skipped } = recordings(&args, &ear)?;
            let (predictions, unusable) = predict(&ear, &wanted, args.gate_dbfs)?;
            (predictions, ear.model.card().name.clone(), source, skipped + unusable)
        }
        None => {
            let pooled = Predictions::pool(&args.from_predictions)?;
            (pooled, "pooled predictions".to_owned(), format!("{} files", args.from_predictions.len()), 0)
        }
    };
    let (files, hops) = predictions.confusions();
    let report = Report { model, source, files: files.figures(), frames: hops.figures(), skipped };
    if let Some(path) = &args.predictions {
        tocco_models::write_beside(path, &predictions.to_csv()?)?;
    }
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder can't be made", folder.display()))?;
        let title = format!("{}, {}: {} recordings", report.model, report.source, report.files.count);
        tocco_models::write_beside(&folder.join("confusion.csv"), &files.to_csv()?)?;
        tocco_models::write_beside(&folder.join("confusion.svg"), files.to_svg(&title)?.as_bytes())?;
        tocco_models::write_beside(&folder.join("confusion-frames.csv"), &hops.to_csv()?)?;
        tocco_models::write_beside(&folder.join("predictions.csv"), &predictions.to_csv()?)?;
        tocco_models::write_beside(&folder.join("report.json"), &serde_json::to_vec_pretty(&report)?)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{} on {} ({:.1} s)", report.model, report.source, start.elapsed().as_secs_f64())?;
    write!(out, "{}", report.files.table("recordings", ""))?;
    let f = &report.frames;
    writeln!(
        out,
        "{:24} {:>9} accuracy {:.4}  macro-recall {:.4}  macro-precision {:.4}  macro-F1 {:.4}",
        "hops", f.count, f.accuracy, f.macro_recall, f.macro_precision, f.macro_f1
    )?;
    if skipped > 0 {
        writeln!(out, "{skipped} recordings were skipped; each is named above with its reason")?;
    }
    Ok(())
}

/// A recording and the index of its class.
type Wanted = (PathBuf, usize);

/// What is to be evaluated.
struct Chosen {
    wanted: Vec<Wanted>,
    /// In words, where it comes from.
    source: String,
    /// Recordings that should be among them but are missing or have no label.
    skipped: usize,
}

/// What the options choose.
fn recordings(args: &Args, ear: &Ear) -> Result<Chosen> {
    let split = args.split;
    let (labelled, source, skipped) = match (&args.manifest, &args.data) {
        (Some(path), _) => {
            let manifest = Manifest::read(path)?;
            for remark in manifest.remarks() {
                super::remark(remark);
            }
            let rows: Vec<_> = manifest.split(split).map(|r| (r.path.clone(), r.labels.clone())).collect();
            let missing = manifest.missing.iter().filter(|(_, row)| row.split == split).count();
            (rows, format!("{}, split {}", path.display(), split.name()), missing)
        }
        (None, Some(folder)) => {
            let found = collect::collect(std::slice::from_ref(folder), &LabelFrom::Folder, &GroupBy::File)?;
            for (path, reason) in &found.skipped {
                super::remark(format_args!("skipped {}: {reason}", path.display()));
            }
            // Folders that name the splits do so for all candidates: the others hold what the model learnt from.
            let source = if found.candidates.iter().any(|c| c.split.is_some()) {
                format!("{}, split {}", folder.display(), split.name())
            } else {
                folder.display().to_string()
            };
            let chosen = found.candidates.into_iter().filter(|c| c.split.is_none_or(|s| s == split));
            let rows = chosen.map(|c| (c.path, c.labels)).collect();
            (rows, source, found.skipped.len())
        }
        (None, None) => bail!("say what to evaluate on: --manifest FILE or --data DIR"),
    };
    ensure!(!labelled.is_empty(), "{source}: there is no recording to evaluate on");
    let classes = &ear.model.card().classes;
    let mut wanted = Vec::with_capacity(labelled.len());
    for (path, labels) in labelled {
        let [label] = labels.as_slice() else {
            bail!(
                "{}: it has {} labels ({}): recordings of several classes at once can't be evaluated yet",
                path.display(),
                labels.len(),
                labels.join(", ")
            );
        };
        let class = classes.iter().position(|c| c == label).with_context(|| {
            format!("{}: the model knows no class «{label}»; its classes are {}", path.display(), classes.join(", "))
        })?;
        wanted.push((path, class));
    }
    Ok(Chosen { wanted, source, skipped })
}

/// Hears every recording, in parallel. Those that can't be used are named and counted.
fn predict(ear: &Ear, wanted: &[Wanted], gate_dbfs: f32) -> Result<(Predictions, usize)> {
    let raw = Smoothing::MovingAverage { ms: 0.0 };
    let policy = Policy { gate_dbfs, smoothing: raw, ..Policy::default() };
    policy.check()?;
    let bar = ProgressBar::new(wanted.len() as u64)
        .with_style(ProgressStyle::with_template("listening {bar:40} {pos}/{len} {eta} left")?);
    let heard: Vec<Result<Prediction>> = wanted
        .par_iter()
        .map(|(path, label)| {
            let heard = hear(ear, path, *label, &policy)?;
            if heard.hops.iter().sum::<u64>() > 0 {
                return Ok(heard);
            }
            // The gate's lowest threshold takes everything but digital silence.
            let all = hear(ear, path, *label, &Policy { gate_dbfs: -120.0, ..policy })?;
            ensure!(all.hops.iter().sum::<u64>() > 0, "{}: it holds nothing but silence", path.display());
            Ok(Prediction { open_hops: 0, ..all })
        })
        .inspect(|_| bar.inc(1))
        .collect();
    bar.finish_and_clear();
    let mut rows = Vec::with_capacity(heard.len());
    let mut skipped = 0;
    for outcome in heard {
        match outcome {
            Ok(row) => rows.push(row),
            Err(error) => {
                super::remark(format_args!("skipped {}", super::sentence(&error)));
                skipped += 1;
            }
        }
    }
    ensure!(!rows.is_empty(), "none of the {skipped} recordings can be used");
    Ok((Predictions { classes: ear.model.card().classes.clone(), rows }, skipped))
}

/// Mean probabilities and decisions over the hops with the gate open.
fn hear(ear: &Ear, path: &Path, label: usize, policy: &Policy) -> Result<Prediction> {
    let classes = ear.model.card().classes.len();
    let mut sums = vec![0.0_f64; classes];
    let mut hops = vec![0_u64; classes];
    let heard = ear.hear(path, policy, |decision, _| {
        if decision.gate_open {
            for (sum, p) in sums.iter_mut().zip(decision.posterior) {
                *sum += f64::from(*p);
            }
            hops[argmax(decision.posterior)] += 1;
        }
        Ok(())
    })?;
    if let Some(damage) = heard.damage {
        return Err(damage.into());
    }
    let open_hops: u64 = hops.iter().sum();
    // A mean of probabilities fits any float.
    #[allow(clippy::cast_possible_truncation)]
    let mean = sums.iter().map(|s| (s / open_hops.max(1) as f64) as f32).collect();
    Ok(Prediction { file: path.display().to_string(), label, mean, hops, open_hops })
}
