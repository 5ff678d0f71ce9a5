//! The learning rate over a training.

/// Share of the steps spent warming up.
const WARM_UP: f64 = 0.04;
/// What is left of the learning rate at the end.
const FLOOR: f64 = 0.01;

/// Factor on the highest learning rate: a straight rise, then half a cosine down.
pub(super) fn learning_rate(step: usize, total: usize) -> f64 {
    let at = (step as f64 + 0.5) / total.max(1) as f64;
    if at < WARM_UP {
        return at / WARM_UP;
    }
    let way = (at - WARM_UP) / (1.0 - WARM_UP);
    FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + (std::f64::consts::PI * way).cos())
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

    #[test]
    fn rises_then_falls() {
        let rates: Vec<f64> = (0..1000).map(|step| learning_rate(step, 1000)).collect();
        assert!(rates[0] < 0.05 && rates[999] < 0.02);
        assert!(rates[..40].is_sorted(), "it warms up");
        assert!(rates[40..].is_sorted_by(|a, b| a >= b), "it cools down");
        assert!(rates[40] > 0.99);
    }
}
