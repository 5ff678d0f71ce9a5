//! `tocco evaluate`: figures of a model on recordings that it never heard, see [`crate::evaluation`].

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tocco_models::{Card, Policy, Task};

use super::engine::EngineArgs;
use super::policy::PolicyArgs;
use crate::collect::{self, GroupBy, LabelFrom};
use crate::evaluation::{
    Continuous, FalseTriggers, NOT_ONE, NoteFigures, Report, Track, TunedOn, Wanted, false_triggers, follow, notes,
    predict, tune,
};
use crate::export::check_output;
use crate::listen::Ear;
use crate::manifest::{Manifest, Row, Split};
use crate::predictions::Predictions;

/// Options of `tocco evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file, or the name of a shipped model (techniques, instruments, bowed-plucked).
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
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["model", "manifest", "data", "tune", "labels"])]
    from_predictions: Vec<PathBuf>,
    /// Fit the temperature, and for each class an offset (one class at a time) or a threshold (any number), to the
    /// manifest's val split. The figures are those before; what the tuning changed stands below them.
    #[arg(long, requires = "manifest")]
    tune: bool,
    /// Write the model with what --tune found in its card.
    #[arg(long, value_name = "OUT.onnx", requires = "tune")]
    write_card: Option<PathBuf>,
    /// Continuous recordings: a label track (start, end, class, separated by tabs, as Audacity writes it), or a folder
    /// of them, NAME.txt or NAME.tsv for each NAME.wav.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["manifest", "data", "predictions", "split"])]
    labels: Option<PathBuf>,
    /// The recordings that the label tracks speak of; those beside them by default.
    #[arg(value_name = "RECORDING", requires = "labels")]
    recordings: Vec<PathBuf>,
    /// How far an onset may lie from the one in the label track, in milliseconds.
    #[arg(long, default_value_t = 50.0, requires = "labels")]
    onset_tolerance_ms: f64,
    /// Count false triggers on a folder of recordings that hold none of the model's classes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["manifest", "data", "predictions", "split"])]
    negatives: Option<PathBuf>,
    /// Measure how soon notes are recognised, with the settings below under «Decision»: each recording must be a single
    /// note.
    #[arg(long, conflicts_with_all = ["tune", "labels", "negatives", "predictions"])]
    notes: bool,
    /// Draws for the 95 % intervals: of whole groups of the manifest, so that the takes of one note go together; of whole
    /// recordings where these are continuous.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
    // Figures of whole recordings depend on the gate alone; --notes, --labels and --negatives on all of it.
    #[command(flatten)]
    policy: PolicyArgs,
}

/// What `--json` prints of single notes.
#[derive(Serialize)]
struct NotesReport {
    model: String,
    source: String,
    classes: Vec<NoteFigures>,
    /// Recordings that could not be used.
    skipped: usize,
}

/// What `--json` prints of continuous recordings.
#[derive(Serialize)]
struct ContinuousReport {
    model: String,
    /// Against label tracks.
    continuous: Option<Continuous>,
    /// On recordings that hold none of the classes.
    false_triggers: Option<FalseTriggers>,
}

/// Runs `tocco evaluate`.
///
/// # Errors
/// The model or manifest is refused, or no recording can be used.
pub fn run(args: Args) -> Result<()> {
    if let Some(path) = &args.write_card {
        check_output(path)?;
    }
    let Some(model) = &args.model else {
        let predictions = Predictions::pool(&args.from_predictions)?;
        let names = ("pooled predictions".to_owned(), format!("{} files", args.from_predictions.len()));
        let report = Report::new(names, &predictions, None, (args.resamples, args.seed));
        return tell(&args, &report, &predictions, Instant::now());
    };
    let start = Instant::now();
    let policy = args.policy.policy()?;
    let ear = args.engine.open(model)?;
    if args.labels.is_some() || args.negatives.is_some() {
        return continuous(&args, &ear, &policy);
    }
    if args.notes {
        return soon(&args, &ear, &policy);
    }
    if policy != (Policy { gate_dbfs: policy.gate_dbfs, ..Policy::default() }) {
        super::remark(
            "figures of whole recordings depend on the gate alone: the other settings of decisions count with --notes, \
             --labels and --negatives",
        );
    }
    let Chosen { rows, validation, source, skipped } = choose(&args)?;
    let (wanted, left) = wanted(&ear, &rows)?;
    ensure!(
        !wanted.is_empty(),
        "{source}: no recording has one label, and only such can judge a model that tells one class at a time"
    );
    let tuned = args.tune.then(|| fit(&args, &ear, model, &rows, &validation, policy.gate_dbfs)).transpose()?;
    let heard = predict(&ear, &wanted, policy.gate_dbfs)?;
    let names = (ear.model.card().name.clone(), source);
    let mut report = Report::new(names, &heard.predictions, Some(&heard.hops), (args.resamples, args.seed));
    report.skipped = skipped + left + heard.skipped;
    if let Some((ear, mut tuned)) = tuned {
        let heard = predict(&ear, &wanted, policy.gate_dbfs)?;
        tuned.calibration_frames = heard.hops.figures();
        report.add_tuned(tuned, &heard.predictions);
    }
    tell(&args, &report, &heard.predictions, start)
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder can't be made", folder.display()))
}

