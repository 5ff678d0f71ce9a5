//! `tocco train`.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use tocco_models::{FrontendConfig, Task};

use crate::augment::{Choice, Config, Polyphony, Range, Voices};
use crate::engine::Provider;
use crate::export::{OrtCheck, export};
use crate::manifest::Manifest;
use crate::net::{GruShape, OnSummary, Shape, SummaryShape, TcnShape};
use crate::train::{DeviceKind, NetKind, Options, SAMPLE_RATE, preset, train};

/// Options of `tocco train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest, as `tocco prepare` writes it
    #[arg(long)]
    manifest: PathBuf,
    /// Folder of the run: checkpoints, settings, figures and the exported model.onnx; an older run there is replaced
    #[arg(long)]
    out: PathBuf,
    /// One class at a time with a trained `none`, or any number of instruments
    #[arg(long, value_enum, default_value = "technique")]
    task: TaskName,
    /// The kind of network; the plugin is made for those that stream
    #[arg(long, value_enum, default_value = "stream-tcn")]
    net: NetKind,
    /// Give each class a head of its own, as `--net heads` does
    #[arg(long)]
    own_heads: bool,
    /// The network that `--net heads` puts its heads on [default: stream-tcn]
    #[arg(long, value_enum)]
    trunk: Option<NetKind>,
    /// Where the arithmetic runs
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceKind,
    /// Passes over the training sound [default: 50, for instruments 36]
    #[arg(long)]
    epochs: Option<usize>,
    /// Scenes (several notes, 2.5 s) in a step [default: 16]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Windows that a network which hears windows takes from a scene [default: 8]
    #[arg(long)]
    windows_per_scene: Option<usize>,
    /// Highest learning rate [default: 0.003, for networks that hear windows 0.001]
    #[arg(long)]
    lr: Option<f64>,
    /// Weight decay
    #[arg(long, default_value_t = 0.02)]
    weight_decay: f32,
    /// Equal seeds on equal data give equal models
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Length of a scene in seconds
    #[arg(long, default_value_t = 2.5)]
    scene_s: f32,
    /// Channels inside the network [default: 64, for instruments 96]
    #[arg(long)]
    channels: Option<usize>,
    /// Distance between the filter taps of each block, in frames [default: 1,2,4,8,16, for instruments 16 once more]
    #[arg(long, value_delimiter = ',')]
    dilations: Option<Vec<usize>>,
    /// Time constant of the running mean before the head, in seconds, or 0 for none [default: 0, for instruments 0.5]
    #[arg(long)]
    memory_s: Option<f32>,
    /// Mel bands [default: 64, for instruments 80]
    #[arg(long)]
    mels: Option<usize>,
    /// New frames in a step of the exported network: a decision every so many [default: 2 of 10 ms, for networks that
    /// hear windows 1 of 21 ms]
    #[arg(long)]
    frames_per_step: Option<usize>,
    /// How many notes sound together in a scene, each number equally often [default: 1, with --overlap now and then 2]
    #[arg(long, value_name = "FROM..TO")]
    polyphony: Option<Polyphony>,
    /// Which notes sound together: any, or each from another range of frequencies [default: random]
    #[arg(long, value_enum)]
    choice: Option<Choice>,
    /// What augmentation does, as a TOML file; the options below go before it [default: as the shipped models]
    #[arg(long, value_name = "FILE")]
    augment: Option<PathBuf>,
    /// Most semitones that a note is shifted in training [default: 4, for instruments 3]
    #[arg(long)]
    semitones: Option<f32>,
    /// Most dB that a band of the tone colour is changed in training [default: 9, for instruments 7]
    #[arg(long)]
    tone_db: Option<f32>,
    /// Chance of a room in training [default: 0.4, for instruments 0.35]
    #[arg(long)]
    room: Option<f32>,
    /// Chance that a note is followed by one of the same class [default: 0.5, for instruments 0.6]
    #[arg(long)]
    stay: Option<f32>,
    /// Chance that notes overlap [default: 0.15, for instruments 0.05]
    #[arg(long)]
    overlap: Option<f32>,
    /// 0 draws all classes equally often, 1 as often as they occur [default: 0.2, for instruments 0.1]
    #[arg(long)]
    balance: Option<f32>,
    /// Share of the target that is spread over all classes
    #[arg(long, default_value_t = 0.05)]
    label_smoothing: f32,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TaskName {
    Technique,
    Instruments,
}

