//! The likeliest weights of a mixture.

/// How likely each member held what turned out to be true.
pub type Observation = Vec<f64>;

/// Rounds at most; each brings the likelihood up or leaves it.
const ROUNDS: usize = 2000;
/// A round that changes no weight by more is the last.
const SETTLED: f64 = 1e-7;
/// Less than this is nothing.
const NOTHING: f64 = 1e-3;

/// Weights, one for each member, that are not negative and sum to 1, under which the observations are likeliest.
#[must_use]
pub fn learnt(observations: &[Observation], members: usize) -> Vec<f64> {
    let mut weights = vec![1.0 / members as f64; members];
    for _ in 0..ROUNDS {
        let mut shares = vec![0.0; members];
        for observation in observations {
            let total: f64 = weights.iter().zip(observation).map(|(w, p)| w * p).sum();
            if total > 0.0 {
                shares.iter_mut().zip(&weights).zip(observation).for_each(|((s, w), p)| *s += w * p / total);
            }
        }
        let next = normalised(shares);
        let change = next.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        weights = next;
        if change < SETTLED {
            break;
        }
    }
    normalised(weights.iter().map(|w| if *w < NOTHING { 0.0 } else { *w }).collect())
}

/// To the sum 1; equal parts where there is nothing.
fn normalised(parts: Vec<f64>) -> Vec<f64> {
    let total: f64 = parts.iter().sum();
    let equal = 1.0 / parts.len() as f64;
    parts.iter().map(|p| if total > 0.0 { p / total } else { equal }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_guesses_gets_nothing_and_two_that_complete_each_other_share() {
        let observations: Vec<Observation> =
            (0..40).map(|i| if i % 2 == 0 { vec![0.9, 0.3, 0.25] } else { vec![0.3, 0.9, 0.25] }).collect();
        let weights = learnt(&observations, 3);
        assert_eq!(weights[2], 0.0);
        assert!((weights[0] - 0.5).abs() < 1e-3 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{weights:?}");
    }

    #[test]
    fn no_other_weights_are_likelier() {
        let observations: Vec<Observation> =
            (0..50).map(|i: i32| vec![0.5 + 0.4 * f64::from(i).sin(), 0.6 + 0.3 * f64::from(i).cos()]).collect();
        let likelihood = |w: f64| observations.iter().map(|o| (w * o[0] + (1.0 - w) * o[1]).ln()).sum::<f64>();
        let best = likelihood(learnt(&observations, 2)[0]);
        assert!((0..=100).all(|i| likelihood(f64::from(i) / 100.0) <= best + 1e-6));
    }

    #[test]
    fn without_observations_all_are_equal() {
        assert_eq!(learnt(&[], 4), [0.25; 4]);
    }
}
