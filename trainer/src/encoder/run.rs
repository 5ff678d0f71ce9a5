//! The folder that the training of a head leaves, and its export.
//!
//! | file | what |
//! |---|---|
//! | `encoder.json` | [`EncoderSettings`]: classes, encoder, head, normalisation, sources |
//! | `head.bpk` | the weights that validated best |
//! | `figures.json` | what was measured, and the temperature |
//! | `history.csv`, `tensorboard/` | the curves, see [`crate::watch`] |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};
use serde::{Deserialize, Serialize};
use tocco_models::{CARD_FORMAT, Card, DataSource, NetworkKind, Reference, Task, onnx, write_beside};

use super::embed::{Encoder, Identity};
use super::heads::{HeadKind, settings};
use super::hears::Hears;
use super::learn::{HeadTraining, logits_of, statistics};
use super::{merge, windows};
use crate::export::{Asked, Check, OrtCheck, Report, check_engines, licence, onnx_model, plucked};
use crate::net::Net;
use crate::train::{Settings, clear};

const SETTINGS_FILE: &str = "encoder.json";
const HEAD_FILE: &str = "head.bpk";
const FIGURES_FILE: &str = "figures.json";
/// Windows on which engines are compared.
const COMPARED: usize = 4;

/// Everything that a head was trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderSettings {
    /// Name of the run and of the model.
    pub name: String,
    /// One class at a time, or any number.
    pub task: Task,
    /// Classes in the model's order.
    pub classes: Vec<String>,
    /// The network on top.
    pub head: HeadKind,
    /// The encoder.
    pub encoder: Identity,
    /// Embeddings in the sequence of a window.
    pub time: usize,
    /// Numbers in an embedding.
    pub size: usize,
    /// Mean of each number of an embedding.
    pub mean: Vec<f32>,
    /// Standard deviation of each number of an embedding.
    pub deviation: Vec<f32>,
    /// What it was trained on.
    pub data: Vec<DataSource>,
    /// Seconds between two decisions.
    pub decision_s: f64,
    /// Where the recordings are listed; older runs do not tell.
    pub manifest: Option<PathBuf>,
    /// What was chosen for the training; older runs do not tell.
    pub training: Option<HeadTraining>,
}

/// What was measured after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The logits are divided by this.
    pub temperature: f32,
    /// Figures by name, e.g. `test/file_recall/bowed`.
    pub metrics: BTreeMap<String, f64>,
}

/// The folder of a head and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderRun {
    /// Where it lies.
    pub folder: PathBuf,
    /// What it was trained with.
    pub settings: EncoderSettings,
}

impl EncoderRun {
    /// Whether a folder holds the head of an encoder.
    #[must_use]
    pub fn is_at(folder: &Path) -> bool {
        folder.join(SETTINGS_FILE).is_file()
    }

