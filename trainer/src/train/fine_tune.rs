//! Fine-tuning: a training that begins with the weights that another run validated best with.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use super::run::{Run, Settings};
use crate::net::Net;

/// The run that a training begins from.
#[derive(Debug)]
pub(super) struct Earlier(Run);

impl Earlier {
    /// # Errors
    /// Where the folder holds no trained run, or is `out`, from which a new run removes the weights of an older one.
    pub fn open(folder: &Path, out: &Path) -> Result<Self> {
        let run = Run::open(folder)?;
        let same = |other: &Path| Some(folder.canonicalize().ok()? == other.canonicalize().ok()?);
        ensure!(
            same(out) != Some(true),
            "--from and --out are the same folder, {}: the new run would take the place of the weights that it begins \
             with",
            folder.display()
        );
        // Said before recordings are read and anything older is removed.
        run.best(&Device::flex()).context("--from needs a run whose training has got to a validation")?;
        Ok(Self(run))
    }

    /// Mean and standard deviation that the weights are used to.
    pub fn normalisation(&self) -> (Vec<f32>, Vec<f32>) {
        (self.0.settings.mean.clone(), self.0.settings.deviation.clone())
    }

    /// What becomes of the head, where it does not stay as it is.
    pub fn news(&self, classes: &[String]) -> Option<String> {
        let older = &self.0.settings.classes;
        if older == classes {
            return None;
        }
        let folder = self.0.folder.display();
        let kept: Vec<String> = classes.iter().filter(|c| older.contains(c)).map(|c| format!("«{c}»")).collect();
        let kept = if kept.is_empty() { "nothing".into() } else { format!("the weights of {}", kept.join(", ")) };
        Some(format!("the classes are not those of {folder}: the head begins anew, with {kept} from there"))
    }

    /// The network for `settings` with the run's weights: the whole trunk, and of the head the classes that both have.
    ///
    /// # Errors
    /// Where the weights can't be read.
    pub fn net(&self, settings: &Settings, device: &Device) -> Result<Net> {
        let older = self.0.best(device)?;
        let new = Net::new(&settings.net(), settings.options.seed, device);
        let there = &self.0.settings.classes;
        let places: Vec<Option<usize>> =
            settings.classes.iter().map(|class| there.iter().position(|c| c == class)).collect();
        Ok(Net { trunk: older.trunk, head: new.head.keeping(&older.head, &places) })
    }
}
