//! `tocco report`: a page about a run or a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tocco_models::Policy;

use super::engine::EngineArgs;
use crate::encoder::EncoderRun;
use crate::engine::Provider;
use crate::evaluation::{NOT_ONE, Wanted};
use crate::listen::{Ear, Engine};
use crate::manifest::{Manifest, Split};
use crate::page;
use crate::report::{Subject, html};
use crate::train::Run;
use crate::watch::{history, settings};

/// Options of `tocco report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a training: its model.onnx, curves and settings
    #[arg(long, value_name = "DIR", required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A model file, or the name of a shipped model (techniques, instruments, bowed-plucked)
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Recordings and labels [default: those that the run was trained on]
    #[arg(long, value_name = "FILE", required_unless_present = "run")]
    manifest: Option<PathBuf>,
    /// Which part of the manifest
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// The page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave the sound of the mistakes out: for a page that goes into a repository
    #[arg(long)]
    no_audio: bool,
    /// How many mistakes are shown
    #[arg(long, default_value_t = MISTAKES)]
    mistakes: usize,
    #[command(flatten)]
    engine: EngineArgs,
    /// Level from which the noise gate opens, in dBFS
    #[arg(long, allow_hyphen_values = true, default_value_t = Policy::default().gate_dbfs)]
    gate_dbfs: f32,
}

/// Mistakes in a page.
const MISTAKES: usize = 12;

/// Runs `tocco report`.
///
/// # Errors
/// The run, model or manifest is refused, or no recording can be used.
pub fn run(args: Args) -> Result<()> {
    let trained = args.run.as_deref().map(Trained::open).transpose()?.unwrap_or_default();
    let model = args.model.or_else(|| Some(args.run.as_ref()?.join("model.onnx")));
    let manifest = match (args.manifest, &args.run) {
        (None, Some(folder)) => learnt_from(folder)?,
        (manifest, _) => manifest,
    };
    let (Some(model), Some(manifest)) = (model, manifest) else {
        bail!("say what the page is about: --run DIR, or --model FILE with --manifest FILE");
    };
    let manifest = Manifest::read(&manifest)?;
    manifest.remarks().iter().for_each(super::remark);
    let ear = args.engine.open(&model)?;
    let page = Page {
        trained,
        ear: &ear,
        manifest: &manifest,
        split: args.split,
        mistakes: args.mistakes,
        audio: !args.no_audio,
        gate_dbfs: args.gate_dbfs,
    };
    page.write(&args.out)
}

/// The page that `tocco train` leaves in its run: on the test split, or where there is none, on the validation split.
///
/// # Errors
/// As [`run`].
pub fn of_training(folder: &Path, manifest: &Manifest, (engine, provider): (Engine, Provider)) -> Result<()> {
    let ear = Ear::open(&folder.join("model.onnx"), engine, provider)?;
    let trained = Trained::open(folder)?;
    let split = if manifest.split(Split::Test).next().is_some() { Split::Test } else { Split::Val };
    let gate_dbfs = Policy::default().gate_dbfs;
    let page = Page { trained, ear: &ear, manifest, split, mistakes: MISTAKES, audio: true, gate_dbfs };
    page.write(&folder.join("report.html")).context("the model is written, but the page about it is not")
}

/// How a model was trained; empty where that is not known.
#[derive(Default)]
struct Trained {
    /// What was chosen, by name.
    chosen: Vec<(String, String)>,
    /// The curves; older runs have none.
    curves: Vec<history::Row>,
}

impl Trained {
    fn open(folder: &Path) -> Result<Self> {
        let chosen = if EncoderRun::is_at(folder) {
            settings::flat(&EncoderRun::open(folder)?.chosen())?
        } else {
            settings::flat(&Run::open(folder)?.settings.options)?
        };
        let path = folder.join(history::FILE);
        let curves = if path.exists() { history::read(&path)? } else { Vec::new() };
        Ok(Self { chosen, curves })
    }
}

/// The manifest of a training; older heads on encoders do not tell it.
fn learnt_from(folder: &Path) -> Result<Option<PathBuf>> {
    if EncoderRun::is_at(folder) {
        return Ok(EncoderRun::open(folder)?.settings.manifest);
    }
    Ok(Some(Run::open(folder)?.request()?.manifest))
}

struct Page<'a> {
    trained: Trained,
    ear: &'a Ear,
    manifest: &'a Manifest,
    split: Split,
    mistakes: usize,
    audio: bool,
    gate_dbfs: f32,
}

impl Page<'_> {
    fn write(self, out: &Path) -> Result<()> {
        let card = self.ear.model.card();
        let (wanted, left) = Wanted::of_those(card, self.manifest.split(self.split))?;
        if left > 0 {
            let all = left + wanted.len();
            super::remark(format_args!("the page leaves {left} of {all} recordings out: {NOT_ONE}"));
        }
        let (path, split) = (self.manifest.path.display(), self.split.name());
        ensure!(!wanted.is_empty(), "{path}: the split «{split}» holds no recording to judge the model by");
        let name = self.manifest.path.file_name().unwrap_or_default().to_string_lossy();
        let subject = Subject {
            ear: self.ear,
            wanted: &wanted,
            source: format!("{name}, split {split}"),
            history: self.trained.curves,
            settings: self.trained.chosen,
            mistakes: self.mistakes,
            audio: self.audio,
            gate_dbfs: self.gate_dbfs,
        };
        let html = html(&subject)?;
        tocco_models::write_with_folder(out, html.as_bytes())
            .with_context(|| format!("{}: the page", out.display()))?;
        super::remark(format_args!("{}: a page of {}", out.display(), page::size(html.len())));
        Ok(())
    }
}
