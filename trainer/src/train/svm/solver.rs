//! One class against the rest: linfa's support vector machine, its decisions scaled to logits (Platt 1999).
//!
//! The scaling is our own: linfa's keeps nothing where its last line search finds no better step, which happens with
//! decisions that are scaled well already.

use anyhow::{Context, Result};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_svm::Svm;
use ndarray::{ArrayView1, ArrayView2};

/// Largest violation of the conditions that is left.
const TOLERANCE: f64 = 1e-3;
/// Newton steps of the scaling at most.
const MOST_STEPS: usize = 60;

/// The decision `sum of weight * response + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Of each training vector; 0 where it is no support vector.
    pub weights: Vec<f64>,
    /// What is added.
    pub bias: f64,
}

impl Machine {
    /// Fits to `vectors` `[vectors, numbers]` with responses `exp(-|a - b|^2)`. `is` says which are of the class; an error
    /// costs `cost`.
    ///
    /// # Errors
    /// Where the solver refuses.
    pub fn fit(vectors: ArrayView2<'_, f64>, is: &[bool], cost: f64) -> Result<Self> {
        if is.iter().all(|i| *i == is[0]) {
            // Nothing is told apart, and the solver has no pair to begin with.
            return Ok(Self { weights: vec![0.0; is.len()], bias: 0.0 });
        }
        let params = Svm::<f64, bool>::params().pos_neg_weights(cost, cost).gaussian_kernel(1.0).eps(TOLERANCE);
        let machine = params
            .fit(&DatasetBase::new(vectors, ArrayView1::from(is)))
            .context("the support vector machine can't be fitted")?;
        Ok(Self { weights: machine.alpha, bias: -machine.rho })
    }

    /// The decision for a window with these responses.
    pub fn decision(&self, responses: &[f64]) -> f64 {
        self.weights.iter().zip(responses).map(|(w, r)| w * r).sum::<f64>() + self.bias
    }

    /// The same with decisions that are logits, by decisions about windows that it was not fitted to. Where those are
    /// all of the class, or none, only how often that is.
    pub fn to_logits(&self, decisions: &[f64], is: &[bool]) -> Self {
        let sounding = is.iter().filter(|is| **is).count() as f64;
        let silent = is.len() as f64 - sounding;
        if sounding == 0.0 || silent == 0.0 || self.weights.iter().all(|w| *w == 0.0) {
            return Self { weights: vec![0.0; self.weights.len()], bias: ((sounding + 1.0) / (silent + 1.0)).ln() };
        }
        // Not quite certain, so that classes that lie apart don't ask for boundless logits.
        let targets = [1.0 / (silent + 2.0), (sounding + 1.0) / (sounding + 2.0)];
        let pairs: Vec<(f64, f64)> = decisions.iter().zip(is).map(|(f, is)| (*f, targets[usize::from(*is)])).collect();
        let (slope, shift) = logistic(&pairs, (0.0, (sounding / silent).ln()));
        Self { weights: self.weights.iter().map(|w| slope * w).collect(), bias: slope * self.bias + shift }
    }
}

/// Slope and shift under which `slope * x + shift` is the likeliest logit of the targets: Newton's method, with a step
/// that is halved until it is one forward (Lin et al. 2007).
fn logistic(pairs: &[(f64, f64)], start: (f64, f64)) -> (f64, f64) {
    let surprise = |(a, b): (f64, f64)| -> f64 {
        let of = |(x, t): &(f64, f64)| {
            let z = a * x + b;
            z.max(0.0) + (-z.abs()).exp().ln_1p() - t * z
        };
        pairs.iter().map(of).sum()
    };
    let mut at = start;
    for _ in 0..MOST_STEPS {
        let (mut g, mut h) = ([0.0; 2], [1e-9, 0.0, 1e-9]);
        for (x, t) in pairs {
            let p = 1.0 / (1.0 + (-(at.0 * x + at.1)).exp());
            let (d, w) = (p - t, p * (1.0 - p));
            g = [g[0] + d * x, g[1] + d];
            h = [h[0] + w * x * x, h[1] + w * x, h[2] + w];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = ((h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant);
        let now = surprise(at);
        let halved = (0..30).map(|i| 0.5_f64.powi(i)).map(|s| (at.0 - s * step.0, at.1 - s * step.1));
        let Some(next) = halved.into_iter().find(|next| surprise(*next) < now) else { break };
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn response(a: [f64; 2], b: [f64; 2]) -> f64 {
        (-((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))).exp()
    }

    /// A ring around a disc, which no line can part.
    fn ring(count: usize, turned: f64) -> (Vec<[f64; 2]>, Vec<bool>) {
        (0..count)
            .map(|i| {
                let (angle, outside) = (2.4 * i as f64 + turned, i % 2 == 0);
                let radius = if outside { 2.0 } else { 0.7 } + 0.3 * (i as f64).sin();
                ([radius * angle.cos(), radius * angle.sin()], outside)
            })
            .unzip()
    }

    #[test]
    fn parts_what_no_line_parts_and_says_how_sure_it_is() {
        let (points, is) = ring(80, 0.0);
        let vectors = ArrayView2::from(points.as_slice());
        let machine = Machine::fit(vectors, &is, 10.0).unwrap();
        let balance: f64 = machine.weights.iter().sum();
        assert!(balance.abs() < 1e-9, "the weights of both sides balance: {balance}");
        assert!(machine.weights.iter().zip(&is).all(|(w, is)| if *is { *w >= 0.0 } else { *w <= 0.0 }));
        assert!(machine.weights.iter().filter(|w| **w == 0.0).count() > 20, "most vectors support nothing");

        let (others, truth) = ring(60, 0.5);
        let responses: Vec<Vec<f64>> =
            others.iter().map(|a| points.iter().map(|b| response(*a, *b)).collect()).collect();
        let decisions: Vec<f64> = responses.iter().map(|r| machine.decision(r)).collect();
        assert!(decisions.iter().zip(&truth).all(|(f, is)| (*f > 0.0) == *is));
        let scaled = machine.to_logits(&decisions, &truth);
        let logits: Vec<f64> = responses.iter().map(|r| scaled.decision(r)).collect();
        assert!(logits.iter().zip(&truth).all(|(z, is)| (*z > 1.0) == *is && z.abs() < 12.0), "{logits:?}");
    }

    #[test]
    fn says_one_half_where_the_decision_tells_nothing() {
        let machine = Machine { weights: vec![1.0], bias: 0.0 };
        let decisions = [-1.0, -1.0, 1.0, 1.0];
        let scaled = machine.to_logits(&decisions, &[true, false, true, false]);
        assert!(scaled.decision(&[1.0]).abs() < 1e-6 && scaled.decision(&[-1.0]).abs() < 1e-6);
        let never = machine.to_logits(&decisions, &[false; 4]);
        assert!((never.decision(&[1.0]) - (1.0_f64 / 5.0).ln()).abs() < 1e-12);
    }
}
