//! Polyphony: how many sound together, how loud each is, and which go together.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::rngs::StdRng;
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::config::Range;

/// From how many to how many voices sound together: `1..6`, or `3` for always three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Polyphony {
    /// The fewest; at least 1.
    pub least: usize,
    /// The most.
    pub most: usize,
}

impl Polyphony {
    /// One voice after another, never two together.
    pub const SOLO: Self = Self { least: 1, most: 1 };
    /// More voices than anybody can tell apart.
    const MOST: usize = 64;

    /// The voices of the `index`-th of many sounds: each number comes equally often.
    #[must_use]
    pub fn of(self, index: usize) -> usize {
        self.least + index % (self.most - self.least + 1)
    }

    fn draw(self, rng: &mut StdRng) -> usize {
        if self.least < self.most { rng.random_range(self.least..=self.most) } else { self.least }
    }
}

impl FromStr for Polyphony {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (least, most) = word.split_once("..").unwrap_or((word, word));
        match (least.trim().parse(), most.trim().trim_start_matches('=').parse()) {
            (Ok(least), Ok(most)) if (1..=most).contains(&least) && most <= Self::MOST => Ok(Self { least, most }),
            _ => Err(format!("«{word}» is no number of voices: write 1..6, or 3; at most {}", Self::MOST)),
        }
    }
}

impl TryFrom<String> for Polyphony {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl From<Polyphony> for String {
    fn from(polyphony: Polyphony) -> Self {
        polyphony.to_string()
    }
}

impl fmt::Display for Polyphony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.least, self.most)
    }
}

/// Which sounds go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Any.
    Random,
    /// Each from another range of frequencies: with three voices one of the low, one of the middle and one of the high
    /// third of all recordings.
    Range,
}

/// How voices are put together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voices {
    /// How many.
    pub polyphony: Polyphony,
    /// Level of each of several voices, in dB.
    pub gain_db: Range,
    /// Which go together.
    pub choice: Choice,
}

impl Default for Voices {
    fn default() -> Self {
        Self { polyphony: Polyphony::SOLO, gain_db: Range(-12.0, 0.0), choice: Choice::Random }
    }
}

impl Voices {
    /// How many voices a scene has.
    pub(super) fn count(&self, rng: &mut StdRng) -> usize {
        self.polyphony.draw(rng)
    }
}

/// Which range of frequencies each of many recordings belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Registers {
    /// Place of each recording in the order of their frequencies, from 0 up to less than 1.
    place: Vec<f32>,
}

impl Registers {
    /// From the middle frequency of each recording ([`middle_hz`]).
    #[must_use]
    pub fn new(middles: &[f32]) -> Self {
        let mut order: Vec<usize> = (0..middles.len()).collect();
        order.sort_by(|a, b| middles[*a].total_cmp(&middles[*b]));
        let mut place = vec![0.0; middles.len()];
        for (rank, index) in order.into_iter().enumerate() {
            place[index] = rank as f32 / middles.len() as f32;
        }
        Self { place }
    }

    /// Whether a recording may be the `voice`-th of `voices`, the lowest first.
    #[must_use]
    pub fn fits(&self, recording: usize, voice: usize, voices: usize) -> bool {
        let wide = 1.0 / voices as f32;
        let low = voice as f32 * wide;
        self.place.get(recording).is_some_and(|place| (low..low + wide).contains(place))
    }
}

/// The frequency, in Hz, that has half of a sound's energy under it; 0 for silence.
#[must_use]
pub fn middle_hz(samples: &[f32], rate: u32) -> f32 {
    /// Samples of a spectrum.
    const SIZE: usize = 4096;
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(SIZE);
    let (mut wave, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    let mut power = vec![0.0_f32; spectrum.len()];
    for part in samples.chunks(SIZE) {
        wave.fill(0.0);
        let parts = part.iter().enumerate();
        for (cell, (i, s)) in wave.iter_mut().zip(parts) {
            *cell = s * (std::f32::consts::PI * (i as f32 + 0.5) / part.len() as f32).sin();
        }
        if transform.process(&mut wave, &mut spectrum).is_ok() {
            power.iter_mut().zip(&spectrum).for_each(|(p, s)| *p += s.norm_sqr());
        }
    }
    let half = 0.5 * power.iter().sum::<f32>();
    let mut sum = 0.0;
    let middle = power.iter().position(|p| {
        sum += p;
        sum >= half && half > 0.0
    });
    middle.map_or(0.0, |k| k as f32 * rate as f32 / SIZE as f32)
}
