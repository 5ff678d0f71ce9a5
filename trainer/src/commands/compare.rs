//! `tocco compare`: models side by side, on the same recordings and in the same minutes of the same machine.
//!
//! Where every recording has one label, each model's answer is its most probable class; else every class that reaches
//! the threshold in its model's card. Models with different classes are compared on the recordings whose labels all of
//! them know. Each may still answer with any class of its own, and an answer outside the shared ones is a mistake: on a
//! stage nobody takes classes away from a model. A model of fewer classes has fewer ways to err; the remark says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tocco_models::{NONE, Policy, Task};

use super::engine::EngineArgs;
use crate::cost::{Hop, Step, Work, hop_s, medians_us};
use crate::engine::{self, Provider};
use crate::evaluation::{Wanted, predict};
use crate::listen::{Ear, Engine};
use crate::manifest::{Manifest, Row, Split};
use crate::metrics::{Bootstrap, Interval, Scored, SetFigures, mean_average_precision, set_figures};
use crate::predictions::Predictions;

mod table;

/// Options of `tocco compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model files, or names of shipped models; the first is what the others are compared with.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Recordings and labels.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Which part of the manifest.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// How the table is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: table::Format,
    /// The rate of the sound that cost and latency are given for, in Hz.
    #[arg(long, default_value_t = 48_000.0)]
    sample_rate: f64,
    /// Draws for the 95 % intervals: of whole groups of the manifest, so that the takes of one note go together.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Level from which the noise gate opens, in dBFS.
    #[arg(long, allow_hyphen_values = true, default_value_t = Policy::default().gate_dbfs)]
    gate_dbfs: f32,
    /// What listens to the recordings; cost is told for tract and ONNX Runtime alike.
    #[command(flatten)]
    engine: EngineArgs,
}

/// Everything that is printed.
#[derive(Debug, Serialize)]
struct Comparison {
    source: String,
    /// The classes that all models know.
    classes: Vec<String>,
    recordings: usize,
    /// Recordings of other classes, left out.
    left_out: usize,
    /// Recordings that a model could not use, left out for all.
    skipped: usize,
    /// Whether each recording has one class, and the strongest one is judged; else thresholds decide.
    one_class_each: bool,
    resamples: u32,
    groups: usize,
    seed: u64,
    /// In the order of the command line.
    models: Vec<Column>,
}

/// What is told of one model.
#[derive(Debug, Serialize)]
struct Column {
    file: String,
    name: String,
    task: Task,
    /// Share of recordings that are right: the one class, or the whole set.
    accuracy: Interval,
    macro_f1: Interval,
    macro_recall: Interval,
    mean_average_precision: Option<Interval>,
    /// This model's macro-F1 less the first one's, on the same draws; absent for the first.
    macro_f1_difference: Option<Interval>,
    cost: Cost,
    /// Longest time from sound to decision with the default policy, in seconds, the network's doubt left out.
    latency_s: f64,
    /// Its terms.
    latency_terms_s: BTreeMap<&'static str, f64>,
    bytes: usize,
    parameters: usize,
}

/// Medians on this machine.
#[derive(Debug, Serialize)]
struct Cost {
    /// Milliseconds of sound from one decision to the next.
    hop_ms: f64,
    /// One step of the network in tract.
    network_us: f64,
    /// The whole chain for one hop, in tract.
    chain_us: f64,
    /// The same in ONNX Runtime; absent where its library or the file is not there.
    chain_ort_us: Option<f64>,
    /// Share of one core that the chain takes in tract.
    load: f64,
}

/// Runs `tocco compare`.
///
/// # Errors
/// A model or the manifest is refused, the models have no two classes in common, or no recording can be used.
pub fn run(args: Args) -> Result<()> {
    let ears: Vec<Ear> = args.models.iter().map(|path| args.engine.open(path)).collect::<Result<_>>()?;
    let manifest = Manifest::read(&args.manifest)?;
    for remark in manifest.remarks() {
        super::remark(remark);
    }
    let source = format!("{}, split {}", args.manifest.display(), args.split.name());
    let all: Vec<&Row> = manifest.split(args.split).collect();
    ensure!(!all.is_empty(), "{source}: there is no recording to compare on");
    let (classes, rows) = shared(&ears, &all, &source)?;
    let left_out = all.len() - rows.len();
    let mut heard = Vec::with_capacity(ears.len());
    for (ear, path) in ears.iter().zip(&args.models) {
        super::remark(format_args!("{}: listening to {} recordings", path.display(), rows.len()));
        heard.push(answers(ear, &rows, args.gate_dbfs)?);
    }
    let skipped = only_common(&mut heard, rows.len())?;
    let one_class_each = heard.iter().all(|h| h.rows.iter().all(|row| row.label().is_some()));
    let groups = heard[0].rows.iter().map(|r| r.group.as_str());
    let bootstrap = Bootstrap::new(groups, args.resamples, args.seed);
    let judged: Vec<Judged> = heard.iter().map(|h| Judged::new(h, &classes, one_class_each)).collect();
    let costs = costs(&args)?;
    let columns = judged.iter().zip(costs).enumerate().map(|(i, (model, cost))| {
        let first = (i > 0).then(|| &judged[0]);
        column(&args, (&args.models[i], &ears[i]), (model, first), &bootstrap, cost)
    });
    let comparison = Comparison {
        source,
        recordings: heard[0].rows.len(),
        left_out,
        skipped,
        one_class_each,
        resamples: args.resamples,
        groups: bootstrap.groups(),
        seed: args.seed,
        models: columns.collect::<Result<_>>()?,
        classes,
    };
    let mut out = std::io::stdout().lock();
    out.write_all(table::print(&comparison, args.format)?.as_bytes())?;
    Ok(())
}

