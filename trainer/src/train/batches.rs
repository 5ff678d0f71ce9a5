//! Batches of scenes, made on threads of their own while the step before is computed.

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use tocco_models::NONE;

use super::ahead;
use super::loss::{Taught, Tensors};
use super::run::Settings;
use super::teacher::{Listener, Teacher};
use crate::augment::{Clip, CutWindow, FrameTarget, Scene, SceneConfig, SceneMaker};
use crate::hash::spread;
use crate::net::Hearing;

/// What batches are made from.
pub(super) struct Plan<'a> {
    pub clips: &'a [Clip],
    pub scene: &'a SceneConfig,
    pub settings: &'a Settings,
    /// Who hears the scenes too.
    pub teacher: Option<&'a Teacher>,
    /// The batch to begin with.
    pub first: usize,
    /// Batches in the whole training, those before `first` included.
    pub total: usize,
    /// Threads that make batches.
    pub workers: usize,
}

/// One batch as plain numbers; shapes as in [`Tensors`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Batch {
    /// Sequences, or windows.
    size: usize,
    /// Frames of each.
    time: usize,
    /// Numbers in a frame.
    inputs: usize,
    /// Answers that are asked of each: one a frame, or one a window.
    answers: usize,
    classes: usize,
    frames: Vec<f32>,
    targets: Vec<f32>,
    distribution: Vec<f32>,
    one_of: Vec<f32>,
    known: Vec<f32>,
    /// The teacher's posteriors, one number a class and answer; empty without a teacher.
    taught: Vec<f32>,
    /// 1 for each answer of the teacher's, 0 where it says nothing.
    heard: Vec<f32>,
}

impl Batch {
    /// Each sequence or window whose answer is known to be one class, `[time, inputs]`, and the class.
    pub fn of_one_class(&self) -> impl Iterator<Item = (&[f32], usize)> {
        let each = self.frames.chunks_exact(self.time * self.inputs);
        let answers =
            self.targets.chunks_exact(self.answers * self.classes).zip(self.one_of.chunks_exact(self.answers));
        each.zip(answers).filter(|(_, (_, one_of))| one_of.last() == Some(&1.0)).filter_map(|(frames, (targets, _))| {
            let newest = targets.chunks_exact(self.classes).next_back()?;
            Some((frames, newest.iter().position(|t| *t == 1.0)?))
        })
    }

    pub fn to_device(&self, device: &Device) -> Tensors {
        let tensor = |numbers: &[f32], time: usize, last: usize| {
            Tensor::<3>::from_data(TensorData::new(numbers.to_vec(), [self.size, time, last]), device)
        };
        let answer = |numbers: &[f32], last: usize| tensor(numbers, self.answers, last);
        Tensors {
            frames: tensor(&self.frames, self.time, self.inputs),
            targets: answer(&self.targets, self.classes),
            distribution: answer(&self.distribution, self.classes),
            one_of: answer(&self.one_of, 1),
            known: answer(&self.known, self.classes),
        }
    }

    /// What the teacher says, where there is one.
    pub fn taught(&self, device: &Device) -> Option<Taught> {
        let tensor = |numbers: &[f32], last: usize| {
            Tensor::<3>::from_data(TensorData::new(numbers.to_vec(), [self.size, self.answers, last]), device)
        };
        let (posterior, heard) = (&self.taught, &self.heard);
        (!heard.is_empty()).then(|| Taught { posterior: tensor(posterior, self.classes), heard: tensor(heard, 1) })
    }

    fn push_taught(&mut self, answer: Option<&[f32]>) {
        match answer {
            Some(posterior) => self.taught.extend_from_slice(posterior),
            None => self.taught.resize(self.taught.len() + self.classes, 0.0),
        }
        self.heard.push(f32::from(u8::from(answer.is_some())));
    }
}

#[cfg(test)]
impl Batch {
    /// Two sequences of random numbers, of one class each.
    pub fn random([time, inputs, classes]: [usize; 3], seed: u64) -> Self {
        let (size, rng) = (2, &mut StdRng::seed_from_u64(seed));
        let frames = (0..size * time * inputs).map(|_| rng.random_range(-2.0..2.0)).collect();
        let sounding: Vec<usize> = (0..size).map(|_| rng.random_range(0..classes)).collect();
        let hot = |class: usize| (0..time * classes).map(move |i| f32::from(u8::from(i % classes == class)));
        let targets: Vec<f32> = sounding.into_iter().flat_map(hot).collect();
        Self {
            size,
            time,
            inputs,
            answers: time,
            classes,
            frames,
            distribution: targets.clone(),
            one_of: vec![1.0; size * time],
            known: vec![1.0; targets.len()],
            targets,
            taught: Vec::new(),
            heard: Vec::new(),
        }
    }
}