/// Writes a report into the folder of `--out` and prints it with `--json`; whether it was printed.
fn told(args: &Args, file: &str, report: &impl Serialize) -> Result<bool> {
    if let Some(folder) = &args.out {
        make_folder(folder)?;
        tocco_models::write_beside(&folder.join(file), &serde_json::to_vec_pretty(report)?)?;
    }
    if args.json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    }
    Ok(args.json)
}

/// Writes what is asked for and prints the figures.
fn tell(args: &Args, report: &Report, predictions: &Predictions, start: Instant) -> Result<()> {
    if let Some(path) = &args.predictions {
        tocco_models::write_with_folder(path, &predictions.to_csv()?)?;
    }
    if let Some(folder) = &args.out {
        make_folder(folder)?;
        if let Some((files, hops)) = predictions.confusions() {
            let title = format!("{}, {}: {} recordings", report.model, report.source, predictions.rows.len());
            tocco_models::write_beside(&folder.join("confusion.csv"), &files.to_csv()?)?;
            tocco_models::write_beside(&folder.join("confusion.svg"), files.to_svg(&title)?.as_bytes())?;
            tocco_models::write_beside(&folder.join("confusion-frames.csv"), &hops.to_csv()?)?;
        } else {
            super::remark("no confusion matrix is written: a recording holds several classes, or none");
        }
        tocco_models::write_beside(&folder.join("predictions.csv"), &predictions.to_csv()?)?;
    }
    if told(args, "report.json", report)? {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} on {} ({:.1} s)", report.model, report.source, start.elapsed().as_secs_f64())?;
    write!(out, "{}", report.text())?;
    if report.skipped > 0 {
        writeln!(out, "{} recordings were skipped; each is named above with its reason", report.skipped)?;
    }
    Ok(())
}

/// How soon single notes are recognised.
fn soon(args: &Args, ear: &Ear, policy: &Policy) -> Result<()> {
    let chosen = choose(args)?;
    let heard = notes(ear, &chosen.rows, policy)?;
    let report = NotesReport {
        model: ear.model.card().name.clone(),
        source: chosen.source,
        skipped: chosen.skipped + heard.skipped,
        classes: heard.classes,
    };
    if told(args, "notes.json", &report)? {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} on {}: when single notes are recognised", report.model, report.source)?;
    report.classes.iter().try_for_each(|figures| writeln!(out, "  {}", figures.text()))?;
    Ok(())
}

/// Continuous recordings, decided upon as the options say.
fn continuous(args: &Args, ear: &Ear, policy: &Policy) -> Result<()> {
    let tolerance_s = args.onset_tolerance_ms / 1000.0;
    ensure!(
        (0.0..=10.0).contains(&tolerance_s),
        "--onset-tolerance-ms {}: it must lie between 0 and 10000",
        args.onset_tolerance_ms
    );
    let card = ear.model.card();
    let draws = (args.resamples, args.seed);
    let followed =
        |labels: &PathBuf| follow(ear, &Track::find(labels, &args.recordings, card)?, policy, tolerance_s, draws);
    let report = ContinuousReport {
        model: card.name.clone(),
        continuous: args.labels.as_ref().map(followed).transpose()?,
        false_triggers: args.negatives.as_ref().map(|folder| false_triggers(ear, folder, policy, draws)).transpose()?,
    };
    if told(args, "report.json", &report)? {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}: ", report.model)?;
    write!(out, "{}", report.continuous.as_ref().map(Continuous::text).unwrap_or_default())?;
    write!(out, "{}", report.false_triggers.as_ref().map(FalseTriggers::text).unwrap_or_default())?;
    Ok(())
}

