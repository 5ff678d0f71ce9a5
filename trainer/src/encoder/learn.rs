//! Training a head on embeddings.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::ProgressBar;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tocco_models::{NONE, Task};

use super::cache::Embeddings;
use super::embed::{Encoder, Unusable};
use super::heads::HeadKind;
use super::run::{EncoderRun, EncoderSettings, Figures};
use crate::commands::remark;
use crate::manifest::{Manifest, Row, Split};
use crate::metrics::{Logits, RecordingScore, Rule, TEMPERATURES, temperature};
use crate::net::{Hearing, Net, values};
use crate::segments::Segmentation;
use crate::train::{LossKind, Settings, Tensors, Weighting, classes, loss};
use crate::watch::{Plan, Validation, Watcher};

/// Rooms in which nobody plays, for models that know `none`.
const ROOMS: usize = 24;
/// Short training sets still get this many steps an epoch.
const FEWEST_STEPS: usize = 12;
/// Windows in one pass without gradients.
const TOGETHER: usize = 64;
/// Share of the target spread over all classes, where nobody says another.
const SMOOTHING: f32 = 0.05;

/// What a person chooses about the training of a head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadTraining {
    /// One class at a time, or any number.
    pub task: Task,
    /// The network on top.
    pub head: HeadKind,
    /// Passes over the training windows.
    pub epochs: usize,
    /// Windows in a step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// AdamW's weight decay.
    pub weight_decay: f32,
    /// Which question the loss asks; `None`: cross-entropy for techniques, binary cross-entropy for instruments.
    #[serde(default)]
    pub loss: Option<LossKind>,
    /// Exponent of the focal loss; 0 for none.
    #[serde(default)]
    pub focal: f32,
    /// Rare classes weigh more, by their effective numbers: near 1 by their inverse number, 0 not.
    #[serde(default)]
    pub class_balance: f64,
    /// Share of the target spread over all classes, where the loss asks which one it is.
    #[serde(default = "usual_smoothing")]
    pub label_smoothing: f32,
    /// Validations without a better one after which the training ends; `None`: it makes all epochs.
    #[serde(default)]
    pub patience: Option<usize>,
    /// Equal seeds on equal data give equal models.
    pub seed: u64,
    /// Windows of a recording at most.
    pub windows: usize,
    /// How they are cut from it; without, they end at moments at which it sounds.
    pub cut: Option<Segmentation>,
    /// Seconds between two decisions of the exported model.
    pub decision_s: f64,
}

fn usual_smoothing() -> f32 {
    SMOOTHING
}

impl HeadTraining {
    /// How the loss is weighted.
    fn weighting(&self, learnt: &[Item], classes: usize) -> Weighting {
        let kind = self.loss.unwrap_or(match self.task {
            Task::Technique => LossKind::CrossEntropy,
            Task::Instruments => LossKind::Binary,
        });
        let recordings = || learnt.iter().filter(|item| item.is_recording);
        let of = |class: usize| recordings().filter(|item| item.sounding >> class & 1 == 1).count();
        Weighting::new(kind, self.focal, self.class_balance, (0..classes).map(of))
    }
}

/// A recording as its encoder heard it.
pub(super) struct Item {
    /// The classes that sound: bit `i` for class `i`.
    pub sounding: u128,
    /// The classes of which somebody said whether they sound.
    pub known: u128,
    /// How often it is drawn against the others.
    pub weight: f32,
    /// Whether somebody recorded it; rooms in which nobody plays are made.
    pub is_recording: bool,
    pub heard: Embeddings,
}

