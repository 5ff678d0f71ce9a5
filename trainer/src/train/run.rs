//! A run: the folder that a training leaves.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | every option as it was used, for `--config` |
//! | `run.json` | [`Settings`]: classes, network, normalisation, options, sources |
//! | `best.bpk` | the averaged weights that validated best: what is exported |
//! | `checkpoint` | what `--resume` goes on from |
//! | `history.csv`, `tensorboard/` | the curves, see [`crate::watch`] |
//! | `figures.json` | [`Figures`] of the best weights, written at the end |
//! | `report.html` | the page about the run, see [`crate::report`] |
//! | `request.toml` | [`super::Request`]: what `--resume` reads |
//! | `starting.toml` | as `request.toml`, while recordings are read before the first step |
//! | `in-use` | locked by the program that trains |

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};
use serde::{Deserialize, Serialize};
use tocco_models::{DataSource, is_half_written, write_beside};

use super::{Options, Request};
use crate::net::{Hearing, Net, NetConfig};
use crate::watch;

/// What a training leaves. The figures go first: nothing is exported without them.
const OLDER_FILES: [&str; 10] = [
    FIGURES,
    "report.html",
    "model.onnx",
    CHECKPOINT,
    "best.bpk",
    REQUEST,
    CONFIG,
    "run.json",
    "encoder.json",
    "head.bpk",
];
const FIGURES: &str = "figures.json";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(crate) const CONFIG: &str = "config.toml";
pub(super) const REQUEST: &str = "request.toml";
pub(super) const STARTING: &str = "starting.toml";

/// Everything that a run was started with, and what normalisation was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Name of the run and of the model.
    pub name: String,
    /// Classes in the model's order.
    pub classes: Vec<String>,
    /// Mean of each mel band over training scenes.
    pub mean: Vec<f32>,
    /// Standard deviation of each mel band.
    pub deviation: Vec<f32>,
    /// What it was trained on.
    pub data: Vec<DataSource>,
    /// What a person chose.
    pub options: Options,
}

impl Settings {
    /// The network that the settings ask for.
    #[must_use]
    pub fn net(&self) -> NetConfig {
        NetConfig {
            inputs: self.options.frontend.frame_size(),
            classes: self.classes.len(),
            shape: self.options.shape.clone(),
            own_heads: self.options.own_heads,
        }
    }

    /// Each number of a frame to mean 0 and deviation 1, as the network hears it. `frames`: one after the other.
    pub(crate) fn normalise(&self, frames: &mut [f32]) {
        for frame in frames.chunks_exact_mut(self.mean.len()) {
            for ((x, mean), deviation) in frame.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *x = (*x - mean) / deviation;
            }
        }
    }

    /// One normalised frame of silence.
    pub(super) fn silence(&self) -> impl Iterator<Item = f32> {
        let floor = self.options.frontend.log_floor.ln();
        self.mean.iter().zip(&self.deviation).map(move |(mean, deviation)| (floor - mean) / deviation)
    }

    /// Frames that the exported network takes at once: those of a step, or a whole window.
    #[must_use]
    pub fn step_frames(&self) -> usize {
        match self.options.shape.hearing() {
            Hearing::Stream => self.options.frames_per_step,
            Hearing::Window { frames } => frames,
        }
    }
}

/// What was measured after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The logits are divided by this.
    pub temperature: f32,
    /// Figures by name, e.g. `test/file_recall/bowed`.
    pub metrics: BTreeMap<String, f64>,
}

/// A run's folder and settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Where it lies.
    pub folder: PathBuf,
    /// What it was started with.
    pub settings: Settings,
}

impl Run {
    /// Whether a folder holds a run.
    #[must_use]
    pub fn is_at(folder: &Path) -> bool {
        folder.join("run.json").is_file()
    }

