//! How a measured quantity is spread, and tables of it.

use std::fmt::Write as _;

/// Median, quantiles and maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// Half are no more than this.
    pub median: f64,
    /// 90 % are no more than this.
    pub p90: f64,
    /// 95 % are no more than this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of some values; `None` of none. Quantiles are values that were measured (nearest rank).
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let at = |percent: usize| values.get((count * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { count, min: at(0)?, median: at(50)?, p90: at(90)?, p95: at(95)?, max: at(100)? })
    }
}

/// A line of a table: what it is about, and values in seconds.
pub type Row = (String, Vec<f64>);

/// A table in ms, as Markdown.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| ms | n | min | median | p90 | p95 | max |\n|---|---|---|---|---|---|---|\n");
    for (what, values) in rows {
        if let Some(Spread { count, min, median, p90, p95, max }) = Spread::of(values.iter().map(|s| 1000.0 * s)) {
            // Writing into a string can't fail.
            let _ = writeln!(text, "| {what} | {count} | {min:.2} | {median:.2} | {p90:.2} | {p95:.2} | {max:.2} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let spread = Spread::of((1..=40).rev().map(f64::from));
        let expected = Spread { count: 40, min: 1.0, median: 20.0, p90: 36.0, p95: 38.0, max: 40.0 };
        assert_eq!(spread, Some(expected));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([7.0]).map(|s| (s.min, s.p95, s.max)), Some((7.0, 7.0, 7.0)));
    }
}
