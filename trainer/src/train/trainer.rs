//! Step after step, from the first or from a checkpoint to the last.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};

use super::batches::{self, Batch};
use super::checkpoint::{self, Checkpoint, State};
use super::corpus::Corpus;
use super::loss::Weighting;
use super::run::Run;
use super::share::Lesson;
use super::teacher::Teacher;
use super::{Options, optimizer, validate};
use crate::augment::SceneConfig;
use crate::interrupt::Interrupts;
use crate::net::Net;
use crate::watch::{self, Validation, Watcher};

/// Short training sets still get this many steps an epoch.
const FEWEST_STEPS: usize = 12;
/// Reading the loss waits for the device, so only every so many steps.
const LOSS_EVERY: usize = 4;

/// A training under way.
pub(super) struct Trainer<'a> {
    run: &'a Run,
    corpus: &'a Corpus,
    scene: &'a SceneConfig,
    /// They share the batches of a step; the weights are on the first.
    devices: &'a [Device],
    weighting: Weighting,
    teacher: Option<&'a Teacher>,
    net: Net,
    optimizer: ModuleOptimizer,
    /// Exponential mean of the weights: what is validated and exported.
    averaged: Vec<f32>,
    state: State,
    steps_per_epoch: usize,
}

impl<'a> Trainer<'a> {
    /// Goes on from `checkpoint`, or begins with `net` as it is where there is none.
    pub fn new(
        run: &'a Run,
        corpus: &'a Corpus,
        scene: &'a SceneConfig,
        devices: &'a [Device],
        net: Net,
        teacher: Option<&'a Teacher>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self> {
        let options = &run.settings.options;
        let optimizer = optimizer::optimizer(options, &net);
        let weighting = weighting(run, corpus);
        let steps_per_epoch = steps_per_epoch(options, corpus, scene);
        let Some(checkpoint) = checkpoint else {
            let averaged = net.weights();
            let recordings = corpus.sum(&run.settings.classes, &scene.library);
            let state = State {
                step: 0,
                best: None,
                waited: 0,
                plateau: 1.0,
                enough: false,
                recordings,
                teacher: teacher.map(|teacher| teacher.sum.clone()),
                seconds: 0.0,
            };
            return Ok(Self {
                run,
                corpus,
                scene,
                devices,
                weighting,
                teacher,
                net,
                optimizer,
                averaged,
                state,
                steps_per_epoch,
            });
        };
        let (state, averaged) = (checkpoint.state.clone(), checkpoint.averaged.clone());
        let at = run.checkpoint();
        let (net, optimizer) = checkpoint.restore(net, optimizer).with_context(|| at.display().to_string())?;
        Ok(Self { run, corpus, scene, devices, weighting, teacher, net, optimizer, averaged, state, steps_per_epoch })
    }

    /// Makes the steps that are left, with batches from so many `workers`; a checkpoint after each validation and
    /// whenever `every` is over.
    ///
    /// # Errors
    /// Where the loss is no number, a file can't be written, or somebody asks the program to end: a checkpoint is
    /// written then.
    pub fn all_steps(&mut self, every: Duration, workers: usize) -> Result<()> {
        let options = &self.run.settings.options;
        let steps = self.steps_per_epoch;
        let total = steps * options.epochs;
        let first = self.state.step;
        let batches = options.training.accumulate;
        let step_sound_s = (options.batch_size * batches) as f64 * self.scene_s();
        let watched = watch::Plan { epochs: options.epochs, steps: total, first_step: first, step_sound_s };
        let mut watcher = Watcher::start(&self.run.folder, watched, options)?;
        let interrupts = Interrupts::listen("stopping after this step; once more ends at once");
        let (settings, teacher) = (&self.run.settings, self.teacher);
        let plan = batches::Plan {
            clips: &self.corpus.train,
            scene: self.scene,
            settings,
            teacher,
            first: first * batches,
            total: total * batches,
            workers,
        };
        let (began, earlier_s) = (Instant::now(), self.state.seconds);
        let mut written = began;
        batches::produce(&plan, |next| {
            while self.state.step < total && !self.state.enough {
                let (training, plateau) = (&options.training, self.state.plateau);
                let course = training.schedule.factor(self.state.step, total, training.warm_up, plateau);
                let rate = options.lr * course;
                let loss = self.step(next, rate)?;
                watcher.step(rate, loss).with_context(|| self.survives())?;
                self.state.seconds = earlier_s + began.elapsed().as_secs_f64();
                let validated = self.state.step.is_multiple_of(steps)
                    && self.end_of_epoch(self.state.step / steps, &mut watcher)?;
                let asked = interrupts.asked();
                if validated || asked || written.elapsed() >= every {
                    self.write_checkpoint()?;
                    written = Instant::now();
                }
                if asked && self.state.step < total && !self.state.enough {
                    bail!(
                        "stopped after {} of {total} steps; a checkpoint is written: go on with «tocco train --resume \
                         {}»{}",
                        self.state.step,
                        self.run.folder.display(),
                        self.state.best.map_or("", |_| ", or add --finish to end here with the best weights so far")
                    );
                }
            }
            Ok(())
        })?;
        watcher.finish();
        Ok(())
    }

