//! Distillation: a trained model, the teacher, hears the scenes that a network learns from, and the network learns to
//! answer as it does (Hinton et al. 2015).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tocco_models::{FrontendConfig, Model, Policy, Recognizer, Smoothing, Task};

use super::{Options, Training};
use crate::hash::Sum;
use crate::listen::model_bytes;

/// No answer is surer than this: the logarithm of 0 is no number.
const SURE: f32 = 1e-6;
/// Nothing is kept from the teacher, and no answer of an earlier hop is mixed in.
const POLICY: Policy = Policy {
    gate_dbfs: -120.0,
    gate_hold_ms: 10_000.0,
    smoothing: Smoothing::MovingAverage { ms: 0.0 },
    hysteresis: 0.0,
    min_confidence: 0.0,
    min_duration_ms: 0.0,
};

/// A trained model that is asked about every scene.
pub(super) struct Teacher {
    model: Arc<Model>,
    /// Tells the file from others.
    pub sum: String,
}

impl Teacher {
    /// # Errors
    /// Where the file is no model, or one for other classes or another task than the network's.
    pub fn open(path: &Path, classes: &[String], task: Task) -> Result<Self> {
        let at = path.display();
        let bytes = model_bytes(path).context("--teacher")?;
        let model = Model::from_bytes(&bytes).with_context(|| format!("--teacher {at}"))?;
        let card = model.card();
        ensure!(card.task == task, "--teacher {at}: it is for another task: say it with --task, or choose another");
        let lacks = classes.iter().find(|class| !card.classes.contains(class));
        ensure!(lacks.is_none(), "--teacher {at}: it does not know the class «{}»", lacks.map_or("", |c| c));
        let alone = card.classes.iter().find(|class| !classes.contains(class));
        ensure!(
            alone.is_none(),
            "--teacher {at}: it knows the class «{}», which the manifest does not have",
            alone.map_or("", |c| c)
        );
        ensure!(card.classes == classes, "--teacher {at}: its classes are in another order");
        let mut sum = Sum::new();
        sum.add_bytes(&bytes);
        Ok(Self { model, sum: format!("{:016x}", sum.value()) })
    }

    /// What hears scenes on one thread.
    ///
    /// # Errors
    /// Where the teacher can't hear sound at the network's rate.
    pub fn listener<'a>(&self, options: &'a Options) -> Result<Listener<'a>> {
        let rate = f64::from(options.sample_rate);
        let card = self.model.card();
        Ok(Listener {
            recognizer: Recognizer::new(&self.model, rate, &POLICY)?,
            frontend: &options.frontend,
            training: &options.training,
            task: card.task,
            hop: card.hop() as f64 * rate / f64::from(card.sample_rate),
        })
    }
}

/// The teacher on one thread.
pub(super) struct Listener<'a> {
    recognizer: Recognizer,
    frontend: &'a FrontendConfig,
    training: &'a Training,
    task: Task,
    /// Samples between two of its answers, at the network's rate.
    hop: f64,
}

impl Listener<'_> {
    /// For each of the first `frames` frames of a scene the teacher's posterior at the temperature, one number a class:
    /// of its answers the one about the moment nearest to the middle of the frame's window. `None` where it says
    /// nothing about that moment: at the end, since a teacher that hears windows speaks of their middle.
    ///
    /// # Errors
    /// Where the teacher's network fails.
    pub fn hear(&mut self, sound: &[f32], frames: usize) -> Result<Vec<Option<Vec<f32>>>> {
        let (task, temperature) = (self.task, self.training.teacher_temperature);
        let mut answers: Vec<(u64, Vec<f32>)> = Vec::new();
        self.recognizer.reset()?;
        self.recognizer.push(sound, |decision| {
            // With digital silence alone behind it, the answer would not be the network's.
            if decision.gate_open {
                answers.push((decision.about, softened(decision.posterior, task, temperature)));
            }
        })?;
        let of_frame = |frame: usize| {
            let middle = ((frame + 1) * self.frontend.hop).saturating_sub(self.frontend.shortest_window() / 2) as u64;
            let after = answers.partition_point(|(about, _)| *about < middle);
            let around = &answers[after.saturating_sub(1)..(after + 1).min(answers.len())];
            let (about, nearest) = around.iter().min_by_key(|(about, _)| about.abs_diff(middle))?;
            (about.abs_diff(middle) as f64 <= self.hop).then(|| nearest.clone())
        };
        Ok((0..frames).map(of_frame).collect())
    }
}

/// A posterior as it would be with all logits divided by `temperature`.
fn softened(posterior: &[f32], task: Task, temperature: f32) -> Vec<f32> {
    let flatter = |p: f32| p.max(SURE).powf(1.0 / temperature);
    let total = match task {
        Task::Technique => Some(posterior.iter().map(|p| flatter(*p)).sum::<f32>()),
        // Each class stands against its absence.
        Task::Instruments => None,
    };
    posterior.iter().map(|&p| flatter(p) / total.unwrap_or_else(|| flatter(p) + flatter(1.0 - p))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softening_divides_the_logits_and_leaves_a_posterior() {
        let of = |logits: [f32; 3]| -> Vec<f32> {
            let total: f32 = logits.iter().map(|x| x.exp()).sum();
            logits.iter().map(|x| x.exp() / total).collect()
        };
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let soft = softened(&of([2.0, -1.0, 0.5]), Task::Technique, 2.0);
        assert!(near(&soft, &of([1.0, -0.5, 0.25])), "{soft:?}");
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let soft = softened(&[sigmoid(3.0), sigmoid(-6.0)], Task::Instruments, 3.0);
        assert!(near(&soft, &[sigmoid(1.0), sigmoid(-2.0)]), "{soft:?}");
        assert!(softened(&[1.0, 0.0], Task::Technique, 2.0).iter().all(|p| p.is_finite()));
    }
}
