//! ONNX Runtime as a second engine. Its library is found at run time and never linked; without it everything else
//! works.

mod network;
mod placement;

pub use network::Network;
pub use placement::Placed;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use ort::environment::Environment;
use ort::ep;
use ort::session::Session;
use ort::value::Tensor;
use tocco_models::{Card, Error, NetworkKind, Runner};

/// Where ONNX Runtime runs a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Provider {
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// Apple's CoreML.
    Coreml,
}

/// Environment variable with the path of the library.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A model file for ONNX Runtime, read once: makes runners.
#[derive(Debug)]
pub struct OrtModel {
    path: PathBuf,
    bytes: Vec<u8>,
    library: PathBuf,
    provider: Provider,
}

impl OrtModel {
    /// The model at `path`. The library is looked for as in [`library`].
    ///
    /// # Errors
    /// Where no library is found or the file can't be read.
    pub fn open(path: &Path, provider: Provider) -> Result<Self> {
        let library = library(None)?;
        let bytes = std::fs::read(path).with_context(|| format!("{}: the model file can't be read", path.display()))?;
        Ok(Self { path: path.to_owned(), bytes, library, provider })
    }

    /// A runner in the initial state; `card` is the model's.
    ///
    /// # Errors
    /// Where the provider is not there, or the model is refused.
    pub fn runner(&self, card: &Card) -> Result<Box<dyn Runner>> {
        runner_from_bytes(&self.bytes, card, &self.library, self.provider)
            .with_context(|| self.path.display().to_string())
    }
}

/// The library of ONNX Runtime: `named` if given, else what `ORT_DYLIB_PATH` says, else the Python package in
/// `target/venv` (of this folder or one above), else the system's.
///
/// # Errors
/// Where there is none; the sentence says how to get one.
pub fn library(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        if !path.is_file() {
            bail!("{}: the library of ONNX Runtime is not there", path.display());
        }
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{}: {LIBRARY_VARIABLE} points to no library", path.display());
        }
        return Ok(path);
    }
    in_virtual_environment().or_else(in_system).ok_or_else(|| {
        anyhow!(
            "no library of ONNX Runtime was found: run `cargo xtask setup`, or `pip install onnxruntime` and set \
             {LIBRARY_VARIABLE} to its libonnxruntime"
        )
    })
}

fn in_virtual_environment() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let lib = here.ancestors().map(|folder| folder.join("target/venv/lib")).find(|lib| lib.is_dir())?;
    let pythons = std::fs::read_dir(&lib).ok()?.filter_map(|python| Some(python.ok()?.path()));
    // Windows has the packages in the folder itself, other systems in one for each version of Python.
    std::iter::once(lib).chain(pythons).find_map(|folder| library_in(&folder.join("site-packages/onnxruntime/capi")))
}

fn in_system() -> Option<PathBuf> {
    ["/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/opt/homebrew/lib"]
        .iter()
        .find_map(|folder| library_in(Path::new(folder)))
}

/// The main library in a folder, not those of single providers.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let is_library = |name: &str| {
        (name.starts_with("libonnxruntime.") && (name.contains(".so") || name.ends_with(".dylib")))
            || name == "onnxruntime.dll"
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(is_library))
        .collect();
    found.sort();
    found.into_iter().next()
}

/// The one environment of the process, and the library it came from.
fn environment(library: &Path) -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<std::result::Result<(PathBuf, Environment), String>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(library).map_err(|e| e.to_string())?;
        let environment = builder.with_name("tocco").with_telemetry(false).build().map_err(|e| e.to_string())?;
        Ok((library.to_owned(), environment))
    });
    match made {
        Ok((from, environment)) if from == library => Ok(environment),
        Ok((from, _)) => bail!(
            "{}: another library of ONNX Runtime ({}) is loaded already, and a process can have one",
            library.display(),
            from.display()
        ),
        Err(reason) => bail!("{}: ONNX Runtime can't be loaded: {reason}", library.display()),
    }
}

/// A session on so many threads. With `profile`, a path without its ending, ONNX Runtime notes what runs where.
fn session(
    bytes: &[u8],
    library: &Path,
    provider: Provider,
    threads: usize,
    profile: Option<&Path>,
) -> Result<Session> {
    let environment = environment(library)?;
    let builder = Session::builder(environment).context("ONNX Runtime makes no session")?;
    let providers = match provider {
        Provider::Cpu => ep::CPU::default().build(),
        Provider::Cuda => ep::CUDA::default().build(),
        Provider::Coreml => ep::CoreML::default().build(),
    };
    let mut builder = builder
        .with_execution_providers([providers.error_on_failure()])
        .map_err(|e| anyhow!("ONNX Runtime has no execution provider «{}» here: {e}", provider.name()))?
        .with_intra_threads(threads)
        .map_err(|e| anyhow!("ONNX Runtime refuses {threads} threads: {e}"))?;
    if let Some(path) = profile {
        builder = builder.with_profiling(path).map_err(|e| anyhow!("ONNX Runtime writes no profile: {e}"))?;
    }
    builder.commit_from_memory(bytes).context("ONNX Runtime refuses the model")
}

