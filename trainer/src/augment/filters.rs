//! Filters and tone colours.

use std::f32::consts::TAU;

use rand::Rng;
use rand::rngs::StdRng;

use super::config::Range;

/// A second-order filter (coefficients after R. Bristow-Johnson's «Audio EQ Cookbook»).
#[derive(Debug, Clone, Copy)]
pub struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
}

impl Biquad {
    /// A bell of `db` around `hz`, `octaves` wide.
    #[must_use]
    pub fn peak(hz: f32, octaves: f32, db: f32, rate: f32) -> Self {
        let w = TAU * hz / rate;
        let root = 10.0_f32.powf(db / 40.0);
        let alpha = w.sin() * (0.5 * std::f32::consts::LN_2 * octaves * w / w.sin()).sinh();
        let scale = 1.0 / (1.0 + alpha / root);
        Self {
            b: [(1.0 + alpha * root) * scale, -2.0 * w.cos() * scale, (1.0 - alpha * root) * scale],
            a: [-2.0 * w.cos() * scale, (1.0 - alpha / root) * scale],
        }
    }

    /// A shelf of `db` above (`high`) or below `hz`.
    #[must_use]
    pub fn shelf(high: bool, hz: f32, db: f32, rate: f32) -> Self {
        let w = TAU * hz / rate;
        let root = 10.0_f32.powf(db / 40.0);
        // The low shelf is the high shelf with the sign of the cosine turned.
        let (sign, cos) = if high { (1.0, w.cos()) } else { (-1.0, w.cos()) };
        let slope = w.sin() * std::f32::consts::FRAC_1_SQRT_2 * 2.0 * root.sqrt();
        let (up, down) = (root + 1.0, root - 1.0);
        let scale = 1.0 / (up - sign * down * cos + slope);
        Self {
            b: [
                root * (up + sign * down * cos + slope) * scale,
                -2.0 * sign * root * (down + sign * up * cos) * scale,
                root * (up + sign * down * cos - slope) * scale,
            ],
            a: [2.0 * sign * (down - sign * up * cos) * scale, (up - sign * down * cos - slope) * scale],
        }
    }

    /// Lets pass what is above (`high`) or below `hz`; 12 dB less an octave on the other side, flat up to the edge.
    #[must_use]
    pub fn pass(high: bool, hz: f32, rate: f32) -> Self {
        let w = TAU * hz / rate;
        let alpha = w.sin() * std::f32::consts::FRAC_1_SQRT_2;
        let scale = 1.0 / (1.0 + alpha);
        let (side, sign) = if high { (1.0 + w.cos(), -1.0) } else { (1.0 - w.cos(), 1.0) };
        Self {
            b: [0.5 * side * scale, sign * side * scale, 0.5 * side * scale],
            a: [-2.0 * w.cos() * scale, (1.0 - alpha) * scale],
        }
    }

    /// Filters in place, from silence.
    pub fn run(&self, samples: &mut [f32]) {
        in_a_row(&[*self], samples);
    }
}

/// One filter after the other, in place, from silence. All in one pass: a filter waits for its own last output, and the
/// others fill that time.
fn in_a_row<const N: usize>(filters: &[Biquad; N], samples: &mut [f32]) {
    let mut states = [[0.0_f32; 4]; N];
    for sample in samples {
        let mut x = *sample;
        for (Biquad { a, b }, state) in filters.iter().zip(&mut states) {
            let [x1, x2, y1, y2] = *state;
            let y = b[0] * x + b[1] * x1 + b[2] * x2 - a[0] * y1 - a[1] * y2;
            *state = [x, x1, y, y1];
            x = y;
        }
        *sample = x;
    }
}

/// No filter has its edge nearer to half the rate than this share of the rate.
const HIGHEST_EDGE: f32 = 0.45;

/// Takes away what is below (`high`) or above a frequency of the range.
pub(super) fn pass(samples: &mut [f32], high: bool, hz: Range, rate: f32, rng: &mut StdRng) {
    Biquad::pass(high, hz.draw_ratio(rng).min(HIGHEST_EDGE * rate), rate).run(samples);
}

/// A slope of `db` an octave around 1 kHz, as a row of shelves an octave apart.
pub(super) fn tilt(samples: &mut [f32], db: f32, rate: f32) {
    let (mut hz, mut whole) = (62.5_f32, 0.0);
    let mut shelves = Vec::new();
    while hz < HIGHEST_EDGE * rate {
        // Each shelf lifts everything above it; what 1 kHz gets of that is taken back at the end.
        shelves.push(Biquad::shelf(true, hz, db, rate));
        whole += if hz < 1000.0 { db } else { 0.5 * db * f32::from(u8::from(hz == 1000.0)) };
        hz *= 2.0;
    }
    let (fours, rest) = shelves.as_chunks::<4>();
    fours.iter().for_each(|four| in_a_row(four, samples));
    rest.iter().for_each(|shelf| shelf.run(samples));
    let back = super::gain(-whole);
    samples.iter_mut().for_each(|s| *s *= back);
}

/// Another instrument of the kind: two shelves and two bells of at most about `most` dB.
pub(super) fn tone_colour(samples: &mut [f32], most: f32, rate: f32, rng: &mut StdRng) {
    let mut db = |scale: f32| rng.random_range(-1.0..=1.0_f32) * most * scale;
    let (low, high, first, second) = (db(1.0), db(1.3), db(1.0), db(0.7));
    let mut hz = |from: f32, to: f32| (from * (to / from).powf(rng.random::<f32>())).min(HIGHEST_EDGE * rate);
    let filters = [
        Biquad::shelf(false, hz(80.0, 400.0), low, rate),
        Biquad::shelf(true, hz(1500.0, 5000.0), high, rate),
        Biquad::peak(hz(150.0, 6000.0), 1.5, first, rate),
        Biquad::peak(hz(150.0, 6000.0), 0.7, second, rate),
    ];
    in_a_row(&filters, samples);
}
