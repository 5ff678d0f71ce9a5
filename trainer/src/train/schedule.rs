//! The learning rate over a training.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// What is left of the learning rate at the end.
const FLOOR: f64 = 0.01;
/// Share of the steps in which one cycle rises, and what it rises from, as Smith and Topin («Super-convergence», 2018)
/// and their followers use them.
const ONE_CYCLE_RISE: f64 = 0.3;
const ONE_CYCLE_START: f64 = 0.04;
const ONE_CYCLE_END: f64 = 4e-6;

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine down.
    Cosine,
    /// Half a cosine up for three tenths of the steps, then one down; no other warm-up.
    OneCycle,
    /// Halved whenever the validation has not got better for some time.
    Plateau,
    /// As it is.
    Constant,
}

impl Schedule {
    /// Factor on the highest learning rate. `warm_up`: share of the steps in which it rises; `plateau`: what plateaus
    /// have left of it.
    pub(super) fn factor(self, step: usize, total: usize, warm_up: f64, plateau: f64) -> f64 {
        let at = (step as f64 + 0.5) / total.max(1) as f64;
        if self == Self::OneCycle {
            return if at < ONE_CYCLE_RISE {
                between(ONE_CYCLE_START, 1.0, at / ONE_CYCLE_RISE)
            } else {
                between(1.0, ONE_CYCLE_END, (at - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE))
            };
        }
        if at < warm_up {
            return at / warm_up;
        }
        match self {
            Self::Cosine | Self::OneCycle => between(1.0, FLOOR, (at - warm_up) / (1.0 - warm_up)),
            Self::Plateau => plateau,
            Self::Constant => 1.0,
        }
    }
}

/// From one number to another along half a cosine.
fn between(from: f64, to: f64, way: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * way).cos())
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn rates(schedule: Schedule) -> Vec<f64> {
        (0..1000).map(|step| schedule.factor(step, 1000, 0.04, 0.25)).collect()
    }

    #[test]
    fn the_cosine_rises_then_falls() {
        let rates = rates(Schedule::Cosine);
        assert!(rates[0] < 0.05 && rates[999] < 0.02);
        assert!(rates[..40].is_sorted(), "it warms up");
        assert!(rates[40..].is_sorted_by(|a, b| a >= b), "it cools down");
        assert!(rates[40] > 0.99);
    }

    #[test]
    fn one_cycle_rises_for_long_and_ends_near_nothing() {
        let rates = rates(Schedule::OneCycle);
        assert!((rates[0] - 0.04).abs() < 1e-3 && rates[999] < 1e-4 && rates[299] > 0.999);
        assert!(rates[..300].is_sorted() && rates[300..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn the_others_stay_where_they_are_after_the_warm_up() {
        assert!(rates(Schedule::Constant)[40..].iter().all(|rate| *rate == 1.0));
        assert!(rates(Schedule::Plateau)[40..].iter().all(|rate| *rate == 0.25));
        assert!(rates(Schedule::Plateau)[..40].is_sorted());
    }
}
