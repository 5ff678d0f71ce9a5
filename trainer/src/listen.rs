//! A whole recording through the same [`Recognizer`] as in the plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tocco_models::{Card, Decision, Model, Policy, Recognizer, library, onnx};

use crate::audio::{self, Reader};
use crate::engine::{OrtModel, Provider};

/// What runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// tract, as in the plugin.
    Tract,
    /// ONNX Runtime, where its library is found.
    Ort,
}

/// A model and what runs it: makes recognizers.
#[derive(Debug, Clone)]
pub struct Ear {
    /// The model.
    pub model: Arc<Model>,
    /// Absent where tract runs it.
    ort: Option<Arc<OrtModel>>,
}

/// What is known about a recording after it was heard.
#[derive(Debug)]
pub struct Heard {
    /// Length in seconds.
    pub duration_s: f64,
    /// Samples a second.
    pub rate: u32,
    /// Set where the file breaks off: everything before that was heard.
    pub damage: Option<audio::Error>,
}

impl Ear {
    /// Loads a model file, or one that comes with Tocco by its bare name (`techniques`, `instruments`).
    ///
    /// # Errors
    /// The model is refused; the sentence names the file and the reason. So is a provider that the engine does not
    /// have, or a missing library of ONNX Runtime.
    pub fn open(model: &Path, engine: Engine, provider: Provider) -> Result<Self> {
        anyhow::ensure!(
            engine == Engine::Ort || provider == Provider::Cpu,
            "--execution-provider {} needs --engine ort: tract runs on the processor only",
            provider.name()
        );
        let loaded = match shipped(model) {
            Some((name, bytes)) => {
                anyhow::ensure!(engine == Engine::Tract, "the shipped model «{name}» runs on tract only: name a file");
                Model::from_bytes(bytes).with_context(|| format!("the shipped model «{name}»"))?
            }
            None => Model::load(model)?,
        };
        let ort = match engine {
            Engine::Tract => None,
            Engine::Ort => {
                let ort = OrtModel::open(model, provider)?;
                // What ONNX Runtime lacks is told once, not at every recording.
                ort.runner(loaded.card())?;
                Some(Arc::new(ort))
            }
        };
        Ok(Self { model: loaded, ort })
    }

    /// The same network on the same engine with another card, e.g. another temperature; and the file that holds both.
    /// `model` is what the ear was opened with.
    ///
    /// # Errors
    /// The file can't be read, or the card does not fit.
    pub fn with_card(&self, model: &Path, card: &Card) -> Result<(Self, Vec<u8>)> {
        let bytes = match shipped(model) {
            Some((_, bytes)) => bytes.to_vec(),
            None => std::fs::read(model).with_context(|| model.display().to_string())?,
        };
        let bytes = onnx::encode(&onnx::with_card(onnx::decode(&bytes)?, card)?);
        let ear = Self { model: Model::from_bytes(&bytes)?, ort: self.ort.clone() };
        Ok((ear, bytes))
    }

    /// A recognizer for sound at `rate` Hz.
    ///
    /// # Errors
    /// The rate or policy is out of range, or the engine refuses.
    pub fn recognizer(&self, rate: f64, policy: &Policy) -> Result<Recognizer> {
        let card = self.model.card();
        Ok(match &self.ort {
            None => Recognizer::new(&self.model, rate, policy)?,
            Some(ort) => Recognizer::with_runner(card, ort.runner(card)?, rate, policy)?,
        })
    }

    /// Streams a recording through a fresh recognizer and calls back once a hop, with the file's rate. Silence is
    /// pushed after the end until every sample of the recording has been decided on; decisions about that silence
    /// are left out.
    ///
    /// # Errors
    /// The file holds no sound that can be decoded, or recognizing fails.
    pub fn hear(
        &self,
        path: &Path,
        policy: &Policy,
        mut on_decision: impl FnMut(&Decision<'_>, u32) -> Result<()>,
    ) -> Result<Heard> {
        let mut reader = Reader::open(path)?;
        let mut recognizer = None;
        let mut samples_now = Vec::new();
        let mut pushed = 0_u64;
        let mut rate = reader.rate();
        let damage = loop {
            // The rate is certain once the first block is there.
            let block = match reader.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => break None,
                Err(error @ audio::Error::Damaged { .. }) if pushed > 0 => break Some(error),
                Err(error) => return Err(error.into()),
            };
            samples_now.clear();
            samples_now.extend_from_slice(block);
            rate = reader.rate();
            let ear = match &mut recognizer {
                Some(ear) => ear,
                None => recognizer
                    .insert(self.recognizer(f64::from(rate), policy).with_context(|| path.display().to_string())?),
            };
            pushed += samples_now.len() as u64;
            push(ear, &samples_now, |d| on_decision(d, rate))?;
        };
        if let Some(mut ear) = recognizer {
            let late = ear.latency();
            let silence_s = late.resampler + late.window + late.hop;
            let silence = vec![0.0; samples(silence_s, rate)];
            push(&mut ear, &silence, |d| if d.about < pushed { on_decision(d, rate) } else { Ok(()) })?;
        }
        Ok(Heard { duration_s: pushed as f64 / f64::from(rate.max(1)), rate, damage })
    }
}

/// The bytes of a model: those of a file, or of a shipped model by its name.
///
/// # Errors
/// Where the file can't be read.
pub(crate) fn model_bytes(model: &Path) -> Result<Vec<u8>> {
    if let Some((_, bytes)) = shipped(model) {
        return Ok(bytes.to_vec());
    }
    std::fs::read(model).with_context(|| format!("{}: the file can't be read", model.display()))
}

/// The absolute form of a path; the name of a shipped model stays as it is.
///
/// # Errors
/// Where there is none.
pub(crate) fn absolute(model: &Path) -> Result<PathBuf> {
    if shipped(model).is_some() { Ok(model.to_owned()) } else { Ok(std::path::absolute(model)?) }
}

/// A shipped model by its bare name, where no file of that name is there; folders are no models.
pub(crate) fn shipped(model: &Path) -> Option<(&'static str, &'static [u8])> {
    library::all().into_iter().find(|(name, _)| Path::new(name) == model && !model.is_file())
}

/// Pushes a block; an error of the callback is passed on.
fn push(
    recognizer: &mut Recognizer,
    block: &[f32],
    mut on_decision: impl FnMut(&Decision<'_>) -> Result<()>,
) -> Result<()> {
    let mut outcome = Ok(());
    recognizer.push(block, |decision| {
        if outcome.is_ok() {
            outcome = on_decision(decision);
        }
    })?;
    outcome
}

fn samples(seconds: f64, rate: u32) -> usize {
    // A latency is at most some seconds: the number is small and not negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n = (seconds * f64::from(rate)).ceil() as usize;
    n
}