/// Runs `tocco train`.
///
/// # Errors
/// Where the manifest can't be trained on, or the run's folder can't be written.
pub fn run(args: Args) -> Result<()> {
    let manifest = Manifest::read(&args.manifest)?;
    for remark in manifest.remarks() {
        eprintln!("{remark}");
    }
    let device = args.device.open()?;
    let options = options(&args)?;
    let run = train(&manifest, &args.out, &options, &device)?;
    let figures = run.figures()?;
    for (name, value) in &figures.metrics {
        eprintln!("{name}: {value:.3}");
    }
    let check = OrtCheck { library: None, provider: Provider::Cpu, required: false };
    let report = export(&run, &run.settings.name, &args.out.join("model.onnx"), &check)?;
    eprintln!("{}", report.text());
    Ok(())
}

/// The file's augmentation or the usual one, with what the command line says beside it.
fn augmentation(args: &Args, usual: Config) -> Result<Config> {
    let mut config = args.augment.as_deref().map_or(Ok(usual), Config::read)?;
    if let Some(semitones) = args.semitones {
        config.pitch_shift.semitones = Range(-semitones, semitones);
    }
    if let Some(db) = args.tone_db {
        config.tone_colour.db = db;
    }
    if let Some(chance) = args.room {
        config.room.chance = chance;
    }
    Ok(config)
}

fn options(args: &Args) -> Result<Options> {
    let task = match args.task {
        TaskName::Technique => Task::Technique,
        TaskName::Instruments => Task::Instruments,
    };
    let usual = usual(args, task)?;
    let options = Options {
        task,
        epochs: args.epochs.unwrap_or(usual.epochs),
        batch_size: args.batch_size.unwrap_or(usual.batch_size),
        lr: args.lr.unwrap_or(usual.lr),
        weight_decay: args.weight_decay,
        seed: args.seed,
        scene_s: args.scene_s,
        label_smoothing: args.label_smoothing,
        stay: args.stay.unwrap_or(usual.stay),
        overlap: args.overlap.unwrap_or(usual.overlap),
        balance: args.balance.unwrap_or(usual.balance),
        frames_per_step: args.frames_per_step.unwrap_or(usual.frames_per_step),
        shape: shape(args, usual.shape, &usual.frontend)?,
        own_heads: args.own_heads || usual.own_heads,
        windows_per_scene: args.windows_per_scene.unwrap_or(usual.windows_per_scene),
        frontend: FrontendConfig { mels: args.mels.unwrap_or(usual.frontend.mels), ..usual.frontend },
        voices: Voices {
            polyphony: args.polyphony.unwrap_or(usual.voices.polyphony),
            choice: args.choice.unwrap_or(usual.voices.choice),
            ..usual.voices
        },
        augmentation: augmentation(args, usual.augmentation)?,
    };
    check(&options)?;
    Ok(options)
}

/// The options that the kind of network comes with.
fn usual(args: &Args, task: Task) -> Result<Options> {
    match (args.net, args.trunk) {
        (NetKind::Heads, Some(NetKind::Heads)) => bail!("--trunk heads: heads stand on another network, not on heads"),
        (NetKind::Heads, Some(trunk)) => Ok(Options { own_heads: true, ..preset(trunk, task) }),
        (_, Some(_)) => bail!("--trunk belongs to --net heads: it does not go with --net {}", args.net.name()),
        (net, None) => Ok(preset(net, task)),
    }
}

