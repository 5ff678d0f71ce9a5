//! Convolution through one long Fourier transform, and responses that are made from their magnitude.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Convolves sounds of up to a fixed length with responses; keeps its buffers.
pub(super) struct Convolver {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    length: usize,
    sound: Vec<f32>,
    response: Vec<f32>,
    sound_spectrum: Vec<Complex32>,
    response_spectrum: Vec<Complex32>,
}

impl Convolver {
    /// For sounds of `samples` samples and responses of `response` samples.
    pub fn new(samples: usize, response: usize) -> Self {
        let length = (samples + response).next_power_of_two();
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

    /// Convolves in place with the response that `make` writes into silence; what would sound after the end is cut
    /// off. The part of the response that would come round to the start is left away.
    pub fn run(&mut self, samples: &mut [f32], make: impl FnOnce(&mut [f32])) {
        self.response.fill(0.0);
        make(&mut self.response[..self.length - samples.len()]);
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
}

/// Points of the frequency grid that responses are made on.
const GRID: usize = 4096;
/// Samples of such a response.
pub(super) const TAPS: usize = 1024;

/// The response of least delay whose level at each frequency is `db` (of a frequency in Hz). The phase belongs to the
/// magnitude through the cepstrum (A. Oppenheim and R. Schafer, «Discrete-Time Signal Processing», chapter 13).
pub(super) fn minimum_phase(db: impl Fn(f32) -> f32, rate: f32) -> Vec<f32> {
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(GRID), planner.plan_fft_inverse(GRID));
    let nepers = std::f32::consts::LN_10 / 20.0;
    let mut spectrum: Vec<Complex32> =
        (0..=GRID / 2).map(|k| Complex32::new(db(k as f32 * rate / GRID as f32).max(-120.0) * nepers, 0.0)).collect();
    let mut wave = backward.make_output_vec();
    let scale = 1.0 / GRID as f32;
    if backward.process(&mut spectrum, &mut wave).is_err() {
        return vec![1.0];
    }
    // What the cepstrum holds before time 0 is folded to after it.
    for (n, c) in wave.iter_mut().enumerate() {
        *c *= match n {
            0 => scale,
            n if n < GRID / 2 => 2.0 * scale,
            n if n == GRID / 2 => scale,
            _ => 0.0,
        };
    }
    if forward.process(&mut wave, &mut spectrum).is_err() {
        return vec![1.0];
    }
    spectrum.iter_mut().for_each(|c| *c = c.exp());
    // A real sound has no imaginary part at either end of its spectrum.
    spectrum[0].im = 0.0;
    spectrum[GRID / 2].im = 0.0;
    if backward.process(&mut spectrum, &mut wave).is_err() {
        return vec![1.0];
    }
    wave.truncate(TAPS);
    wave.iter_mut().for_each(|s| *s *= scale);
    wave
}
