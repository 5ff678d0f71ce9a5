//! Techniques made of held notes: what few recordings hold, and what can be played with a recorded note.
//!
//! A glissando is a held note whose pitch slides, slurred notes are one whose pitch steps. Where a class has a dozen
//! recordings, such notes show it at every pitch, on every instrument. (Flutter-tongue was tried as a note whose level goes
//! up and down: the real one was heard less often than without.)

use anyhow::{Result, bail, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use tocco_models::NONE;

use super::config::{Config, Range, happens};

/// Samples between two points at which a pitch is computed: 3 ms at the usual rate.
const STRIDE: usize = 64;
/// The shortest note that is bent, in seconds.
const SHORTEST_S: f32 = 0.3;
/// The share of a note's length in which its pitch must have begun to move.
const SOON: usize = 4;
/// Semitones a second of a slur from one note to the next: a fifth in 50 ms.
const SLUR_SPEED: f32 = 140.0;

/// One class, some of whose notes are made of another's.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Index of the class.
    pub class: usize,
    /// Index of the class of held notes that they are made of.
    pub of: usize,
    /// Which share of its notes.
    pub chance: f32,
    /// How.
    pub course: Course,
}

/// What is done to a held note.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course {
    /// It slides so many semitones, each way taking so many seconds.
    Glide {
        /// How far.
        semitones: Range,
        /// How long one way takes.
        seconds: Range,
    },
    /// It steps so many semitones, each note lasting so many seconds.
    Slur {
        /// How far.
        semitones: Range,
        /// How long one note lasts.
        seconds: Range,
    },
}

impl Made {
    /// The classes that a configuration asks to be made, among those of the data.
    ///
    /// # Errors
    /// Where a class is none of the data's.
    pub fn chosen(config: &Config, classes: &[String]) -> Result<Vec<Self>> {
        let Config { glide, slur, .. } = config;
        let glides = Course::Glide { semitones: glide.semitones, seconds: glide.seconds };
        let slurs = Course::Slur { semitones: slur.semitones, seconds: slur.seconds };
        let tables = [
            ("glide", glide.chance, &glide.class, &glide.of, glides),
            ("slur", slur.chance, &slur.class, &slur.of, slurs),
        ];
        let mut made = Vec::new();
        for (table, chance, class, of, course) in tables.into_iter().filter(|t| t.1 > 0.0) {
            let index = |key: &str, name: &String| match classes.iter().position(|c| c == name) {
                Some(index) => Ok(index),
                None => bail!("{table}.{key} is «{name}», which is no class of the data: {}", classes.join(", ")),
            };
            ensure!(of != NONE, "{table}.of is «{NONE}»: what is no class's can't be bent into one");
            made.push(Self { class: index("class", class)?, of: index("of", of)?, chance, course });
        }
        Ok(made)
    }

    /// Whether the next note of this class is made.
    pub(super) fn happens(&self, class: usize, rng: &mut StdRng) -> bool {
        self.class == class && happens(self.chance, rng)
    }

    /// How a note of so many samples is played; `None` where it is too short to be anything but a held one.
    pub(super) fn play(&self, length: usize, rate: f32, rng: &mut StdRng) -> Option<Played> {
        (length as f32 >= SHORTEST_S * rate)
            .then(|| Played { class: self.class, progress: Progress::draw(self.course, length, rate, rng) })
    }
}

/// A note that is played as another class than its recording's.
#[derive(Debug, Clone)]
pub(super) struct Played {
    /// Index of the class.
    pub class: usize,
    pub progress: Progress,
}

/// How a note goes through its recording; the usual one evenly.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// How far into the recording each `STRIDE` samples of the note lie, in samples; empty where all is even.
    travelled: Vec<f64>,
}

impl Progress {
    /// One that is drawn for a note of so many samples.
    pub fn draw(course: Course, length: usize, rate: f32, rng: &mut StdRng) -> Self {
        let pitches = match course {
            Course::Glide { semitones, seconds } => glides(semitones, seconds, length, rate, rng),
            Course::Slur { semitones, seconds } => steps(semitones, seconds, length, rate, rng),
        };
        Self { travelled: travel(pitches) }
    }

    /// How far into the recording the `i`-th sample lies, in samples of the recording at its own speed.
    pub fn travelled(&self, i: usize) -> f64 {
        let Some(last) = self.travelled.len().checked_sub(2) else { return i as f64 };
        let point = (i / STRIDE).min(last);
        let (from, to) = (self.travelled[point], self.travelled[point + 1]);
        from + (to - from) * ((i - point * STRIDE) as f64 / STRIDE as f64)
    }
}

/// From semitones at each point to the way that lies behind.
fn travel(semitones: Vec<f32>) -> Vec<f64> {
    let mut way = 0.0;
    let mut travelled = vec![way];
    for here in semitones {
        way += STRIDE as f64 * f64::from((here / 12.0).exp2());
        travelled.push(way);
    }
    travelled
}

fn points(seconds: f32, rate: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds in points")]
    let points = (seconds * rate / STRIDE as f32) as usize;
    points.max(1)
}

/// Semitones at each point: to and fro, with a short rest at some turns, in half of them by semitones as the fingers of a
/// wind player go.
fn glides(semitones: Range, seconds: Range, length: usize, rate: f32, rng: &mut StdRng) -> Vec<f32> {
    let whole = length / STRIDE + 2;
    let chromatic = rng.random_bool(0.5);
    let mut direction = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let mut course: Vec<f32> = Vec::with_capacity(whole);
    let mut here = 0.0;
    while course.len() < whole {
        if rng.random_bool(0.5) {
            let rest = points(rng.random_range(0.02..0.2), rate).min(whole / SOON);
            course.extend(std::iter::repeat_n(here, rest));
        }
        let there = here + direction * semitones.draw(rng);
        let way = points(seconds.draw_ratio(rng), rate).min(whole);
        course.extend((1..=way).map(|k| here + (there - here) * k as f32 / way as f32));
        here = there;
        direction = -here.signum();
    }
    course.truncate(whole);
    if chromatic {
        course.iter_mut().for_each(|semitone| *semitone = semitone.round());
    }
    course
}

/// Semitones at each point: notes that follow each other without a new attack.
fn steps(semitones: Range, seconds: Range, length: usize, rate: f32, rng: &mut StdRng) -> Vec<f32> {
    /// Further from where they began notes would no longer sound like the instrument.
    const WIDEST: f32 = 9.0;
    let whole = length / STRIDE + 2;
    let fastest = SLUR_SPEED * STRIDE as f32 / rate;
    let mut course: Vec<f32> = Vec::with_capacity(whole);
    let (mut here, mut target) = (0.0_f32, 0.0_f32);
    while course.len() < whole {
        let held = points(seconds.draw_ratio(rng), rate);
        let held = if course.is_empty() { held.min(whole / SOON) } else { held };
        for _ in 0..held.max(1) {
            here += (target - here).clamp(-fastest, fastest);
            course.push(here);
        }
        let step = semitones.draw(rng).round();
        let up = if target.abs() + step > WIDEST { target < 0.0 } else { rng.random_bool(0.5) };
        target += if up { step } else { -step };
    }
    course.truncate(whole);
    course
}
