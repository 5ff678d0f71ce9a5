//! Fine-tuning: a training that begins with the weights that another run validated best with, or with those of a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;

use super::Options;
use super::run::{Run, Settings, refuse_in};
use crate::export::Exported;
use crate::listen::{model_bytes, shipped};
use crate::net::Net;

/// What a training begins from.
#[derive(Debug)]
pub struct Earlier {
    /// As it was named.
    path: PathBuf,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    /// Those of a run's folder.
    Run(Box<Run>),
    /// Those of a model file, or of a shipped model.
    Model(Box<Exported>),
}

impl Earlier {
    /// Opens the folder of a run, a model file, or a shipped model by its name.
    ///
    /// # Errors
    /// Where the folder holds no trained run, or the model is none that can be trained on.
    pub fn open(path: &Path) -> Result<Self> {
        let weights = if path.is_dir() && (shipped(path).is_none() || Run::is_at(path)) {
            let run = Run::open(path)?;
            // Said before recordings are read and anything older is removed.
            run.best(&Device::flex()).context("--from needs a run whose training has got to a validation")?;
            Weights::Run(Box::new(run))
        } else {
            let bytes = model_bytes(path).context("--from names the folder of a run, or a model")?;
            Weights::Model(Box::new(Exported::read(&bytes).with_context(|| format!("--from {}", path.display()))?))
        };
        Ok(Self { path: path.to_owned(), weights })
    }

    /// Refuses `out` where a new run there would remove the weights.
    pub(super) fn apart_from(&self, out: &Path) -> Result<()> {
        refuse_in(out, "from", if let Weights::Run(run) = &self.weights { &run.folder } else { &self.path })
    }

    /// What the weights were trained with; of a model what its file tells.
    #[must_use]
    pub fn options(&self) -> &Options {
        match &self.weights {
            Weights::Run(run) => &run.settings.options,
            Weights::Model(model) => &model.options,
        }
    }

    fn classes(&self) -> &[String] {
        match &self.weights {
            Weights::Run(run) => &run.settings.classes,
            Weights::Model(model) => model.classes(),
        }
    }

    /// Mean and standard deviation that the weights are used to; a model's are used to any.
    pub(super) fn normalisation(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        match &self.weights {
            Weights::Run(run) => Some((run.settings.mean.clone(), run.settings.deviation.clone())),
            Weights::Model(_) => None,
        }
    }

    /// What becomes of the head, where it does not stay as it is.
    pub(super) fn news(&self, classes: &[String]) -> Option<String> {
        let older = self.classes();
        if older == classes {
            return None;
        }
        let from = self.path.display();
        let kept: Vec<String> = classes.iter().filter(|c| older.contains(c)).map(|c| format!("«{c}»")).collect();
        let kept = if kept.is_empty() { "nothing".into() } else { format!("the weights of {}", kept.join(", ")) };
        Some(format!("the classes are not those of {from}: the head begins anew, with {kept} from there"))
    }

    /// The network for `settings` with the earlier weights: the whole trunk, and of the head the classes that both have.
    ///
    /// # Errors
    /// Where the weights can't be read.
    pub(super) fn net(&self, settings: &Settings, device: &Device) -> Result<Net> {
        let older = match &self.weights {
            Weights::Run(run) => run.best(device)?,
            Weights::Model(model) => model.net(&settings.mean, &settings.deviation, device)?,
        };
        let new = Net::new(&settings.net(), settings.options.seed, device);
        let there = self.classes();
        let places: Vec<Option<usize>> =
            settings.classes.iter().map(|class| there.iter().position(|c| c == class)).collect();
        Ok(Net { trunk: older.trunk, head: new.head.keeping(&older.head, &places) })
    }
}
