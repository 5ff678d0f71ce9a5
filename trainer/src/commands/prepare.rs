//! `tocco prepare`: folders of recordings become a manifest.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use crate::audio;
use crate::collect::{self, Candidate, Found, GroupBy, LabelFrom};
use crate::labels::Table;
use crate::manifest::{Manifest, Row, Split, sorted_classes};
use crate::split::{self, Group, TooFew};

/// Options of `tocco prepare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of recordings: CLASS/files, or train|val|test/DATASET/CLASS/files.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// The manifest to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A table that says what each recording is (default with --label-set: the built-in one).
    #[arg(long, value_name = "FILE", conflicts_with = "label_from")]
    labels: Option<PathBuf>,
    /// Which label set of the table: double-bass, strings, instruments, techniques, ... (default: its only one).
    #[arg(long, value_name = "NAME", conflicts_with = "label_from")]
    label_set: Option<String>,
    /// Where labels come from without a table.
    #[arg(long, value_enum, default_value = "folder")]
    label_from: LabelSource,
    /// What stays on one side of a split: table, file, pitch, dir:N (the N-th folder above the file) or
    /// regex:EXPRESSION (default: table with a table of labels, else file).
    #[arg(long, value_name = "RULE")]
    group_by: Option<GroupBy>,
    /// Share of the recordings for validation; with --folds, of those that are not in the test fold.
    #[arg(long, default_value_t = 0.2)]
    val_ratio: f64,
    /// Share of the recordings for the test.
    #[arg(long, default_value_t = 0.2, conflicts_with = "folds")]
    test_ratio: f64,
    /// Cut the groups into so many folds; --fold says which of them is the test.
    #[arg(long, value_name = "K", requires = "fold")]
    folds: Option<usize>,
    /// The fold that is the test, from 0 to K - 1.
    #[arg(long, value_name = "I", requires = "folds")]
    fold: Option<usize>,
    /// Decides how groups are dealt out; the same seed gives the same manifest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LabelSource {
    /// The folder that a file lies in is its class.
    Folder,
}

/// Runs `tocco prepare`.
///
/// # Errors
/// Nothing usable was found, a class has too few groups for every split, or the manifest can't be written.
pub fn run(args: Args) -> Result<()> {
    args.check()?;
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
    let group_by = args.group_by.as_ref().unwrap_or(&default_group);
    let mut found = collect::collect(&args.dirs, &label_from, group_by)?;
    if found.candidates.is_empty() {
        report_skipped(&found);
        bail!("no recording with a label was found in {}", shown(&args.dirs));
    }
    if let Some(candidate) = found.candidates.iter().find(|c| c.labels.iter().any(|l| l.contains(';'))) {
        let path = candidate.path.display();
        bail!("{path}: a class name can't hold a semicolon, which separates labels: rename it");
    }
    let (mut rows, presets) = decode_all(&mut found)?;
    report_skipped(&found);
    if rows.is_empty() {
        bail!("none of the recordings in {} can be used", shown(&args.dirs));
    }
    deal_out(&mut rows, &presets, &args)?;
    Manifest::write(&args.out, &rows)?;
    summary(&args, &rows, &found)
}

