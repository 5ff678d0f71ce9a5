//! `tocco prepare`: folders of recordings become a manifest.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use regex::Regex;

use crate::audio;
use crate::collect::{self, Attribute, Candidate, Found, GroupBy, LabelFrom};
use crate::fingerprint::Fingerprint;
use crate::importers::{self, Dataset};
use crate::label_map::LabelMap;
use crate::labels::Table;
use crate::manifest::{Manifest, Row, Split, sorted_classes};

mod deal;
mod near;

/// Options of `tocco prepare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of recordings: CLASS/files, or train|val|test/DATASET/CLASS/files, or as --dataset says.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// The published layout that the folders have.
    #[arg(long, value_enum, value_name = "NAME", default_value = "folders", conflicts_with_all = ["labels", "label_set"])]
    dataset: Dataset,
    /// The manifest to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A table that says what each recording is (default with --label-set: the built-in one).
    #[arg(long, value_name = "FILE", conflicts_with = "label_from")]
    labels: Option<PathBuf>,
    /// Which label set of the table: double-bass, strings, instruments, techniques, ... (default: its only one).
    #[arg(long, value_name = "NAME", conflicts_with = "label_from")]
    label_set: Option<String>,
    /// Where labels come from without a table (default: the folder; with --dataset, the dataset's own labels).
    #[arg(long, value_enum)]
    label_from: Option<LabelSource>,
    /// A file that renames, merges and drops labels.
    #[arg(long, value_name = "FILE")]
    label_map: Option<PathBuf>,
    /// What stays on one side of a split: table, file, pitch, dir:N (the N-th folder above the file) or
    /// regex:EXPRESSION; with --dataset also instrument, technique, player, session, microphone or source, where the
    /// dataset tells it (default: table with a table of labels, the dataset's own rule with --dataset, else file).
    #[arg(long, value_name = "RULE")]
    group_by: Option<GroupBy>,
    /// Whose splits: official are those that the folders or the dataset name (the default where they do), dealt are
    /// by ratio or folds all the same.
    #[arg(long, value_enum)]
    split: Option<SplitFrom>,
    /// Which of the named splits gives validation away by --val-ratio, where none is named (default: train).
    #[arg(long, value_enum)]
    val_from: Option<ValFrom>,
    /// Share of the recordings for validation (default: 0.2); with --folds, of those that are not in the test fold.
    #[arg(long)]
    val_ratio: Option<f64>,
    /// Share of the recordings for the test (default: 0.2).
    #[arg(long, conflicts_with = "folds")]
    test_ratio: Option<f64>,
    /// Cut the groups into so many folds; --fold says which of them is the test.
    #[arg(long, value_name = "K", requires = "fold")]
    folds: Option<usize>,
    /// The fold that is the test, from 0 to K - 1.
    #[arg(long, value_name = "I", requires = "folds")]
    fold: Option<usize>,
    /// Make a player, a room or an instrument the test, whole, and deal out the rest: an expression for the groups, which
    /// the manifest shows (^double-bass/).
    #[arg(long, value_name = "EXPRESSION", conflicts_with_all = ["test_ratio", "folds", "val_from"])]
    hold_out: Option<Regex>,
    /// Decides how groups are dealt out; the same seed gives the same manifest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LabelSource {
    /// The folder that a file lies in is its class.
    Folder,
    /// The instrument, as the dataset tells it.
    Instrument,
    /// The technique, as the dataset tells it.
    Technique,
    /// Who plays or sings, as the dataset tells it.
    Player,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SplitFrom {
    /// The splits that the folders or the dataset name.
    Official,
    /// By ratio or folds.
    Dealt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ValFrom {
    /// A part of what the network would learn from.
    Train,
    /// A part of what the figures would be about.
    Test,
}

impl ValFrom {
    fn split(self) -> Split {
        match self {
            Self::Train => Split::Train,
            Self::Test => Split::Test,
        }
    }
}

/// Runs `tocco prepare`.
///
/// # Errors
/// Nothing usable was found, a class has too few groups for every split, or the manifest can't be written.
pub fn run(args: Args) -> Result<()> {
    args.check()?;
    let map = args.label_map.as_deref().map(LabelMap::load).transpose()?;
    let mut found = find(&args)?;
    if found.candidates.is_empty() {
        report_skipped(&found);
        bail!("no recording with a label was found in {}", shown(&args.dirs));
    }
    if let Some(map) = map {
        relabel(&mut found, &map)?;
    }
    if let Some(candidate) = found.candidates.iter().find(|c| c.labels.iter().any(|l| l.contains(';'))) {
        let path = candidate.path.display();
        bail!("{path}: a class name can't hold a semicolon, which separates labels: rename it");
    }
    let (mut rows, presets, prints) = decode_all(&mut found)?;
    report_skipped(&found);
    if rows.is_empty() {
        bail!("none of the recordings in {} can be used", shown(&args.dirs));
    }
    deal::deal_out(&mut rows, &presets, &args)?;
    for sentence in deal::lopsided(&rows) {
        super::remark(sentence);
    }
    near::warn(&rows, &prints)?;
    Manifest::write(&args.out, &rows)?;
    summary(&args, &rows, &found)
}

/// What the folders hold, by a table of labels, by a dataset's layout or by the folders' names.
fn find(args: &Args) -> Result<Found> {
    let attribute = match args.label_from {
        None | Some(LabelSource::Folder) => None,
        Some(LabelSource::Instrument) => Some(Attribute::Instrument),
        Some(LabelSource::Technique) => Some(Attribute::Technique),
        Some(LabelSource::Player) => Some(Attribute::Player),
    };
    if args.dataset != Dataset::Folders {
        ensure!(args.label_from != Some(LabelSource::Folder), "--label-from folder: leave --dataset out for that");
        let found = importers::import(args.dataset, &args.dirs, attribute, args.group_by.as_ref())?;
        if found.candidates.first().is_some_and(|c| c.source.1.is_empty()) {
            super::remark(
                "the licence of this dataset is not known here: write it into the manifest's column «licence»",
            );
        }
        return Ok(found);
    }
    if let Some(attribute) = attribute {
        bail!("--label-from {}: folders alone do not tell it: name a dataset that does (--dataset)", attribute.name());
    }
    let table = match &args.labels {
        Some(path) => Table::load(path)?,
        None => Table::built_in()?,
    };
    let label_from = match &args.label_set {
        Some(name) => LabelFrom::Table(&table, table.label_set(name)?),
        None if args.labels.is_some() => LabelFrom::Table(&table, table.only_label_set()?),
        None => LabelFrom::Folder,
    };
    let default_group = if matches!(label_from, LabelFrom::Folder) { GroupBy::File } else { GroupBy::Table };
    collect::collect(&args.dirs, &label_from, args.group_by.as_ref().unwrap_or(&default_group))
}

fn relabel(found: &mut Found, map: &LabelMap) -> Result<()> {
    let applied = map.apply(&mut found.candidates);
    for remark in &applied.remarks {
        super::remark(remark);
    }
    ensure!(!found.candidates.is_empty(), "the label map drops the labels of all recordings");
    found.outside += applied.left_out;
    Ok(())
}

impl Args {
    fn val_ratio(&self) -> f64 {
        self.val_ratio.unwrap_or(0.2)
    }

    fn test_ratio(&self) -> f64 {
        self.test_ratio.unwrap_or(0.2)
    }

    fn check(&self) -> Result<()> {
        for (name, ratio) in [("--val-ratio", self.val_ratio()), ("--test-ratio", self.test_ratio())] {
            ensure!((0.0..1.0).contains(&ratio), "{name} is {ratio}: it must lie between 0 and 1");
        }
        ensure!(
            self.folds.is_some() || self.hold_out.is_some() || self.val_ratio() + self.test_ratio() < 1.0,
            "--val-ratio and --test-ratio together are {}: nothing is left for training",
            self.val_ratio() + self.test_ratio()
        );
        if let (Some(folds), Some(fold)) = (self.folds, self.fold) {
            ensure!(folds >= 2, "--folds is {folds}: at least 2 are needed");
            ensure!(fold < folds, "--fold is {fold}: with --folds {folds} it goes from 0 to {}", folds - 1);
        }
        Ok(())
    }
}

fn shown(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Rows, and of each what its folder or dataset says of the split, and its fingerprint.
type Decoded = (Vec<Row>, Vec<Option<Split>>, Vec<Option<Fingerprint>>);

fn bar(doing: &'static str, length: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta} left")?;
    Ok(ProgressBar::new(length as u64).with_style(style).with_message(doing))
}

/// Decodes every candidate, in parallel; those that fail move to `found.skipped`.
fn decode_all(found: &mut Found) -> Result<Decoded> {
    let bar = bar("decoding", found.candidates.len())?;
    let decoded: Vec<_> = found
        .candidates
        .par_iter()
        .map(|c| audio::decode(&c.path).map(|sound| (sound.duration_s(), sound.rate, Fingerprint::of(&sound))))
        .inspect(|_| bar.inc(1))
        .collect();
    bar.finish_and_clear();
    let mut rows = Vec::new();
    let (mut presets, mut prints) = (Vec::new(), Vec::new());
    for (candidate, decoded) in std::mem::take(&mut found.candidates).into_iter().zip(decoded) {
        let Candidate { path, labels, known, group, split, source: (collection, licence) } = candidate;
        match decoded {
            Ok((duration_s, sample_rate, print)) => {
                presets.push(split);
                prints.push(print);
                let split = split.unwrap_or(Split::Train);
                rows.push(Row {
                    path,
                    labels,
                    known,
                    group,
                    split,
                    duration_s,
                    sample_rate,
                    collection,
                    licence,
                    weight: 1.0,
                });
            }
            Err(error) => {
                let reason = error.to_string();
                let named = format!("{}: ", path.display());
                found.skipped.push((path, reason.strip_prefix(&named).unwrap_or(&reason).to_owned()));
            }
        }
    }
    Ok((rows, presets, prints))
}

/// Names every file that was left out, and why, on standard error.
fn report_skipped(found: &Found) {
    for (path, reason) in &found.skipped {
        super::remark(format_args!("skipped {}: {reason}", path.display()));
    }
    for (ending, n) in &found.other_files {
        super::remark(format_args!("skipped {n} files that are no recordings by their names ({ending})"));
    }
}

/// One screen: what went into the manifest.
fn summary(args: &Args, rows: &[Row], found: &Found) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let seconds: f64 = rows.iter().map(|r| r.duration_s).sum();
    let groups: std::collections::BTreeSet<&str> = rows.iter().map(|r| r.group.as_str()).collect();
    writeln!(
        out,
        "{}: {} recordings, {:.1} minutes, {} groups",
        args.out.display(),
        rows.len(),
        seconds / 60.0,
        groups.len()
    )?;
    writeln!(out, "{:24} {:>7} {:>7} {:>7} {:>7}", "class", "train", "val", "test", "groups")?;
    for class in sorted_classes(rows.iter().flat_map(Row::spoken_of)) {
        let of = |split| rows.iter().filter(|r| r.split == split && r.labels.contains(&class)).count();
        let groups: std::collections::BTreeSet<&str> =
            rows.iter().filter(|r| r.labels.contains(&class)).map(|r| r.group.as_str()).collect();
        let [train, val, test] = Split::ALL.map(of);
        writeln!(out, "{class:24} {train:>7} {val:>7} {test:>7} {:>7}", groups.len())?;
    }
    if !found.skipped.is_empty() {
        writeln!(out, "{} recordings were skipped; each is named above with its reason", found.skipped.len())?;
    }
    if found.outside > 0 {
        writeln!(out, "{} recordings hold no label of this label set or map", found.outside)?;
    }
    if found.ungrouped > 0 {
        writeln!(out, "{} recordings have nothing to group by and stand alone", found.ungrouped)?;
    }
    Ok(())
}