/// The classes that all models know, in the first one's order, and the recordings of nothing else.
fn shared<'a>(ears: &[Ear], rows: &[&'a Row], source: &str) -> Result<(Vec<String>, Vec<&'a Row>)> {
    let cards: Vec<_> = ears.iter().map(|ear| ear.model.card()).collect();
    let known: Vec<String> =
        cards[0].classes.iter().filter(|c| cards.iter().all(|card| card.classes.contains(*c))).cloned().collect();
    ensure!(
        known.len() >= 2,
        "the models have fewer than two classes in common ({}): they answer different questions",
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    );
    // Where any number of classes may sound, `none` says that no class does, and every model knows that.
    let may_be_none = cards.iter().all(|card| card.task == Task::Instruments);
    let in_common = |label: &String| known.contains(label) || (may_be_none && label == NONE);
    let chosen: Vec<&Row> = rows.iter().copied().filter(|row| row.labels.iter().all(in_common)).collect();
    ensure!(!chosen.is_empty(), "{source}: no recording holds only classes that all models know: {}", known.join(", "));
    if cards.iter().any(|card| card.classes.len() != known.len()) {
        super::remark(format_args!(
            "the models have different classes: compared on the {} recordings of the {} that all know ({}); an answer \
             outside them is a mistake, so a model of fewer classes has fewer ways to err",
            chosen.len(),
            known.len(),
            known.join(", ")
        ));
    }
    let several = chosen.iter().find(|row| row.labels.len() != 1);
    if let (Some(row), Some(card)) = (several, cards.iter().find(|card| card.task == Task::Technique)) {
        anyhow::bail!(
            "{}: it has {} labels, and «{}» tells one class at a time: compare models of any number of classes on this \
             manifest",
            row.path.display(),
            row.labels.len(),
            card.name
        );
    }
    Ok((known, chosen))
}

fn answers(ear: &Ear, rows: &[&Row], gate_dbfs: f32) -> Result<Predictions> {
    let card = ear.model.card();
    let wanted: Vec<Wanted> = rows.iter().map(|row| Wanted::new(card, row)).collect::<Result<_>>()?;
    Ok(predict(ear, &wanted, gate_dbfs)?.predictions)
}

/// Leaves only the recordings that every model could hear; answers how many went.
fn only_common(heard: &mut [Predictions], asked: usize) -> Result<usize> {
    let files = |h: &Predictions| h.rows.iter().map(|row| row.file.clone()).collect::<BTreeSet<String>>();
    let common = heard.iter().map(files).reduce(|a, b| a.intersection(&b).cloned().collect()).unwrap_or_default();
    heard.iter_mut().for_each(|h| h.rows.retain(|row| common.contains(&row.file)));
    let left = heard.first().map_or(0, |h| h.rows.len());
    ensure!(left > 0, "no recording could be heard by all models");
    Ok(asked - left)
}

/// One model's answers in terms of the shared classes.
struct Judged {
    classes: Vec<String>,
    scored: Vec<Scored>,
    /// `[recording][class]`.
    heard: Vec<Vec<bool>>,
    /// Whether something outside the shared classes was heard.
    outside: Vec<bool>,
}

