//! Which split each recording comes to stand in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use regex::Regex;

use super::{Args, SplitFrom};
use crate::commands::remark;
use crate::importers::Dataset;
use crate::manifest::{Row, Split, on_two_sides, sorted_classes};
use crate::split::{self, Group, TooFew};

/// Sets every row's split: as folders or the dataset say, where they do; else by ratio or fold.
pub(super) fn deal_out(rows: &mut [Row], presets: &[Option<Split>], args: &Args) -> Result<()> {
    let preset = presets.iter().filter(|s| s.is_some()).count();
    let named = if args.dataset == Dataset::Folders { "the folders name the splits" } else { "the dataset has splits" };
    let is_preset = match args.split {
        Some(SplitFrom::Dealt) => false,
        Some(SplitFrom::Official) => {
            ensure!(preset > 0, "--split official: neither the dataset nor its folders name splits here");
            true
        }
        None => preset > 0,
    };
    if !is_preset {
        ensure!(
            args.val_from.is_none(),
            "--val-from is for splits that folders or datasets name: here --val-ratio alone decides"
        );
        return match (args.folds, args.fold, &args.hold_out) {
            (Some(folds), Some(fold), _) => deal_folds(rows, folds, fold, args),
            (_, _, Some(held_out)) => hold_out(rows, held_out, args),
            _ => deal_ratios(rows, args),
        };
    }
    ensure!(preset == rows.len(), "some folders name the splits and some do not: prepare them one by one");
    let others = [
        ("--folds", args.folds.is_some()),
        ("--hold-out", args.hold_out.is_some()),
        ("--test-ratio", args.test_ratio.is_some()),
    ];
    if let Some((option, _)) = others.iter().find(|(_, given)| *given) {
        bail!("{named} (train, val, test): {option} can't change them; --split dealt takes no notice of them");
    }
    for (row, preset) in rows.iter_mut().zip(presets) {
        row.split = preset.unwrap_or(row.split);
    }
    if presets.contains(&Some(Split::Val)) {
        let given = [("--val-from", args.val_from.is_some()), ("--val-ratio", args.val_ratio.is_some())];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
            bail!("{option}: {named}, and validation is one of them");
        }
    } else {
        take_validation(rows, args)?;
    }
    if args.dataset == Dataset::Nsynth {
        part_instruments(rows);
    }
    whole_groups(rows, args)
}

/// NSynth keeps the instruments of its training apart from the others; validation and test are notes of the same ones.
fn part_instruments(rows: &mut [Row]) {
    let groups = |rows: &[Row], split| -> BTreeSet<String> {
        rows.iter().filter(|row| row.split == split).map(|row| row.group.clone()).collect()
    };
    let both = &groups(rows, Split::Val) & &groups(rows, Split::Test);
    for row in rows.iter_mut().filter(|row| row.split == Split::Val && both.contains(&row.group)) {
        row.group += "/valid";
    }
    if !both.is_empty() {
        remark(format_args!(
            "{} instruments stand in NSynth's validation and in its test: figures are of new notes of instruments that \
             validation has heard; --split dealt keeps instruments whole",
            both.len()
        ));
    }
}

/// Takes validation out of the split that `--val-from` says, by groups.
fn take_validation(rows: &mut [Row], args: &Args) -> Result<()> {
    let from = args.val_from.map_or(Split::Train, super::ValFrom::split);
    let there: Vec<usize> = (0..rows.len()).filter(|r| rows[*r].split == from).collect();
    ensure!(!there.is_empty() || args.val_from.is_none(), "--val-from {}: that split is empty", from.name());
    let parts = assign(rows, &there, &[1.0 - args.val_ratio(), args.val_ratio()], args.seed, "splits")?;
    for (r, part) in there.into_iter().zip(parts) {
        rows[r].split = [from, Split::Val][part];
    }
    let (what, share) = (from.name(), 100.0 * args.val_ratio());
    let none =
        if args.dataset == Dataset::Folders { "there is no folder «val»" } else { "there is no split «val»" };
    remark(format_args!("{none}: {share:.0} % of «{what}» is taken for validation"));
    Ok(())
}

