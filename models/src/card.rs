//! The model card: what a model hears, how it was made, and what it may be trusted with.
//!
//! The card is JSON in the ONNX file's own `metadata_props`, under [`CARD_KEY`]: one `.onnx` file is
//! the whole model.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The metadata key of the card.
pub const CARD_KEY: &str = "tocco.card";
/// The card format this version writes and the newest it reads.
pub const CARD_FORMAT: u32 = 1;
/// The name of the class that stands for «nothing that I was taught».
pub const NONE: &str = "none";
/// The most classes one model may have (a decision carries its set of classes as 128 bits).
pub const MAX_CLASSES: usize = 128;

/// One class at a time, or any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One class at a time: softmax, with a trained `none`.
    Technique,
    /// Any number at a time: sigmoid, per-class thresholds.
    Instruments,
}

/// Parameters of the log-mel frontend, at the card's sample rate.
///
/// The spectrum is librosa's `melspectrogram(power=2, center=False, htk=False, norm="slaney")` with a
/// periodic Hann window of `window` samples, zero-padded to `fft_size`; the feature is
/// `ln(mel + log_floor)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendConfig {
    /// Length of the Fourier transform, in samples.
    pub fft_size: usize,
    /// Length of the analysis window, in samples; at most `fft_size`.
    pub window: usize,
    /// Distance between two frames, in samples.
    pub hop: usize,
    /// Number of mel bands.
    pub mels: usize,
    /// Lower edge of the lowest band, in Hz.
    pub fmin: f32,
    /// Upper edge of the highest band, in Hz.
    pub fmax: f32,
    /// Added to the mel power before the logarithm.
    pub log_floor: f32,
    /// Further analysis windows, in samples, each at most `window` and ending with it: their mel bands follow those of
    /// `window` in the same frame. Short ones hear when, long ones which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_windows: Vec<usize>,
}

impl FrontendConfig {
    /// Numbers in a frame: `mels` for each window.
    #[must_use]
    pub fn frame_size(&self) -> usize {
        self.mels.saturating_mul(1 + self.extra_windows.len())
    }

    /// The shortest analysis window, in samples: the one that hears a change first.
    #[must_use]
    pub fn shortest_window(&self) -> usize {
        self.extra_windows.iter().copied().fold(self.window, usize::min)
    }
}

impl Default for FrontendConfig {
    /// For a sample rate of 24 kHz: windows of 42.7 ms every 10 ms.
    fn default() -> Self {
        Self {
            fft_size: 1024,
            window: 1024,
            hop: 240,
            mels: 64,
            fmin: 40.0,
            fmax: 11_500.0,
            log_floor: 1e-6,
            extra_windows: Vec::new(),
        }
    }
}

/// One state tensor of a `stream` network: input `<name>` and output `<name>_next`, zero at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSpec {
    /// Name of the ONNX input; the output is `<name>_next`.
    pub name: String,
    /// Shape, batch axis included.
    pub shape: Vec<usize>,
}

impl StateSpec {
    /// Name of the ONNX output that carries the next state.
    #[must_use]
    pub fn output_name(&self) -> String {
        format!("{}_next", self.name)
    }
}

/// What the network eats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum NetworkKind {
    /// New frames and states in, logits and next states out. Inputs: `frames` `[1, frames_per_step, mels]`
    /// and each state; outputs: `logits` `[1, classes]` (of the newest frame) and each next state.
    Stream {
        /// New frames a step.
        frames_per_step: usize,
        /// The states, in the order of the graph's inputs.
        states: Vec<StateSpec>,
    },
    /// A whole log-mel window. Input 0: `[1, frames, mels]`; output 0: logits `[1, classes]`.
    Window {
        /// Frames in the window.
        frames: usize,
        /// Frames between two decisions.
        frames_per_step: usize,
    },
    /// A raw window. Input 0: `[1, 1, samples]`; output 0: logits `[1, classes]`.
    Audio {
        /// Samples in the window, at the card's sample rate.
        samples: usize,
        /// Samples between two decisions, at the card's sample rate.
        hop: usize,
    },
}

impl NetworkKind {
    /// Whether it hears frame by frame and remembers; the other kinds see a whole window at once, and nothing else.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }
}

/// Where training sound came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// What it is called and who made it.
    pub name: String,
    /// Its licence.
    pub licence: String,
}

/// A short input and what the network answers to it where it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Successive inputs of a network fresh from reset, one after the other: for `stream`, `frames_per_step * mels`
    /// numbers a step; for the others one input.
    pub input: Vec<f32>,
    /// The logits after each step, `classes` numbers a step; at most [`MOST_REFERENCE_STEPS`] steps.
    pub output: Vec<f32>,
}

