//! The networks that Tocco trains: a trunk that makes features of log-mel frames, and a head that makes logits.
//!
//! | `--net` | hears | file |
//! |---|---|---|
//! | `stream-tcn`, `stream-gru` | frame by frame, remembers: what the plugin is made for | `stream_tcn`, `stream_gru` |
//! | `ipt-v1`, `ipt-v2`, `ipt-v3`, `ipt-flute` | a whole window at each decision: to compare with | `convolutional` |
//! | `cbam-cnn`, `ms-crnn`, `ast` | the same | `cbam`, `ms_crnn`, `ast` |
//! | `linear`, `mlp`, `svm` | four numbers a band of a window: what must be beaten | `summary` |

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

mod ast;
mod cbam;
mod convolutional;
mod head;
mod init;
#[cfg(all(test, feature = "libtorch"))]
mod libtorch_tests;
mod matrix;
mod ms_crnn;
mod pooled;
mod residual;
mod scan;
mod stream_gru;
mod stream_tcn;
mod summary;
mod transformer;

pub use ast::{Ast, AstShape};
pub use cbam::{CbamCnn, CbamShape, CbamStage};
pub use convolutional::{Between, ConvShape, Convolution, Convolutional, Dense, LEAK, Stage, stretching};
pub use head::{HEAD_UNITS, Head, OwnHeads};
pub use ms_crnn::{MsCrnn, MsCrnnShape};
pub use pooled::{Attention, Pooled, PooledShape, Pooling, Tokens};
pub use stream_gru::{GruLayer, GruShape, StreamGru};
pub use stream_tcn::{Block, StreamTcn, TcnShape};
pub use summary::{Kernel, OnSummary, STATISTICS, Summary, SummaryShape, VARIANCE_FLOOR, summaries};
pub use transformer::{FrameNorm, NORM_EPSILON, TransformerBlock};

/// Shape of a trunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Shape {
    /// A causal residual stack.
    StreamTcn(TcnShape),
    /// Gated recurrent units.
    StreamGru(GruShape),
    /// Convolutions over a window.
    Convolutional(ConvShape),
    /// Convolutions with attention over a window.
    CbamCnn(CbamShape),
    /// Convolutions of several scales, then recurrent units, over a window.
    MsCrnn(MsCrnnShape),
    /// A patch transformer over a window.
    Ast(AstShape),
    /// A plain method on a summary of a window.
    Summary(SummaryShape),
    /// A window made one frame: heads on encoders.
    Pooled(PooledShape),
}

/// How a network hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// Frame by frame; it remembers what it needs.
    Stream,
    /// A whole window at a time, and nothing else.
    Window {
        /// Frames in the window.
        frames: usize,
    },
}

impl Shape {
    /// How it hears.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        let frames = match self {
            Self::StreamTcn(_) | Self::StreamGru(_) => return Hearing::Stream,
            Self::Convolutional(shape) => shape.frames,
            Self::CbamCnn(shape) => shape.frames,
            Self::MsCrnn(shape) => shape.frames,
            Self::Ast(shape) => shape.frames,
            Self::Summary(shape) => shape.frames,
            Self::Pooled(shape) => shape.frames,
        };
        Hearing::Window { frames }
    }

    /// The same with another length of the window; what streams has none.
    #[must_use]
    pub fn with_frames(mut self, frames: usize) -> Self {
        match &mut self {
            Self::StreamTcn(_) | Self::StreamGru(_) => {}
            Self::Convolutional(shape) => shape.frames = frames,
            Self::CbamCnn(shape) => shape.frames = frames,
            Self::MsCrnn(shape) => shape.frames = frames,
            Self::Ast(shape) => shape.frames = frames,
            Self::Summary(shape) => shape.frames = frames,
            Self::Pooled(shape) => shape.frames = frames,
        }
        self
    }
}

/// Everything that decides how many weights there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Numbers in one frame, see [`tocco_models::FrontendConfig::frame_size`].
    pub inputs: usize,
    /// Logits.
    pub classes: usize,
    /// The trunk.
    pub shape: Shape,
    /// Whether each class has a head of its own.
    pub own_heads: bool,
}

/// What makes features of frames.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one network in a training")]
pub enum Trunk {
    /// A causal residual stack.
    StreamTcn(StreamTcn),
    /// Gated recurrent units.
    StreamGru(StreamGru),
    /// Convolutions over a window.
    Convolutional(Convolutional),
    /// Convolutions with attention over a window.
    CbamCnn(CbamCnn),
    /// Convolutions of several scales, then recurrent units, over a window.
    MsCrnn(MsCrnn),
    /// A patch transformer over a window.
    Ast(Ast),
    /// A plain method on a summary of a window.
    Summary(Summary),
    /// A window made one frame.
    Pooled(Pooled),
}