/// A session of which every node runs on `provider`. ONNX Runtime gives nodes that a provider lacks to the processor
/// without a word, so for all providers but that one `rehearse`, which runs the network once, is profiled.
fn placed_session(
    bytes: &[u8],
    library: &Path,
    provider: Provider,
    threads: usize,
    rehearse: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<Session> {
    if provider == Provider::Cpu {
        return session(bytes, library, provider, threads, None);
    }
    let folder = tempfile::tempdir().context("no folder can be made for the profile of ONNX Runtime")?;
    let mut session = session(bytes, library, provider, threads, Some(&folder.path().join("profile")))?;
    rehearse(&mut session)?;
    placement::stays_on(&profile_of(&mut session)?, provider)?;
    Ok(session)
}

/// Ends a profile and reads it.
fn profile_of(session: &mut Session) -> Result<Vec<Placed>> {
    let path = session.end_profiling().context("ONNX Runtime writes no profile")?;
    let profile = std::fs::read_to_string(&path).with_context(|| format!("{path}: the profile can't be read"))?;
    placement::read(&profile)
}

/// The first output of a network that takes a whole sequence at once: `frames` `[1, frames, mels]` as its only input,
/// on the processor.
///
/// # Errors
/// Where the library can't be loaded, the model is refused or fails.
pub fn answers_to_sequence(bytes: &[u8], library: &Path, frames: &[f32], mels: usize) -> Result<Vec<f32>> {
    let mut session = session(bytes, library, Provider::Cpu, 1, None)?;
    let input = Tensor::from_array(([1, frames.len() / mels, mels], frames.to_vec()))?;
    let outputs = session.run(ort::inputs![input])?;
    Ok(outputs[0].try_extract_tensor::<f32>()?.1.to_vec())
}

/// A network on ONNX Runtime, in the initial state.
///
/// # Errors
/// Where the library can't be loaded, the provider is not there, or the model is refused.
pub fn runner_from_bytes(bytes: &[u8], card: &Card, library: &Path, provider: Provider) -> Result<Box<dyn Runner>> {
    let shapes = shapes(card);
    let zeros: Vec<Vec<f32>> = shapes.iter().map(|shape| vec![0.0; shape.iter().product()]).collect();
    let rehearse = |session: &mut Session| Ok(session.run(values(&shapes, &zeros)?.as_slice()).map(|_| ())?);
    let session = placed_session(bytes, library, provider, 1, rehearse)?;
    if session.inputs().len() != shapes.len() || session.outputs().len() != shapes.len() {
        bail!(
            "the network has {} inputs and {} outputs, its card speaks of {}",
            session.inputs().len(),
            session.outputs().len(),
            shapes.len()
        );
    }
    Ok(Box::new(OrtRunner { session, shapes, inputs: zeros }))
}

/// Tensors of the inputs.
fn values<'a>(shapes: &[Vec<usize>], inputs: &[Vec<f32>]) -> ort::Result<Vec<ort::session::SessionInputValue<'a>>> {
    shapes
        .iter()
        .zip(inputs)
        .map(|(shape, numbers)| Ok(Tensor::from_array((shape.clone(), numbers.clone()))?.into()))
        .collect()
}

/// Shapes of the inputs: the sound, then the states.
fn shapes(card: &Card) -> Vec<Vec<usize>> {
    let mels = card.frontend.as_ref().map_or(0, |f| f.frame_size());
    match &card.network {
        NetworkKind::Stream { frames_per_step, states } => {
            std::iter::once(vec![1, *frames_per_step, mels]).chain(states.iter().map(|s| s.shape.clone())).collect()
        }
        NetworkKind::Window { frames, .. } => vec![vec![1, *frames, mels]],
        NetworkKind::Audio { samples, .. } => vec![vec![1, 1, *samples]],
    }
}

impl Provider {
    /// The word on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Coreml => "coreml",
        }
    }

    /// What ONNX Runtime calls it.
    fn in_onnxruntime(self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::Coreml => "CoreMLExecutionProvider",
        }
    }
}

/// One network with its state, on ONNX Runtime.
struct OrtRunner {
    session: Session,
    shapes: Vec<Vec<usize>>,
    /// The newest sound, then the states.
    inputs: Vec<Vec<f32>>,
}

impl OrtRunner {
    fn run(&mut self, logits: &mut [f32]) -> ort::Result<()> {
        let values = values(&self.shapes, &self.inputs)?;
        let outputs = self.session.run(values.as_slice())?;
        let (_, answer) = outputs[0].try_extract_tensor::<f32>()?;
        for (to, from) in logits.iter_mut().zip(answer) {
            *to = *from;
        }
        for (index, state) in self.inputs.iter_mut().enumerate().skip(1) {
            let (_, next) = outputs[index].try_extract_tensor::<f32>()?;
            state.clear();
            state.extend_from_slice(next);
        }
        Ok(())
    }
}

impl Runner for OrtRunner {
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> tocco_models::Result<()> {
        if input.len() != self.inputs[0].len() {
            return Err(Error::Run(format!("a step takes {} numbers, not {}", self.inputs[0].len(), input.len())));
        }
        self.inputs[0].copy_from_slice(input);
        self.run(logits).map_err(|e| Error::Run(e.to_string()))
    }

    fn reset(&mut self) -> tocco_models::Result<()> {
        self.inputs.iter_mut().for_each(|numbers| numbers.fill(0.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
