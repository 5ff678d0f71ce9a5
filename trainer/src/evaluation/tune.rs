//! Temperature and thresholds, fitted to the validation split and to nothing else.

use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use tocco_models::{Card, Task};

use super::{Hops, SOMEWHERE, Wanted, logits, of_likeliest, summarise};
use crate::listen::Ear;
use crate::metrics::{Confusion, Logits, Reliability, TEMPERATURES, argmax, best_thresholds, offsets, temperature};
use crate::predictions::Predictions;

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The model's card with the new temperature, and offsets or thresholds.
    pub card: Card,
    /// Recordings it was fitted to.
    pub recordings: usize,
}

/// Fits the temperature to the hops of these recordings; then, where one class is told at a time, an offset a class, else
/// each class's threshold to the recordings' mean probabilities at that temperature (best F1). `model` is what the ear
/// was opened with.
///
/// # Errors
/// No recording can be used.
pub fn tune(ear: &Ear, model: &Path, validation: &[Wanted], gate_dbfs: f32) -> Result<Tuned> {
    let heard = logits(ear, model, validation, gate_dbfs)?;
    let mut card = ear.model.card().clone();
    let recordings = heard.len();
    let (wanted, logits): (Vec<Wanted>, Vec<_>) = heard.into_iter().unzip();
    card.temperature = match card.task {
        Task::Technique => temperature(card.task, &logits, &TEMPERATURES),
        Task::Instruments => temperature(card.task, &somewhere(&logits), &TEMPERATURES),
    };
    if card.task == Task::Technique {
        card.offsets = share_of_offsets(&card, &logits);
    } else {
        let summary = |(recording, logits): (&Wanted, &Logits)| {
            let sigmoid = |x: &f32| 1.0 / (1.0 + (-x / card.temperature).exp());
            let hops = Hops { posteriors: logits.values.iter().map(sigmoid).collect(), open: true };
            let thresholds = vec![0.5; card.classes.len()];
            summarise(recording, &hops, &thresholds, &mut Reliability::new(card.task, card.classes.len()))
        };
        let rows = wanted.par_iter().zip(&logits).map(summary).collect();
        let predictions = Predictions { classes: card.classes.clone(), rows };
        let (_, scored) = predictions.scored();
        let judged = predictions.judged();
        let best = best_thresholds(&scored, judged.len());
        card.thresholds = (0..card.classes.len()).map(|c| card.threshold(c)).collect();
        for (class, threshold) in judged.into_iter().zip(best) {
            card.thresholds[class] = threshold;
        }
    }
    Ok(Tuned { card, recordings })
}

/// Recordings as a single hop each: a class need not sound in all of them.
fn somewhere(heard: &[Logits]) -> Vec<Logits> {
    let of = |r: &Logits| Logits { values: of_likeliest(&r.values, r.truth.len(), SOMEWHERE), truth: r.truth.clone() };
    heard.iter().map(of).collect()
}

/// The share of the fitted offsets with which the recordings' macro-F1 is best, the smallest of the best. All of them
/// suit a class that is met as often as it was recorded, none of them one that is met as often as every other; what a
/// musician plays lies between.
fn share_of_offsets(card: &Card, heard: &[Logits]) -> Vec<f32> {
    const SHARES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    let all = offsets(heard, card.temperature);
    let scaled = |share: f32| -> Vec<f32> { all.iter().map(|offset| share * offset).collect() };
    let macro_f1 = |share: f32| {
        let offsets: Vec<f64> = scaled(share).iter().map(|o| f64::from(*o)).collect();
        let mut confusion = Confusion::new(&card.classes);
        for recording in heard {
            if let Some(truth) = recording.truth.iter().position(|t| *t == Some(true)) {
                let mean = recording.mean_posterior(f64::from(card.temperature), &offsets);
                confusion.add(truth, argmax(&mean), 1);
            }
        }
        confusion.figures().macro_f1
    };
    let figures: Vec<f64> = SHARES.par_iter().map(|share| macro_f1(*share)).collect();
    let best = figures.iter().copied().fold(0.0, f64::max);
    SHARES.iter().zip(figures).find(|(_, f1)| *f1 >= best).map(|(share, _)| scaled(*share)).unwrap_or(all)
}
