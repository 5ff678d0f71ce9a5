//! Sound effects for training data: speed, tone colour, room, noise. Rates are the model's.

use std::f32::consts::TAU;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::Strength;

/// Decibels to a factor of amplitude.
pub(super) fn gain(db: f32) -> f32 {
    10.0_f32.powf(db / 20.0)
}

/// A normally distributed number of variance 1, near enough: the sum of four uniform ones.
pub(super) fn gaussian(rng: &mut StdRng) -> f32 {
    let bits: u64 = rng.random();
    let sum: f32 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as f32).sum();
    (sum / 65_535.0 - 2.0) * 1.732_05
}

/// Value of `samples` at a fractional position (Catmull-Rom spline); silence outside.
pub(super) fn sample_at(samples: &[f32], position: f64) -> f32 {
    let floor = position.floor();
    #[expect(clippy::cast_possible_truncation, reason = "positions within a clip")]
    let (index, t) = (floor as i64, (position - floor) as f32);
    let at = |i: i64| usize::try_from(i).ok().and_then(|i| samples.get(i)).copied().unwrap_or(0.0);
    let (a, b, c, d) = (at(index - 1), at(index), at(index + 1), at(index + 2));
    b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
}

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

    /// Filters in place, from silence.
    pub fn run(&self, samples: &mut [f32]) {
        let (mut x1, mut x2, mut y1, mut y2) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
        for sample in samples {
            let x = *sample;
            let y = self.b[0] * x + self.b[1] * x1 + self.b[2] * x2 - self.a[0] * y1 - self.a[1] * y2;
            (x2, x1, y2, y1) = (x1, x, y1, y);
            *sample = y;
        }
    }
}

/// Another microphone, another instrument of the kind: two shelves and two bells.
pub(super) fn tone_colour(samples: &mut [f32], strength: &Strength, rate: f32, rng: &mut StdRng) {
    let mut db = |scale: f32| rng.random_range(-1.0..=1.0_f32) * strength.tone_db * scale;
    let (low, high, first, second) = (db(1.0), db(1.3), db(1.0), db(0.7));
    let mut hz = |from: f32, to: f32| from * (to / from).powf(rng.random::<f32>());
    Biquad::shelf(false, hz(80.0, 400.0), low, rate).run(samples);
    Biquad::shelf(true, hz(1500.0, 5000.0), high, rate).run(samples);
    Biquad::peak(hz(150.0, 6000.0), 1.5, first, rate).run(samples);
    Biquad::peak(hz(150.0, 6000.0), 0.7, second, rate).run(samples);
}

/// Convolution with made-up rooms, through one long Fourier transform.
pub(super) struct Rooms {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    length: usize,
    sound: Vec<f32>,
    response: Vec<f32>,
    sound_spectrum: Vec<Complex32>,
    response_spectrum: Vec<Complex32>,
}

/// Longest room response, in seconds.
const LONGEST_ROOM_S: f32 = 1.2;

impl Rooms {
    /// For scenes of `samples` samples.
    pub fn new(samples: usize, rate: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of samples")]
        let length = (samples + (LONGEST_ROOM_S * rate) as usize).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(length);
        let backward = planner.plan_fft_inverse(length);
        Self {
            sound: forward.make_input_vec(),
            response: forward.make_input_vec(),
            sound_spectrum: forward.make_output_vec(),
            response_spectrum: forward.make_output_vec(),
            forward,
            backward,
            length,
        }
    }

