//! Training: a manifest becomes a run, a folder with checkpoints, settings and figures.

mod ahead;
mod batches;
mod checkpoint;
mod corpus;
mod device;
mod fine_tune;
mod loss;
mod optimizer;
mod presets;
mod request;
mod run;
mod schedule;
mod share;
mod svm;
mod teacher;
mod trainer;
mod training;
mod validate;

pub use corpus::Corpus;
pub use device::DeviceKind;
pub use fine_tune::Earlier;
pub use loss::{LossKind, Tensors, Weighting, loss};
pub use optimizer::OptimizerKind;
pub use presets::{NetKind, kind_of, preset};
pub use request::{Request, WORKERS};
pub(crate) use run::{CONFIG, clear, refuse_in};
pub use run::{Figures, Run, Settings};
pub use schedule::Schedule;
pub use training::{Clip, Training};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tocco_models::{FrontendConfig, NONE, Task, write_beside};

use crate::augment::{Config, Cut, Library, Made, SceneConfig, Voices};
use crate::commands::remark;
use crate::encoder::EncoderRun;
use crate::manifest::Manifest;
use crate::net::{Hearing, Net, OnSummary, Shape, SummaryShape};
use crate::segments::Segmentation;
use checkpoint::Checkpoint;
use run::{REQUEST, STARTING};
use teacher::Teacher;
use trainer::Trainer;

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
    /// How often a recording of no class, or of `none`, is drawn against one of a class that has as many.
    #[serde(default = "usual_none_share")]
    pub none_share: f32,
    /// New frames a step of the exported network.
    pub frames_per_step: usize,
    /// What kind of network, and its shape.
    pub shape: Shape,
    /// Whether each class has a head of its own.
    pub own_heads: bool,
    /// Windows that a network which hears windows takes from a scene.
    pub windows_per_scene: usize,
    /// The rate that the model works at, in Hz.
    #[serde(default = "usual_rate")]
    pub sample_rate: u32,
    /// The log-mel frontend.
    pub frontend: FrontendConfig,
    /// How many notes sound together in a scene.
    pub voices: Voices,
    /// Where a network hears windows that are cut from single recordings instead of scenes: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Segmentation>,
    /// What augmentation does.
    pub augmentation: Config,
    /// What is minimised, how far a step goes and when it is enough.
    #[serde(default)]
    pub training: Training,
}

/// The rate that every shipped model works at, in Hz: the usual [`Options::sample_rate`].
pub const SAMPLE_RATE: u32 = 24_000;

/// The usual [`Options::none_share`].
pub(crate) const NONE_SHARE: f32 = 0.5;

fn usual_none_share() -> f32 {
    NONE_SHARE
}

fn usual_rate() -> u32 {
    SAMPLE_RATE
}

/// Trains as asked and leaves a whole run in `out`. An older run there is removed before the first step.
///
/// # Errors
/// Where the manifest can't be trained on, a file of the run can't be written, or somebody asks the program to end.
pub fn train(request: &Request, out: &Path) -> Result<Run> {
    let material = Material::read(request)?;
    std::fs::create_dir_all(out).with_context(|| format!("{}: the folder can't be made", out.display()))?;
    let _lock = Run::lock(out)?;
    material.train(request, out)
}

/// Where a training ends that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// As it was asked for: its weights are those that it would have had without the interruption.
    Planned,
    /// Where it is, with the weights that have validated best so far.
    Here,
}

