//! `tocco train`.

mod augment;
mod check;
mod config;
mod from;
mod head;
mod segments;

pub(super) use segments::SegmentArgs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command, FromArgMatches};
use tocco_models::{FrontendConfig, Task};

use super::encoder::{Common, EncoderArgs};
use super::remark;
use crate::augment::{Choice, Polyphony, Range, Voices};
use crate::engine::Provider;
use crate::export::{OrtCheck, export};
use crate::listen::{Engine, shipped};
use crate::manifest::Manifest;
use crate::net::{GruShape, OnSummary, Shape, SummaryShape, TcnShape};
use crate::toml_file::TomlFile;
use crate::train::{
    Clip, DeviceKind, LossKind, NONE_SHARE, NetKind, OptimizerKind, Options, Request, Schedule, Training, Until,
    WORKERS, preset, refuse_in, resume, train,
};

/// Options of `tocco train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Options as a TOML file, with tables as the headings below; options on the command line go before it. A run keeps
    /// its own as config.toml
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    config: Option<PathBuf>,
    /// The manifest, as `tocco prepare` writes it
    #[arg(long, help_heading = "Data", required_unless_present_any = ["resume", "config"])]
    manifest: Option<PathBuf>,
    /// Folder of the run: checkpoints, settings, figures and the exported model.onnx; an older run there is replaced
    #[arg(long, help_heading = "Run", required_unless_present_any = ["resume", "config"])]
    out: Option<PathBuf>,
    /// Go on with the training in this folder (or that of --out) from its newest checkpoint, with its own options
    #[arg(long, help_heading = "Run", value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    resume: Option<PathBuf>,
    /// With --resume: make no further step, and end the training with the weights that have validated best so far
    #[arg(long, help_heading = "Run", requires = "resume")]
    finish: bool,
    /// Begin with the weights of this run, of this model file, or of a shipped model (techniques, instruments,
    /// bowed-plucked), in its network and frontend; classes that it lacks are learnt anew
    #[arg(long, help_heading = "Run", value_name = "RUN")]
    from: Option<PathBuf>,
    /// Write a checkpoint at least this often, in seconds
    #[arg(long, help_heading = "Run", default_value_t = 60.0)]
    checkpoint_s: f64,
    /// Threads that prepare batches; how many there are changes nothing in the model
    #[arg(long, help_heading = "Run", value_name = "N", default_value_t = WORKERS)]
    workers: usize,
    /// Keep the decoded recordings in a file in the run's folder instead of in memory: for more than it holds
    #[arg(long, help_heading = "Run")]
    sounds_on_disk: bool,
    /// Leave out report.html, the page about the run
    #[arg(long, help_heading = "Run")]
    no_report: bool,
    /// Where the arithmetic runs
    #[arg(long, help_heading = "Run", value_enum, default_value = "cpu")]
    device: DeviceKind,
    /// Devices of that kind, which share the batches of a step: --accumulate must be a multiple
    #[arg(long, help_heading = "Run", value_name = "N", default_value_t = 1)]
    devices: usize,
    /// Equal seeds on equal data give equal models
    #[arg(long, help_heading = "Run", default_value_t = 0)]
    seed: u64,
    /// One class at a time with a trained `none`, or any number of instruments
    #[arg(long, help_heading = "Net", value_enum, default_value = "technique")]
    task: TaskName,
    /// The kind of network; the plugin is made for those that stream
    #[arg(long, help_heading = "Net", value_enum, default_value = "stream-tcn")]
    net: NetKind,
    /// Give each class a head of its own, as `--net heads` does
    #[arg(long, help_heading = "Net")]
    own_heads: bool,
    /// The network that `--net heads` puts its heads on [default: stream-tcn]
    #[arg(long, help_heading = "Net", value_enum)]
    trunk: Option<NetKind>,
    /// Channels inside the network [default: 64, for instruments 96]
    #[arg(long, help_heading = "Net")]
    channels: Option<usize>,
    /// Distance between the filter taps of each block, in frames [default: 1,2,4,8,16, for instruments 16 once more]
    #[arg(long, help_heading = "Net", value_delimiter = ',')]
    dilations: Option<Vec<usize>>,
    /// Time constant of the running mean before the head, in seconds, or 0 for none [default: 0, for instruments 0.5]
    #[arg(long, help_heading = "Net")]
    memory_s: Option<f32>,
    /// New frames in a step of the exported network: a decision every so many [default: 2 of 10 ms, for networks that
    /// hear windows 1 of 21 ms]
    #[arg(long, help_heading = "Net")]
    frames_per_step: Option<usize>,
    #[command(flatten)]
    frontend: FrontendArgs,
    #[command(flatten)]
    scenes: SceneArgs,
    #[command(flatten)]
    segments: SegmentArgs,
    #[command(flatten)]
    augment: augment::AugmentArgs,
    #[command(flatten)]
    learning: LearningArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// What the network hears.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Frontend")]
