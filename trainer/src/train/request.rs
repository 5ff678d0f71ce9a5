//! What a training was asked for, as its folder keeps it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tocco_models::write_beside;

use super::{DeviceKind, Options};
use crate::listen::absolute;

/// Everything that a training needs to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The manifest.
    pub manifest: PathBuf,
    /// The run or model whose weights the training begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The model that the network learns from beside the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Where the arithmetic runs.
    pub device: DeviceKind,
    /// Devices of that kind, which share the batches of a step.
    #[serde(default = "one")]
    pub devices: usize,
    /// A checkpoint is written at least this often, in seconds.
    pub checkpoint_s: f64,
    /// Threads that prepare batches.
    #[serde(default = "usual_workers")]
    pub workers: usize,
    /// Whether the decoded recordings are kept in a file in the run's folder, instead of in memory.
    #[serde(default)]
    pub sounds_on_disk: bool,
    /// Whether the run goes without a page.
    #[serde(default)]
    pub no_report: bool,
    /// What a person may read and use again: `config.toml`.
    pub config: String,
    /// What a person chose.
    pub options: Options,
}

/// Threads that prepare batches where nobody says how many.
pub const WORKERS: usize = 2;

fn usual_workers() -> usize {
    WORKERS
}

fn one() -> usize {
    1
}

impl Request {
    /// The folder for a file of the decoded recordings of the run in `out`, where memory is not to hold them.
    pub(super) fn store<'a>(&self, out: &'a Path) -> Option<&'a Path> {
        self.sounds_on_disk.then_some(out)
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: it can't be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{}: the file is broken", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let from = self.from.as_deref().map(absolute).transpose()?;
        let teacher = self.teacher.as_deref().map(absolute).transpose()?;
        let whole = Self { manifest: std::path::absolute(&self.manifest)?, from, teacher, ..self.clone() };
        Ok(write_beside(path, toml::to_string(&whole)?.as_bytes())?)
    }
}