/// The usual shape with what the options say of it.
fn shape(args: &Args, usual: Shape, frontend: &FrontendConfig) -> Result<Shape> {
    let frames_a_second = SAMPLE_RATE as f32 / frontend.hop as f32;
    let shape = match usual {
        Shape::StreamTcn(usual) => {
            return Ok(Shape::StreamTcn(TcnShape {
                channels: args.channels.unwrap_or(usual.channels),
                dilations: args.dilations.clone().unwrap_or(usual.dilations),
                memory_frames: args.memory_s.map_or(usual.memory_frames, |s| s * frames_a_second),
                ..usual
            }));
        }
        Shape::StreamGru(usual) => {
            let hidden = args.channels.unwrap_or(usual.hidden);
            Shape::StreamGru(GruShape { channels: hidden, hidden, ..usual })
        }
        usual => {
            ensure!(args.channels.is_none(), "--channels does not go with --net {}", args.net.name());
            usual
        }
    };
    ensure!(
        args.dilations.is_none() && args.memory_s.is_none(),
        "--dilations and --memory-s belong to stream-tcn: they do not go with --net {}",
        args.net.name()
    );
    Ok(shape)
}

fn check(options: &Options) -> Result<()> {
    let positive = [
        ("--epochs", options.epochs),
        ("--batch-size", options.batch_size),
        ("--windows-per-scene", options.windows_per_scene),
        ("--mels", options.frontend.mels),
        ("--frames-per-step", options.frames_per_step),
    ];
    if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
        bail!("{name} is 0: it must be at least 1");
    }
    check_shape(options)?;
    let ranges = [
        ("--stay", options.stay, 0.0, 1.0),
        ("--overlap", options.overlap, 0.0, 1.0),
        ("--room", options.augmentation.room.chance, 0.0, 1.0),
        ("--label-smoothing", options.label_smoothing, 0.0, 0.5),
        ("--balance", options.balance, 0.0, 1.0),
        ("--scene-s", options.scene_s, 0.5, 20.0),
        ("--semitones", options.augmentation.pitch_shift.semitones.1, 0.0, 12.0),
        ("--tone-db", options.augmentation.tone_colour.db, 0.0, 40.0),
    ];
    if let Some((name, value, low, high)) = ranges.iter().find(|(_, value, low, high)| !(*low..=*high).contains(value))
    {
        bail!("{name} is {value}: it must lie between {low} and {high}");
    }
    if !(options.lr > 0.0 && options.lr <= 1.0) {
        bail!("--lr is {}: it must lie between 0 and 1", options.lr);
    }
    Ok(())
}

fn check_shape(options: &Options) -> Result<()> {
    match &options.shape {
        Shape::StreamTcn(shape) => {
            ensure!(shape.channels > 0, "--channels is 0: it must be at least 1");
            ensure!(
                !shape.dilations.is_empty() && !shape.dilations.contains(&0),
                "--dilations must be numbers from 1, separated by commas"
            );
            ensure!((0.0..=6000.0).contains(&shape.memory_frames), "--memory-s must lie between 0 and 60");
        }
        Shape::StreamGru(shape) => ensure!(shape.hidden > 0, "--channels is 0: it must be at least 1"),
        Shape::Convolutional(shape) => {
            let mels = options.frontend.mels;
            ensure!(
                !shape.left(mels).contains(&0),
                "--mels is {mels}: too few for this network, whose poolings leave nothing of them"
            );
        }
        Shape::Ast(shape) => {
            let (mels, high) = (options.frontend.mels, shape.patch[0]);
            ensure!(mels.is_multiple_of(high), "--mels is {mels}: this network cuts the bands into patches of {high}");
        }
        Shape::Summary(SummaryShape { on: OnSummary::Svm(_), .. }) => ensure!(
            !options.own_heads,
            "a support vector machine tells each class from the rest already: it has no use for heads of their own"
        ),
        Shape::CbamCnn(_) | Shape::MsCrnn(_) | Shape::Summary(_) => {}
    }
    Ok(())
}
