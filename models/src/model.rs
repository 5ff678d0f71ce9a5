//! A loaded model: its card and the network, shared by all who run it.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::card::Card;
use crate::error::{Error, Result};
use crate::frontend::LogMel;
use crate::onnx;

mod foreign;
mod kernels;
mod layers;
mod network;
mod pulse;

use network::Network;

/// How far a network's outputs may lie from the card's reference.
const REFERENCE_TOLERANCE: f32 = 1e-3;

/// How a network's states are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// States go in and come out at every step, as the file has it: any network.
    Explicit,
    /// Through tract's pulse transform: the past of convolutions lies in rings beside the operators.
    Pulse,
}

/// One network with its state.
pub trait Runner: Send {
    /// Runs the network once.
    ///
    /// `input` holds, time-major, `frames_per_step * mels` numbers for a `stream` network, `frames * mels` for a
    /// `window` one, `samples` for an `audio` one; `logits` gets one number a class.
    ///
    /// # Errors
    /// [`Error::Run`] where the engine fails.
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> Result<()>;

    /// Back to the initial state, exactly. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::Run`] where the engine fails.
    fn reset(&mut self) -> Result<()>;
}

/// A model, loaded and checked. Its weights are shared by every runner made from it.
#[derive(Debug)]
pub struct Model {
    card: Card,
    network: Network,
    operators: BTreeMap<String, usize>,
    parameters: usize,
    file_bytes: usize,
}

impl Model {
    /// Loads a file and checks it as [`Model::from_bytes`] does.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or any error of [`Model::from_bytes`] with the file's name.
    pub fn load(path: &Path) -> Result<Arc<Self>> {
        let bytes = read(path)?;
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        Self::named(&bytes, stem.as_deref(), None).map_err(|e| e.in_file(path))
    }

    /// Reads a model, loads its network into tract and compares it with the card's reference.
    ///
    /// # Errors
    /// Those of [`onnx::decode`]; [`Error::NoCard`] and [`Error::BadCard`]; [`Error::NotRunnable`],
    /// [`Error::CardMismatch`] and [`Error::WrongReference`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Arc<Self>> {
        Self::named(bytes, None, None)
    }

    /// As [`Model::from_bytes`], by this loader and no other: for tests and benchmarks.
    ///
    /// # Errors
    /// As [`Model::from_bytes`]; [`Error::NotRunnable`] where the loader does not fit the network.
    pub fn from_bytes_by(bytes: &[u8], loader: Loader) -> Result<Arc<Self>> {
        Self::named(bytes, None, Some(loader))
    }

    fn named(bytes: &[u8], name: Option<&str>, loader: Option<Loader>) -> Result<Arc<Self>> {
        let proto = onnx::decode(bytes)?;
        let card = match onnx::metadata(&proto, crate::CARD_KEY) {
            Some(json) => Card::from_json(json)?,
            None => foreign::card(&proto, name.unwrap_or("unnamed"))?,
        };
        // Before anybody who has a model that works lets go of it for this one.
        if let Some(frontend) = &card.frontend {
            LogMel::new(card.sample_rate, frontend)?;
        }
        let (operators, parameters) = count(&proto);
        let network = Network::new(&proto, &card, loader)?;
        let model = Self { card, network, operators, parameters, file_bytes: bytes.len() };
        // tract asserts in places, at the first step too.
        catch_unwind(AssertUnwindSafe(|| model.check_reference()))
            .map_err(|_| Error::NotRunnable("the engine gave up on it".into()))??;
        Ok(Arc::new(model))
    }

    /// What the model says of itself.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// How often each ONNX operator occurs.
    #[must_use]
    pub fn operators(&self) -> &BTreeMap<String, usize> {
        &self.operators
    }

    /// Numbers in the weights.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// How its states are kept. Chosen by rule, not by a measurement, so that the same file computes the same numbers
    /// bit for bit at every load: pulse where the network has convolutions with a past, tract can pulse them without
    /// delay, and the result computes what the explicit form computes; else explicit.
    #[must_use]
    pub fn loader(&self) -> Loader {
        self.network.loader()
    }

    /// Why a network is not pulsed; `None` where it is, or was not asked.
    #[must_use]
    pub fn not_pulsed(&self) -> Option<&str> {
        self.network.not_pulsed()
    }

    /// A fresh runner on tract, in the initial state.
    ///
    /// # Errors
    /// [`Error::Run`] where tract can't make one.
    pub fn runner(&self) -> Result<Box<dyn Runner>> {
        self.network.runner()
    }

    /// Runs the reference (or, where there is none, silence) once through the network.
    fn check_reference(&self) -> Result<()> {
        let classes = self.card.classes.len();
        let per_step = self.card.step_input();
        let silence = vec![0.0; per_step];
        let (input, expected) = match &self.card.reference {
            Some(r) => (r.input.as_slice(), Some(r.output.as_slice())),
            None => (silence.as_slice(), None),
        };
        let steps = input.len() / per_step.max(1);
        let fits = expected.is_none_or(|e| e.len() == steps * classes);
        if steps == 0 || steps * per_step != input.len() || !fits {
            return Err(Error::BadCard(
                "the reference does not have the size of the network's input and output".into(),
            ));
        }
        let mut runner = self.runner()?;
        let mut logits = vec![0.0; classes];
        let mut difference = 0.0_f32;
        for (i, step) in input.chunks_exact(per_step).enumerate() {
            runner.step(step, &mut logits)?;
            for (c, logit) in logits.iter().enumerate() {
                let distance = (logit - expected.map_or(*logit, |e| e[i * classes + c])).abs();
                // A NaN on either side must not pass for agreement, nor where there is nothing to agree with.
                difference = difference.max(if distance.is_nan() { f32::INFINITY } else { distance });
            }
        }
        if difference > REFERENCE_TOLERANCE {
            return Err(Error::WrongReference { difference, tolerance: REFERENCE_TOLERANCE });
        }
        Ok(())
    }
}

/// A regular file's bytes, up to the largest that is loaded: a device or a pipe has no end.
fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is not a file")));
    }
    if metadata.len() > onnx::LARGEST_FILE {
        return Err(Error::TooLarge { size: metadata.len(), limit: onnx::LARGEST_FILE }.in_file(path));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(onnx::LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// How often each operator occurs, and how many numbers the weights have.
fn count(proto: &onnx::pb::ModelProto) -> (BTreeMap<String, usize>, usize) {
    let mut operators = BTreeMap::new();
    let mut parameters = 0;
    if let Some(graph) = &proto.graph {
        for node in &graph.node {
            *operators.entry(node.op_type.clone()).or_insert(0) += 1;
        }
        let floats = |t: &&onnx::pb::TensorProto| t.data_type == onnx::pb::tensor_proto::DataType::Float as i32;
        for tensor in graph.initializer.iter().filter(floats) {
            parameters += tensor.dims.iter().filter_map(|&d| usize::try_from(d).ok()).product::<usize>();
        }
    }
    (operators, parameters)
}

#[cfg(test)]
mod tests;