struct FrontendArgs {
    /// Rate that the model works at, in Hz [default: 24000]
    #[arg(long)]
    sample_rate: Option<u32>,
    /// Samples of the Fourier transform [default: 1024, for networks that hear windows 4096]
    #[arg(long)]
    fft_size: Option<usize>,
    /// Samples of the analysis window [default: 1024, for networks that hear windows 2048]
    #[arg(long)]
    window: Option<usize>,
    /// Further windows, each at most as long and ending with it: short ones hear when, long ones which. Their bands follow
    /// in the same frame [default: none, for ipt-flute 1024,512]
    #[arg(long, value_delimiter = ',')]
    extra_windows: Option<Vec<usize>>,
    /// Samples between two frames [default: 240, for networks that hear windows 512]
    #[arg(long)]
    hop: Option<usize>,
    /// Mel bands [default: 64, for instruments 80, for networks that hear windows 128]
    #[arg(long)]
    mels: Option<usize>,
    /// Lower edge of the lowest band, in Hz [default: 40, for networks that hear windows 20]
    #[arg(long)]
    fmin: Option<f32>,
    /// Upper edge of the highest band, in Hz [default: 11500, for networks that hear windows half of the rate]
    #[arg(long)]
    fmax: Option<f32>,
}

/// How notes are put together.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data")]
struct SceneArgs {
    /// Length of a scene (several notes) in seconds
    #[arg(long, default_value_t = 2.5)]
    scene_s: f32,
    /// Windows that a network which hears windows takes from a scene [default: 8]
    #[arg(long)]
    windows_per_scene: Option<usize>,
    /// Chance that a note is followed by one of the same class [default: 0.5, for instruments 0.6]
    #[arg(long)]
    stay: Option<f32>,
    /// Chance that notes overlap [default: 0.15, for instruments 0.05]
    #[arg(long)]
    overlap: Option<f32>,
    /// 0 draws all classes equally often, 1 as often as they occur [default: 0.2, for instruments 0.1]
    #[arg(long)]
    balance: Option<f32>,
    /// How often `none`, or a recording of no class, is drawn against a class that has as many recordings
    #[arg(long, default_value_t = NONE_SHARE)]
    none_share: f32,
    /// How many notes sound together in a scene, each number equally often [default: 1, with --overlap now and then 2]
    #[arg(long, value_name = "FROM..TO")]
    polyphony: Option<Polyphony>,
    /// Level of each of several notes, in dB [default: -12..0]
    #[arg(long, value_name = "FROM..TO", allow_hyphen_values = true)]
    gain_db: Option<Range>,
    /// Which notes sound together: any, or each from another range of frequencies [default: random]
    #[arg(long, value_enum)]
    choice: Option<Choice>,
}

