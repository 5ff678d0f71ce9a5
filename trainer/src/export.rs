//! A trained run as one ONNX file, checked before it is left anywhere.

mod graph;
mod verify;

pub use graph::onnx_model;
pub use verify::{Agreement, TOLERANCE, agree, whole_sequence};

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use tocco_models::{CARD_FORMAT, Card, Reference, Task, onnx, write_beside};

use crate::engine::{self, Provider};
use crate::net::Net;
use crate::train::{Figures, Run, Settings};

/// Steps in the card's reference.
const REFERENCE_STEPS: usize = 8;

/// What an export did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// How far tract is from the trainer.
    pub tract: Agreement,
    /// How far ONNX Runtime is from the trainer, and its library; or why it was not asked.
    pub ort: std::result::Result<(PathBuf, Agreement), String>,
}

/// How to check against ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrtCheck {
    /// A library named by the user; else it is looked for.
    pub library: Option<PathBuf>,
    /// Where it runs.
    pub provider: Provider,
    /// Whether a missing library is an error.
    pub required: bool,
}

/// Exports the best network of a run to `path`.
///
/// The file is written only after tract, and ONNX Runtime where a library is found, gave the trainer's own outputs
/// within [`TOLERANCE`]; what stood at `path` before stays untouched otherwise.
///
/// # Errors
/// Where the run is incomplete, an engine refuses the network or computes it differently, or the file can't be
/// written.
pub fn export(run: &Run, name: &str, path: &Path, check: &OrtCheck) -> Result<Report> {
    let net = run.best(&Device::flex())?;
    let bytes = model_bytes(&net, &run.settings, &run.figures()?, name)?;
    let (tract, ort) = check_bytes(&bytes, &net, &run.settings, check)
        .with_context(|| format!("{}: the model is not written", path.display()))?;
    write_beside(path, &bytes)?;
    Ok(Report { path: path.to_owned(), tract, ort })
}

/// The whole ONNX file of a network.
///
/// # Errors
/// Where the card does not make sense, e.g. a figure is not finite.
pub fn model_bytes(net: &Net, settings: &Settings, figures: &Figures, name: &str) -> Result<Vec<u8>> {
    let (model, network) = onnx_model(net, settings);
    let card = Card {
        format: CARD_FORMAT,
        name: name.to_owned(),
        task: settings.options.task,
        classes: settings.classes.clone(),
        sample_rate: settings.options.sample_rate,
        frontend: Some(settings.options.frontend.clone()),
        network,
        temperature: figures.temperature,
        thresholds: match settings.options.task {
            Task::Technique => Vec::new(),
            Task::Instruments => vec![0.5; settings.classes.len()],
        },
        data: settings.data.clone(),
        licence: weights_licence(settings),
        metrics: figures.metrics.clone(),
        reference: Some(reference(net, settings)),
    };
    Ok(onnx::encode(&onnx::with_card(model, &card)?))
}

/// The licence of the weights: that of the data where there is one alone; share-alike data passes its own on.
fn weights_licence(settings: &Settings) -> String {
    let mut licences: Vec<&str> = settings.data.iter().map(|d| d.licence.as_str()).filter(|l| !l.is_empty()).collect();
    licences.dedup();
    match licences.iter().find(|l| l.contains("-SA")) {
        Some(share_alike) => format!("{share_alike}, with attribution of the sources above"),
        None => licences.join("; "),
    }
}

fn reference(net: &Net, settings: &Settings) -> Reference {
    let frames = verify::noise_frames(settings, REFERENCE_STEPS * settings.step_frames(), 1);
    let output = whole_sequence(net, settings, &frames);
    Reference { input: frames, output }
}

type Checked = (Agreement, std::result::Result<(PathBuf, Agreement), String>);

fn check_bytes(bytes: &[u8], net: &Net, settings: &Settings, check: &OrtCheck) -> Result<Checked> {
    let inputs = verify::inputs(settings)?;
    let expected: Vec<Vec<f32>> = inputs.iter().map(|frames| whole_sequence(net, settings, frames)).collect();
    let model = tocco_models::Model::from_bytes(bytes).context("tract refuses the network")?;
    let tract = agree("tract", model.runner()?, settings, &inputs, &expected)?;
    let library = match engine::library(check.library.as_deref()) {
        Ok(library) => library,
        Err(e) if check.required => return Err(e),
        Err(e) => return Ok((tract, Err(format!("{e:#}")))),
    };
    let runner = engine::runner_from_bytes(bytes, model.card(), &library, check.provider)?;
    let ort = agree("ONNX Runtime", runner, settings, &inputs, &expected)?;
    Ok((tract, Ok((library, ort))))
}

impl Report {
    /// The result in a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let tract = format!("tract: largest difference {:.1e} over {} steps", self.tract.difference, self.tract.steps);
        let ort = match &self.ort {
            Ok((library, a)) => {
                format!(
                    "ONNX Runtime: largest difference {:.1e} over {} steps ({})",
                    a.difference,
                    a.steps,
                    library.display()
                )
            }
            Err(why) => format!("ONNX Runtime: not checked: {why}"),
        };
        format!("{}\n{tract}\n{ort}", self.path.display())
    }
}

/// Refuses an output path that can't be meant.
///
/// # Errors
/// Where the name does not end in `.onnx`.
pub fn check_output(path: &Path) -> Result<()> {
    if path.extension().is_none_or(|e| e != "onnx") {
        bail!("{}: the output is an ONNX file: give it a name that ends in .onnx", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
