//! Training: a manifest becomes a run, a folder with checkpoints, settings and figures.

mod batches;
mod corpus;
mod loss;
mod presets;
mod run;
mod schedule;
mod svm;
mod validate;

pub use corpus::Corpus;
pub use presets::{NetKind, preset};
pub use run::{Figures, Run, Settings};

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use tocco_models::{FrontendConfig, NONE, Task};

use crate::augment::{Config, Library, SceneConfig, Voices};
use crate::manifest::Manifest;
use crate::net::{Hearing, Net, OnSummary, Shape, SummaryShape};

/// Where the arithmetic of training runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceKind {
    /// The processor: always there.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// A graphics card through wgpu.
    Wgpu,
    /// An Apple graphics processor.
    Metal,
}

impl DeviceKind {
    /// # Errors
    /// Where this program was built without the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(any(feature = "wgpu", feature = "metal"))]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[allow(unreachable_patterns, reason = "with every feature on nothing is left")]
            other => {
                let name = format!("{other:?}").to_lowercase();
                bail!(
                    "this program was built without the device «{name}»: build it with `cargo install --path trainer \
                     --features {name}`, or train with `--device cpu`"
                )
            }
        }
    }
}

/// What a person chooses about a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// One class at a time, or any number.
    pub task: Task,
    /// Passes over the training sound.
    pub epochs: usize,
    /// Scenes in a step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// AdamW's weight decay.
    pub weight_decay: f32,
    /// Equal seeds on equal data give equal models.
    pub seed: u64,
    /// Length of a scene in seconds.
    pub scene_s: f32,
    /// Share of the target spread over all classes.
    pub label_smoothing: f32,
    /// Chance that a note is followed by one of the same class.
    pub stay: f32,
    /// Chance that notes overlap.
    pub overlap: f32,
    /// Exponent on the number of recordings of a class when notes are drawn.
    pub balance: f32,
    /// New frames a step of the exported network.
    pub frames_per_step: usize,
    /// What kind of network, and its shape.
    pub shape: Shape,
    /// Whether each class has a head of its own.
    pub own_heads: bool,
    /// Windows that a network which hears windows takes from a scene.
    pub windows_per_scene: usize,
    /// The log-mel frontend.
    pub frontend: FrontendConfig,
    /// How many notes sound together in a scene.
    pub voices: Voices,
    /// What augmentation does.
    pub augmentation: Config,
}

/// The rate that every shipped model works at, in Hz.
pub const SAMPLE_RATE: u32 = 24_000;
/// Short training sets still get this many steps an epoch.
const FEWEST_STEPS: usize = 12;
/// Tells the seeds of what a network draws from those of scenes.
const DRAWS: u64 = 0x6472_6177;
/// Share of the old average that a step leaves in the averaged weights.
const AVERAGING: f32 = 0.998;

/// Trains on a manifest and leaves a whole run in `out`. An older run there is removed before the first step.
///
/// # Errors
/// Where the manifest can't be trained on, or a file of the run can't be written.
pub fn train(manifest: &Manifest, out: &Path, options: &Options, device: &Device) -> Result<Run> {
    manifest.check_for_training()?;
    let classes = classes(manifest, options.task)?;
    std::fs::create_dir_all(out).with_context(|| format!("{}: the folder can't be made", out.display()))?;
    let started = Instant::now();
    let corpus = Corpus::load(manifest, &classes)?;
    let scene = scene_config(options, &classes)?;
    let (mean, deviation) = batches::statistics(&corpus.train, &scene, classes.len(), options.seed)?;
    let name = out.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let mut settings = Settings { name, classes, mean, deviation, data: manifest.sources(), options: options.clone() };
    // A support vector machine is fitted at once; all else learns in steps.
    let fitted = match &settings.options.shape {
        Shape::Summary(SummaryShape { on: OnSummary::Svm(_), .. }) => {
            Some(svm::fit(&mut settings, &corpus.train, &scene)?)
        }
        _ => None,
    };
    let run = Run { folder: out.to_owned(), settings };
    run.clear()?;
    run.save_settings()?;
    match fitted {
        Some(net) => run.save_best(&net)?,
        None => Trainer::new(&run, &corpus, &scene, device).all_epochs()?,
    }
    let mut figures = validate::final_figures(&run, &corpus, device)?;
    figures.metrics.insert("training/seconds".into(), started.elapsed().as_secs_f64());
    run.save_figures(&figures)?;
    Ok(run)
}