    /// Opens the folder of a training.
    ///
    /// # Errors
    /// Where the folder holds no run.
    pub fn open(folder: &Path) -> Result<Self> {
        let settings = read_json(&folder.join("run.json"))
            .with_context(|| format!("{}: this is no folder that «tocco train» made", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), settings })
    }

    /// The network that validated best.
    ///
    /// # Errors
    /// Where its checkpoint is missing or broken.
    pub fn best(&self, device: &Device) -> Result<Net> {
        let path = self.folder.join("best.bpk");
        let bytes = std::fs::read(&path)
            .with_context(|| format!("{}: the checkpoint can't be read: has the training ended?", path.display()))?;
        let broken = |e: &dyn std::fmt::Display| anyhow!("{}: the checkpoint is broken: {e}", path.display());
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|e| broken(&e))?;
        Net::new(&self.settings.net(), 0, device).try_load_record(record).map_err(|e| broken(&e))
    }

    /// What was measured after training.
    ///
    /// # Errors
    /// Where the training has not ended.
    pub fn figures(&self) -> Result<Figures> {
        read_json(&self.folder.join(FIGURES)).with_context(|| {
            format!(
                "the training has not ended: go on with «tocco train --resume {}», or add --finish to end it here with \
                 its best weights so far",
                self.folder.display()
            )
        })
    }

    /// Locks a folder for as long as the answer lives, and sweeps out files that a killed program left half-written.
    pub(super) fn lock(folder: &Path) -> Result<File> {
        let path = folder.join("in-use");
        let file = File::create(&path).with_context(|| format!("{}: the file can't be made", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another training runs in this folder", folder.display()),
            Err(TryLockError::Error(e)) => {
                return Err(e).with_context(|| format!("{}: the file can't be locked", path.display()));
            }
        }
        let left = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for path in left.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_half_written(path)) {
            // What can't be removed is only litter.
            let _ = std::fs::remove_file(path);
        }
        Ok(file)
    }

    /// What the training was asked for.
    ///
    /// # Errors
    /// Where its file is missing or broken.
    pub fn request(&self) -> Result<Request> {
        Request::read(&self.folder.join(REQUEST))
    }

    pub(super) fn save_settings(&self) -> Result<()> {
        write_json(&self.folder.join("run.json"), &self.settings)
    }

    pub(super) fn save_figures(&self, figures: &Figures) -> Result<()> {
        write_json(&self.folder.join(FIGURES), figures)
    }

    pub(super) fn remove_figures(&self) -> Result<()> {
        remove(&self.folder.join(FIGURES))
    }

    pub(super) fn save_best(&self, averaged: &Net) -> Result<()> {
        self.save_weights("best.bpk", averaged)
    }

    /// Where the newest checkpoint lies.
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.folder.join(CHECKPOINT)
    }

    fn save_weights(&self, name: &str, net: &Net) -> Result<()> {
        let bytes = net.clone().into_record().into_bytes().map_err(|e| anyhow!("the weights can't be saved: {e}"))?;
        Ok(write_beside(&self.folder.join(name), &bytes)?)
    }
}

/// Refuses `out` where a new run there would replace what an option names: the run itself, or a file that [`clear`]
/// removes.
///
/// # Errors
/// Where it would.
pub(crate) fn refuse_in(out: &Path, option: &str, named: &Path) -> Result<()> {
    let whole = |path: &Path| path.canonicalize().ok();
    let kept = whole(named);
    let mut replaced = OLDER_FILES.iter().map(|name| out.join(name)).chain([out.to_owned()]);
    ensure!(
        kept.is_none() || !replaced.any(|path| whole(&path) == kept),
        "--{option} {} lies in the same folder that --out names: the new run would take its place; name another folder \
         with --out",
        named.display()
    );
    Ok(())
}

/// Removes what an older training left in a folder: its weights must never go out with other settings.
///
/// # Errors
/// Where a file can't be removed.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    let removed = OLDER_FILES.iter().try_for_each(|name| remove(&folder.join(name)));
    removed.context("choose another folder for --out")?;
    watch::clear(folder)
}

/// Removes a file that an older training may have left.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{}: the file of an older training can't be removed", path.display()))
        }
        _ => Ok(()),
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: the file can't be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}: the file is broken", path.display()))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    Ok(write_beside(path, &serde_json::to_vec_pretty(value)?)?)
}
