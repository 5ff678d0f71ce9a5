//! Checkpoints: everything that a training needs to go on as if it had never stopped, in one file.
//!
//! The file holds the line [`MAGIC`], then three parts, each after its length in bytes (64 bits, little-endian): the
//! state of the training as TOML (whose numbers read back exactly), the network's and the optimizer's records; then
//! the averaged weights as 32-bit floats; at last a sum over all of it. It is written beside and renamed, so a reader
//! sees a whole one or the one before.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use tocco_models::write_beside;

use super::schedule::Schedule;
use super::training::Training;
use crate::hash::Sum;
use crate::net::Net;

const MAGIC: &[u8] = b"tocco checkpoint 1\n";
/// Bytes of a length, and of the sum at the end.
const WORD: usize = size_of::<u64>();

/// Where a training stands between two steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Steps made.
    pub step: usize,
    /// Best validation so far.
    pub best: Option<f64>,
    /// Validations since the best one.
    pub waited: usize,
    /// What plateaus have left of the learning rate.
    pub plateau: f64,
    /// Whether it is enough, since the validations have not got better for long.
    pub enough: bool,
    /// Sum over the recordings that are trained on and validated with, see [`Sum`].
    pub recordings: String,
    /// Sum over the teacher's file, where there is one.
    pub teacher: Option<String>,
    /// Seconds of training, those before an interruption included.
    pub seconds: f64,
}

impl State {
    /// A validation was worse than the best.
    pub fn no_better(&mut self, training: &Training) {
        self.waited += 1;
        if training.schedule == Schedule::Plateau && self.waited.is_multiple_of(training.plateau) {
            self.plateau *= 0.5;
        }
        self.enough = training.patience.is_some_and(|patience| self.waited >= patience);
    }
}

/// A checkpoint as it is read.
pub(super) struct Checkpoint {
    pub state: State,
    net: Vec<u8>,
    optimizer: Vec<u8>,
    pub averaged: Vec<f32>,
}

impl Checkpoint {
    /// The newest checkpoint of a run; `None` where the training was stopped before the first one.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(e).with_context(|| format!("{}: the checkpoint can't be read", path.display()));
            }
        };
        Self::decode(&bytes).map(Some).with_context(|| format!("{}: the checkpoint is broken", path.display()))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let (rest, sum) = bytes.split_last_chunk::<WORD>().context("it is cut off")?;
        ensure!(Sum::of_bytes(rest) == u64::from_le_bytes(*sum), "it is cut off, or was changed");
        let mut rest = rest.strip_prefix(MAGIC).context("it is of another version of this program")?;
        let mut part = || -> Result<&[u8]> {
            let (length, after) = rest.split_first_chunk::<WORD>().context("it is cut off")?;
            let length = usize::try_from(u64::from_le_bytes(*length))?;
            let (part, after) = after.split_at_checked(length).context("it is cut off")?;
            rest = after;
            Ok(part)
        };
        let (state, net, optimizer) = (part()?, part()?.to_vec(), part()?.to_vec());
        let state = toml::from_slice(state)?;
        let (weights, _) = rest.as_chunks();
        Ok(Self { state, net, optimizer, averaged: weights.iter().map(|b| f32::from_le_bytes(*b)).collect() })
    }

    /// The network, made of a new one of the same shape, and the optimizer, made of a new one with the same settings.
    /// Both know each other's parameters by the names that the record keeps.
    pub fn restore(self, net: Net, optimizer: ModuleOptimizer) -> Result<(Net, ModuleOptimizer)> {
        let broken = |e: &dyn std::fmt::Display| anyhow!("the checkpoint is broken: {e}");
        ensure!(self.averaged.len() == net.weights().len(), "the checkpoint is of a network of another shape");
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(self.net)).map_err(|e| broken(&e))?;
        let net = net.try_load_record(record).map_err(|e| broken(&e))?;
        let optimizer = optimizer.from_bytes(Bytes::from_bytes_vec(self.optimizer)).map_err(|e| broken(&e))?;
        Ok((net, optimizer))
    }
}

/// Writes a checkpoint in the place of the one before, which stays where that fails.
pub(super) fn write(
    path: &Path,
    state: &State,
    net: &Net,
    optimizer: &ModuleOptimizer,
    averaged: &[f32],
) -> Result<()> {
    let record = net.clone().into_record().into_bytes().map_err(|e| anyhow!("the weights can't be saved: {e}"))?;
    let moments = optimizer.into_bytes().map_err(|e| anyhow!("the optimizer's state can't be saved: {e}"))?;
    let mut bytes = MAGIC.to_vec();
    for part in [toml::to_string(state)?.as_bytes(), &record, &moments] {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.extend(averaged.iter().flat_map(|weight| weight.to_le_bytes()));
    bytes.extend(Sum::of_bytes(&bytes).to_le_bytes());
    Ok(write_beside(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use burn::optim::AdamWConfig;
    use burn::tensor::Device;

    use super::*;
    use crate::net::{GruShape, NetConfig, Shape};

    fn state() -> State {
        State {
            step: 7,
            best: Some(0.1 + 0.2),
            waited: 0,
            plateau: 1.0,
            enough: false,
            recordings: "ab".into(),
            teacher: Some("cd".into()),
            seconds: 1.5,
        }
    }

    #[test]
    fn a_plateau_halves_the_rate_again_and_again_until_patience_ends() {
        let training = Training { schedule: Schedule::Plateau, plateau: 2, patience: Some(5), ..Training::default() };
        let mut state = state();
        let course: Vec<(f64, bool)> = (0..5)
            .map(|_| {
                state.no_better(&training);
                (state.plateau, state.enough)
            })
            .collect();
        assert_eq!(course, [(1.0, false), (0.5, false), (0.5, false), (0.25, false), (0.25, true)]);
    }

    #[test]
    fn a_checkpoint_that_was_cut_off_or_changed_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        assert!(Checkpoint::read(&path).unwrap().is_none());
        let shape = Shape::StreamGru(GruShape { channels: 2, hidden: 2, layers: 1 });
        let net = Net::new(&NetConfig { inputs: 3, classes: 2, shape, own_heads: false }, 1, &Device::flex());
        let state = state();
        write(&path, &state, &net, &AdamWConfig::new().init(), &net.weights()).unwrap();

        let whole = std::fs::read(&path).unwrap();
        let read = Checkpoint::read(&path).unwrap().unwrap();
        assert_eq!((&read.state, &read.averaged), (&state, &net.weights()));
        assert_eq!(read.restore(net.clone(), AdamWConfig::new().init()).unwrap().0.weights(), net.weights());
        for at in (0..whole.len()).step_by(7) {
            assert!(Checkpoint::decode(&whole[..at]).is_err(), "cut off after {at} bytes");
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert!(Checkpoint::decode(&changed).is_err(), "byte {at} changed");
        }
    }
}
