//! `tocco augment`: varied copies of recordings, written to disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use tocco_models::resample_all;

use crate::audio;
use crate::augment::{Config, Library, copy};
use crate::manifest::{Manifest, Row, Split};
use crate::split::mixture_seed;

/// Options of `tocco augment`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest, as `tocco prepare` writes it
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Folder for the copies and the new manifest.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Varied copies of each recording
    #[arg(long, default_value_t = 1)]
    copies: usize,
    /// What is varied, as a TOML file [default: as in training]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same seed gives the same files, bit for bit
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The splits that get copies; the others are left as they are, so that figures are about real recordings
    #[arg(long, value_enum, value_delimiter = ',', default_value = "train")]
    split: Vec<Split>,
    /// Samples a second of the copies
    #[arg(long, default_value_t = 44_100)]
    rate: u32,
    /// Leave the recordings that were copied out of the new manifest
    #[arg(long)]
    without_originals: bool,
}

/// Runs `tocco augment`.
///
/// # Errors
/// The configuration is refused, no recording can be used, or a file can't be written.
pub fn run(args: Args) -> Result<()> {
    ensure!((1..=10_000).contains(&args.copies), "--copies is {}: it must lie between 1 and 10000", args.copies);
    ensure!((8_000..=192_000).contains(&args.rate), "--rate is {}: it must lie between 8000 and 192000", args.rate);
    let mut config = Config::default();
    if let Some(path) = &args.config {
        config = Config::read(path, &config)?;
    }
    // What is there as usual was not asked for.
    let usual = Config::default();
    let of_training: [fn(&Config) -> f32; 6] = [
        |c| c.mixup.chance,
        |c| c.section.chance,
        |c| c.time_mask.chance,
        |c| c.band_mask.chance,
        |c| c.glide.chance,
        |c| c.slur.chance,
    ];
    if of_training.iter().any(|chance| chance(&config) > chance(&usual)) {
        super::remark(
            "mixup, sections, masks, glides and slurs belong to training: they are left out of the files (see «tocco mix»)",
        );
    }
    let manifest = Manifest::read(&args.manifest)?;
    manifest.remarks().into_iter().for_each(super::remark);
    let path = args.out.join("manifest.csv");
    super::mix::ensure_other(&manifest.path, &path)?;
    let library = Library::load(&config, args.rate)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: the folder can't be made", args.out.display()))?;
    let chosen: Vec<usize> =
        (0..manifest.rows.len()).filter(|r| args.split.contains(&manifest.rows[*r].split)).collect();
    let bar = ProgressBar::new(chosen.len() as u64)
        .with_style(ProgressStyle::with_template("varying {bar:40} {pos}/{len} {eta} left")?);
    let made: Vec<Vec<Row>> = chosen
        .par_iter()
        .map(|&index| {
            let rows = copies(&manifest.rows[index], index, &args, &config, &library);
            bar.inc(1);
            rows
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    let made: Vec<Row> = made.into_iter().flatten().collect();
    if made.is_empty() {
        bail!("{}: none of its recordings could be copied", manifest.path.display());
    }
    let originals = manifest.rows.iter().filter(|row| !args.without_originals || !args.split.contains(&row.split));
    let rows: Vec<Row> = originals.chain(&made).cloned().collect();
    Manifest::write(&path, &rows)?;
    let minutes = made.iter().map(|row| row.duration_s).sum::<f64>() / 60.0;
    writeln!(
        std::io::stdout(),
        "{}: {} recordings, {} of them varied copies ({minutes:.1} minutes)",
        path.display(),
        rows.len(),
        made.len()
    )?;
    Ok(())
}

/// The rows of a recording's copies; none, and a remark, where it can't be used.
fn copies(row: &Row, index: usize, args: &Args, config: &Config, library: &Library) -> Result<Vec<Row>> {
    let sound = match audio::decode(&row.path) {
        Ok(sound) => sound,
        Err(reason) => {
            super::remark(format_args!("skipped: {reason}"));
            return Ok(Vec::new());
        }
    };
    let samples = resample_all(&sound.samples, f64::from(sound.rate), f64::from(args.rate))?;
    (0..args.copies)
        .map(|number| {
            // Neither other rows nor the number of copies change a copy.
            let seed = mixture_seed(args.seed, row.split, (number as u64) << 32 | index as u64);
            let mut varied = copy(&samples, args.rate, config, library, seed);
            let duration_s = varied.len() as f64 / f64::from(args.rate);
            if duration_s < audio::SHORTEST_S {
                super::remark(format_args!("skipped: {}: a copy became too short", row.path.display()));
                return Ok(None);
            }
            let peak = varied.iter().fold(1.0_f32, |m, s| m.max(s.abs()));
            varied.iter_mut().for_each(|s| *s /= peak);
            let path = args.out.join(format!("{}-{index:06}-{number}.wav", stem(&row.path)));
            audio::write_wav(&path, &varied, args.rate)?;
            Ok(Some(Row { path, duration_s, sample_rate: args.rate, ..row.clone() }))
        })
        .filter_map(Result::transpose)
        .collect()
}

/// The file's name without its ending, in letters that every system takes.
fn stem(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).take(80).collect()
}
