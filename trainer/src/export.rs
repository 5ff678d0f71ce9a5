//! A trained run as one ONNX file, checked before it is left anywhere.

mod check;
mod graph;
mod read;
mod verify;

pub use check::{Asked, Check, OrtCheck, Outcome, Report, check_engines};
pub use graph::onnx_model;
pub use read::Exported;
pub(crate) use verify::plucked;
pub use verify::{Agreement, TOLERANCE, agree, tolerance, whole_sequence};

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use tocco_models::{CARD_FORMAT, Card, DataSource, Reference, Task, onnx, write_with_folder};

use crate::net::Net;
use crate::train::{Figures, Run, Settings};

/// Steps in the card's reference.
const REFERENCE_STEPS: usize = 8;

/// Exports the best network of a run to `path`.
///
/// The file is written only after tract, and ONNX Runtime where a library is found, gave the trainer's own outputs
/// within their tolerance; what stood at `path` before stays untouched otherwise.
///
/// # Errors
/// Where the run is incomplete, an engine refuses the network or computes it differently, or the file can't be
/// written.
pub fn export(run: &Run, name: &str, path: &Path, check: &OrtCheck) -> Result<Report> {
    let net = run.best(&Device::flex())?;
    let bytes = model_bytes(&net, &run.settings, &run.figures()?, name)?;
    let checks = check_bytes(&bytes, &net, &run.settings, check)
        .with_context(|| format!("{}: the model is not written", path.display()))?;
    write_with_folder(path, &bytes)?;
    Ok(Report { path: path.to_owned(), checks })
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
        offsets: Vec::new(),
        thresholds: match settings.options.task {
            Task::Technique => Vec::new(),
            Task::Instruments => vec![0.5; settings.classes.len()],
        },
        data: settings.data.clone(),
        licence: licence(&settings.data),
        metrics: figures.metrics.clone(),
        reference: Some(reference(net, settings)),
    };
    Ok(onnx::encode(&onnx::with_card(model, &card)?))
}

/// The licence of the weights: those of all data, since none takes away what another asks for. What asks for nothing is
/// not told beside others.
#[must_use]
pub(crate) fn licence(data: &[DataSource]) -> String {
    let all: BTreeSet<&str> = data.iter().map(|d| d.licence.as_str()).filter(|l| !l.is_empty()).collect();
    let asking: Vec<&str> = all.iter().copied().filter(|licence| !licence.starts_with("CC0")).collect();
    match asking.as_slice() {
        [] => all.into_iter().collect::<Vec<_>>().join("; "),
        licences => {
            let credits = licences.iter().any(|licence| licence.contains("-SA"));
            licences.join("; ") + if credits { ", with attribution of the sources above" } else { "" }
        }
    }
}

fn reference(net: &Net, settings: &Settings) -> Reference {
    let frames = verify::noise_frames(settings, REFERENCE_STEPS * settings.step_frames(), 1);
    let output = whole_sequence(net, settings, &frames);
    Reference { input: frames, output }
}

fn check_bytes(bytes: &[u8], net: &Net, settings: &Settings, check: &OrtCheck) -> Result<Vec<Check>> {
    let inputs = verify::inputs(settings)?;
    let expected: Vec<Vec<f32>> = inputs.iter().map(|frames| whole_sequence(net, settings, frames)).collect();
    check_engines(bytes, &Asked { inputs: &inputs, expected: &expected }, check)
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