/// Goes on with the training in `folder` from its newest checkpoint. `manifest`: where the recordings are now, should
/// they have moved.
///
/// # Errors
/// As [`train`]; where the folder holds no training, or the recordings are not those that it began with; where it
/// should end here and has not validated yet.
pub fn resume(folder: &Path, manifest: Option<&Path>, until: Until) -> Result<Run> {
    ensure!(folder.is_dir(), "{}: there is no such folder", folder.display());
    let _lock = Run::lock(folder)?;
    let starting = folder.join(STARTING);
    let began = !starting.exists();
    ensure!(
        !began || !EncoderRun::is_at(folder),
        "{}: a head on an encoder learns in one go: give the command once more, the embeddings are kept",
        folder.display()
    );
    let mut request = Request::read(&if began { folder.join(REQUEST) } else { starting })
        .with_context(|| format!("{}: there is no training to go on with", folder.display()))?;
    if let Some(manifest) = manifest {
        request.manifest = manifest.to_owned();
    }
    let checkpoint = if began { Checkpoint::read(&folder.join(run::CHECKPOINT))? } else { None };
    let material = Material::read(&request)?;
    if until == Until::Here && checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.state.best.is_none()) {
        bail!(
            "{0}: the training has no weights to end with, since it has not validated yet: go on with «tocco train --resume {0}»",
            folder.display()
        );
    }
    let Some(checkpoint) = checkpoint else {
        remark("the training was stopped before its first checkpoint: it begins anew");
        return material.train(&request, folder);
    };
    let run = Run::open(folder)?;
    let (options, classes) = (&run.settings.options, &run.settings.classes);
    let corpus = Corpus::load(&material.manifest, classes, options, request.store(folder))?;
    let library = library(options)?;
    ensure!(
        &material.classes == classes && corpus.sum(classes, &library) == checkpoint.state.recordings,
        "{}: the recordings are not those that the training in {} began with: bring them back, or train anew without \
         --resume",
        request.manifest.display(),
        folder.display()
    );
    if let (Some(teacher), Some(path)) = (&material.teacher, &request.teacher) {
        ensure!(
            checkpoint.state.teacher.as_ref() == Some(&teacher.sum),
            "--teacher {}: it is not the model that the training in {} began with: bring that back, or train anew \
             without --resume",
            path.display(),
            folder.display()
        );
    }
    let step = checkpoint.state.step;
    match until {
        Until::Planned => {
            remark(format_args!("going on after {step} steps"));
            // Those of an earlier end say nothing of the weights to come.
            run.remove_figures()?;
            finish(run, (&corpus, &library), &request, material.teacher.as_ref(), Begins::At(checkpoint))
        }
        Until::Here => {
            remark(format_args!("ending after {step} steps, with the weights that have validated best"));
            let devices = request.device.open_all(request.devices)?;
            measure(run, &corpus, &devices[0], Some(checkpoint.state.seconds))
        }
    }
}

/// What is trained on.
struct Material {
    manifest: Manifest,
    classes: Vec<String>,
    teacher: Option<Teacher>,
}

impl Material {
    fn read(request: &Request) -> Result<Self> {
        let manifest = Manifest::read(&request.manifest)?;
        manifest.remarks().iter().for_each(remark);
        manifest.check_for_training()?;
        let classes = classes(&manifest, request.options.task)?;
        let open = |path: &PathBuf| Teacher::open(path, &classes, request.options.task);
        let teacher = request.teacher.as_ref().map(open).transpose()?;
        Ok(Self { manifest, classes, teacher })
    }

    /// From the first step.
    fn train(mut self, request: &Request, out: &Path) -> Result<Run> {
        let starting = out.join(STARTING);
        request.write(&starting)?;
        let teacher = self.teacher.take();
        let begun = self.begin(request, out).and_then(|begun| {
            std::fs::rename(&starting, out.join(REQUEST)).with_context(|| starting.display().to_string())?;
            Ok(begun)
        });
        if begun.is_err() {
            // A start that failed is nothing to go on with; were the file to stay, it would only be tried again.
            let _ = std::fs::remove_file(&starting);
        }
        let (run, corpus, library, earlier) = begun?;
        finish(run, (&corpus, &library), request, teacher.as_ref(), Begins::New(earlier))
    }

    /// Reads the recordings and measures them; then the run takes the place of an older one.
    fn begin(self, request: &Request, out: &Path) -> Result<(Run, Corpus, Arc<Library>, Option<Earlier>)> {
        let (options, classes) = (&request.options, self.classes);
        let earlier = request.from.as_deref().map(Earlier::open).transpose()?;
        earlier.iter().try_for_each(|earlier| earlier.apart_from(out))?;
        if let Some(news) = earlier.as_ref().and_then(|earlier| earlier.news(&classes)) {
            remark(news);
        }
        let corpus = Corpus::load(&self.manifest, &classes, options, request.store(out))?;
        let library = library(options)?;
        let scene = scene_config(options, &classes, &library)?;
        let (mean, deviation) = match earlier.as_ref().and_then(Earlier::normalisation) {
            Some(used_to) => used_to,
            None => batches::statistics(&corpus.train, &scene, classes.len(), options.seed)?,
        };
        let name = out.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
        let data = self.manifest.sources();
        let mut settings = Settings { name, classes, mean, deviation, data, options: options.clone() };
        // A support vector machine is fitted at once; all else learns in steps.
        let fitted = is_fitted(&settings)
            .then(|| svm::fit(&mut settings, &corpus.train, &scene, request.workers))
            .transpose()?;
        let run = Run { folder: out.to_owned(), settings };
        clear(&run.folder)?;
        run.save_settings()?;
        if let Some(net) = fitted {
            run.save_best(&net)?;
        }
        write_beside(&out.join(CONFIG), request.config.as_bytes())?;
        // Numbers as the file has them: a training that is resumed works with no others.
        Ok((Run::open(out)?, corpus, library, earlier))
    }
}

