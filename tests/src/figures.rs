//! Medians, means and intervals of what the programs measure.

/// The middle of some values; NaN where there are none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// The geometric mean of ratios with its 95 % interval: Student's interval of their logarithms.
#[must_use]
pub fn geometric_mean(ratios: &[f64]) -> (f64, std::ops::RangeInclusive<f64>) {
    let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let count = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / count;
    let variance = logarithms.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = student(count - 1.0) * (variance / count).sqrt();
    (mean.exp(), (mean - half).exp()..=(mean + half).exp())
}

/// The 97.5 % quantile of Student's distribution, by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5); right
/// to 1 % from 5 degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let z = 1.959_964_f64;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_the_one_of_the_tables() {
        for (freedom, table) in [(5.0, 2.571), (19.0, 2.093), (100.0, 1.984)] {
            assert!((student(freedom) - table).abs() < 0.01, "{freedom}: {}", student(freedom));
        }
        // Logarithms of -1, 0, 1, twice: mean 0, deviation 0.8944, half the interval 2.571 * 0.8944 / sqrt(6).
        let ratios = [-1.0_f64, 0.0, 1.0, -1.0, 0.0, 1.0].map(f64::exp);
        let (mean, interval) = geometric_mean(&ratios);
        assert!((mean - 1.0).abs() < 1e-12 && (interval.end().ln() - 0.9388).abs() < 0.005, "{mean} {interval:?}");
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
    }
}