/// Trains a head on a manifest and leaves a whole run in `out`.
///
/// # Errors
/// Where the manifest can't be trained on, the encoder fails, or a file of the run can't be written.
pub fn train(
    manifest: &Manifest,
    out: &Path,
    mut encoder: Encoder,
    training: &HeadTraining,
    device: &Device,
) -> Result<EncoderRun> {
    manifest.check_for_training()?;
    let classes = classes(manifest, training.task)?;
    let started = Instant::now();
    let name = out.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let (time, size) = encoder.sizes()?;
    let mut run = EncoderRun {
        folder: out.to_owned(),
        settings: EncoderSettings {
            name,
            task: training.task,
            classes: classes.clone(),
            head: training.head,
            encoder: encoder.identity.clone(),
            time,
            size,
            mean: vec![0.0; size],
            deviation: vec![1.0; size],
            data: manifest.sources(),
            decision_s: training.decision_s,
            manifest: Some(std::path::absolute(&manifest.path)?),
            training: Some(training.clone()),
        },
    };
    run.try_export()?;
    std::fs::create_dir_all(out).with_context(|| format!("{}: the folder can't be made", out.display()))?;
    let mut learnt = listen(&mut encoder, manifest, Split::Train, &classes, training)?;
    if let Some(none) = classes.iter().position(|c| c == NONE) {
        let heard = encoder.rooms(ROOMS)?;
        learnt.push(Item { sounding: 1 << none, known: u128::MAX, weight: 1.0, is_recording: false, heard });
    }
    for (index, class) in classes.iter().enumerate() {
        let named = manifest.rows.iter().any(|row| row.labels.contains(class));
        if named && !learnt.iter().any(|item| item.sounding >> index & 1 == 1) {
            bail!("no recording of the class «{class}» can be used for training: see the reasons above");
        }
    }
    let validated = listen(&mut encoder, manifest, Split::Val, &classes, training)?;
    let tested = listen(&mut encoder, manifest, Split::Test, &classes, training)?;
    let heard_in = started.elapsed().as_secs_f64();
    remark(format_args!(
        "{} recordings heard by the encoder in {heard_in:.1} s, {} known from before",
        encoder.counts.0, encoder.counts.1
    ));
    same_sizes((time, size), [&learnt, &validated, &tested].into_iter().flatten())?;
    let heard = learnt.iter().map(|item| item.heard.numbers.as_slice());
    (run.settings.mean, run.settings.deviation) = statistics(heard, size);
    run.begin()?;
    let head = run.head()?;
    let judged = validated.iter().chain(&tested).map(|item| (item.sounding, item.known));
    let rule = Rule::of(training.task, classes.len(), judged);
    let net = learn(&run, &learnt, (&validated, rule), training, device)?;
    run.save_head(&net)?;
    let answers = answer(&net, &head, &validated, device);
    let mut metrics = BTreeMap::new();
    RecordingScore::of(rule, &answers, &head.classes).note("val", &mut metrics);
    if !tested.is_empty() {
        let answers = answer(&net, &head, &tested, device);
        RecordingScore::of(rule, &answers, &head.classes).note("test", &mut metrics);
    }
    metrics.insert("training/encoder_seconds".into(), heard_in);
    metrics.insert("training/seconds".into(), started.elapsed().as_secs_f64());
    run.save_figures(&Figures { temperature: temperature(training.task, &answers, &TEMPERATURES), metrics })?;
    Ok(run)
}

/// The recordings of a split. Those that can't be used are named and skipped; what is wrong with the encoder ends the
/// training.
fn listen(
    encoder: &mut Encoder,
    manifest: &Manifest,
    split: Split,
    classes: &[String],
    training: &HeadTraining,
) -> Result<Vec<Item>> {
    let rows: Vec<&Row> = manifest.split(split).collect();
    let bar = ProgressBar::new(rows.len() as u64).with_message(format!("listening to {}", split.name()));
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match item(encoder, row, classes, training) {
            Ok(item) => items.push(item),
            Err(e) if e.is::<Unusable>() || e.chain().any(|cause| cause.is::<crate::audio::Error>()) => {
                bar.suspend(|| remark(format_args!("skipped: {e:#}")));
            }
            Err(e) => return Err(e),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(items)
}

fn item(encoder: &mut Encoder, row: &Row, classes: &[String], training: &HeadTraining) -> Result<Item> {
    let at = row.path.display();
    if !row.is_for(training.task) {
        let count = row.labels.len();
        return Err(Unusable(format!("{at}: it has {count} labels: a technique model learns from one each")).into());
    }
    let unknown = |label| Unusable(format!("{at}: the class «{label}» is none of the model's"));
    let sounding = row.sounding(classes).map_err(unknown)?;
    let known = row.listened_for(classes, training.task);
    let heard = encoder.recording(&row.path, training.windows, training.cut.as_ref())?;
    Ok(Item { sounding, known, weight: row.weight, is_recording: true, heard })
}

/// Whether every sequence of embeddings has the length and they have the size of the first.
fn same_sizes<'a>(first: (usize, usize), items: impl Iterator<Item = &'a Item>) -> Result<()> {
    for (time, size) in items.map(|item| (item.heard.time, item.heard.size)) {
        ensure!(
            (time, size) == first,
            "the encoder gives {} by {} numbers to one window and {time} by {size} to another",
            first.0,
            first.1
        );
    }
    Ok(())
}

/// Mean and deviation of each number of an embedding.
pub(super) fn statistics<'a>(heard: impl Iterator<Item = &'a [f32]>, size: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut sum, mut squares, mut count) = (vec![0.0_f64; size], vec![0.0_f64; size], 0.0_f64);
    for embedding in heard.flat_map(|numbers| numbers.chunks_exact(size)) {
        count += 1.0;
        for ((s, q), x) in sum.iter_mut().zip(&mut squares).zip(embedding) {
            *s += f64::from(*x);
            *q += f64::from(*x) * f64::from(*x);
        }
    }
    let moments = sum.iter().zip(&squares).map(|(s, q)| {
        let mean = s / count;
        // A number that never changes (a rectifier that never opens) must not be blown up.
        let deviation = (q / count - mean * mean).max(0.0).sqrt().max(1e-3);
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are 32-bit floats")]
        (mean as f32, deviation as f32)
    });
    moments.unzip()
}

