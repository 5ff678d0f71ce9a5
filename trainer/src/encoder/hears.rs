//! What an encoder takes.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tocco_models::FrontendConfig;
use tocco_models::onnx::pb;

/// Raw audio or a log-mel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InputKind {
    /// Samples between -1 and 1.
    Audio,
    /// Log-mel frames.
    LogMel,
}

/// What a person says about an encoder; the rest is read from its graph or guessed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    /// Raw audio or log-mel.
    pub input: Option<InputKind>,
    /// Samples a second.
    pub rate: Option<u32>,
    /// Length of the window, in seconds.
    pub window_s: Option<f64>,
    /// Mel bands.
    pub mels: Option<usize>,
    /// Length of the Fourier transform, in samples.
    pub fft_size: Option<usize>,
    /// Length of the analysis window, in samples.
    pub frame: Option<usize>,
    /// Samples between two frames.
    pub hop: Option<usize>,
    /// Lower edge of the lowest band, in Hz.
    pub fmin: Option<f32>,
    /// Upper edge of the highest band, in Hz.
    pub fmax: Option<f32>,
    /// Added to the mel power before the logarithm.
    pub log_floor: Option<f32>,
    /// The log-mel is multiplied by this ...
    pub scale: Option<f32>,
    /// ... and then this is added.
    pub offset: Option<f32>,
    /// Windows that are heard for a decision, one after the other; one by default.
    pub windows: Option<usize>,
    /// Seconds from the start of one to the start of the next.
    pub step_s: Option<f64>,
}

/// What goes into an encoder at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "kebab-case")]
pub enum Hears {
    /// Samples between -1 and 1.
    Audio {
        /// Samples in the window.
        samples: usize,
    },
    /// A log-mel `[frames, mels]`.
    LogMel {
        /// Frames in the window.
        frames: usize,
        /// How they are made.
        frontend: FrontendConfig,
        /// Whether the graph wants `[mels, frames]`.
        bands_first: bool,
        /// Factor on each number.
        scale: f32,
        /// Added to each number after that.
        offset: f32,
    },
}

/// Window of an encoder that takes any length, in seconds.
const USUAL_WINDOW_S: f64 = 1.0;
/// The longest window, in seconds.
pub(super) const LONGEST_WINDOW_S: f64 = 30.0;

/// Reads what the encoder's only input takes: what it hears, the input's shape with a batch of one, and a sentence on
/// what was guessed.
///
/// # Errors
/// Where the graph has more than one input or one that fits neither audio nor log-mel, or a wish contradicts it.
pub fn understand(model: &pb::ModelProto, rate: u32, wish: &Wish) -> Result<(Hears, Vec<usize>, String)> {
    let dims = input_dims(model)?;
    ensure!((8_000..=192_000).contains(&rate), "--encoder-rate is {rate}: it must lie between 8000 and 192000");
    let kind = match (wish.input, dims.as_slice()) {
        (Some(kind), _) => kind,
        (None, [_] | [_, _] | [_, Some(1), _]) => InputKind::Audio,
        (None, _) => InputKind::LogMel,
    };
    let of_window = if kind == InputKind::Audio { 1 } else { 2 };
    let batch = dims.len().checked_sub(of_window).filter(|batch| *batch <= 2);
    let Some(batch) = batch.filter(|batch| dims[..*batch].iter().all(|d| d.is_none_or(|d| d == 1))) else {
        bail!("its input has the shape {}: that fits no {}", written(&dims), kind.name());
    };
    let (hears, window) = match kind {
        InputKind::Audio => audio(dims[batch], rate, wish)?,
        InputKind::LogMel => log_mel(dims[batch], dims[batch + 1], rate, wish)?,
    };
    let shape = [vec![1; batch], window].concat();
    let guessed = if wish.input.is_some() { "" } else { ", guessed from its shape (--encoder-input says otherwise)" };
    let remark = format!("its input {} is heard as {}{guessed}", written(&dims), hears.sentence(rate));
    Ok((hears, shape, remark))
}

fn audio(samples: Option<usize>, rate: u32, wish: &Wish) -> Result<(Hears, Vec<usize>)> {
    let samples = length(samples, f64::from(rate), "samples", wish)?;
    Ok((Hears::Audio { samples }, vec![samples]))
}