/// Runs `consume`, which takes batch after batch from the function it is given. Batch `i` depends on the seed and
/// `i` alone, so threads change nothing in the result.
pub(super) fn produce(
    plan: &Plan<'_>,
    consume: impl FnOnce(&mut dyn FnMut() -> Result<Batch>) -> Result<()>,
) -> Result<()> {
    let prepare = || {
        let (mut scenes, mut teacher) = makers(plan)?;
        Ok(move |index| make(plan.settings, &mut scenes, teacher.as_mut(), index))
    };
    ahead::produce(plan.first..plan.total, plan.workers, prepare, consume)
}

fn makers<'a>(plan: &Plan<'a>) -> Result<(SceneMaker<'a>, Option<Listener<'a>>)> {
    let scenes = SceneMaker::new(plan.scene, plan.clips, plan.settings.classes.len())?;
    Ok((scenes, plan.teacher.map(|teacher| teacher.listener(&plan.settings.options)).transpose()?))
}

fn make(
    settings: &Settings,
    scenes: &mut SceneMaker<'_>,
    mut teacher: Option<&mut Listener<'_>>,
    index: usize,
) -> Result<Batch> {
    let options = &settings.options;
    let size = options.batch_size;
    let seeds: Vec<u64> = (0..size).map(|i| scene_seed(options.seed, (index * size + i) as u64)).collect();
    let mut taught = Vec::new();
    let mut all = Vec::with_capacity(size);
    for &seed in &seeds {
        let (scene, sound) = scenes.make_heard(seed);
        if let Some(teacher) = &mut teacher {
            taught.push(teacher.hear(&sound, scene.frames.len() / options.frontend.frame_size())?);
        }
        all.push(scene);
    }
    Ok(assemble(settings, &all, &taught, &seeds))
}

/// Well-spread seeds.
pub(super) fn scene_seed(seed: u64, index: u64) -> u64 {
    spread(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index.wrapping_mul(0xbf58_476d_1ce4_e5b9)))
}

/// `taught`: for each scene and frame what the teacher says; empty without a teacher.
fn assemble(settings: &Settings, scenes: &[Scene], taught: &[Vec<Option<Vec<f32>>>], seeds: &[u64]) -> Batch {
    let options = &settings.options;
    let length = scenes.first().map_or(0, |s| s.targets.len());
    let inputs = options.frontend.frame_size();
    let (size, time, answers) = match options.shape.hearing() {
        Hearing::Stream => (scenes.len(), length, length),
        Hearing::Window { frames } => (scenes.len() * options.windows_per_scene, frames, 1),
    };
    let mut batch = Batch { size, time, inputs, answers, classes: settings.classes.len(), ..Batch::default() };
    let none = settings.classes.iter().position(|c| c == NONE);
    for (index, (scene, &seed)) in scenes.iter().zip(seeds).enumerate() {
        let push = |batch: &mut Batch, answer: &Answer, frame: usize| {
            push_answer(batch, answer, none, options.label_smoothing);
            if let Some(answers) = taught.get(index) {
                batch.push_taught(answers[frame].as_deref());
            }
        };
        match options.shape.hearing() {
            Hearing::Stream => {
                batch.frames.extend_from_slice(&scene.frames);
                for frame in 0..scene.targets.len() {
                    push(&mut batch, &Answer::of_frame(scene, frame), frame);
                }
            }
            Hearing::Window { frames } => {
                for (end, answer) in windows(scene, frames, options.windows_per_scene, seed) {
                    batch.frames.extend_from_slice(&scene.frames[(end - frames) * inputs..end * inputs]);
                    push(&mut batch, &answer, end - 1);
                }
            }
        }
    }
    settings.normalise(&mut batch.frames);
    batch
}

/// What is asked of the network at once.
struct Answer {
    target: FrameTarget,
    known: u128,
    /// What the target is made of, with shares.
    parts: [(FrameTarget, f32); 2],
}

impl Answer {
    fn of_frame(scene: &Scene, frame: usize) -> Self {
        let target = scene.targets[frame];
        let parts = match &scene.mixed {
            None => [(target, 1.0), (target, 0.0)],
            Some(mixed) => [(mixed.first[frame], mixed.share), (mixed.second[frame], 1.0 - mixed.share)],
        };
        Self { target, known: scene.known[frame], parts }
    }

    fn of_window(window: &CutWindow) -> Self {
        let target = window.target;
        Self { target, known: window.known, parts: [(target, 1.0), (target, 0.0)] }
    }
}

/// Where the windows of a scene end, and what is asked in each: those that were cut, or any that fit into it.
fn windows(scene: &Scene, frames: usize, count: usize, seed: u64) -> Vec<(usize, Answer)> {
    match &scene.windows {
        Some(cut) => cut.iter().map(|window| (window.end, Answer::of_window(window))).collect(),
        None => {
            let ends = window_ends(scene, frames, count, seed).into_iter();
            ends.map(|end| (end, Answer::of_frame(scene, end - 1))).collect()
        }
    }
}