/// The weights that validated best.
fn learn(
    run: &EncoderRun,
    learnt: &[Item],
    (validated, rule): (&[Item], Rule),
    training: &HeadTraining,
    device: &Device,
) -> Result<Net> {
    let head = &run.head()?;
    let on_device = device.clone().autodiff();
    let mut net = Net::new(&head.net(), training.seed, &on_device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(training.weight_decay).with_epsilon(1e-8).init();
    let windows: usize = learnt.iter().map(|item| item.heard.windows).sum();
    let steps = (windows / training.batch_size).max(FEWEST_STEPS);
    let total = steps * training.epochs;
    let mut rng = StdRng::seed_from_u64(training.seed);
    let draw = Draw::new(learnt, head.classes.len())?;
    let weighting = training.weighting(learnt, head.classes.len());
    let mut best: Option<(f64, Vec<f32>)> = None;
    let mut waited = 0;
    let (encoder, batch_size) = (&run.settings.encoder, training.batch_size);
    let step_sound_s = (batch_size * encoder.hears.samples()) as f64 / f64::from(encoder.rate);
    let plan = Plan { epochs: training.epochs, steps: total, first_step: 0, step_sound_s };
    let mut watcher = Watcher::start(&run.folder, plan, &run.chosen())?;
    for step in 0..total {
        let batch = draw.batch(learnt, head, training.batch_size, &mut rng);
        let way = (step as f64 + 0.5) / total as f64;
        let rate = training.lr * 0.5 * (1.0 + (std::f64::consts::PI * way).cos());
        let batch = batch.tensors(head, training.label_smoothing, &on_device);
        let logits = forward(&net, head, batch.frames.clone());
        let [size, classes] = logits.dims();
        let loss = loss(&logits.reshape([size, 1, classes]), &batch, &weighting);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = optimizer.step(rate, net, gradients);
        let value = loss.inner().into_scalar::<f32>();
        watcher.step(rate, Some(value))?;
        if (step + 1) % steps != 0 {
            continue;
        }
        ensure!(value.is_finite(), "the loss is no longer a number after {step} steps: train with a smaller --lr");
        let now = net.valid();
        let found = RecordingScore::of(rule, &answer(&now, head, validated, device), &head.classes);
        watcher.validated(&Validation {
            epoch: (step + 1) / steps,
            loss: found.loss,
            macro_f1: found.macro_f1,
            macro_recall: found.macro_recall,
            confusion: &found.confusion,
        })?;
        let before = best.as_ref().map_or(f64::NEG_INFINITY, |(best, _)| *best);
        waited = if found.selection() > before { 0 } else { waited + 1 };
        // Of equals the last: it has learnt longer.
        if found.selection() >= before {
            best = Some((found.selection(), now.weights()));
        }
        if training.patience.is_some_and(|patience| waited >= patience) {
            break;
        }
    }
    watcher.finish();
    let (_, weights) = best.context("there was no step of training")?;
    Ok(Net::new(&head.net(), 0, device).with_weights(&weights))
}

/// Logits of whole windows `[batch, classes]`: those after the last embedding, where the head goes along the sequence.
fn forward(net: &Net, head: &Settings, frames: Tensor<3>) -> Tensor<2> {
    let [batch, time, _] = frames.dims();
    let logits = net.forward(frames);
    let [_, _, classes] = logits.dims();
    let last = match head.options.shape.hearing() {
        Hearing::Stream => logits.narrow(1, time - 1, 1),
        Hearing::Window { .. } => logits,
    };
    last.reshape([batch, classes])
}

/// Windows that are learnt from in one step.
struct Batch {
    frames: Vec<f32>,
    targets: Vec<f32>,
    known: Vec<f32>,
}

impl Batch {
    fn tensors(&self, head: &Settings, smoothing: f32, device: &Device) -> Tensors {
        let classes = head.classes.len();
        let size = self.targets.len() / classes;
        let tensor =
            |numbers: Vec<f32>, last: usize| Tensor::<3>::from_data(TensorData::new(numbers, [size, 1, last]), device);
        let spread = |target: &f32| target * (1.0 - smoothing) + smoothing / classes as f32;
        let one = |targets: &[f32]| f32::from(u8::from(targets.iter().sum::<f32>() == 1.0));
        Tensors {
            frames: tensor_of(&self.frames, head, device),
            targets: tensor(self.targets.clone(), classes),
            distribution: tensor(self.targets.iter().map(spread).collect(), classes),
            one_of: tensor(self.targets.chunks_exact(classes).map(one).collect(), 1),
            known: tensor(self.known.clone(), classes),
        }
    }
}

/// Draws windows: every class equally often, then a recording of it by its weight, then a window of that.
struct Draw {
    /// The recordings of each class that has some, and of no class; drawn by their weights.
    by_class: Vec<(Vec<usize>, WeightedIndex<f32>)>,
}

impl Draw {
    fn new(items: &[Item], classes: usize) -> Result<Self> {
        let of = |class: usize| (0..items.len()).filter(|i| items[*i].sounding >> class & 1 == 1).collect();
        let silent: Vec<usize> = (0..items.len()).filter(|i| items[*i].sounding == 0).collect();
        let weighted = |of: Vec<usize>| {
            let weights = WeightedIndex::new(of.iter().map(|i| items[*i].weight));
            Ok((of, weights.context("the weights can't be drawn by")?))
        };
        let by_class = (0..classes).map(of).chain([silent]).filter(|of| !of.is_empty()).map(weighted);
        Ok(Self { by_class: by_class.collect::<Result<_>>()? })
    }

    fn batch(&self, items: &[Item], head: &Settings, size: usize, rng: &mut StdRng) -> Batch {
        let classes = head.classes.len();
        let mut batch = Batch { frames: Vec::new(), targets: Vec::new(), known: Vec::new() };
        for _ in 0..size {
            let (of, weights) = &self.by_class[rng.random_range(0..self.by_class.len())];
            let item = &items[of[weights.sample(rng)]];
            let window = rng.random_range(0..item.heard.windows);
            batch.frames.extend(window_of(item, window, head));
            let bit = |bits: u128, class: usize| f32::from(u8::from(bits >> class & 1 == 1));
            batch.targets.extend((0..classes).map(|class| bit(item.sounding, class)));
            batch.known.extend((0..classes).map(|class| bit(item.known, class)));
        }
        batch
    }
}

/// One window of a recording, normalised.
fn window_of<'a>(item: &'a Item, window: usize, head: &'a Settings) -> impl Iterator<Item = f32> + 'a {
    let numbers = item.heard.time * item.heard.size;
    let moments = head.mean.iter().zip(&head.deviation).cycle();
    item.heard.numbers[window * numbers..(window + 1) * numbers].iter().zip(moments).map(|(x, (m, d))| (x - m) / d)
}

fn tensor_of(frames: &[f32], head: &Settings, device: &Device) -> Tensor<3> {
    let (time, size) = (head.options.frames_per_step, head.mean.len());
    Tensor::from_data(TensorData::new(frames.to_vec(), [frames.len() / (time * size), time, size]), device)
}

/// The head's logits for windows that are given as embeddings, one window after the other, not normalised.
pub(super) fn logits_of(net: &Net, head: &Settings, embeddings: &[f32], device: &Device) -> Vec<f32> {
    let mut frames = embeddings.to_vec();
    head.normalise(&mut frames);
    values(&forward(net, head, tensor_of(&frames, head, device)))
}

/// Logits of every window of each recording.
fn answer(net: &Net, head: &Settings, items: &[Item], device: &Device) -> Vec<Logits> {
    items
        .iter()
        .map(|item| {
            let size = TOGETHER * item.heard.time * item.heard.size;
            let chunks = item.heard.numbers.chunks(size);
            let values = chunks.flat_map(|some| logits_of(net, head, some, device)).collect();
            Logits::new(values, (item.sounding, item.known), head.classes.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::heads::settings;
    use super::*;

    #[test]
    fn a_recording_is_drawn_as_often_as_its_weight_says_and_each_class_alike() {
        let item = |class: usize, number: f32, weight: f32| {
            let heard = Embeddings { windows: 1, time: 1, size: 1, numbers: vec![number] };
            Item { sounding: 1 << class, known: u128::MAX, weight, is_recording: true, heard }
        };
        let items = [item(0, 1.0, 4.0), item(0, 2.0, 1.0), item(1, 3.0, 0.1)];
        let classes = ["a", "b"].map(str::to_owned);
        let shape = HeadKind::Linear.shape(1).unwrap();
        let head = settings(shape, Task::Technique, &classes, 1, (&[0.0], &[1.0]));
        let mut rng = StdRng::seed_from_u64(1);
        let batch = Draw::new(&items, 2).unwrap().batch(&items, &head, 4000, &mut rng);
        let share = |number: f32| batch.frames.iter().filter(|x| **x == number).count() as f64 / 4000.0;
        assert!((share(1.0) - 0.4).abs() < 0.04 && (share(2.0) - 0.1).abs() < 0.04, "{}", share(1.0));
        assert!((share(3.0) - 0.5).abs() < 0.04, "{}", share(3.0));
    }
}