/// What is minimised, and by which steps.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Loss")]
struct LearningArgs {
    /// Which class, each class for itself, or both [default: cross-entropy, for instruments both]
    #[arg(long, value_enum)]
    loss: Option<LossKind>,
    /// Exponent of the focal loss, which asks less of what is surely right; 0 for none
    #[arg(long, default_value_t = 0.0)]
    focal: f32,
    /// Weigh classes by their effective number of recordings: 0 all alike, near 1 by the inverse of their number
    #[arg(long, default_value_t = 0.0)]
    class_balance: f64,
    /// Share of the target that is spread over all classes, where the loss asks which one it is
    #[arg(long, default_value_t = 0.05)]
    label_smoothing: f32,
    /// A trained model that hears the training sound too: the network learns to answer as it does
    #[arg(long, value_name = "MODEL")]
    teacher: Option<PathBuf>,
    /// Share of the loss that is about the teacher's answers; the rest is about the labels [default: 0.5]
    #[arg(long, requires = "teacher")]
    teacher_weight: Option<f32>,
    /// Temperature at which both answers are compared: the higher, the more the unlikely classes count [default: 2]
    #[arg(long, requires = "teacher")]
    teacher_temperature: Option<f32>,
    /// Passes over the training sound [default: 50, for instruments 36]
    #[arg(long, help_heading = "Schedule")]
    epochs: Option<usize>,
    /// Scenes in a step [default: 16]
    #[arg(long, help_heading = "Schedule")]
    batch_size: Option<usize>,
    /// Batches in a step, where as many scenes at once would not fit: the step follows the mean of their gradients
    #[arg(long, help_heading = "Schedule", value_name = "N", default_value_t = 1)]
    accumulate: usize,
    /// Highest learning rate [default: 0.003, for networks that hear windows 0.001]
    #[arg(long, help_heading = "Schedule")]
    lr: Option<f64>,
    /// What follows the gradients: muon turns those of weight matrices into steps that are equally long in all directions
    #[arg(long, help_heading = "Schedule", value_enum, default_value = "adamw")]
    optimizer: OptimizerKind,
    /// The course of the learning rate
    #[arg(long, help_heading = "Schedule", value_enum, default_value = "cosine")]
    schedule: Schedule,
    /// Share of the steps in which the learning rate rises
    #[arg(long, help_heading = "Schedule", default_value_t = 0.04)]
    warm_up: f64,
    /// Validations without a better one after which --schedule plateau halves the learning rate
    #[arg(long, help_heading = "Schedule", default_value_t = 4)]
    plateau: usize,
    /// End after so many validations without a better one [default: all epochs are made]
    #[arg(long, help_heading = "Schedule")]
    patience: Option<usize>,
    /// With --from: let the head alone learn for so many epochs, then all
    #[arg(long, help_heading = "Schedule", value_name = "N", default_value_t = 0)]
    freeze_trunk_epochs: usize,
    /// Weight decay
    #[arg(long, help_heading = "Schedule", default_value_t = 0.02)]
    weight_decay: f32,
    /// Large gradients: norm:N scales those of a parameter to this norm, value:N cuts each off, none
    #[arg(long, help_heading = "Schedule", default_value_t = Clip::Norm(1.0))]
    clip: Clip,
    /// Share of the old mean that a step leaves in the averaged weights; 0 uses the newest weights
    #[arg(long, help_heading = "Schedule", default_value_t = 0.998)]
    averaging: f32,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TaskName {
    Technique,
    Instruments,
}

impl TaskName {
    fn task(self) -> Task {
        match self {
            Self::Technique => Task::Technique,
            Self::Instruments => Task::Instruments,
        }
    }
}

/// Runs `tocco train`.
///
/// # Errors
/// Where the manifest can't be trained on, or the run's folder can't be written.
pub fn run(args: Args) -> Result<()> {
    let run = if let Some(folder) = &args.resume {
        let folder = if folder.as_os_str().is_empty() { args.out.as_ref() } else { Some(folder) };
        refuse_others()?;
        let folder = folder.context("--resume goes on with a run: name its folder")?;
        resume(folder, args.manifest.as_deref(), if args.finish { Until::Here } else { Until::Planned })?
    } else {
        let Asked { args, matches, tables } = asked(args.config.as_deref())?;
        let (Some(manifest), Some(out)) = (&args.manifest, &args.out) else {
            bail!("--manifest and --out are needed, here or in the file of --config");
        };
        // Said before anything is read.
        let (count, batches) = (args.devices, args.learning.accumulate);
        ensure!(
            count > 0 && batches.is_multiple_of(count),
            "--devices is {count}: it must be at least 1 and divide the batches of a step, --accumulate, which is {batches}"
        );
        let device = args.device.open_all(args.devices)?.remove(0);
        if args.encoder.is_asked() {
            let training = head::training(&args, &matches, tables.as_ref())?;
            let manifest = Manifest::read(manifest)?;
            manifest.remarks().iter().for_each(remark);
            let out = out.clone();
            let (segments, device, report) = (&args.segments, &device, !args.no_report);
            let config = config::as_given(&command(), &matches, head::is_used)?;
            return args.encoder.run(Common {
                manifest: &manifest,
                out: &out,
                device,
                segments,
                report,
                config,
                training,
            });
        }
        let options = options(&args, &matches, tables.as_ref())?;
        let config = config::as_used(&command(), &matches, &options)?;
        let (device, devices) = (args.device, args.devices);
        let (manifest, checkpoint_s) = (manifest.clone(), args.checkpoint_s);
        let (from, teacher, workers) = (args.from.clone(), args.learning.teacher.clone(), args.workers);
        ensure!((1..=256).contains(&workers), "--workers is {workers}: it must lie between 1 and 256");
        let (no_report, sounds_on_disk) = (args.no_report, args.sounds_on_disk);
        for (option, model) in [("from", &from), ("teacher", &teacher)] {
            let is_name = model.as_ref().is_some_and(|model| model == out && shipped(model).is_some());
            ensure!(!is_name, "--out {}: --{option} names the shipped model so: name another folder", out.display());
        }
        teacher.iter().try_for_each(|teacher| refuse_in(out, "teacher", teacher))?;
        let request = Request {
            manifest,
            from,
            teacher,
            device,
            devices,
            checkpoint_s,
            workers,
            sounds_on_disk,
            no_report,
            config,
            options,
        };
        train(&request, out)?
    };
    let figures = run.figures()?;
    for (name, value) in &figures.metrics {
        remark(format_args!("{name}: {value:.3}"));
    }
    let report = export(&run, &run.settings.name, &run.folder.join("model.onnx"), &OrtCheck::usual())?;
    remark(report.text());
    let request = run.request()?;
    if !request.no_report {
        let manifest = args.manifest.unwrap_or(request.manifest);
        super::report::of_training(&run.folder, &Manifest::read(&manifest)?, (Engine::Tract, Provider::Cpu))?;
    }
    Ok(())
}

fn command() -> Command {
    Args::augment_args(Command::new("tocco train"))
}

/// The words after `tocco train`.
fn given() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}

