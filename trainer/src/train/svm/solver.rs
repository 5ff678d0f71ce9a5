//! One class against the rest: the dual problem of a support vector machine, two weights at a time (Platt 1998), the
//! pair that violates its conditions most (Keerthi et al. 2001), then its decisions scaled to logits (Platt 1999).

/// Largest violation of the conditions that is left.
const TOLERANCE: f64 = 1e-3;
/// Pairs that are looked at for each vector at most.
const MOST_ROUNDS: usize = 200;
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
    /// Fits to the vectors whose responses to each other are `kernel` `[vectors, vectors]`. `is` says which are of the
    /// class; an error costs `cost`.
    pub fn fit(kernel: &[f64], is: &[bool], cost: f64) -> Self {
        let count = is.len();
        let bounds: Vec<(f64, f64)> = is.iter().map(|is| if *is { (0.0, cost) } else { (-cost, 0.0) }).collect();
        let mut weights = vec![0.0_f64; count];
        // What each vector's decision lacks, without the bias.
        let mut lacks: Vec<f64> = is.iter().map(|is| if *is { 1.0 } else { -1.0 }).collect();
        let mut bias = 0.0;
        for _ in 0..MOST_ROUNDS * count {
            let can_rise = (0..count).filter(|v| weights[*v] < bounds[*v].1);
            let can_fall = (0..count).filter(|v| weights[*v] > bounds[*v].0);
            let most = can_rise.max_by(|a, b| lacks[*a].total_cmp(&lacks[*b]));
            let least = can_fall.min_by(|a, b| lacks[*a].total_cmp(&lacks[*b]));
            let (Some(up), Some(down)) = (most, least) else { break };
            bias = f64::midpoint(lacks[up], lacks[down]);
            let violation = lacks[up] - lacks[down];
            if violation < TOLERANCE {
                break;
            }
            let (row_up, row_down) = (&kernel[up * count..][..count], &kernel[down * count..][..count]);
            let curvature = (row_up[up] + row_down[down] - 2.0 * row_up[down]).max(1e-9);
            let room = (bounds[up].1 - weights[up]).min(weights[down] - bounds[down].0);
            let change = (violation / curvature).min(room);
            weights[up] += change;
            weights[down] -= change;
            for ((lacks, a), b) in lacks.iter_mut().zip(row_up).zip(row_down) {
                *lacks -= change * (a - b);
            }
        }
        Self { weights, bias }
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
        let kernel: Vec<f64> = points.iter().flat_map(|a| points.iter().map(|b| response(*a, *b))).collect();
        let machine = Machine::fit(&kernel, &is, 10.0);
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