impl Trunk {
    fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        match self {
            Self::StreamTcn(trunk) => trunk.forward(frames),
            Self::StreamGru(trunk) => trunk.forward(frames),
            Self::Convolutional(trunk) => trunk.forward(frames),
            Self::CbamCnn(trunk) => trunk.forward(frames),
            Self::MsCrnn(trunk) => trunk.forward(frames),
            Self::Ast(trunk) => trunk.forward(frames),
            Self::Summary(trunk) => trunk.forward(frames),
            Self::Pooled(trunk) => trunk.forward(frames),
        }
    }
}

/// A whole network.
#[derive(Module, Debug)]
pub struct Net {
    /// Frames to features.
    pub trunk: Trunk,
    /// Features to logits.
    pub head: Head,
}

impl Net {
    /// Random weights; equal seeds give equal networks.
    #[must_use]
    pub fn new(config: &NetConfig, seed: u64, device: &Device) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let inputs = config.inputs;
        let (trunk, features) = match &config.shape {
            Shape::StreamTcn(shape) => (Trunk::StreamTcn(StreamTcn::new(shape, inputs, rng, device)), shape.channels),
            Shape::StreamGru(shape) => (Trunk::StreamGru(StreamGru::new(shape, inputs, rng, device)), shape.hidden),
            Shape::Convolutional(shape) => {
                let mels = inputs / shape.resolutions;
                let features = shape.dense.last().copied().unwrap_or_else(|| shape.left(mels).iter().product());
                (Trunk::Convolutional(Convolutional::new(shape, mels, rng, device)), features)
            }
            Shape::CbamCnn(shape) => {
                let features = shape.channels.last().copied().unwrap_or(1);
                (Trunk::CbamCnn(CbamCnn::new(shape, rng, device)), features)
            }
            Shape::MsCrnn(shape) => (Trunk::MsCrnn(MsCrnn::new(shape, inputs, rng, device)), shape.hidden),
            Shape::Ast(shape) => (Trunk::Ast(Ast::new(shape, inputs, rng, device)), shape.dim),
            Shape::Summary(shape) => (Trunk::Summary(Summary::new(shape, inputs, rng, device)), shape.features(inputs)),
            Shape::Pooled(shape) => {
                let (trunk, features) = Pooled::new(shape, inputs, rng, device);
                (Trunk::Pooled(trunk), features)
            }
        };
        Self { trunk, head: Head::new(config.own_heads, features, config.classes, rng, device) }
    }

    /// Normalised frames `[batch, time, inputs]` to logits: `[batch, time, classes]` of each frame, or, where the network
    /// hears windows and `time` is one of them, `[batch, 1, classes]`.
    #[must_use]
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        self.head.forward(self.trunk.forward(frames))
    }

    /// As [`Net::forward`], but with a trunk that does not learn: it computes as in use, and no gradient gets to it.
    #[must_use]
    pub fn forward_frozen(&self, frames: Tensor<3>) -> Tensor<3> {
        self.head.forward(Tensor::from_inner(self.trunk.valid().forward(frames.inner())))
    }

    /// All weights one after the other, in a fixed order; the statistics that batch normalisation keeps are among them.
    #[must_use]
    pub fn weights(&self) -> Vec<f32> {
        struct Collect(Vec<f32>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(values(&param.val()));
            }
        }
        let mut collect = Collect(Vec::new());
        self.visit(&mut collect);
        collect.0
    }

    /// The same network with these weights, in the order of [`Net::weights`].
    ///
    /// # Panics
    /// Where there are fewer weights than the network has.
    #[must_use]
    pub fn with_weights(self, weights: &[f32]) -> Self {
        struct Set<'a>(&'a [f32]);
        impl ModuleMapper for Set<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|old| {
                    let shape = old.shape();
                    let (mine, rest) = self.0.split_at(shape.num_elements());
                    self.0 = rest;
                    let new = Tensor::from_data(TensorData::new(mine.to_vec(), shape), &old.device());
                    if old.is_require_grad() { new.require_grad() } else { new }
                })
            }
        }
        self.map(&mut Set(weights))
    }
}

/// A tensor's numbers, row-major.
pub(crate) fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}