/// What the command line and the file of `--config` ask for.
struct Asked {
    args: Args,
    matches: ArgMatches,
    /// The file, where its tables of augmentation count.
    tables: Option<TomlFile>,
}

/// The command line, behind the file's options where there is one.
fn asked(file: Option<&Path>) -> Result<Asked> {
    let mut words = vec![OsString::from("tocco train")];
    let file = file.map(TomlFile::read).transpose()?;
    if let Some(file) = &file {
        words.extend(config::arguments(file, &command(), &given())?);
    }
    words.extend(given());
    let matches = command().try_get_matches_from(words)?;
    // An augmentation file on the command line goes before all that the file says of augmentation.
    let tables = file.filter(|_| !config::is_given("--augment", &given()));
    Ok(Asked { args: Args::from_arg_matches(&matches)?, matches, tables })
}

/// A training that goes on has its own options: others would be silently ignored.
fn refuse_others() -> Result<()> {
    let matches = command().try_get_matches_from(std::iter::once(OsString::from("tocco train")).chain(given()))?;
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let command = command();
    let other = command.get_arguments().filter(given).filter_map(clap::Arg::get_long);
    if let Some(other) = other.into_iter().find(|name| !["resume", "finish", "out", "manifest"].contains(name)) {
        bail!("--resume goes on with the options that the run began with: leave --{other} away");
    }
    Ok(())
}