impl Args {
    fn check(&self) -> Result<()> {
        for (name, ratio) in [("--val-ratio", self.val_ratio), ("--test-ratio", self.test_ratio)] {
            ensure!((0.0..1.0).contains(&ratio), "{name} is {ratio}: it must lie between 0 and 1");
        }
        ensure!(
            self.folds.is_some() || self.val_ratio + self.test_ratio < 1.0,
            "--val-ratio and --test-ratio together are {}: nothing is left for training",
            self.val_ratio + self.test_ratio
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

/// Decodes every candidate, in parallel; those that fail move to `found.skipped`.
fn decode_all(found: &mut Found) -> Result<(Vec<Row>, Vec<Option<Split>>)> {
    let bar = ProgressBar::new(found.candidates.len() as u64)
        .with_style(ProgressStyle::with_template("decoding {bar:40} {pos}/{len} {eta} left")?);
    let decoded: Vec<_> = found
        .candidates
        .par_iter()
        .map(|c| audio::decode(&c.path).map(|sound| (sound.duration_s(), sound.rate)))
        .inspect(|_| bar.inc(1))
        .collect();
    bar.finish_and_clear();
    let mut rows = Vec::new();
    let mut presets = Vec::new();
    for (candidate, decoded) in std::mem::take(&mut found.candidates).into_iter().zip(decoded) {
        let Candidate { path, labels, known, group, split, source: (collection, licence) } = candidate;
        match decoded {
            Ok((duration_s, sample_rate)) => {
                presets.push(split);
                let split = split.unwrap_or(Split::Train);
                rows.push(Row { path, labels, known, group, split, duration_s, sample_rate, collection, licence });
            }
            Err(error) => {
                let reason = error.to_string();
                let named = format!("{}: ", path.display());
                found.skipped.push((path, reason.strip_prefix(&named).unwrap_or(&reason).to_owned()));
            }
        }
    }
    Ok((rows, presets))
}

/// Sets every row's split: as the folders say, where they do; else by ratio or fold.
fn deal_out(rows: &mut [Row], presets: &[Option<Split>], args: &Args) -> Result<()> {
    let preset = presets.iter().filter(|s| s.is_some()).count();
    if preset == 0 {
        return match (args.folds, args.fold) {
            (Some(folds), Some(fold)) => deal_folds(rows, folds, fold, args),
            _ => deal_ratios(rows, args),
        };
    }
    ensure!(preset == rows.len(), "some folders name the splits and some do not: prepare them one by one");
    ensure!(args.folds.is_none(), "the folders name the splits (train, val, test): --folds can't change them");
    if !presets.contains(&Some(Split::Val)) {
        let in_train: Vec<usize> = (0..rows.len()).filter(|r| presets[*r] == Some(Split::Train)).collect();
        let parts = assign(rows, &in_train, &[1.0 - args.val_ratio, args.val_ratio], args.seed)?;
        for (r, part) in in_train.into_iter().zip(parts) {
            rows[r].split = [Split::Train, Split::Val][part];
        }
        super::remark(format_args!(
            "there is no folder «val»: {} of «train» is taken for validation",
            percent(args.val_ratio)
        ));
    }
    let mut sides: BTreeMap<&str, Split> = BTreeMap::new();
    for row in rows.iter() {
        let side = *sides.entry(&row.group).or_insert(row.split);
        ensure!(
            side == row.split,
            "the group «{}» lies in the folders «{}» and «{}»: figures would flatter; move its recordings into one of \
             them, or group otherwise (--group-by)",
            row.group,
            side.name(),
            row.split.name()
        );
    }
    Ok(())
}

fn deal_ratios(rows: &mut [Row], args: &Args) -> Result<()> {
    let all: Vec<usize> = (0..rows.len()).collect();
    let weights = [1.0 - args.val_ratio - args.test_ratio, args.val_ratio, args.test_ratio];
    for (r, part) in assign(rows, &all, &weights, args.seed)?.into_iter().enumerate() {
        rows[r].split = Split::ALL[part];
    }
    Ok(())
}

fn deal_folds(rows: &mut [Row], folds: usize, fold: usize, args: &Args) -> Result<()> {
    let all: Vec<usize> = (0..rows.len()).collect();
    let fold_of = assign(rows, &all, &vec![1.0; folds], args.seed)?;
    let rest: Vec<usize> = all.into_iter().filter(|r| fold_of[*r] != fold).collect();
    let parts = assign(rows, &rest, &[1.0 - args.val_ratio, args.val_ratio], args.seed)?;
    for row in rows.iter_mut() {
        row.split = Split::Test;
    }
    for (r, part) in rest.into_iter().zip(parts) {
        rows[r].split = [Split::Train, Split::Val][part];
    }
    Ok(())
}

/// The part of each of the chosen rows.
fn assign(rows: &[Row], chosen: &[usize], weights: &[f64], seed: u64) -> Result<Vec<usize>> {
    let mut groups: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for r in chosen {
        let classes = groups.entry(&rows[*r].group).or_default();
        for label in &rows[*r].labels {
            *classes.entry(label.clone()).or_default() += 1;
        }
    }
    let groups: Vec<Group> =
        groups.into_iter().map(|(name, classes)| Group { name: name.to_owned(), classes }).collect();
    let parts = split::assign(&groups, weights, seed).map_err(|TooFew { class, groups, parts }| {
        let plural = if groups == 1 { "" } else { "s" };
        anyhow::anyhow!(
            "the class «{class}» has {groups} independent group{plural} of recordings, but must stand in {parts} \
             splits: record more of it, or take it out"
        )
    })?;
    let part_of: BTreeMap<&str, usize> = groups.iter().map(|g| g.name.as_str()).zip(parts).collect();
    Ok(chosen.iter().map(|r| part_of[rows[*r].group.as_str()]).collect())
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

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
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
    for class in sorted_classes(rows.iter().flat_map(|r| r.labels.iter().map(String::as_str))) {
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
        writeln!(out, "{} recordings are no part of this label set", found.outside)?;
    }
    if found.ungrouped > 0 {
        writeln!(out, "{} recordings have nothing to group by and stand alone", found.ungrouped)?;
    }
    Ok(())
}
