//! Smoothing of posteriors over time.

use super::Smoothing;
use super::choice::hops;

/// The longest moving average, in hops: what is set longer is held to this.
const MOST_HOPS: u32 = 1024;

/// Smooths vectors of one number a class; starts anew after [`Smoother::reset`], so that the first hop
/// of a note counts in full.
#[derive(Debug, Clone)]
pub struct Smoother {
    classes: usize,
    mode: Mode,
    /// The last `MOST_HOPS` inputs, one row a hop.
    history: Vec<f32>,
    filled: u32,
    next: u32,
    output: Vec<f32>,
}

/// Over how many hops a moving average of `ms` milliseconds goes.
pub(super) fn mean_hops(ms: f32, hop_ms: f32) -> u32 {
    hops(ms, hop_ms).min(MOST_HOPS)
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Mean { hops: u32 },
    Leaky { sensitivity: f32 },
}

impl Mode {
    fn new(smoothing: Smoothing, hop_ms: f32) -> Self {
        match smoothing {
            Smoothing::MovingAverage { ms } => Self::Mean { hops: mean_hops(ms, hop_ms) },
            Smoothing::Leaky { sensitivity } => Self::Leaky { sensitivity },
        }
    }
}

impl Smoother {
    /// For `classes` numbers a hop, a hop every `hop_ms`.
    #[must_use]
    pub fn new(classes: usize, hop_ms: f32, smoothing: Smoothing) -> Self {
        Self {
            classes,
            mode: Mode::new(smoothing, hop_ms),
            history: vec![0.0; classes * MOST_HOPS as usize],
            filled: 0,
            next: 0,
            output: vec![0.0; classes],
        }
    }

    /// Changes the way of smoothing; the past stays.
    pub fn set(&mut self, smoothing: Smoothing, hop_ms: f32) {
        self.mode = Mode::new(smoothing, hop_ms);
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.filled = 0;
        self.next = 0;
        self.output.fill(0.0);
    }

    /// Takes one hop.
    pub fn push(&mut self, input: &[f32]) {
        let row = self.next as usize * self.classes;
        self.history[row..row + self.classes].copy_from_slice(input);
        self.next = (self.next + 1) % MOST_HOPS;
        let first = self.filled == 0;
        self.filled = (self.filled + 1).min(MOST_HOPS);
        match self.mode {
            Mode::Leaky { sensitivity } => {
                let step = if first { 1.0 } else { sensitivity };
                for (y, x) in self.output.iter_mut().zip(input) {
                    *y += step * (x - *y);
                }
            }
            Mode::Mean { hops } => self.mean_of(hops.min(self.filled)),
        }
    }

    /// Sums anew at every hop, so that no rounding error builds up over an evening.
    fn mean_of(&mut self, hops: u32) {
        self.output.fill(0.0);
        for back in 1..=hops {
            let row = ((self.next + MOST_HOPS - back) % MOST_HOPS) as usize * self.classes;
            for (y, x) in self.output.iter_mut().zip(&self.history[row..row + self.classes]) {
                *y += x;
            }
        }
        for y in &mut self.output {
            *y /= hops as f32;
        }
    }

    /// The smoothed values, one a class.
    #[must_use]
    pub fn output(&self) -> &[f32] {
        &self.output
    }
}
