//! Every engine against the trainer, in one report.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use tocco_models::{Error, Loader, Model};

use super::verify::{Agreement, TOLERANCE, agree, tolerance};
use crate::engine::{self, Provider};

/// How to check against ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrtCheck {
    /// A library named by the user; else it is looked for.
    pub library: Option<PathBuf>,
    /// Where it runs; the processor is always among them.
    pub providers: Vec<Provider>,
    /// Whether a missing library is an error.
    pub required: bool,
}

impl OrtCheck {
    /// On the processor, where a library is found.
    #[must_use]
    pub fn usual() -> Self {
        Self { library: None, providers: vec![Provider::Cpu], required: false }
    }
}

/// What engines are asked, and what the trainer answers: inputs that each start from reset, and the logits of their
/// steps.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Inputs of one or more steps.
    pub inputs: &'a [Vec<f32>],
    /// Logits of each input's steps, one after the other.
    pub expected: &'a [Vec<f32>],
}

/// One engine against the trainer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its name, e.g. `tract, pulsed`.
    pub engine: String,
    /// The largest difference of a logit that is let pass.
    pub tolerance: f32,
    /// What the engine's numbers are.
    pub arithmetic: String,
    /// How near it came, or why it was not asked.
    pub outcome: Outcome,
}

/// How near an engine came, or why it was not asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Compared.
    Agrees(Agreement),
    /// Not compared, and why.
    NotChecked(String),
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// One check an engine.
    pub checks: Vec<Check>,
}

/// Compares tract, in both ways that it runs networks, and ONNX Runtime with the trainer.
///
/// # Errors
/// Where an engine refuses the network or computes it differently, or one that is required is not there.
pub fn check_engines(bytes: &[u8], asked: &Asked<'_>, check: &OrtCheck) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for loader in [Loader::Explicit, Loader::Pulse] {
        checks.push(tract(bytes, asked, loader)?);
    }
    // What the plugin does with the file, its own reference included.
    let model = Model::from_bytes(bytes).context("tract refuses the network")?;
    let library = match engine::library(check.library.as_deref()) {
        Ok(library) => library,
        Err(e) if check.required => return Err(e),
        Err(e) => {
            checks.push(Check::new("ONNX Runtime", Provider::Cpu, Outcome::NotChecked(format!("{e:#}"))));
            return Ok(checks);
        }
    };
    let others = check.providers.iter().filter(|provider| **provider != Provider::Cpu);
    for &provider in [Provider::Cpu].iter().chain(others) {
        let name = format!("ONNX Runtime on {}", provider.name());
        let runner = engine::runner_from_bytes(bytes, model.card(), &library, provider)?;
        let agreement = asked.of(&name, runner, &model, tolerance(provider).0)?;
        checks.push(Check::new(&name, provider, Outcome::Agrees(agreement)));
    }
    Ok(checks)
}

fn tract(bytes: &[u8], asked: &Asked<'_>, loader: Loader) -> Result<Check> {
    let name = match loader {
        Loader::Explicit => "tract",
        Loader::Pulse => "tract, pulsed",
    };
    let model = match Model::from_bytes_by(bytes, loader) {
        Ok(model) => model,
        // Not every network can be pulsed; one that is computed wrongly is another matter.
        Err(Error::NotRunnable(why)) if loader == Loader::Pulse => {
            return Ok(Check::new(name, Provider::Cpu, Outcome::NotChecked(why)));
        }
        Err(e) => return Err(e).with_context(|| format!("{name} refuses the network")),
    };
    let agreement = asked.of(name, model.runner()?, &model, TOLERANCE)?;
    Ok(Check::new(name, Provider::Cpu, Outcome::Agrees(agreement)))
}

impl Asked<'_> {
    fn of(
        &self,
        engine: &str,
        runner: Box<dyn tocco_models::Runner>,
        model: &Model,
        tolerance: f32,
    ) -> Result<Agreement> {
        let sizes = (model.card().step_input(), model.card().classes.len());
        agree(engine, runner, sizes, self.inputs, self.expected, tolerance)
    }
}

impl Check {
    fn new(engine: &str, provider: Provider, outcome: Outcome) -> Self {
        let (tolerance, arithmetic) = tolerance(provider);
        Self { engine: engine.to_owned(), tolerance, arithmetic: arithmetic.to_owned(), outcome }
    }

    fn text(&self) -> String {
        match &self.outcome {
            Outcome::Agrees(Agreement { difference, steps }) => format!(
                "{}: largest difference {difference:.1e} over {steps} steps ({:.0e} is allowed: {})",
                self.engine, self.tolerance, self.arithmetic
            ),
            Outcome::NotChecked(why) => format!("{}: not checked: {why}", self.engine),
        }
    }
}

impl Report {
    /// The result in a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.checks.iter().map(Check::text).collect();
        format!("{}\n{}", self.path.display(), lines.join("\n"))
    }
}