/// The model's classes: a technique model always has `none`, which silence and noise teach where no recording does.
fn classes(manifest: &Manifest, task: Task) -> Result<Vec<String>> {
    let mut classes = manifest.classes();
    if task == Task::Technique && !classes.iter().any(|c| c == NONE) {
        classes.push(NONE.into());
    }
    if classes.len() > tocco_models::MAX_CLASSES {
        bail!("there are {} classes: a model can have {}", classes.len(), tocco_models::MAX_CLASSES);
    }
    Ok(classes)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds in frames")]
fn scene_config(options: &Options, classes: &[String]) -> Result<SceneConfig> {
    let frames_a_second = SAMPLE_RATE as f32 / options.frontend.hop as f32;
    Ok(SceneConfig {
        rate: SAMPLE_RATE,
        frontend: options.frontend.clone(),
        frames: ((options.scene_s * frames_a_second).round() as usize).max(match options.shape.hearing() {
            Hearing::Stream => 8,
            Hearing::Window { frames } => frames + 1,
        }),
        stay: options.stay,
        overlap: options.overlap,
        balance: options.balance,
        none: classes.iter().position(|c| c == NONE),
        voices: options.voices,
        augmentation: options.augmentation.clone(),
        library: Arc::new(Library::load(&options.augmentation, SAMPLE_RATE)?),
    })
}

/// The state of a training under way.
struct Trainer<'a> {
    run: &'a Run,
    corpus: &'a Corpus,
    scene: &'a SceneConfig,
    device: &'a Device,
    net: Net,
    optimizer: ModuleOptimizer,
    /// Exponential mean of the weights: what is validated and exported.
    averaged: Vec<f32>,
    best: Option<f64>,
}

impl<'a> Trainer<'a> {
    fn new(run: &'a Run, corpus: &'a Corpus, scene: &'a SceneConfig, device: &'a Device) -> Self {
        let options = &run.settings.options;
        let net = Net::new(&run.settings.net(), options.seed, &device.clone().autodiff());
        let optimizer = AdamWConfig::new()
            .with_weight_decay(options.weight_decay)
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
            .init();
        let averaged = net.weights();
        Self { run, corpus, scene, device, net, optimizer, averaged, best: None }
    }

    fn all_epochs(&mut self) -> Result<()> {
        let options = &self.run.settings.options;
        let steps = self.steps_per_epoch();
        let total = steps * options.epochs;
        let bar = progress_bar(total);
        let plan = batches::Plan { clips: &self.corpus.train, scene: self.scene, settings: &self.run.settings, total };
        batches::produce(&plan, |next| {
            let mut loss = f32::NAN;
            for step in 0..total {
                let batch = next()?;
                let rate = options.lr * schedule::learning_rate(step, total);
                // Reading the loss waits for the device, so only now and then.
                let now = self.step(&batch, rate, step);
                if step % 4 == 0 {
                    let value = now.into_scalar::<f32>();
                    if !value.is_finite() {
                        bail!("the loss is no longer a number after {step} steps: train with a smaller --lr");
                    }
                    loss = if loss.is_nan() { value } else { 0.9 * loss + 0.1 * value };
                }
                bar.inc(1);
                if (step + 1) % steps == 0 {
                    self.end_of_epoch((step + 1) / steps, loss, &bar)?;
                }
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(())
    }

    fn steps_per_epoch(&self) -> usize {
        let sound: usize = self.corpus.train.iter().map(|c| c.samples.len()).sum();
        let scene = self.scene.frames * self.scene.frontend.hop;
        (sound / (scene * self.run.settings.options.batch_size)).max(FEWEST_STEPS)
    }

    fn step(&mut self, batch: &batches::Batch, rate: f64, step: usize) -> burn::tensor::Tensor<1> {
        let device = self.net_device();
        // What the network draws at a step depends on the step alone.
        device.seed(batches::scene_seed(self.run.settings.options.seed ^ DRAWS, step as u64));
        let tensors = batch.to_device(&device);
        let logits = self.net.forward(tensors.frames.clone());
        let loss = loss::loss(&logits, &tensors, self.run.settings.options.task);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimizer.step(rate, self.net.clone(), gradients);
        let keep = AVERAGING.min((1 + step) as f32 / (10 + step) as f32);
        for (mean, new) in self.averaged.iter_mut().zip(self.net.valid().weights()) {
            *mean = keep * *mean + (1.0 - keep) * new;
        }
        loss.inner()
    }

    fn net_device(&self) -> Device {
        self.device.clone().autodiff()
    }

    fn end_of_epoch(&mut self, epoch: usize, loss: f32, bar: &ProgressBar) -> Result<()> {
        let epochs = self.run.settings.options.epochs;
        // Validation costs as much as a few steps: not after each of many short epochs.
        let every = (epochs / 20).max(1);
        if !epoch.is_multiple_of(every) && epoch != epochs {
            return Ok(());
        }
        let averaged = self.net.valid().with_weights(&self.averaged);
        let score = validate::files(&averaged, &self.run.settings, &self.corpus.val, self.device)?;
        self.run.save_last(&self.net, &averaged, &self.optimizer, epoch)?;
        // Later weights have been averaged for longer: they win a draw.
        if self.best.is_none_or(|best| score.selection() >= best) {
            self.best = Some(score.selection());
            self.run.save_best(&averaged)?;
        }
        let line = format!(
            "epoch {epoch}/{epochs}  loss {loss:.3}  validation: macro-F1 {:.3}, macro-recall {:.3}, loss {:.3}",
            score.macro_f1, score.macro_recall, score.loss
        );
        bar.set_message(format!("loss {loss:.3}, validation macro-F1 {:.3}", score.macro_f1));
        if bar.is_hidden() {
            eprintln!("{line}")
        } else {
            bar.println(line)
        }
        Ok(())
    }
}

fn progress_bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
    // The template is a constant; were it wrong, the plain bar would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar
}
