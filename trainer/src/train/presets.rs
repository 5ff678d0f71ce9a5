//! What was measured, or published, to serve each kind of network and each task well.

use tocco_models::{FrontendConfig, Task};

use super::{Options, SAMPLE_RATE, Training};
use crate::augment::{Config, Range, Voices};
use crate::net::{
    AstShape, CbamShape, ConvShape, GruShape, Hearing, MsCrnnShape, OnSummary, Shape, SummaryShape, TcnShape,
};

/// The networks by the names that `--net` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NetKind {
    /// Causal residual stack, frame by frame: what the shipped models are.
    StreamTcn,
    /// Gated recurrent units, frame by frame.
    StreamGru,
    /// Convolutions over a window of 320 ms, small.
    IptV1,
    /// Convolutions over a window of 320 ms, large.
    IptV2,
    /// Convolutions over a window of 320 ms, larger still.
    IptV3,
    /// Convolutions over three mel resolutions of a window of 320 ms.
    IptFlute,
    /// Convolutions with attention to channels and places, over a window of 320 ms.
    CbamCnn,
    /// Convolutions of several scales, then recurrent units, over a window of 320 ms.
    MsCrnn,
    /// A small patch transformer over a window of 320 ms.
    Ast,
    /// One head a class on another network, see --trunk.
    Heads,
    /// A linear model of a summary of a window of 320 ms.
    Linear,
    /// Dense layers on a summary of a window of 320 ms.
    Mlp,
    /// A support vector machine on a summary of a window of 320 ms.
    Svm,
}

impl NetKind {
    /// The name that `--net` takes.
    #[must_use]
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Frames of 10 ms that networks hear which work on the usual frontend.
const WINDOW: usize = 32;
/// Most support vectors.
const VECTORS: usize = 512;
/// Taps of the depthwise filters.
const KERNEL: usize = 5;

/// The kind of network that a shape is of; heads of their own are no matter of the shape. `None` for heads on encoders.
#[must_use]
pub fn kind_of(shape: &Shape) -> Option<NetKind> {
    let kinds = <NetKind as clap::ValueEnum>::value_variants().iter().copied();
    kinds.into_iter().find(|&kind| match (&preset(kind, Task::Technique).shape, shape) {
        (Shape::StreamTcn(_), Shape::StreamTcn(_)) | (Shape::StreamGru(_), Shape::StreamGru(_)) => true,
        // The length of the window is a person's to choose.
        (usual, shape) => match shape.hearing() {
            Hearing::Window { frames } => usual.clone().with_frames(frames) == *shape,
            Hearing::Stream => false,
        },
    })
}

/// The options of a kind of network for a task. Instruments need to hear finer and longer.
#[must_use]
pub fn preset(kind: NetKind, task: Task) -> Options {
    let for_task = task_options(task);
    let windowed = |shape: ConvShape| Options {
        frontend: window_frontend(shape.resolutions),
        shape: Shape::Convolutional(shape),
        lr: 1e-3,
        frames_per_step: 1,
        ..for_task.clone()
    };
    let over_window = |shape: Shape| Options { shape, lr: 1e-3, ..for_task.clone() };
    let summary = |on: OnSummary| Shape::Summary(SummaryShape { frames: WINDOW, on });
    match kind {
        NetKind::StreamTcn => for_task,
        NetKind::Heads => Options { own_heads: true, ..for_task },
        NetKind::StreamGru => {
            let hidden = if task == Task::Technique { 96 } else { 128 };
            let shape = Shape::StreamGru(GruShape { channels: hidden, hidden, layers: 1 });
            Options { shape, ..for_task }
        }
        NetKind::IptV1 => windowed(ConvShape::ipt_v1()),
        NetKind::IptV2 => windowed(ConvShape::ipt_v2()),
        NetKind::IptV3 => windowed(ConvShape::ipt_v3()),
        // Its pictures are large: fewer of them at once.
        NetKind::IptFlute => Options { batch_size: 8, windows_per_scene: 4, ..windowed(ConvShape::ipt_flute()) },
        NetKind::CbamCnn => over_window(Shape::CbamCnn(CbamShape { frames: WINDOW, channels: vec![24, 48, 96] })),
        NetKind::MsCrnn => over_window(Shape::MsCrnn(MsCrnnShape { frames: WINDOW, channels: 8, hidden: 64 })),
        NetKind::Ast => {
            let shape = AstShape { frames: WINDOW, patch: [16, 4], dim: 96, layers: 3, heads: 4, kept: 0.7 };
            over_window(Shape::Ast(shape))
        }
        NetKind::Linear => over_window(summary(OnSummary::Linear)),
        NetKind::Mlp => over_window(summary(OnSummary::Mlp(vec![128, 64]))),
        NetKind::Svm => over_window(summary(OnSummary::Svm(VECTORS))),
    }
}

fn task_options(task: Task) -> Options {
    let technique = Options {
        task,
        epochs: 50,
        batch_size: 16,
        lr: 3e-3,
        weight_decay: 0.02,
        seed: 0,
        scene_s: 2.5,
        label_smoothing: 0.05,
        stay: 0.5,
        overlap: 0.15,
        balance: 0.2,
        none_share: super::NONE_SHARE,
        frames_per_step: 2,
        shape: Shape::StreamTcn(TcnShape {
            channels: 64,
            kernel: KERNEL,
            dilations: vec![1, 2, 4, 8, 16],
            memory_frames: 0.0,
        }),
        own_heads: false,
        windows_per_scene: 8,
        sample_rate: SAMPLE_RATE,
        frontend: FrontendConfig::default(),
        voices: Voices::default(),
        segments: None,
        augmentation: Config::default(),
        training: Training::default(),
    };
    match task {
        Task::Technique => technique,
        Task::Instruments => Options {
            epochs: 36,
            stay: 0.6,
            overlap: 0.05,
            balance: 0.1,
            shape: Shape::StreamTcn(TcnShape {
                channels: 96,
                kernel: KERNEL,
                dilations: vec![1, 2, 4, 8, 16, 16],
                memory_frames: 50.0,
            }),
            frontend: FrontendConfig { mels: 80, ..FrontendConfig::default() },
            augmentation: instruments(),
            ..technique
        },
    }
}

fn instruments() -> Config {
    let mut config = Config::default();
    config.pitch_shift.semitones = Range(-3.0, 3.0);
    config.tone_colour.db = 7.0;
    config.room.chance = 0.35;
    config
}

/// Frames of 21.3 ms with 128 bands, as the published networks were made for; with three resolutions, windows of 85, 43
/// and 21 ms.
fn window_frontend(resolutions: usize) -> FrontendConfig {
    FrontendConfig {
        // Longer than the window: without that the lowest of 128 bands would lie between two bins.
        fft_size: 4096,
        window: 2048,
        hop: 512,
        mels: 128,
        fmin: 20.0,
        fmax: SAMPLE_RATE as f32 / 2.0,
        extra_windows: [1024, 512].into_iter().take(resolutions - 1).collect(),
        ..FrontendConfig::default()
    }
}