/// Where windows of a scene end (the frame behind the last). A window is about what its newest frame is about, as on
/// stage; frames for which no answer is asked are avoided, not excluded.
fn window_ends(scene: &Scene, frames: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(!seed);
    let mut draw = || rng.random_range(frames..=scene.targets.len());
    (0..count)
        .map(|_| {
            let first = draw();
            let others = [draw(), draw(), draw()];
            let clear = |end: &usize| scene.targets[end - 1] != FrameTarget::Unclear;
            std::iter::once(first).chain(others).find(clear).unwrap_or(first)
        })
        .collect()
}

fn push_answer(batch: &mut Batch, answer: &Answer, none: Option<usize>, smoothing: f32) {
    push_target(batch, answer.target, answer.known, none);
    push_distribution(batch, answer.parts, none, smoothing);
}

/// The classes that a target asks for.
fn asked(target: FrameTarget, none: Option<usize>) -> u128 {
    match target {
        FrameTarget::Unclear => 0,
        FrameTarget::Silence => none.map_or(0, |n| 1_u128 << n),
        // A noise beside a note is still that note.
        FrameTarget::Sounds(set) => match none.map_or(set, |n| set & !(1 << n)) {
            0 => set,
            notes => notes,
        },
    }
}

fn push_target(batch: &mut Batch, target: FrameTarget, known: u128, none: Option<usize>) {
    let sounding = asked(target, none);
    for class in 0..batch.classes {
        batch.targets.push(f32::from(u8::from(sounding >> class & 1 == 1)));
        let counts = target != FrameTarget::Unclear && known >> class & 1 == 1;
        batch.known.push(f32::from(u8::from(counts)));
    }
}

/// One class, or where scenes were mixed one of each, by their shares.
fn push_distribution(batch: &mut Batch, parts: [(FrameTarget, f32); 2], none: Option<usize>, smoothing: f32) {
    let sets = parts.map(|(target, share)| (asked(target, none), share));
    for class in 0..batch.classes {
        let share: f32 = sets.iter().filter(|(set, _)| set >> class & 1 == 1).map(|(_, share)| share).sum();
        batch.distribution.push(share * (1.0 - smoothing) + smoothing / batch.classes as f32);
    }
    batch.one_of.push(f32::from(u8::from(sets.iter().all(|(set, _)| set.count_ones() == 1))));
}

/// Mean and standard deviation of each mel band over augmented scenes.
pub(super) fn statistics(
    clips: &[Clip],
    scene: &SceneConfig,
    classes: usize,
    seed: u64,
) -> Result<(Vec<f32>, Vec<f32>)> {
    const SCENES: u64 = 96;
    let size = scene.frontend.frame_size();
    // Fails early and once, where every thread would fail.
    SceneMaker::new(scene, clips, classes)?;
    let frames: Vec<Vec<f32>> = (0..SCENES)
        .into_par_iter()
        .map_init(
            || SceneMaker::new(scene, clips, classes).ok(),
            |maker, i| maker.as_mut().map_or_else(Vec::new, |m| m.make(scene_seed(!seed, i)).frames),
        )
        .collect();
    let count = (frames.iter().map(Vec::len).sum::<usize>() / size) as f64;
    let (mut sum, mut squares) = (vec![0.0_f64; size], vec![0.0_f64; size]);
    for frame in frames.iter().flat_map(|f| f.chunks_exact(size)) {
        for ((s, q), x) in sum.iter_mut().zip(&mut squares).zip(frame) {
            *s += f64::from(*x);
            *q += f64::from(*x) * f64::from(*x);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "log-mel values")]
    let (mean, deviation): (Vec<f32>, Vec<f32>) = sum
        .iter()
        .zip(&squares)
        .map(|(s, q)| ((s / count) as f32, ((q / count - (s / count).powi(2)).max(1e-4)).sqrt() as f32))
        .unzip();
    // Before an older run makes room for one that could not learn.
    ensure!(
        mean.iter().chain(&deviation).all(|x| x.is_finite()),
        "the augmented sound is not made of numbers: one of the effects fails with these recordings; switch effects off \
         (chance = 0) to find which"
    );
    Ok((mean, deviation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_target_is_spread_and_what_was_mixed_shares_the_rest() {
        let none = Some(3);
        let asks = |parts| {
            let mut batch = Batch { classes: 4, ..Batch::default() };
            push_distribution(&mut batch, parts, none, 0.2);
            (batch.distribution, batch.one_of[0])
        };
        let (first, second) = (FrameTarget::Sounds(1), FrameTarget::Silence);
        let near = |a: &[f32], b: [f32; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let (distribution, counts) = asks([(first, 1.0), (first, 0.0)]);
        assert!(near(&distribution, [0.85, 0.05, 0.05, 0.05]) && counts == 1.0, "{distribution:?}");
        let (distribution, counts) = asks([(first, 0.75), (second, 0.25)]);
        assert!(near(&distribution, [0.65, 0.05, 0.05, 0.25]) && counts == 1.0, "{distribution:?}");
        let (_, counts) = asks([(FrameTarget::Sounds(0b11), 1.0), (FrameTarget::Sounds(0b11), 0.0)]);
        assert_eq!(counts, 0.0, "two at once are no answer to which one it is");
    }
}