/// Whether the network is fitted to the recordings at once, without steps.
fn is_fitted(settings: &Settings) -> bool {
    matches!(&settings.options.shape, Shape::Summary(SummaryShape { on: OnSummary::Svm(_), .. }))
}

/// Where the steps of a training begin.
enum Begins {
    /// At the first, with the weights of an earlier run or model where one is named.
    New(Option<Earlier>),
    /// Where it was interrupted.
    At(Checkpoint),
}

/// The steps that are left, and the figures.
fn finish(
    run: Run,
    (corpus, library): (&Corpus, &Arc<Library>),
    request: &Request,
    teacher: Option<&Teacher>,
    begins: Begins,
) -> Result<Run> {
    let devices = request.device.open_all(request.devices)?;
    let device = &devices[0];
    let scene = scene_config(&run.settings.options, &run.settings.classes, library)?;
    let mut seconds = None;
    if !is_fitted(&run.settings) {
        let learning = device.clone().autodiff();
        let new = || Net::new(&run.settings.net(), run.settings.options.seed, &learning);
        let (net, checkpoint) = match begins {
            Begins::New(Some(earlier)) => (earlier.net(&run.settings, &learning)?, None),
            Begins::New(None) => (new(), None),
            Begins::At(checkpoint) => (new(), Some(checkpoint)),
        };
        let mut trainer = Trainer::new(&run, corpus, &scene, &devices, net, teacher, checkpoint)?;
        trainer.all_steps(Duration::try_from_secs_f64(request.checkpoint_s)?, request.workers)?;
        seconds = Some(trainer.seconds());
    }
    measure(run, corpus, device, seconds)
}

/// The figures of the best weights. `seconds`: of training, where it went in steps.
fn measure(run: Run, corpus: &Corpus, device: &Device, seconds: Option<f64>) -> Result<Run> {
    let mut figures = validate::final_figures(&run, corpus, device)?;
    if let Some(seconds) = seconds {
        figures.metrics.insert("training/seconds".into(), seconds);
    }
    run.save_figures(&figures)?;
    Ok(run)
}

/// The model's classes. A technique model always has `none`, which silence and noise teach where no recording does; one
/// of instruments never, since there it means that none of the classes sounds.
pub(crate) fn classes(manifest: &Manifest, task: Task) -> Result<Vec<String>> {
    let mut classes = manifest.classes();
    classes.retain(|c| c != NONE);
    if task == Task::Technique {
        classes.push(NONE.into());
    }
    if classes.len() > tocco_models::MAX_CLASSES {
        bail!("there are {} classes: a model can have {}", classes.len(), tocco_models::MAX_CLASSES);
    }
    Ok(classes)
}

/// The recordings that augmentation draws from.
fn library(options: &Options) -> Result<Arc<Library>> {
    Ok(Arc::new(Library::load(&options.augmentation, options.sample_rate)?))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds in frames")]
fn scene_config(options: &Options, classes: &[String], library: &Arc<Library>) -> Result<SceneConfig> {
    let frames_a_second = options.sample_rate as f32 / options.frontend.hop as f32;
    let scene_frames = (options.scene_s * frames_a_second).round() as usize;
    let (frames, cut) = match (options.shape.hearing(), options.segments) {
        (Hearing::Stream, _) => (scene_frames.max(8), None),
        (Hearing::Window { frames }, None) => (scene_frames.max(frames + 1), None),
        (Hearing::Window { frames }, Some(segmentation)) => {
            let cut = Cut { segmentation, frames, count: options.windows_per_scene };
            (cut.frames_heard(options.sample_rate, &options.frontend), Some(cut))
        }
    };
    Ok(SceneConfig {
        rate: options.sample_rate,
        frontend: options.frontend.clone(),
        frames,
        stay: options.stay,
        overlap: options.overlap,
        balance: options.balance,
        none_share: options.none_share,
        none: classes.iter().position(|c| c == NONE),
        voices: options.voices,
        augmentation: options.augmentation.clone(),
        made: Made::chosen(&options.augmentation, classes)?,
        library: Arc::clone(library),
        cut,
    })
}