fn options(args: &Args, matches: &ArgMatches, tables: Option<&TomlFile>) -> Result<Options> {
    let usual = match &args.from {
        Some(from) => from::usual(args, matches, from)?,
        None => of_kind(args, args.task.task())?,
    };
    let (scenes, learning) = (&args.scenes, &args.learning);
    let sample_rate = args.frontend.sample_rate.unwrap_or(usual.sample_rate);
    let frontend = frontend(&args.frontend, usual.frontend, sample_rate);
    let shape = if args.from.is_some() { usual.shape } else { shape(args, usual.shape, &frontend, sample_rate)? };
    let (shape, segments) = args.segments.hear(shape, &frontend, sample_rate, matches)?;
    let options = Options {
        task: usual.task,
        epochs: learning.epochs.unwrap_or(usual.epochs),
        batch_size: learning.batch_size.unwrap_or(usual.batch_size),
        lr: learning.lr.unwrap_or(usual.lr),
        weight_decay: learning.weight_decay,
        seed: args.seed,
        scene_s: scenes.scene_s,
        label_smoothing: learning.label_smoothing,
        stay: scenes.stay.unwrap_or(usual.stay),
        overlap: scenes.overlap.unwrap_or(usual.overlap),
        balance: scenes.balance.unwrap_or(usual.balance),
        none_share: scenes.none_share,
        frames_per_step: args.frames_per_step.unwrap_or(usual.frames_per_step),
        shape,
        own_heads: args.own_heads || usual.own_heads,
        windows_per_scene: scenes.windows_per_scene.unwrap_or(usual.windows_per_scene),
        sample_rate,
        frontend,
        voices: Voices {
            polyphony: scenes.polyphony.unwrap_or(usual.voices.polyphony),
            gain_db: scenes.gain_db.unwrap_or(usual.voices.gain_db),
            choice: scenes.choice.unwrap_or(usual.voices.choice),
        },
        segments,
        augmentation: args.augment.config(usual.augmentation, tables)?,
        training: Training {
            loss: learning.loss,
            focal: learning.focal,
            class_balance: learning.class_balance,
            optimizer: learning.optimizer,
            schedule: learning.schedule,
            warm_up: learning.warm_up,
            plateau: learning.plateau,
            patience: learning.patience,
            clip: learning.clip,
            averaging: learning.averaging,
            accumulate: learning.accumulate,
            freeze_trunk_epochs: learning.freeze_trunk_epochs,
            teacher_weight: learning.teacher_weight.unwrap_or(usual.training.teacher_weight),
            teacher_temperature: learning.teacher_temperature.unwrap_or(usual.training.teacher_temperature),
        },
    };
    check::check_loss(learning)?;
    check::check(&options, args.checkpoint_s)?;
    let frozen = learning.freeze_trunk_epochs;
    ensure!(
        frozen == 0 || args.from.is_some(),
        "--freeze-trunk-epochs goes with --from: a trunk that has learnt nothing must learn"
    );
    let fitted = matches!(&options.shape, Shape::Summary(SummaryShape { on: OnSummary::Svm(_), .. }));
    ensure!(
        !fitted || learning.teacher.is_none(),
        "--teacher does not go with --net svm: a support vector machine is fitted to labels"
    );
    if fitted {
        remark("a support vector machine is fitted at once: the options of the loss and the schedule have no say");
    }
    ensure!(
        frozen <= options.epochs,
        "--freeze-trunk-epochs is {frozen}: it must be no more than --epochs, {}",
        options.epochs
    );
    Ok(options)
}

/// The options that the kind of network comes with.
fn of_kind(args: &Args, task: Task) -> Result<Options> {
    match (args.net, args.trunk) {
        (NetKind::Heads, Some(NetKind::Heads)) => bail!("--trunk heads: heads stand on another network, not on heads"),
        (NetKind::Heads, Some(trunk)) => Ok(Options { own_heads: true, ..preset(trunk, task) }),
        (_, Some(_)) => bail!("--trunk belongs to --net heads: it does not go with --net {}", args.net.name()),
        (net, None) => Ok(preset(net, task)),
    }
}

fn frontend(args: &FrontendArgs, usual: FrontendConfig, rate: u32) -> FrontendConfig {
    let window = args.window.unwrap_or(usual.window);
    FrontendConfig {
        // A longer window needs a longer transform; a lower rate ends lower.
        fft_size: args.fft_size.unwrap_or(usual.fft_size.max(window)),
        window,
        hop: args.hop.unwrap_or(usual.hop),
        mels: args.mels.unwrap_or(usual.mels),
        extra_windows: args.extra_windows.clone().unwrap_or(usual.extra_windows),
        fmin: args.fmin.unwrap_or(usual.fmin),
        fmax: args.fmax.unwrap_or(usual.fmax.min(rate as f32 / 2.0)),
        ..usual
    }
}

/// The usual shape with what the options say of it.
fn shape(args: &Args, usual: Shape, frontend: &FrontendConfig, rate: u32) -> Result<Shape> {
    let frames_a_second = rate as f32 / frontend.hop as f32;
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