    /// Puts the scene into a room of exponentially decaying, ever duller noise behind the direct sound.
    pub fn apply(&mut self, samples: &mut [f32], rate: f32, rng: &mut StdRng) {
        let rt60 = 0.12 * 10.0_f32.powf(rng.random::<f32>());
        let wet_db = rng.random_range(-24.0..-3.0_f32);
        self.make_response(rt60.min(LONGEST_ROOM_S), wet_db, rate, rng);
        self.sound.fill(0.0);
        self.sound[..samples.len()].copy_from_slice(samples);
        // Lengths are the plans' own, so the transforms can't refuse them; a sound left dry is no harm either.
        if self.forward.process(&mut self.sound, &mut self.sound_spectrum).is_err()
            || self.forward.process(&mut self.response, &mut self.response_spectrum).is_err()
        {
            return;
        }
        for (s, r) in self.sound_spectrum.iter_mut().zip(&self.response_spectrum) {
            *s *= r;
        }
        if self.backward.process(&mut self.sound_spectrum, &mut self.sound).is_ok() {
            let scale = 1.0 / self.length as f32;
            for (to, from) in samples.iter_mut().zip(&self.sound) {
                *to = from * scale;
            }
        }
    }

    fn make_response(&mut self, rt60: f32, wet_db: f32, rate: f32, rng: &mut StdRng) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of samples")]
        let (delay, end) = ((rng.random_range(0.002..0.02) * rate) as usize, (rt60 * rate) as usize);
        let decay = (-6.91 / (rt60 * rate)).exp();
        let dullness = rng.random_range(0.1..0.8_f32);
        self.response.fill(0.0);
        let (mut level, mut dull, mut energy) = (1.0_f32, 0.0_f32, 1e-9_f32);
        for cell in &mut self.response[delay.min(end)..end] {
            dull += (1.0 - dullness) * (gaussian(rng) - dull);
            *cell = dull * level;
            energy += *cell * *cell;
            level *= decay;
        }
        let scale = gain(wet_db) / energy.sqrt();
        self.response.iter_mut().for_each(|cell| *cell *= scale);
        self.response[0] = 1.0;
    }
}

/// Adds noise of some colour, hum, or clicks, `level` being the amplitude of its RMS.
pub(super) fn add_noise(samples: &mut [f32], level: f32, rate: f32, rng: &mut StdRng) {
    match rng.random_range(0..10) {
        0..=6 => coloured(samples, level, rng),
        7..=8 => hum(samples, level, rate, rng),
        _ => clicks(samples, level, rate, rng),
    }
}

/// White noise through a one-pole filter: from white to brown.
fn coloured(samples: &mut [f32], level: f32, rng: &mut StdRng) {
    let pole = 1.0 - 10.0_f32.powf(rng.random_range(-2.0..0.0_f32));
    let scale = level * ((1.0 + pole) / (1.0 - pole)).sqrt() * (1.0 - pole);
    let mut state = 0.0;
    for sample in samples {
        state = pole * state + gaussian(rng);
        *sample += state * scale;
    }
}

/// Mains hum: each partial is a rotation, which costs two products a sample where a sine would cost many.
fn hum(samples: &mut [f32], level: f32, rate: f32, rng: &mut StdRng) {
    let mains = if rng.random() { 50.0 } else { 60.0 };
    for k in 1..=8_u8 {
        let turn = Complex32::from_polar(1.0, TAU * mains * f32::from(k) / rate);
        let mut phasor = Complex32::from_polar(level * rng.random::<f32>() / f32::from(k).sqrt(), 0.0);
        for sample in samples.iter_mut() {
            phasor *= turn;
            *sample += phasor.im;
        }
    }
}

/// Short bursts, as of fingers on wood, a few a second.
fn clicks(samples: &mut [f32], level: f32, rate: f32, rng: &mut StdRng) {
    let chance = f64::from(rng.random_range(0.5..6.0) / rate);
    let (mut burst, mut dull) = (0.0_f32, 0.0_f32);
    let decay = (-1.0 / (rate * rng.random_range(0.001..0.03_f32))).exp();
    let dullness = rng.random_range(0.0..0.95_f32);
    for sample in samples {
        if rng.random_bool(chance) {
            burst = 20.0 * level * rng.random::<f32>();
        }
        dull += (1.0 - dullness) * (gaussian(rng) * burst - dull);
        *sample += dull;
        burst *= decay;
    }
}