fn log_mel(a: Option<usize>, b: Option<usize>, rate: u32, wish: &Wish) -> Result<(Hears, Vec<usize>)> {
    let (mels, bands_first) = match (a, b, wish.mels) {
        (_, Some(last), Some(mels)) if last == mels => (mels, false),
        (Some(first), _, Some(mels)) if first == mels => (mels, true),
        (_, None, Some(mels)) => (mels, false),
        (None, _, Some(mels)) => (mels, true),
        (Some(first), Some(last), Some(mels)) => {
            bail!("--encoder-mels is {mels}, but its input is {first} by {last}")
        }
        // Windows are longer than they are high.
        (Some(first), Some(last), None) => (first.min(last), first < last),
        (None, Some(mels), None) => (mels, false),
        (Some(mels), None, None) => (mels, true),
        (None, None, None) => bail!("its input says nothing of its size: say how many bands with --encoder-mels"),
    };
    ensure!((1..=1024).contains(&mels), "its input asks for {mels} mel bands: 1 to 1024 are possible");
    let window = wish.frame.unwrap_or(samples_in(0.025, rate));
    let frontend = FrontendConfig {
        // Longer than the window: without that the lowest of many bands would lie between two bins.
        fft_size: wish.fft_size.unwrap_or(window.next_power_of_two().max(2048)),
        window,
        hop: wish.hop.unwrap_or(samples_in(0.01, rate)),
        mels,
        fmin: wish.fmin.unwrap_or(20.0),
        fmax: wish.fmax.unwrap_or(rate as f32 / 2.0),
        log_floor: wish.log_floor.unwrap_or(1e-6),
        extra_windows: Vec::new(),
    };
    ensure!(frontend.hop > 0, "--encoder-hop is 0: it must be at least 1");
    tocco_models::LogMel::new(rate, &frontend).context("such a log-mel can't be computed")?;
    let frames_a_second = f64::from(rate) / frontend.hop as f64;
    let frames = length(if bands_first { b } else { a }, frames_a_second, "frames", wish)?;
    let (scale, offset) = (wish.scale.unwrap_or(1.0), wish.offset.unwrap_or(0.0));
    ensure!(scale.is_finite() && offset.is_finite(), "--encoder-scale and --encoder-offset must be numbers");
    let shape = if bands_first { vec![mels, frames] } else { vec![frames, mels] };
    Ok((Hears::LogMel { frames, frontend, bands_first, scale, offset }, shape))
}

/// Length of the window: the graph's own where it has one, else what was wished for.
fn length(fixed: Option<usize>, a_second: f64, unit: &str, wish: &Wish) -> Result<usize> {
    let seconds = wish.window_s.unwrap_or(USUAL_WINDOW_S);
    ensure!(
        seconds > 0.0 && seconds <= LONGEST_WINDOW_S,
        "--encoder-window-s is {seconds}: it must lie between 0 and {LONGEST_WINDOW_S}"
    );
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of sound")]
    let wished = ((seconds * a_second).round() as usize).max(1);
    match fixed {
        Some(fixed) if wish.window_s.is_some() && fixed.abs_diff(wished) > 1 => {
            bail!("{seconds} s (--encoder-window-s, --segment) are {wished} {unit}, but its input is made for {fixed}")
        }
        Some(fixed) => Ok(fixed),
        None => Ok(wished),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a second")]
fn samples_in(seconds: f64, rate: u32) -> usize {
    (seconds * f64::from(rate)).round() as usize
}

/// Dimensions of the only input that is no weight; `None` where any length goes.
fn input_dims(model: &pb::ModelProto) -> Result<Vec<Option<usize>>> {
    use pb::{tensor_shape_proto::dimension::Value, type_proto};
    let graph = model.graph.as_ref().ok_or_else(|| anyhow!("it holds no network"))?;
    let inputs: Vec<&pb::ValueInfoProto> =
        graph.input.iter().filter(|input| graph.initializer.iter().all(|w| w.name != input.name)).collect();
    let [input] = inputs.as_slice() else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        bail!(
            "it has {} inputs ({}): an encoder has one, export it with the others as constants",
            names.len(),
            names.join(", ")
        );
    };
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        bail!("its input «{}» is no tensor", input.name);
    };
    if tensor.elem_type != pb::tensor_proto::DataType::Float as i32 {
        bail!("its input «{}» is not of 32-bit floats", input.name);
    }
    let shape = tensor.shape.as_ref().ok_or_else(|| anyhow!("its input «{}» has no shape", input.name))?;
    Ok(shape
        .dim
        .iter()
        .map(|d| match d.value {
            Some(Value::DimValue(n)) => usize::try_from(n).ok().filter(|n| *n > 0),
            _ => None,
        })
        .collect())
}

fn written(dims: &[Option<usize>]) -> String {
    let each: Vec<String> = dims.iter().map(|d| d.map_or_else(|| "?".to_owned(), |d| d.to_string())).collect();
    format!("[{}]", each.join(", "))
}

impl InputKind {
    fn name(self) -> &'static str {
        match self {
            Self::Audio => "window of audio",
            Self::LogMel => "log-mel window",
        }
    }
}

impl Hears {
    /// Length of the window in samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        match self {
            Self::Audio { samples } => *samples,
            Self::LogMel { frames, frontend, .. } => frames * frontend.hop,
        }
    }

    fn sentence(&self, rate: u32) -> String {
        let seconds = self.samples() as f64 / f64::from(rate);
        match self {
            Self::Audio { samples } => format!("{samples} samples of audio at {rate} Hz ({seconds:.2} s)"),
            Self::LogMel { frames, frontend, bands_first, .. } => format!(
                "{frames} frames of {} mel bands{} at {rate} Hz ({seconds:.2} s; a frame of {} samples every {}, {} to \
                 {} Hz)",
                frontend.mels,
                if *bands_first { ", bands first," } else { "" },
                frontend.window,
                frontend.hop,
                frontend.fmin,
                frontend.fmax
            ),
        }
    }
}