    /// Opens the folder of a training.
    ///
    /// # Errors
    /// Where it holds no head of an encoder.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), settings: read_json(&folder.join(SETTINGS_FILE))? })
    }

    /// What was measured after training.
    ///
    /// # Errors
    /// Where the training has not ended.
    pub fn figures(&self) -> Result<Figures> {
        read_json(&self.folder.join(FIGURES_FILE)).context("the training has not ended")
    }

    /// What a person chose, for the report and TensorBoard.
    #[must_use]
    pub fn chosen(&self) -> impl Serialize + use<> {
        #[derive(Serialize)]
        struct Chosen {
            encoder: Identity,
            #[serde(flatten)]
            training: Option<HeadTraining>,
        }
        Chosen { encoder: self.settings.encoder.clone(), training: self.settings.training.clone() }
    }

    /// Exports encoder and head as one model to `path`; it is written only after every engine that was asked gave the
    /// trainer's own outputs.
    ///
    /// # Errors
    /// Where the run is incomplete, the encoder is gone or another one now, an engine refuses the network or computes it
    /// differently, or the file can't be written.
    pub fn export(&self, name: &str, path: &Path, check: &OrtCheck) -> Result<Report> {
        let mut encoder = Encoder::reopen(&self.settings.encoder)?;
        let (bytes, checks) = self
            .checked(&mut encoder, &self.net()?, &self.figures()?, name, check)
            .with_context(|| format!("{}: the model is not written", path.display()))?;
        write_beside(path, &bytes)?;
        Ok(Report { path: path.to_owned(), checks })
    }

    /// Whether the encoder with a head on it can be exported, tried with a head that has learnt nothing: listening to
    /// many recordings first would be in vain otherwise.
    pub(super) fn try_export(&self) -> Result<()> {
        // On the processor, as the model will be checked: others compute less exactly.
        let mut encoder = Encoder::reopen(&self.settings.encoder)?;
        let heard = self.inputs()?.iter().map(|input| Ok(encoder.embed(input)?.2)).collect::<Result<Vec<_>>>()?;
        let mut tried = self.clone();
        let settings = &mut tried.settings;
        (settings.mean, settings.deviation) = statistics(heard.iter().map(Vec::as_slice), settings.size);
        let net = Net::new(&tried.head()?.net(), 0, &Device::flex());
        let figures = Figures { temperature: 1.0, metrics: BTreeMap::new() };
        let made = tried.checked(&mut encoder, &net, &figures, &self.settings.name, &OrtCheck::usual());
        made.map(|_| ())
            .with_context(|| format!("{}: no model can be made of it", self.settings.encoder.path.display()))
    }

    /// The file of encoder and head, after every engine that was asked gave the trainer's own outputs.
    fn checked(
        &self,
        encoder: &mut Encoder,
        net: &Net,
        figures: &Figures,
        name: &str,
        check: &OrtCheck,
    ) -> Result<(Vec<u8>, Vec<Check>)> {
        let head = self.head()?;
        let inputs = self.inputs()?;
        let mut expected = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let (_, _, embeddings) = encoder.embed(input)?;
            ensure!(
                embeddings.len() == self.settings.time * self.settings.size,
                "the encoder changes its answers' size"
            );
            expected.push(logits_of(net, &head, &embeddings, &Device::flex()));
        }
        let (graph, kind) = onnx_model(net, &head);
        let sizes = (self.settings.time, self.settings.size);
        let whole = merge::merged(encoder.graph().clone(), sizes, graph, &kind)?;
        let reference = Reference { input: inputs[0].clone(), output: expected[0].clone() };
        let bytes = onnx::encode(&onnx::with_card(whole, &self.card(name, figures, reference)?)?);
        let asked = Asked { inputs: &inputs, expected: &expected };
        let checks = check_engines(&bytes, &asked, check)?;
        Ok((bytes, checks))
    }

    fn card(&self, name: &str, figures: &Figures, reference: Reference) -> Result<Card> {
        let settings = &self.settings;
        let rate = settings.encoder.rate;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a window")]
        let steps = |a_second: f64, most: usize| ((settings.decision_s * a_second).round() as usize).clamp(1, most);
        let (frontend, network) = match &settings.encoder.hears {
            Hears::Audio { samples } => {
                (None, NetworkKind::Audio { samples: *samples, hop: steps(f64::from(rate), *samples) })
            }
            Hears::LogMel { frames, frontend, .. } => {
                let frames_per_step = steps(f64::from(rate) / frontend.hop as f64, *frames);
                (Some(frontend.clone()), NetworkKind::Window { frames: *frames, frames_per_step })
            }
        };
        Ok(Card {
            format: CARD_FORMAT,
            name: name.to_owned(),
            task: settings.task,
            classes: settings.classes.clone(),
            sample_rate: rate,
            frontend,
            network,
            temperature: figures.temperature,
            offsets: Vec::new(),
            thresholds: match settings.task {
                Task::Technique => Vec::new(),
                Task::Instruments => vec![0.5; settings.classes.len()],
            },
            data: settings.data.clone(),
            licence: licence(&settings.data),
            metrics: figures.metrics.clone(),
            reference: Some(reference),
        })
    }

    /// Windows of plucked strings and of rooms in which nobody plays. Their numbers are short, since the first stands in
    /// the card.
    fn inputs(&self) -> Result<Vec<Vec<f32>>> {
        let (rate, hears) = (self.settings.encoder.rate, &self.settings.encoder.hears);
        let length = hears.samples();
        let sound = plucked(rate, COMPARED * length);
        (0..COMPARED as u64)
            .map(|i| {
                let end = length * (1 + usize::try_from(i)?);
                let input = match i % 2 {
                    0 => windows::input(&sound, end, rate, hears, i)?,
                    _ => windows::input(&windows::room(length, i), length, rate, hears, i)?,
                };
                Ok(input.iter().map(|x| (x * 1000.0).round() / 1000.0).collect())
            })
            .collect()
    }

    /// Makes the folder ready: what an older training left must never go out with other settings.
    pub(super) fn begin(&self) -> Result<()> {
        clear(&self.folder)?;
        write_json(&self.folder.join(SETTINGS_FILE), &self.settings)
    }

    pub(super) fn save_figures(&self, figures: &Figures) -> Result<()> {
        write_json(&self.folder.join(FIGURES_FILE), figures)
    }

    pub(super) fn save_head(&self, net: &Net) -> Result<()> {
        let bytes = net.clone().into_record().into_bytes().map_err(|e| anyhow!("the weights can't be saved: {e}"))?;
        Ok(write_beside(&self.folder.join(HEAD_FILE), &bytes)?)
    }

    /// The head's settings as a network whose frames are embeddings.
    pub(super) fn head(&self) -> Result<Settings> {
        let s = &self.settings;
        Ok(settings(s.head.shape(s.time)?, s.task, &s.classes, s.time, (&s.mean, &s.deviation)))
    }

    fn net(&self) -> Result<Net> {
        let path = self.folder.join(HEAD_FILE);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("{}: the head can't be read: has the training ended?", path.display()))?;
        let broken = |e: &dyn std::fmt::Display| anyhow!("{}: the head is broken: {e}", path.display());
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|e| broken(&e))?;
        Net::new(&self.head()?.net(), 0, &Device::flex()).try_load_record(record).map_err(|e| broken(&e))
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: the file can't be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}: the file is broken", path.display()))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    Ok(write_beside(path, &serde_json::to_vec_pretty(value)?)?)
}
