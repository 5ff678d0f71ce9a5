//! The power in each bin of a windowed stretch of sound.
//!
//! A transform of `n` real numbers is one of `n / 2` complex ones and a pass over its result (Press et al., Numerical
//! Recipes, 12.3). That pass and the squares are one loop here, over the widest registers at hand: realfft's own pass,
//! compiled for every processor, took as long as the transform.

use std::f64::consts::TAU;
use std::sync::Arc;

use pulp::{Simd, WithSimd};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::wide::wide;

/// Power spectra of real sound.
pub(super) struct PowerSpectrum {
    fft: Arc<dyn Fft<f32>>,
    /// The transform's numbers, in place: pairs of samples, or single ones where their number is odd.
    numbers: Vec<Complex32>,
    /// Real samples in a number: 2 or 1.
    samples: usize,
    scratch: Vec<Complex32>,
    /// The numbers' parts, each in a row of its own.
    re: Vec<f32>,
    im: Vec<f32>,
    /// `exp(-i TAU k / size)` for bin `k`, in parts as above.
    turn_re: Vec<f32>,
    turn_im: Vec<f32>,
}

impl PowerSpectrum {
    /// Of `size` samples, at least 2.
    pub fn new(size: usize) -> Self {
        let samples = if size.is_multiple_of(2) { 2 } else { 1 };
        let count = size / samples;
        let fft = FftPlanner::new().plan_fft_forward(count);
        let turn = |k: usize| TAU * k as f64 / size as f64;
        #[expect(clippy::cast_possible_truncation, reason = "sines")]
        let (turn_re, turn_im) = (0..count).map(|k| (turn(k).cos() as f32, -turn(k).sin() as f32)).unzip();
        Self {
            numbers: vec![Complex32::ZERO; count],
            samples,
            scratch: vec![Complex32::ZERO; fft.get_inplace_scratch_len()],
            re: vec![0.0; count],
            im: vec![0.0; count],
            turn_re,
            turn_im,
            fft,
        }
    }

    /// Squared magnitudes of the bins 0 to `size / 2` into the first numbers of `power`; `sound` under `window`, which is
    /// as long, with silence behind it up to the transform's size.
    pub fn measure(&mut self, sound: &[f32], window: &[f32], power: &mut [f32]) {
        let samples = self.samples;
        wide(Weigh { sound, window, samples, out: &mut self.numbers });
        self.fft.process_with_scratch(&mut self.numbers, &mut self.scratch);
        wide(Squares(self, power));
    }
}

/// Puts sound under a window.
struct Weigh<'a> {
    sound: &'a [f32],
    window: &'a [f32],
    samples: usize,
    out: &'a mut [Complex32],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { sound, window, samples, out } = self;
        let (full, padding) = out.split_at_mut(sound.len() / samples);
        if samples == 1 {
            for ((out, sound), window) in full.iter_mut().zip(sound).zip(window) {
                *out = Complex32::new(sound * window, 0.0);
            }
            return padding.fill(Complex32::ZERO);
        }
        let (sounds, last_sound) = sound.as_chunks::<2>();
        let (windows, last_window) = window.as_chunks::<2>();
        for ((out, sound), window) in full.iter_mut().zip(sounds).zip(windows) {
            *out = Complex32::new(sound[0] * window[0], sound[1] * window[1]);
        }
        padding.fill(Complex32::ZERO);
        if let (Some(out), [sound], [window]) = (padding.first_mut(), last_sound, last_window) {
            out.re = sound * window;
        }
    }
}

/// From the transform's numbers to the power of the sound's bins.
struct Squares<'a>(&'a mut PowerSpectrum, &'a mut [f32]);

impl WithSimd for Squares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(spectrum, power) = self;
        let numbers = &spectrum.numbers;
        if spectrum.samples == 1 {
            for (power, number) in power.iter_mut().zip(&numbers[..=numbers.len() / 2]) {
                *power = number.norm_sqr();
            }
            return;
        }
        let (re, im) = (&mut spectrum.re, &mut spectrum.im);
        for ((re, im), number) in re.iter_mut().zip(im.iter_mut()).zip(numbers) {
            (*re, *im) = (number.re, number.im);
        }
        // The even samples' spectrum and the odd ones' stand in the sum and the difference of a bin and its mirror.
        let forth = re[1..].iter().zip(&im[1..]);
        let back = re[1..].iter().rev().zip(im[1..].iter().rev());
        let turns = spectrum.turn_re[1..].iter().zip(&spectrum.turn_im[1..]);
        for (((power, (a_re, a_im)), (b_re, b_im)), (turn_re, turn_im)) in
            power[1..].iter_mut().zip(forth).zip(back).zip(turns)
        {
            let (even_re, even_im) = (a_re + b_re, a_im - b_im);
            let (odd_re, odd_im) = (a_im + b_im, b_re - a_re);
            let bin_re = even_re + turn_re * odd_re - turn_im * odd_im;
            let bin_im = even_im + turn_re * odd_im + turn_im * odd_re;
            *power = 0.25 * (bin_re * bin_re + bin_im * bin_im);
        }
        let (sum, difference) = (re[0] + im[0], re[0] - im[0]);
        power[0] = sum * sum;
        power[re.len()] = difference * difference;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use realfft::RealFftPlanner;

    use super::PowerSpectrum;

    #[test]
    fn it_is_the_power_of_realffts_bins() {
        for (size, heard) in [(1024, 1024), (1024, 1023), (512, 300), (36, 36), (35, 35), (35, 20)] {
            let number = |i: usize| (i * i % 17) as f32 - 8.0;
            let sound: Vec<f32> = (0..heard).map(number).collect();
            let window: Vec<f32> = (0..heard).map(|i| 0.2 + number(3 * i + 1) / 20.0).collect();
            let mut power = vec![-1.0; size / 2 + 2];
            let mut spectrum = PowerSpectrum::new(size);
            // Once more must not hear what was there before.
            spectrum.measure(&window, &sound, &mut power);
            spectrum.measure(&sound, &window, &mut power);

            let fft = RealFftPlanner::<f32>::new().plan_fft_forward(size);
            let mut padded: Vec<f32> = sound.iter().zip(&window).map(|(s, w)| s * w).collect();
            padded.resize(size, 0.0);
            let mut bins = fft.make_output_vec();
            fft.process(&mut padded, &mut bins).unwrap();
            let loudest = bins.iter().map(|bin| bin.norm_sqr()).fold(0.0, f32::max);
            for (k, (power, bin)) in power.iter().zip(&bins).enumerate() {
                let off = (power - bin.norm_sqr()).abs();
                assert!(off <= 1e-5 * bin.norm_sqr() + 1e-9 * loudest, "{size}, bin {k}: {power} and {bin}");
            }
            assert!(power[size / 2 + 1] == -1.0, "nothing is written behind the bins");
        }
    }
}
