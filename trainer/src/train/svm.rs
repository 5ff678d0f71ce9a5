//! Fitting a support vector machine: one for each class, with radial basis functions at windows of training scenes.

mod solver;

use anyhow::{Result, bail};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::batches::{self, Plan};
use super::run::Settings;
use crate::augment::{Clip, SceneConfig};
use crate::net::{Head, Net, OnSummary, Shape, Trunk, summaries, values};
use solver::Machine;

/// What an error on a training window costs.
const COST: f64 = 10.0;
/// Windows that the scaling to logits is learnt on, for each that may become a support vector.
const SCALING_SHARE: usize = 2;
/// Batches that are looked through at most for windows of one class.
const MOST_BATCHES: usize = 2000;

/// The network that an [`OnSummary::Svm`] in `settings` asks for; how many vectors it came to need is noted there.
///
/// # Errors
/// Where the scenes hold too few windows of one class.
pub(super) fn fit(settings: &mut Settings, clips: &[Clip], scene: &SceneConfig, workers: usize) -> Result<Net> {
    let Shape::Summary(shape) = &settings.options.shape else { bail!("the network is no support vector machine") };
    let OnSummary::Svm(most) = shape.on else { bail!("the network is no support vector machine") };
    let count = most * (1 + SCALING_SHARE);
    let mut windows =
        gather(&Plan { clips, scene, settings, teacher: None, first: 0, total: MOST_BATCHES, workers }, count)?;
    let (centre, scale) = windows.scale();
    let rows: Vec<&[f64]> = windows.summaries.chunks_exact(centre.len()).collect();
    let (vectors, others) = rows.split_at(most);
    let answers = responses(others, vectors);
    let table = ArrayView2::from_shape((most, centre.len()), &windows.summaries[..most * centre.len()])?;
    let machines: Vec<Machine> = (0..settings.classes.len())
        .into_par_iter()
        .map(|class| {
            let is: Vec<bool> = windows.classes.iter().map(|c| *c == class).collect();
            let machine = Machine::fit(table, &is[..most], COST)?;
            let decisions: Vec<f64> = answers.chunks_exact(most).map(|r| machine.decision(r)).collect();
            Ok(machine.to_logits(&decisions, &is[most..]))
        })
        .collect::<Result<_>>()?;
    let mut used: Vec<usize> = (0..most).filter(|v| machines.iter().any(|m| m.weights[*v] != 0.0)).collect();
    // Where one class alone sounds, nothing is told apart by any vector: one stays, of no weight.
    if used.is_empty() {
        used.push(0);
    }
    let numbers = used.iter().flat_map(|v| vectors[*v].iter().map(|x| single(*x))).collect();
    if let Shape::Summary(shape) = &mut settings.options.shape {
        shape.on = OnSummary::Svm(used.len());
    }
    Ok(assemble(settings, [&centre, &scale], numbers, &used, &machines))
}

/// Windows summed up, and what they are.
struct Windows {
    /// `[windows, numbers]`
    summaries: Vec<f64>,
    classes: Vec<usize>,
}

impl Windows {
    /// Brings each number to mean 0 and deviation 1 over the root of their count, the usual width of the functions;
    /// gives what was taken away and the factor.
    fn scale(&mut self) -> (Vec<f64>, Vec<f64>) {
        let (count, numbers) = (self.classes.len() as f64, self.summaries.len() / self.classes.len());
        let (mut centre, mut scale) = (vec![0.0; numbers], vec![0.0; numbers]);
        for row in self.summaries.chunks_exact(numbers) {
            centre.iter_mut().zip(row).for_each(|(c, x)| *c += x / count);
        }
        for row in self.summaries.chunks_exact(numbers) {
            scale.iter_mut().zip(row).zip(&centre).for_each(|((s, x), c)| *s += (x - c).powi(2) / count);
        }
        scale.iter_mut().for_each(|s| *s = 1.0 / (s.sqrt().max(1e-3) * (numbers as f64).sqrt()));
        for row in self.summaries.chunks_exact_mut(numbers) {
            row.iter_mut().zip(&centre).zip(&scale).for_each(|((x, c), s)| *x = (*x - c) * s);
        }
        (centre, scale)
    }
}

/// Windows that are of one class, from as many batches as it takes; exactly `count`.
fn gather(plan: &Plan<'_>, count: usize) -> Result<Windows> {
    let (mut frames, mut classes) = (Vec::new(), Vec::new());
    let settings = plan.settings;
    batches::produce(plan, |next| {
        for _ in 0..MOST_BATCHES {
            for (window, class) in next()?.of_one_class() {
                if classes.len() == count {
                    return Ok(());
                }
                frames.extend_from_slice(window);
                classes.push(class);
            }
        }
        bail!("the recordings hold too few windows of one class: {} of {count}", classes.len())
    })?;
    let shape = [count, settings.step_frames(), settings.options.frontend.frame_size()];
    let input = Tensor::<3>::from_data(TensorData::new(frames, shape), &Device::flex());
    Ok(Windows { summaries: values(&summaries(input)).iter().map(|x| f64::from(*x)).collect(), classes })
}

/// `exp(-|a - b|^2)` of each row with each vector `[rows, vectors]`.
fn responses(rows: &[&[f64]], vectors: &[&[f64]]) -> Vec<f64> {
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    rows.par_iter().flat_map_iter(|row| vectors.iter().map(|vector| (-distance(row, vector)).exp())).collect()
}

/// The network of these numbers.
fn assemble(settings: &Settings, spread: [&[f64]; 2], vectors: Vec<f32>, used: &[usize], machines: &[Machine]) -> Net {
    let device = Device::flex();
    let mut net = Net::new(&settings.net(), 0, &device);
    let row = |numbers: &[f64]| {
        let numbers: Vec<f32> = numbers.iter().map(|x| single(*x)).collect();
        let shape = [numbers.len()];
        Param::from_tensor(Tensor::<1>::from_data(TensorData::new(numbers, shape), &device))
    };
    let table = |numbers: Vec<f32>, columns: usize| {
        let shape = [used.len(), columns];
        Param::from_tensor(Tensor::<2>::from_data(TensorData::new(numbers, shape), &device))
    };
    if let Trunk::Summary(trunk) = &mut net.trunk
        && let Some(kernel) = &mut trunk.kernel
    {
        kernel.centre = row(spread[0]);
        kernel.scale = row(spread[1]);
        kernel.vectors = table(vectors, spread[0].len());
    }
    if let Head::Shared(head) = &mut net.head {
        let weights = used.iter().flat_map(|v| machines.iter().map(|m| single(m.weights[*v]))).collect();
        head.weight = table(weights, machines.len());
        head.bias = Some(row(&machines.iter().map(|m| m.bias).collect::<Vec<_>>()));
    }
    net
}

#[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
fn single(x: f64) -> f32 {
    x as f32
}
