//! Temperature and thresholds, fitted to the validation split and to nothing else.

use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use tocco_models::{Card, Task};

use super::{Hops, Wanted, logits, summarise};
use crate::listen::Ear;
use crate::metrics::{Reliability, TEMPERATURES, best_thresholds, temperature};
use crate::predictions::Predictions;

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The model's card with the new temperature and thresholds.
    pub card: Card,
    /// Recordings it was fitted to.
    pub recordings: usize,
}

/// Fits the temperature to the hops of these recordings, then each class's threshold to the recordings' mean
/// probabilities at that temperature (best F1; only where any number of classes may sound). `model` is what the ear
/// was opened with.
///
/// # Errors
/// No recording can be used.
pub fn tune(ear: &Ear, model: &Path, validation: &[Wanted], gate_dbfs: f32) -> Result<Tuned> {
    let heard = logits(ear, model, validation, gate_dbfs)?;
    let mut card = ear.model.card().clone();
    let recordings = heard.len();
    let (wanted, logits): (Vec<Wanted>, Vec<_>) = heard.into_iter().unzip();
    card.temperature = temperature(card.task, &logits, &TEMPERATURES);
    if card.task == Task::Instruments {
        let summary = |(recording, logits): (&Wanted, &crate::metrics::Logits)| {
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