/// The most [`FrontendConfig::extra_windows`]: each costs a spectrum at every hop.
pub const MOST_EXTRA_WINDOWS: usize = 7;
/// The most steps of a [`Reference`]: it is run at every load.
pub const MOST_REFERENCE_STEPS: usize = 64;
/// So far apart no counts of recordings are.
const MOST_OFFSET: f32 = 20.0;
/// The longest name of a class, in bytes.
pub const LONGEST_CLASS: usize = 200;
/// The longest name of a model, in bytes.
const LONGEST_NAME: usize = 1000;

/// Why a name can't be shown on a button, or sent as a text, which a NUL would end; `None` where it can.
#[must_use]
pub fn unfit_name(name: &str, most: usize) -> Option<String> {
    let is_unfit = name.len() > most || name.contains(char::is_control);
    let start = || name.chars().take(40).flat_map(char::escape_default).collect::<String>();
    is_unfit.then(|| format!("«{}» is longer than {most} bytes, or holds control characters", start()))
}

/// The whole card. The order of `classes` is the order everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// [`CARD_FORMAT`] at the time of writing.
    pub format: u32,
    /// Name of the model, as the panel shows it.
    pub name: String,
    /// One class at a time, or any number.
    pub task: Task,
    /// Class names: sorted by name, `none` last.
    pub classes: Vec<String>,
    /// The rate that the frontend and the network work at, in Hz.
    pub sample_rate: u32,
    /// The log-mel frontend; absent where the network eats raw audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendConfig>,
    /// What the network eats.
    pub network: NetworkKind,
    /// The logits are divided by this before softmax or sigmoid.
    #[serde(default = "one")]
    pub temperature: f32,
    /// Per class, what is added to the logits after the temperature (`technique`): training draws rare classes more often
    /// than they are met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<f32>,
    /// Per class, the probability from which it counts as present (`instruments`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
    /// What the weights were trained on.
    #[serde(default)]
    pub data: Vec<DataSource>,
    /// The licence of the weights.
    #[serde(default)]
    pub licence: String,
    /// Figures measured after training, by name, e.g. `test/file_macro_recall_without_none`.
    #[serde(default)]
    pub metrics: std::collections::BTreeMap<String, f64>,
    /// Checked at every load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

fn one() -> f32 {
    1.0
}

