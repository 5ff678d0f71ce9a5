//! `tocco mix`: polyphonic recordings out of single notes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use crate::audio;
use crate::augment::{Choice, Polyphony, Range, Voices};
use crate::manifest::{Manifest, Row, Split};
use crate::mixture::{Mixer, Recipe, shard};

/// Options of `tocco mix`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest of single notes, as `tocco prepare` writes it
    #[arg(long, value_name = "FILE", required_unless_present = "join")]
    manifest: Option<PathBuf>,
    /// Folder for the mixtures and their manifest.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many mixtures, all shards together
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How many notes sound together: each number from the first to the second equally often
    #[arg(long, default_value = "1..6", value_name = "FROM..TO")]
    polyphony: Polyphony,
    /// The same seed gives the same files, bit for bit
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make only one part of N (I from 0 to N - 1), for a job array; all parts together are the whole
    #[arg(long, value_name = "I/N", conflicts_with = "join")]
    shard: Option<Shard>,
    /// Make nothing: put the manifests of all shards in the folder together
    #[arg(long)]
    join: bool,
    /// Level of each note, in dB
    #[arg(long, default_value = "-12..0", value_name = "FROM..TO", allow_hyphen_values = true)]
    gain_db: Range,
    /// When each note sets in, in seconds
    #[arg(long, default_value = "0..0.5", value_name = "FROM..TO")]
    onset_s: Range,
    /// Length of a mixture in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f32,
    /// Samples a second of the mixtures
    #[arg(long, default_value_t = 44_100)]
    rate: u32,
    /// Which notes go together: any, or each from another range of frequencies
    #[arg(long, value_enum, default_value = "random")]
    choice: Choice,
    /// The split whose notes are mixed, and to which the mixtures belong
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// The labels that supervise: of all others a mixture says nothing, though they sound [default: all]
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    supervise: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    const MOST: usize = 100_000;

    fn manifest(self) -> String {
        format!("manifest-{}-of-{}.csv", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let numbers = word.split_once('/').map(|(index, of)| (index.trim().parse(), of.trim().parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if index < of && of <= Self::MOST => Ok(Self { index, of }),
            _ => Err(format!("«{word}» is no part: write I/N with I from 0 to N - 1, as 0/8")),
        }
    }
}

/// Runs `tocco mix`.
///
/// # Errors
/// The manifest holds nothing to mix, a group stands in two splits, or a file can't be written.
pub fn run(args: Args) -> Result<()> {
    if args.join {
        return join(&args.out);
    }
    // The command line asks for one of the two.
    let manifest = args.manifest.as_deref().context("--manifest is missing")?;
    let manifest = Manifest::read(manifest)?;
    manifest.remarks().into_iter().for_each(super::remark);
    let name = args.shard.map_or_else(|| "manifest.csv".to_owned(), Shard::manifest);
    let path = args.out.join(name);
    ensure_other(&manifest.path, &path)?;
    let others = of_other_splits(&path, args.split)?;
    if let (Some(other), Some(_)) = (others.first(), args.shard) {
        bail!("{}: this is a part of the split «{}»: choose another --out", path.display(), other.split.name());
    }
    let mixer = Mixer::new(&manifest, recipe(&args))?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: the folder can't be made", args.out.display()))?;
    let numbers = args.shard.map_or(0..args.count, |part| shard(args.count, part.index, part.of));
    let bar = ProgressBar::new(numbers.len() as u64)
        .with_style(ProgressStyle::with_template("mixing {bar:40} {pos}/{len} {eta} left")?);
    let rows: Vec<Row> = numbers
        .into_par_iter()
        .map(|index| {
            let mut mixture = mixer.make(index)?;
            mixture.row.path = args.out.join(format!("mix-{}-{index:06}.wav", args.split.name()));
            audio::write_wav(&mixture.row.path, &mixture.samples, args.rate)?;
            bar.inc(1);
            Ok(mixture.row)
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    Manifest::write(&path, &[others, rows.clone()].concat())?;
    summary(&path, &rows)
}

/// The mixtures of other splits that a manifest holds already: the new ones come beside them.
fn of_other_splits(manifest: &Path, split: Split) -> Result<Vec<Row>> {
    if !manifest.is_file() {
        return Ok(Vec::new());
    }
    Ok(Manifest::read(manifest)?.rows.into_iter().filter(|row| row.split != split).collect())
}

fn recipe(args: &Args) -> Recipe {
    Recipe {
        seed: args.seed,
        split: args.split,
        voices: Voices { polyphony: args.polyphony, gain_db: args.gain_db, choice: args.choice },
        onset_s: args.onset_s,
        seconds: args.seconds,
        rate: args.rate,
        supervised: args.supervise.clone(),
    }
}

/// The notes' own manifest must outlive its mixtures.
pub(super) fn ensure_other(read: &Path, written: &Path) -> Result<()> {
    let same = matches!((read.canonicalize(), written.canonicalize()), (Ok(a), Ok(b)) if a == b);
    ensure!(!same, "{}: this is the manifest that is read: choose another --out", read.display());
    Ok(())
}

/// Puts the manifests of all shards in a folder together.
fn join(folder: &Path) -> Result<()> {
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{}: the folder can't be read", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let part =
            name.strip_prefix("manifest-").and_then(|n| n.strip_suffix(".csv")).and_then(|n| n.split_once("-of-"));
        if let Some((Ok(index), Ok(of))) = part.map(|(index, of)| (index.parse(), of.parse())) {
            found.entry(of).or_default().push(index);
        }
    }
    let at = folder.display();
    let (of, indices) = match (found.pop_first(), found.len()) {
        (Some(all), 0) => all,
        (None, _) => bail!("{at}: there are no manifests of shards (manifest-0-of-8.csv and so on)"),
        _ => bail!("{at}: there are shards of several mixes: keep those of one in a folder"),
    };
    if let Some(missing) = (0..of).find(|i| !indices.contains(i)) {
        bail!(
            "{at}: {} is missing: run «tocco mix» with --shard {missing}/{of}",
            Shard { index: missing, of }.manifest()
        );
    }
    let mut rows = Vec::new();
    for index in 0..of {
        let part = Manifest::read(&folder.join(Shard { index, of }.manifest()))?;
        if let Some((_, row)) = part.missing.first() {
            bail!("{}: the mixture {} is not there: make its shard again", part.path.display(), row.path.display());
        }
        rows.extend(part.rows);
    }
    let path = folder.join("manifest.csv");
    let others = rows.first().map_or(Ok(Vec::new()), |row| of_other_splits(&path, row.split))?;
    Manifest::write(&path, &[others, rows.clone()].concat())?;
    summary(&path, &rows)
}

fn summary(path: &Path, rows: &[Row]) -> Result<()> {
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flat_map(|row| &row.labels).for_each(|label| *labels.entry(label).or_default() += 1);
    let minutes = rows.iter().map(|row| row.duration_s).sum::<f64>() / 60.0;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {} mixtures, {minutes:.1} minutes", path.display(), rows.len())?;
    writeln!(out, "{:24} {:>8}", "label", "mixtures")?;
    for (label, count) in labels {
        writeln!(out, "{label:24} {count:>8}")?;
    }
    Ok(())
}
