//! Temperature and thresholds, fitted to the validation split and to nothing else.

use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use tocco_models::{Card, Task};

use super::{Hops, SOMEWHERE, Wanted, logits, of_likeliest, summarise};
use crate::listen::Ear;
use crate::metrics::{
    Bootstrap, Confusion, Logits, Reliability, TEMPERATURES, argmax, best_thresholds, offsets, temperature,
};
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
        card.offsets = share_of_offsets(&card, &wanted, &logits);
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

/// What recordings were taken for at each share of the offsets.
struct Choices<'a> {
    classes: &'a [String],
    /// For each share what is true and what was heard, recording by recording.
    of_share: Vec<Vec<(usize, usize)>>,
}

impl Choices<'_> {
    /// At a share, where each recording counts so many times.
    fn macro_f1(&self, share: usize, weights: &[u32]) -> f64 {
        let mut confusion = Confusion::new(self.classes);
        let heard = self.of_share[share].iter().zip(weights);
        heard.for_each(|((truth, choice), times)| confusion.add(*truth, *choice, u64::from(*times)));
        confusion.figures().macro_f1
    }
}

/// The smallest share of the fitted offsets whose macro-F1 by recordings lies within one standard error of the best share's
/// (the rule of Breiman et al., «Classification and Regression Trees», 1984). All of them suit a class that is met as often
/// as it was recorded, none of them one that is met as often as every other: where the recordings don't tell which is
/// better, the rare techniques are not drowned by the usual ones.
fn share_of_offsets(card: &Card, wanted: &[Wanted], heard: &[Logits]) -> Vec<f32> {
    const SHARES: [f32; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
    const DRAWS: u32 = 1000;
    let all = offsets(heard, card.temperature);
    let scaled = |share: f32| -> Vec<f32> { all.iter().map(|offset| share * offset).collect() };
    let judged: Vec<(&Wanted, &Logits, usize)> = wanted
        .iter()
        .zip(heard)
        .filter_map(|(w, h)| Some((w, h, h.truth.iter().position(|t| *t == Some(true))?)))
        .collect();
    let choices = |share: &f32| -> Vec<(usize, usize)> {
        let offsets: Vec<f64> = scaled(*share).iter().map(|o| f64::from(*o)).collect();
        let choice = |h: &Logits| argmax(&h.mean_posterior(f64::from(card.temperature), &offsets));
        judged.iter().map(|(_, h, truth)| (*truth, choice(h))).collect()
    };
    let choices = Choices { classes: &card.classes, of_share: SHARES.par_iter().map(choices).collect() };
    let once = vec![1; judged.len()];
    let figures: Vec<f64> = (0..SHARES.len()).map(|share| choices.macro_f1(share, &once)).collect();
    let best = figures.iter().enumerate().fold(0, |best, (share, f1)| if *f1 > figures[best] { share } else { best });
    let draws = Bootstrap::new(judged.iter().map(|(w, ..)| w.group.as_str()), DRAWS, 0);
    let within = |share: &usize| {
        let behind = |weights: &[u32]| choices.macro_f1(best, weights) - choices.macro_f1(*share, weights);
        behind(&once) <= draws.standard_error(|weights| Some(behind(weights)))
    };
    scaled((0..best).find(within).map_or(SHARES[best], |share| SHARES[share]))
}