fn whole_groups(rows: &[Row], args: &Args) -> Result<()> {
    let lies = if args.dataset == Dataset::Folders { "lies in the folders" } else { "stands in the splits" };
    if let Some((group, [one, other])) = on_two_sides(rows) {
        bail!(
            "the group «{group}» {lies} «{}» and «{}»: figures would flatter; move its recordings into one of them, or \
             group otherwise (--group-by)",
            one.name(),
            other.name()
        );
    }
    Ok(())
}

fn deal_ratios(rows: &mut [Row], args: &Args) -> Result<()> {
    let all: Vec<usize> = (0..rows.len()).collect();
    let weights = [1.0 - args.val_ratio() - args.test_ratio(), args.val_ratio(), args.test_ratio()];
    for (r, part) in assign(rows, &all, &weights, args.seed, "splits")?.into_iter().enumerate() {
        rows[r].split = Split::ALL[part];
    }
    Ok(())
}

fn deal_folds(rows: &mut [Row], folds: usize, fold: usize, args: &Args) -> Result<()> {
    let all: Vec<usize> = (0..rows.len()).collect();
    let fold_of = assign(rows, &all, &vec![1.0; folds], args.seed, "folds")?;
    let rest: Vec<usize> = all.into_iter().filter(|r| fold_of[*r] != fold).collect();
    test_all_but(rows, rest, args)
}

fn hold_out(rows: &mut [Row], held_out: &Regex, args: &Args) -> Result<()> {
    let rest: Vec<usize> = (0..rows.len()).filter(|r| !held_out.is_match(&rows[*r].group)).collect();
    let example = rows.first().map_or("", |row| row.group.as_str());
    ensure!(
        rest.len() < rows.len(),
        "--hold-out {held_out}: no group of recordings matches; one of them is «{example}»"
    );
    ensure!(!rest.is_empty(), "--hold-out {held_out}: every group of recordings matches: nothing is left for training");
    test_all_but(rows, rest, args)
}

/// Divides the `rest` into training and validation, by groups; all others are the test.
fn test_all_but(rows: &mut [Row], rest: Vec<usize>, args: &Args) -> Result<()> {
    let parts = assign(rows, &rest, &[1.0 - args.val_ratio(), args.val_ratio()], args.seed, "splits")?;
    rows.iter_mut().for_each(|row| row.split = Split::Test);
    for (r, part) in rest.into_iter().zip(parts) {
        rows[r].split = [Split::Train, Split::Val][part];
    }
    Ok(())
}

/// The part of each of the chosen rows. `of` is what the parts are called: splits or folds.
fn assign(rows: &[Row], chosen: &[usize], weights: &[f64], seed: u64, of: &str) -> Result<Vec<usize>> {
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
             {of}: record more of it, or take it out"
        )
    })?;
    let part_of: BTreeMap<&str, usize> = groups.iter().map(|g| g.name.as_str()).zip(parts).collect();
    Ok(chosen.iter().map(|r| part_of[rows[*r].group.as_str()]).collect())
}

/// A sentence for each class that some split has no recording of, though the split has others: folders and datasets
/// may divide so.
pub(super) fn lopsided(rows: &[Row]) -> Vec<String> {
    let splits: Vec<Split> = Split::ALL.into_iter().filter(|s| rows.iter().any(|r| r.split == *s)).collect();
    let named = |splits: &[Split]| splits.iter().map(|s| format!("«{}»", s.name())).collect::<Vec<_>>().join(" and ");
    let mut sentences = Vec::new();
    for class in sorted_classes(rows.iter().flat_map(Row::spoken_of)) {
        let holds = |split: Split| rows.iter().any(|r| r.split == split && r.labels.contains(&class));
        let (with, without): (Vec<Split>, Vec<Split>) = splits.iter().copied().partition(|s| holds(*s));
        if without.is_empty() {
            continue;
        }
        let with = if with.is_empty() { "no split".to_owned() } else { format!("{} only", named(&with)) };
        sentences.push(format!(
            "the class «{class}» occurs in {with}, not in {}: no model can be trained and judged on it; move some of its \
             recordings, or drop it (--label-map)",
            named(&without)
        ));
    }
    sentences
}