/// Fits temperature, offsets and thresholds to the validation split, writes them where asked, and answers with them.
fn fit(
    args: &Args,
    ear: &Ear,
    model: &Path,
    judged: &[Row],
    validation: &[Row],
    gate_dbfs: f32,
) -> Result<(Ear, TunedOn)> {
    let manifest = args.manifest.as_deref().unwrap_or(Path::new("")).display();
    ensure!(
        !validation.is_empty(),
        "{manifest}: it has no split «val»: there is nothing to tune on, and test is for judging"
    );
    let on = format!("{manifest}, split val");
    if args.split == Split::Val {
        super::remark("the figures are of the very recordings that were tuned on: they flatter");
    } else {
        apart(judged, validation).with_context(|| format!("{manifest}: --tune refuses"))?;
    }
    let tuned = tune(ear, model, &wanted(ear, validation)?.0, gate_dbfs)?;
    let (ear, bytes) = ear.with_card(model, &tuned.card)?;
    if let Some(path) = &args.write_card {
        tocco_models::write_with_folder(path, &bytes)?;
        super::remark(format_args!("{}: written, tuned on {on}", path.display()));
    }
    let Card { task, temperature, thresholds, offsets, .. } = tuned.card;
    let thresholds = if task == Task::Instruments { thresholds } else { Vec::new() };
    let (recordings, files, calibration_frames) = (tuned.recordings, None, None);
    Ok((ear, TunedOn { on, recordings, temperature, offsets, thresholds, files, calibration_frames }))
}

/// Refuses a validation split that shares recordings or groups with what is judged.
fn apart(judged: &[Row], validation: &[Row]) -> Result<()> {
    let known = judged.iter().chain(validation).map(|row| row.group.as_str()).collect();
    let groups: BTreeSet<&str> = judged.iter().flat_map(|row| row.groups(&known)).collect();
    let paths: BTreeSet<&Path> = judged.iter().map(|r| r.path.as_path()).collect();
    for row in validation {
        let at = row.path.display();
        ensure!(!paths.contains(row.path.as_path()), "{at} stands in «val» and in the split that is judged");
        if let Some(group) = row.groups(&known).find(|group| groups.contains(group)) {
            bail!("the group «{group}» stands in «val» and in the split that is judged");
        }
    }
    Ok(())
}

/// Those that can judge the model, and how many can't.
fn wanted(ear: &Ear, rows: &[Row]) -> Result<(Vec<Wanted>, usize)> {
    let (wanted, left) = Wanted::of_those(ear.model.card(), rows.iter())?;
    if left > 0 {
        super::remark(format_args!("{left} of {} recordings are left out: {NOT_ONE}", rows.len()));
    }
    Ok((wanted, left))
}

/// What is to be evaluated.
struct Chosen {
    rows: Vec<Row>,
    /// The manifest's split `val`; empty without a manifest.
    validation: Vec<Row>,
    /// In words, where it comes from.
    source: String,
    /// Recordings that should be among them but are missing or have no label.
    skipped: usize,
}

/// What the options choose.
fn choose(args: &Args) -> Result<Chosen> {
    let chosen = match (&args.manifest, &args.data) {
        (Some(path), _) => of_manifest(path, args.split)?,
        (None, Some(folder)) => of_folder(folder, args.split)?,
        (None, None) => bail!("say what to evaluate on: --manifest FILE, --data DIR, or --labels PATH"),
    };
    ensure!(!chosen.rows.is_empty(), "{}: there is no recording to evaluate on", chosen.source);
    Ok(chosen)
}

fn of_manifest(path: &Path, split: Split) -> Result<Chosen> {
    let manifest = Manifest::read(path)?;
    for remark in manifest.remarks() {
        super::remark(remark);
    }
    Ok(Chosen {
        rows: manifest.split(split).cloned().collect(),
        validation: manifest.split(Split::Val).cloned().collect(),
        source: format!("{}, split {}", path.display(), split.name()),
        skipped: manifest.missing.iter().filter(|(_, row)| row.split == split).count(),
    })
}

fn of_folder(folder: &Path, split: Split) -> Result<Chosen> {
    let found = collect::collect(std::slice::from_ref(&folder.to_path_buf()), &LabelFrom::Folder, &GroupBy::File)?;
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
    let row = |c: collect::Candidate| Row {
        group: c.path.display().to_string(),
        path: c.path,
        labels: c.labels,
        known: c.known,
        split,
        duration_s: 0.0,
        sample_rate: 0,
        collection: String::new(),
        licence: String::new(),
        weight: 1.0,
    };
    Ok(Chosen { rows: chosen.map(row).collect(), validation: Vec::new(), source, skipped: found.skipped.len() })
}