impl Judged {
    fn new(predictions: &Predictions, shared: &[String], one_class_each: bool) -> Self {
        // Where thresholds decide, `none` is what is left when nothing else is heard, and no class of its own.
        let classes: Vec<String> = shared.iter().filter(|c| one_class_each || *c != NONE).cloned().collect();
        let at = |name: &String| predictions.classes.iter().position(|c| c == name);
        let columns: Vec<usize> = classes.iter().filter_map(at).collect();
        let others = (0..predictions.classes.len()).filter(|c| !columns.contains(c));
        let others: Vec<usize> = others.filter(|c| one_class_each || predictions.classes[*c] != NONE).collect();
        let mut judged = Self { classes, scored: Vec::new(), heard: Vec::new(), outside: Vec::new() };
        for row in &predictions.rows {
            let hears = |c: usize| if one_class_each { row.strongest() == c } else { row.is_heard(c) };
            judged.heard.push(columns.iter().map(|&c| hears(c)).collect());
            judged.outside.push(others.iter().any(|&c| hears(c)));
            judged.scored.push(Scored {
                scores: columns.iter().map(|&c| row.mean[c]).collect(),
                truth: columns.iter().map(|&c| row.truth[c]).collect(),
            });
        }
        judged
    }

    fn figures(&self, weights: &[u32]) -> SetFigures {
        set_figures(&self.classes, &self.scored, weights, |r, c| self.heard[r][c])
    }

    fn right(&self, recording: usize) -> bool {
        let truth = &self.scored[recording].truth;
        let agree = truth.iter().zip(&self.heard[recording]).all(|(t, h)| t.is_none_or(|t| t == *h));
        agree && !self.outside[recording]
    }

    fn accuracy(&self, weights: &[u32]) -> f64 {
        let all: u32 = weights.iter().sum();
        let right: u32 = weights.iter().enumerate().filter(|(r, _)| self.right(*r)).map(|(_, w)| w).sum();
        f64::from(right) / f64::from(all.max(1))
    }
}

fn column(
    args: &Args,
    (path, ear): (&PathBuf, &Ear),
    (model, first): (&Judged, Option<&Judged>),
    bootstrap: &Bootstrap,
    cost: Cost,
) -> Result<Column> {
    let of = |figure: &(dyn Fn(&[u32]) -> f64 + Sync)| {
        bootstrap.interval(|w| Some(figure(w))).context("there is nothing to draw from")
    };
    let latency = ear.recognizer(args.sample_rate, &Policy::default())?.latency();
    let difference = |first: &Judged| of(&|w| model.figures(w).macro_f1 - first.figures(w).macro_f1);
    Ok(Column {
        file: path.display().to_string(),
        name: ear.model.card().name.clone(),
        task: ear.model.card().task,
        accuracy: of(&|w| model.accuracy(w))?,
        macro_f1: of(&|w| model.figures(w).macro_f1)?,
        macro_recall: of(&|w| model.figures(w).macro_recall)?,
        mean_average_precision: bootstrap.interval(mean_average_precision(&model.scored, model.classes.len())),
        macro_f1_difference: first.map(difference).transpose()?,
        cost,
        latency_s: latency.total(),
        latency_terms_s: BTreeMap::from([
            ("resampler", latency.resampler),
            ("window", latency.window),
            ("hop", latency.hop),
            ("smoothing", latency.smoothing),
            ("min_duration", latency.min_duration),
        ]),
        bytes: ear.model.file_bytes(),
        parameters: ear.model.parameters(),
    })
}

/// Every model's cost in both engines, timed in turns.
fn costs(args: &Args) -> Result<Vec<Cost>> {
    super::remark("timing the models in turns");
    let rate = args.sample_rate;
    let open = |path: &PathBuf, engine| Ear::open(path, engine, Provider::Cpu);
    let ears: Vec<Ear> = args.models.iter().map(|path| open(path, Engine::Tract)).collect::<Result<_>>()?;
    let mut works: Vec<Box<dyn Work>> = Vec::new();
    for ear in &ears {
        works.push(Box::new(Step::new(ear)?));
        works.push(Box::new(Hop::new(ear, rate)?));
    }
    // A shipped model is no file that ONNX Runtime could read.
    let has_library = engine::library(None).is_ok();
    let in_ort: Vec<bool> = args.models.iter().map(|path| has_library && path.is_file()).collect();
    for (path, _) in args.models.iter().zip(&in_ort).filter(|(_, there)| **there) {
        works.push(Box::new(Hop::new(&open(path, Engine::Ort)?, rate)?));
    }
    let medians = medians_us(&mut works)?;
    let (in_tract, mut ort) = (&medians[..2 * ears.len()], medians[2 * ears.len()..].iter());
    let cost = |((ear, pair), there): ((&Ear, &[f64]), &bool)| {
        let hop_s = hop_s(ear);
        Cost {
            hop_ms: 1e3 * hop_s,
            network_us: pair[0],
            chain_us: pair[1],
            chain_ort_us: if *there { ort.next().copied() } else { None },
            load: pair[1] / (1e6 * hop_s),
        }
    };
    Ok(ears.iter().zip(in_tract.chunks_exact(2)).zip(&in_ort).map(cost).collect())
}