impl Card {
    /// Reads a card and checks that it makes sense in itself.
    ///
    /// # Errors
    /// [`Error::BadCard`] names the field that is wrong.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_str(json).map_err(|e| Error::BadCard(e.to_string()))?;
        if format == 0 || format > CARD_FORMAT {
            return Err(Error::BadCard(format!(
                "it is of format {format}, this version reads up to {CARD_FORMAT}: update Tocco"
            )));
        }
        let card: Self = serde_json::from_str(json).map_err(|e| Error::BadCard(e.to_string()))?;
        card.check()?;
        Ok(card)
    }

    /// The card as JSON.
    ///
    /// # Errors
    /// [`Error::BadCard`] where a number is not finite, since JSON has no word for it.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        serde_json::to_string(self).map_err(|e| Error::BadCard(e.to_string()))
    }

    /// Index of the class `none`, where the model has one.
    #[must_use]
    pub fn none_class(&self) -> Option<usize> {
        self.classes.iter().position(|c| c == NONE)
    }

    /// Samples between two decisions, at the card's sample rate.
    #[must_use]
    pub fn hop(&self) -> usize {
        match (&self.network, &self.frontend) {
            (NetworkKind::Audio { hop, .. }, _) => *hop,
            (
                NetworkKind::Stream { frames_per_step, .. } | NetworkKind::Window { frames_per_step, .. },
                Some(frontend),
            ) => frames_per_step * frontend.hop,
            (_, None) => 1,
        }
    }

    /// Numbers that one step of the network takes, see [`crate::Runner::step`].
    #[must_use]
    pub fn step_input(&self) -> usize {
        let frame = self.frontend.as_ref().map_or(0, FrontendConfig::frame_size);
        match &self.network {
            NetworkKind::Stream { frames_per_step, .. } => frames_per_step * frame,
            NetworkKind::Window { frames, .. } => frames * frame,
            NetworkKind::Audio { samples, .. } => *samples,
        }
    }

    /// The threshold of each class; 0.5 where the card says nothing.
    pub fn threshold(&self, class: usize) -> f32 {
        self.thresholds.get(class).copied().unwrap_or(0.5)
    }

    fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::BadCard(what));
        if self.classes.is_empty() || self.classes.len() > MAX_CLASSES {
            return bad(format!("it has {} classes, 1 to {MAX_CLASSES} are possible", self.classes.len()));
        }
        for (i, class) in self.classes.iter().enumerate() {
            if class.is_empty() || self.classes[..i].contains(class) {
                return bad(format!("the class «{class}» is empty or stands twice"));
            }
        }
        let names = self.classes.iter().map(|class| (class, LONGEST_CLASS)).chain([(&self.name, LONGEST_NAME)]);
        if let Some(unfit) = names.into_iter().find_map(|(name, most)| unfit_name(name, most)) {
            return bad(format!("the name {unfit}"));
        }
        if !(8_000..=192_000).contains(&self.sample_rate) {
            return bad(format!("its sample rate is {} Hz, 8000 to 192000 are possible", self.sample_rate));
        }
        if !(0.01..=100.0).contains(&self.temperature) {
            return bad(format!("its temperature is {}, 0.01 to 100 are possible", self.temperature));
        }
        let steps = self.reference.as_ref().map_or(0, |r| r.output.len() / self.classes.len());
        if steps > MOST_REFERENCE_STEPS {
            return bad(format!("its reference has {steps} steps, {MOST_REFERENCE_STEPS} are the most"));
        }
        if !self.offsets.is_empty() && (self.task != Task::Technique || self.offsets.len() != self.classes.len()) {
            let (offsets, classes) = (self.offsets.len(), self.classes.len());
            return bad(format!("{offsets} offsets for {classes} classes: a technique model has one a class, or none"));
        }
        if self.offsets.iter().any(|o| o.is_nan() || o.abs() > MOST_OFFSET) {
            return bad(format!("an offset lies outside -{MOST_OFFSET} to {MOST_OFFSET}"));
        }
        if !self.thresholds.is_empty() && self.thresholds.len() != self.classes.len() {
            return bad(format!("{} thresholds for {} classes", self.thresholds.len(), self.classes.len()));
        }
        if self.thresholds.iter().any(|t| !(0.0..=1.0).contains(t)) {
            return bad("a threshold lies outside 0 to 1".into());
        }
        self.check_frontend()?;
        self.check_network()
    }

    fn check_frontend(&self) -> Result<()> {
        let bad = |what: String| Err(Error::BadCard(what));
        let Some(f) = &self.frontend else {
            return match self.network {
                NetworkKind::Audio { .. } => Ok(()),
                _ => bad("the frontend is missing".into()),
            };
        };
        if matches!(self.network, NetworkKind::Audio { .. }) {
            return bad("a network that hears samples has no frontend".into());
        }
        if !(16..=65_536).contains(&f.fft_size) || f.window < 16 || f.window > f.fft_size {
            return bad(format!("a window of {} in a transform of {} samples", f.window, f.fft_size));
        }
        if f.hop == 0 || f.hop > f.window {
            return bad(format!("a hop of {} samples with a window of {}", f.hop, f.window));
        }
        if f.mels == 0 || f.mels > 1024 {
            return bad(format!("{} mel bands", f.mels));
        }
        if f.extra_windows.len() > MOST_EXTRA_WINDOWS || f.extra_windows.iter().any(|w| !(16..=f.window).contains(w)) {
            return bad(format!("further windows of {:?} samples beside one of {}", f.extra_windows, f.window));
        }
        let nyquist = self.sample_rate as f32 / 2.0;
        if !(f.fmin >= 0.0 && f.fmin < f.fmax && f.fmax <= nyquist) {
            return bad(format!("mel bands from {} to {} Hz at a rate of {} Hz", f.fmin, f.fmax, self.sample_rate));
        }
        if !(f.log_floor.is_finite() && f.log_floor > 0.0) {
            return bad(format!("a log floor of {}", f.log_floor));
        }
        Ok(())
    }

    fn check_network(&self) -> Result<()> {
        const MOST_NUMBERS: usize = 1 << 22;
        let bad = |what: String| Err(Error::BadCard(what));
        match &self.network {
            NetworkKind::Stream { frames_per_step, states } => {
                if !(1..=256).contains(frames_per_step) || states.len() > 256 {
                    return bad(format!("{frames_per_step} frames a step, {} states", states.len()));
                }
                let mut total = 0_usize;
                for s in states {
                    let numbers = s.shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
                    total = total.saturating_add(numbers);
                    if s.name.is_empty() || numbers == 0 || total > MOST_NUMBERS {
                        return bad(format!("the state «{}» has the shape {:?}", s.name, s.shape));
                    }
                }
            }
            NetworkKind::Window { frames, frames_per_step } => {
                if !(1..=8192).contains(frames) || !(1..=*frames).contains(frames_per_step) {
                    return bad(format!("a window of {frames} frames every {frames_per_step}"));
                }
            }
            NetworkKind::Audio { samples, hop } => {
                if !(1..=MOST_NUMBERS).contains(samples) || *hop == 0 || hop > samples {
                    return bad(format!("a window of {samples} samples every {hop}"));
                }
            }
        }
        Ok(())
    }
}
