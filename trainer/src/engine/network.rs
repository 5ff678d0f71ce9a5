//! Any network with one input of 32-bit floats, on ONNX Runtime.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ort::session::Session;
use ort::value::Tensor;

use super::{Provider, placed_session};

/// A network that takes one tensor and of which one output is wanted.
pub struct Network {
    session: Session,
    output: String,
    shape: Vec<usize>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("output", &self.output).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Network {
    /// Opens a network whose input gets tensors of `shape`, on all cores. `output` is the first one where it is not
    /// named.
    ///
    /// # Errors
    /// Where the library or the provider is not there, the network is refused, does not take such a tensor, has no
    /// such output, or runs elsewhere than on `provider`.
    pub fn open(
        bytes: &[u8],
        library: &Path,
        provider: Provider,
        shape: &[usize],
        output: Option<&str>,
    ) -> Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let zeros = vec![0.0; shape.iter().product()];
        let session =
            placed_session(bytes, library, provider, threads, |session| run(session, shape, &zeros, None).map(|_| ()))?;
        let names: Vec<&str> = session.outputs().iter().map(ort::value::Outlet::name).collect();
        let output = match output {
            Some(name) if names.contains(&name) => name.to_owned(),
            Some(name) => bail!("the network has no output «{name}»; it has: {}", names.join(", ")),
            None => names.first().copied().map(str::to_owned).ok_or_else(|| anyhow!("the network has no output"))?,
        };
        Ok(Self { session, output, shape: shape.to_owned() })
    }

    /// Runs it once; shape and numbers of the output.
    ///
    /// # Errors
    /// Where the network fails or its output is not of 32-bit floats.
    pub fn run(&mut self, numbers: &[f32]) -> Result<(Vec<usize>, Vec<f32>)> {
        run(&mut self.session, &self.shape, numbers, Some(&self.output))
    }
}

fn run(
    session: &mut Session,
    shape: &[usize],
    numbers: &[f32],
    output: Option<&str>,
) -> Result<(Vec<usize>, Vec<f32>)> {
    let input = Tensor::from_array((shape.to_vec(), numbers.to_vec()))?;
    let outputs = session
        .run(ort::inputs![input])
        .map_err(|e| anyhow!("the network can't be run on an input of the shape {shape:?}: {e}"))?;
    let value = match output {
        Some(name) => outputs.get(name).with_context(|| format!("the network has no output «{name}»"))?,
        None => &outputs[0],
    };
    let (shape, numbers) = value.try_extract_tensor::<f32>().context("its output is not of 32-bit floats")?;
    let shape = shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
    Ok((shape, numbers.to_vec()))
}
