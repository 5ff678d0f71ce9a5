//! What a network said of a recording, before any temperature.

use tocco_models::Task;

/// One recording's logits and what is there.
#[derive(Debug, Clone)]
pub struct Logits {
    /// `[hops, classes]`, before any temperature.
    pub values: Vec<f32>,
    /// A class each.
    pub truth: Vec<Option<bool>>,
}

impl Logits {
    /// Of a recording in which the classes of `sounding` sound, as far as those of `known` were listened for: bit `i` for
    /// class `i`.
    #[must_use]
    pub fn new(values: Vec<f32>, (sounding, known): (u128, u128), classes: usize) -> Self {
        let bit = |bits: u128, class: usize| bits >> class & 1 == 1;
        let truth = |class| bit(known, class).then_some(bit(sounding, class));
        Self { values, truth: (0..classes).map(truth).collect() }
    }

    /// Mean negative log-likelihood of the recording's hops at a temperature.
    #[must_use]
    pub fn surprise(&self, task: Task, t: f64) -> f64 {
        let classes = self.truth.len();
        let hops = (self.values.len() / classes.max(1)).max(1) as f64;
        let of_hop = |hop: &[f32]| match task {
            Task::Technique => {
                let right = self.truth.iter().position(|t| *t == Some(true));
                right.map_or(0.0, |c| log_sum_exp(hop.iter().map(|x| f64::from(*x) / t)) - f64::from(hop[c]) / t)
            }
            Task::Instruments => {
                let known = hop.iter().zip(&self.truth).filter_map(|(x, t)| Some((f64::from(*x), (*t)?)));
                known
                    .map(|(x, there)| {
                        let x = x / t;
                        (if there { -x } else { x }).max(0.0) + (-x.abs()).exp().ln_1p()
                    })
                    .sum()
            }
        };
        self.values.chunks_exact(classes.max(1)).map(of_hop).sum::<f64>() / hops
    }

    /// Mean over the hops of the softmax at a temperature, with `offsets` added after it: `[classes]`.
    #[must_use]
    pub fn mean_posterior(&self, t: f64, offsets: &[f64]) -> Vec<f64> {
        let mut mean = vec![0.0; offsets.len()];
        let hops = (self.values.len() / offsets.len().max(1)).max(1) as f64;
        for hop in self.values.chunks_exact(offsets.len().max(1)) {
            let shifted: Vec<f64> = hop.iter().zip(offsets).map(|(x, offset)| f64::from(*x) / t + offset).collect();
            let total = log_sum_exp(shifted.iter().copied());
            mean.iter_mut().zip(&shifted).for_each(|(sum, x)| *sum += (x - total).exp() / hops);
        }
        mean
    }
}

/// Mean over the hops of the logarithm of the softmax `[classes]`; `logits` are `[hops, classes]`.
#[must_use]
pub fn mean_log_posterior(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut sum = vec![0.0_f64; classes];
    for hop in logits.chunks_exact(classes) {
        let total = log_sum_exp(hop.iter().map(|x| f64::from(*x)));
        for (s, x) in sum.iter_mut().zip(hop) {
            *s += f64::from(*x) - total;
        }
    }
    let hops = (logits.len() / classes).max(1) as f64;
    sum.iter_mut().for_each(|s| *s /= hops);
    sum
}

/// Logarithm of the sum of the exponentials.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::MIN, f64::max);
    most + values.map(|x| (x - most).exp()).sum::<f64>().ln()
}
