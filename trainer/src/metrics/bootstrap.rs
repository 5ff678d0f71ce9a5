//! How far a figure could lie elsewhere with other recordings of the same kind: percentile bootstrap intervals (Efron
//! 1979).
//!
//! Groups are drawn, not single recordings: the takes of one note rise and fall together, and drawn one by one they
//! would promise too narrow an interval. Every figure sees the same draws, so the difference of two models on the same
//! recordings is a paired bootstrap.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

use super::mean;

/// A figure and the interval that holds it in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// On the recordings as they are.
    pub value: f64,
    /// 2.5th percentile over the draws; the value itself where there is but one group.
    pub low: f64,
    /// 97.5th percentile over the draws.
    pub high: f64,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} [{:.4}, {:.4}]", self.value, self.low, self.high)
    }
}

/// Draws of recordings.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// Indices of the recordings of each group.
    groups: Vec<Vec<usize>>,
    recordings: usize,
    resamples: u32,
    seed: u64,
}

impl Bootstrap {
    /// For recordings whose groups are these. The draws depend on nothing but groups, number and seed.
    #[must_use]
    pub fn new<'a>(groups: impl Iterator<Item = &'a str>, resamples: u32, seed: u64) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut recordings = 0;
        for group in groups {
            by_name.entry(group).or_default().push(recordings);
            recordings += 1;
        }
        Self { groups: by_name.into_values().collect(), recordings, resamples, seed }
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many draws are made.
    #[must_use]
    pub fn resamples(&self) -> u32 {
        self.resamples
    }

    /// The figure with its interval. `figure` gets for each recording how often it counts; draws for which it has no
    /// answer are left out. `None` where it has none for the recordings as they are.
    #[must_use]
    pub fn interval(&self, figure: impl Fn(&[u32]) -> Option<f64> + Sync) -> Option<Interval> {
        let value = figure(&vec![1; self.recordings])?;
        let mut values = self.values(figure);
        values.sort_by(f64::total_cmp);
        let (low, high) = match values.len() {
            0 => (value, value),
            _ => (percentile(&values, 0.025), percentile(&values, 0.975)),
        };
        Some(Interval { value, low, high })
    }

    /// The standard deviation of the figure over the draws, as the standard error that it has; 0 where there is but one
    /// group.
    #[must_use]
    pub fn standard_error(&self, figure: impl Fn(&[u32]) -> Option<f64> + Sync) -> f64 {
        let values = self.values(figure);
        let Some(middle) = mean(values.iter().copied()) else { return 0.0 };
        mean(values.iter().map(|value| (value - middle).powi(2))).unwrap_or(0.0).sqrt()
    }

    /// The figure in each draw.
    fn values(&self, figure: impl Fn(&[u32]) -> Option<f64> + Sync) -> Vec<f64> {
        let draws = if self.groups.len() > 1 { self.resamples } else { 0 };
        (0..draws).into_par_iter().filter_map(|draw| figure(&self.weights(draw))).collect()
    }

    /// How often each recording counts in one draw: as many groups as there are, with replacement.
    fn weights(&self, draw: u32) -> Vec<u32> {
        // Seeds side by side give streams that have nothing to do with one another: seed_from_u64 mixes them.
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(draw.into()));
        let mut weights = vec![0; self.recordings];
        for _ in 0..self.groups.len() {
            for &recording in &self.groups[rng.random_range(0..self.groups.len())] {
                weights[recording] += 1;
            }
        }
        weights
    }
}

/// The number below which the share lies, linear between neighbours as NumPy's `percentile` has it.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn share(right: &[bool]) -> impl Fn(&[u32]) -> Option<f64> + Sync {
        move |weights| {
            let all: u32 = weights.iter().sum();
            let hits: u32 = weights.iter().zip(right).filter(|(_, r)| **r).map(|(w, _)| w).sum();
            (all > 0).then(|| f64::from(hits) / f64::from(all))
        }
    }

    /// 80 of 100 right: the textbook's interval of a share is 0.8 +- 1.96 sqrt(0.8 * 0.2 / 100) = 0.72 to 0.88.
    #[test]
    fn the_interval_of_a_share_is_the_textbooks() {
        let right: Vec<bool> = (0..100).map(|i| i % 5 != 0).collect();
        let names: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let draws = |seed| Bootstrap::new(names.iter().map(String::as_str), 2000, seed);
        let got = draws(1).interval(share(&right)).unwrap();
        assert!((got.value - 0.8).abs() < 1e-12);
        assert!((got.low - 0.72).abs() < 0.015 && (got.high - 0.88).abs() < 0.015, "{got}");
        assert_eq!(draws(1).interval(share(&right)).unwrap(), got, "the same seed gives the same interval");
        assert_ne!(draws(2).interval(share(&right)).unwrap(), got);
        // sqrt(0.8 * 0.2 / 100)
        assert!((draws(1).standard_error(share(&right)) - 0.04).abs() < 0.003);
    }

    /// Ten takes of each of ten notes that go right or wrong together are ten facts, not a hundred.
    #[test]
    fn takes_of_one_note_do_not_narrow_the_interval() {
        let right: Vec<bool> = (0..100).map(|i| i / 10 % 5 != 0).collect();
        let names: Vec<String> = (0..100).map(|i| (i / 10).to_string()).collect();
        let grouped = Bootstrap::new(names.iter().map(String::as_str), 2000, 1);
        let width = |i: Interval| i.high - i.low;
        let got = width(grouped.interval(share(&right)).unwrap());
        assert_eq!(grouped.groups(), 10);
        assert!(got > 0.4, "0.16 would be that of a hundred: {got}");
        let one = Bootstrap::new(["a", "a"].into_iter(), 100, 1).interval(share(&[true, false])).unwrap();
        assert_eq!((one.low, one.high), (0.5, 0.5), "one group says nothing about others");
    }
}
