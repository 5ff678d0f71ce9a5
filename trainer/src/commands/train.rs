//! `tocco train`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use tocco_models::{FrontendConfig, Task};

use crate::augment::Strength;
use crate::engine::Provider;
use crate::export::{OrtCheck, export};
use crate::manifest::Manifest;
use crate::train::{DeviceKind, Options, train};

/// Options of `tocco train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest, as `tocco prepare` writes it
    #[arg(long)]
    manifest: PathBuf,
    /// Folder of the run: checkpoints, settings, figures and the exported model.onnx
    #[arg(long)]
    out: PathBuf,
    /// One class at a time with a trained `none`, or any number of instruments
    #[arg(long, value_enum, default_value = "technique")]
    task: TaskName,
    /// Where the arithmetic runs
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceKind,
    /// Passes over the training sound
    #[arg(long, default_value_t = 40)]
    epochs: usize,
    /// Scenes (several notes, 2.5 s) in a step
    #[arg(long, default_value_t = 16)]
    batch_size: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 3e-3)]
    lr: f64,
    /// Weight decay
    #[arg(long, default_value_t = 0.02)]
    weight_decay: f32,
    /// Equal seeds on equal data give equal models
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Length of a scene in seconds
    #[arg(long, default_value_t = 2.5)]
    scene_s: f32,
    /// Channels inside the network
    #[arg(long, default_value_t = 64)]
    channels: usize,
    /// Distance between the filter taps of each block, in frames
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16")]
    dilations: Vec<usize>,
    /// Time constant of the running mean before the head, in seconds; 0 for none
    #[arg(long, default_value_t = 0.0)]
    memory_s: f32,
    /// Mel bands
    #[arg(long, default_value_t = 64)]
    mels: usize,
    /// New 10 ms frames in a step of the exported network: a decision every so many
    #[arg(long, default_value_t = 2)]
    frames_per_step: usize,
    /// Most semitones that a note is shifted in training
    #[arg(long, default_value_t = 4.0)]
    semitones: f32,
    /// Most dB that a band of the tone colour is changed in training
    #[arg(long, default_value_t = 9.0)]
    tone_db: f32,
    /// Chance of a room in training
    #[arg(long, default_value_t = 0.4)]
    room: f32,
    /// Chance that a note is followed by one of the same class
    #[arg(long, default_value_t = 0.5)]
    stay: f32,
    /// Chance that notes overlap
    #[arg(long, default_value_t = 0.15)]
    overlap: f32,
    /// 0 draws all classes equally often, 1 as often as they occur
    #[arg(long, default_value_t = 0.2)]
    balance: f32,
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

fn options(args: &Args) -> Result<Options> {
    let positive = [
        ("--epochs", args.epochs),
        ("--batch-size", args.batch_size),
        ("--channels", args.channels),
        ("--mels", args.mels),
        ("--frames-per-step", args.frames_per_step),
    ];
    if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
        bail!("{name} is 0: it must be at least 1");
    }
    if args.dilations.is_empty() || args.dilations.contains(&0) {
        bail!("--dilations must be numbers from 1, separated by commas");
    }
    for (name, chance) in [("--stay", args.stay), ("--overlap", args.overlap), ("--room", args.room)] {
        if !(0.0..=1.0).contains(&chance) {
            bail!("{name} is {chance}: it is a chance between 0 and 1");
        }
    }
    if !(0.5..=20.0).contains(&args.scene_s) {
        bail!("--scene-s is {}: scenes are 0.5 to 20 s long", args.scene_s);
    }
    Ok(Options {
        task: match args.task {
            TaskName::Technique => Task::Technique,
            TaskName::Instruments => Task::Instruments,
        },
        epochs: args.epochs,
        batch_size: args.batch_size,
        lr: args.lr,
        weight_decay: args.weight_decay,
        seed: args.seed,
        scene_s: args.scene_s,
        label_smoothing: args.label_smoothing,
        stay: args.stay,
        overlap: args.overlap,
        balance: args.balance,
        frames_per_step: args.frames_per_step,
        channels: args.channels,
        dilations: args.dilations.clone(),
        memory_s: args.memory_s,
        frontend: FrontendConfig { mels: args.mels, ..FrontendConfig::default() },
        strength: Strength { semitones: args.semitones, tone_db: args.tone_db, room: args.room, ..Strength::default() },
    })
}