    /// Seconds of training so far.
    pub fn seconds(&self) -> f64 {
        self.state.seconds
    }

    fn scene_s(&self) -> f64 {
        (self.scene.frames * self.scene.frontend.hop) as f64 / f64::from(self.scene.rate)
    }

    /// One step; its loss where that is read.
    fn step(&mut self, next: &mut dyn FnMut() -> Result<Batch>, rate: f64) -> Result<Option<f32>> {
        let (step, options) = (self.state.step, &self.run.settings.options);
        let training = &options.training;
        let frozen = step < training.freeze_trunk_epochs * self.steps_per_epoch;
        let lesson = Lesson { options, weighting: &self.weighting, frozen, step };
        let (gradients, losses) = lesson.gradients(&self.net, self.devices, next)?;
        self.net = self.optimizer.step(rate, self.net.clone(), gradients);
        let keep = training.averaging.min((1 + step) as f32 / (10 + step) as f32);
        for (mean, new) in self.averaged.iter_mut().zip(self.net.valid().weights()) {
            // Written so that the mean of what stays the same stays the same.
            *mean += (1.0 - keep) * (new - *mean);
        }
        self.state.step += 1;
        if step.is_multiple_of(LOSS_EVERY) { read_loss(losses, step).map(Some) } else { Ok(None) }
    }

    /// Whether the weights were validated.
    fn end_of_epoch(&mut self, epoch: usize, watcher: &mut Watcher) -> Result<bool> {
        let epochs = self.run.settings.options.epochs;
        // Validation costs as much as a few steps: not after each of many short epochs.
        let every = (epochs / 20).max(1);
        if !epoch.is_multiple_of(every) && epoch != epochs {
            return Ok(false);
        }
        let averaged = self.net.valid().with_weights(&self.averaged);
        let score = validate::files(&averaged, &self.run.settings, self.corpus, &self.devices[0])?;
        // Later weights have been averaged for longer: they win a draw. A training that is killed between this file
        // and the next checkpoint writes it once more, the same.
        if self.state.best.is_none_or(|best| score.selection() >= best) {
            self.run.save_best(&averaged).with_context(|| self.survives())?;
            self.state.best = Some(score.selection());
            self.state.waited = 0;
        } else {
            self.state.no_better(&self.run.settings.options.training);
        }
        let validation = Validation {
            epoch,
            loss: score.loss,
            macro_f1: score.macro_f1,
            macro_recall: score.macro_recall,
            confusion: &score.confusion,
        };
        watcher.validated(&validation).with_context(|| self.survives())?;
        if self.state.enough {
            watcher.say(&format!("no better validation for {} in a row: that is enough", self.state.waited));
        }
        Ok(true)
    }

    fn write_checkpoint(&self) -> Result<()> {
        // Brings the running statistics of batch normalisation up to date, which the record reads.
        let _ = self.net.valid();
        let at = self.run.checkpoint();
        checkpoint::write(&at, &self.state, &self.net, &self.optimizer, &self.averaged).with_context(|| self.survives())
    }

    /// What to do where a file of the run can't be written.
    fn survives(&self) -> String {
        format!(
            "the training stops after {} steps, since a file of its run can't be written; the last checkpoint is still \
             there: make room, then go on with «tocco train --resume {}»",
            self.state.step,
            self.run.folder.display()
        )
    }
}

/// So many that together their scenes are as long as all recordings.
fn steps_per_epoch(options: &Options, corpus: &Corpus, scene: &SceneConfig) -> usize {
    let sound: usize = corpus.train.iter().map(|c| c.samples.len()).sum();
    let scene = scene.frames * scene.frontend.hop;
    (sound / (scene * options.batch_size * options.training.accumulate)).max(FEWEST_STEPS)
}

/// How the options weight the loss.
fn weighting(run: &Run, corpus: &Corpus) -> Weighting {
    let options = &run.settings.options;
    let training = &options.training;
    let of = |class: usize| corpus.train.iter().filter(|clip| clip.classes >> class & 1 == 1).count();
    let recordings = (0..run.settings.classes.len()).map(of);
    Weighting::new(training.loss_for(options.task), training.focal, training.class_balance, recordings)
}

/// The sum of a step's losses.
fn read_loss(losses: Vec<Tensor<1>>, step: usize) -> Result<f32> {
    let value: f32 = losses.into_iter().map(|loss| loss.into_scalar::<f32>()).sum();
    if !value.is_finite() {
        bail!("the loss is no longer a number after {step} steps: train with a smaller --lr");
    }
    Ok(value)
}
