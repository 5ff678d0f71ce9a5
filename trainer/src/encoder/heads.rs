//! The networks on top of an encoder.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tocco_models::{FrontendConfig, Task};

use crate::net::{GruShape, PooledShape, Pooling, Shape, TcnShape};
use crate::train::{NetKind, Options, Settings, preset};

/// The heads by the names that `--head` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// One layer on the mean of the embeddings.
    Linear,
    /// A hidden layer on the mean of the embeddings.
    Mlp,
    /// One layer on a mean in which each embedding counts by what it says.
    Attention,
    /// Gated recurrent units over the sequence.
    Gru,
    /// Causal convolutions over the sequence.
    Tcn,
    /// Two blocks of a transformer over the sequence, then as `attention`.
    Transformer,
}

/// Units of the hidden layer.
const HIDDEN: usize = 128;
/// Units of the recurrent and channels of the convolutional head.
const CHANNELS: usize = 64;
/// Taps of a convolution.
const KERNEL: usize = 3;

impl HeadKind {
    /// The name that `--head` takes.
    #[must_use]
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The shape of the network over `time` embeddings.
    ///
    /// # Errors
    /// Where a head needs a sequence and there is none.
    pub(super) fn shape(self, time: usize) -> Result<Shape> {
        if time == 1 && !matches!(self, Self::Linear | Self::Mlp) {
            bail!(
                "--head {} needs a sequence, but the encoder gives one embedding a window: take linear or mlp, let \
                 it hear several windows with --encoder-windows, or name another output with --encoder-output",
                self.name()
            );
        }
        let pooled =
            PooledShape { frames: time, blocks: 0, width: HIDDEN, heads: 4, pooling: Pooling::Mean, hidden: None };
        Ok(match self {
            Self::Linear => Shape::Pooled(pooled),
            Self::Mlp => Shape::Pooled(PooledShape { hidden: Some(HIDDEN), ..pooled }),
            Self::Attention => Shape::Pooled(PooledShape { pooling: Pooling::Attention, ..pooled }),
            Self::Transformer => Shape::Pooled(PooledShape { pooling: Pooling::Attention, blocks: 2, ..pooled }),
            Self::Gru => Shape::StreamGru(GruShape { channels: CHANNELS, hidden: CHANNELS, layers: 1 }),
            Self::Tcn => Shape::StreamTcn(TcnShape {
                channels: CHANNELS,
                kernel: KERNEL,
                dilations: dilations(time),
                memory_frames: 0.0,
            }),
        })
    }
}

/// Doubling distances until the newest embedding sees the whole sequence, at most six.
fn dilations(time: usize) -> Vec<usize> {
    let reach = |count: u32| (KERNEL - 1) * ((1 << count) - 1);
    let count = (1..6).find(|&count| reach(count) + 1 >= time).unwrap_or(6);
    (0..count).map(|i| 1 << i).collect()
}

/// The head as a network whose frames are embeddings.
pub(super) fn settings(
    shape: Shape,
    task: Task,
    classes: &[String],
    time: usize,
    (mean, deviation): (&[f32], &[f32]),
) -> Settings {
    let usual = preset(NetKind::StreamTcn, task);
    Settings {
        name: "head".into(),
        classes: classes.to_vec(),
        mean: mean.to_vec(),
        deviation: deviation.to_vec(),
        data: Vec::new(),
        options: Options {
            shape,
            frames_per_step: time,
            frontend: FrontendConfig { mels: mean.len(), extra_windows: Vec::new(), ..FrontendConfig::default() },
            ..usual
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn convolutions_reach_back_to_the_first_embedding() {
        for (time, expected) in [(2, 1), (3, 1), (4, 2), (7, 2), (31, 4), (63, 5), (900, 6)] {
            assert_eq!(dilations(time).len(), expected, "{time}");
        }
    }

    #[test]
    fn a_sequence_head_is_refused_where_there_is_no_sequence() {
        let words = HeadKind::Gru.shape(1).unwrap_err().to_string();
        assert!(words.contains("--head gru") && words.contains("linear or mlp"), "{words}");
        HeadKind::Mlp.shape(1).unwrap();
    }
}
