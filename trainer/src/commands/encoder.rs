//! The options of `tocco train` that put a head on a pretrained encoder.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use burn::tensor::Device;
use tocco_models::write_beside;

use super::remark;
use super::report::of_training;
use super::train::SegmentArgs;
use crate::encoder::{Cache, Encoder, HeadKind, HeadTraining, InputKind, Wish, default_folder, train};
use crate::engine::Provider;
use crate::export::OrtCheck;
use crate::listen::Engine;
use crate::manifest::Manifest;
use crate::train::{CONFIG, refuse_in};

/// Options that belong to `--encoder`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Encoder")]
pub struct EncoderArgs {
    /// A pretrained encoder as ONNX, audio or log-mel in, embeddings out: it stays as it is, a head is trained on it
    #[arg(long, conflicts_with = "net")]
    encoder: Option<PathBuf>,
    /// The network on top; all but linear and mlp need a sequence of embeddings, from one window or from several
    #[arg(long, value_enum, default_value = "mlp", requires = "encoder")]
    head: HeadKind,
    /// What the encoder takes; guessed from the shape of its input where this is not given
    #[arg(long, value_enum, requires = "encoder")]
    encoder_input: Option<InputKind>,
    /// Samples a second that the encoder was made for; it is read from the file's metadata where that says it
    #[arg(long, requires = "encoder")]
    encoder_rate: Option<u32>,
    /// Seconds that it hears at once, where its input takes any length [default: 1]
    #[arg(long, requires = "encoder")]
    encoder_window_s: Option<f64>,
    /// Windows that are heard for a decision, one after the other: a sequence for the head, at the cost of all of them
    #[arg(long, default_value_t = 1, requires = "encoder")]
    encoder_windows: usize,
    /// Seconds from the start of one of them to the start of the next [default: half a window]
    #[arg(long, requires = "encoder")]
    encoder_step_s: Option<f64>,
    /// The output that is taken [default: the first]
    #[arg(long, requires = "encoder")]
    encoder_output: Option<String>,
    /// Mel bands of a log-mel encoder, where its input does not tell them
    #[arg(long, requires = "encoder")]
    encoder_mels: Option<usize>,
    /// Fourier transform of its log-mel, in samples [default: a power of two from the analysis window and 2048 on]
    #[arg(long, requires = "encoder")]
    encoder_fft_size: Option<usize>,
    /// Analysis window of its log-mel, in samples [default: 25 ms]
    #[arg(long, requires = "encoder")]
    encoder_frame: Option<usize>,
    /// Samples between two frames of its log-mel [default: 10 ms]
    #[arg(long, requires = "encoder")]
    encoder_hop: Option<usize>,
    /// Lower edge of its lowest mel band, in Hz [default: 20]
    #[arg(long, requires = "encoder")]
    encoder_fmin: Option<f32>,
    /// Upper edge of its highest mel band, in Hz [default: half the rate]
    #[arg(long, requires = "encoder")]
    encoder_fmax: Option<f32>,
    /// Added to the mel power before the natural logarithm [default: 1e-6]
    #[arg(long, requires = "encoder")]
    encoder_log_floor: Option<f32>,
    /// The log-mel is multiplied by this ... [default: 1]
    #[arg(long, requires = "encoder", allow_negative_numbers = true)]
    encoder_scale: Option<f32>,
    /// ... and then this is added, as the encoder was trained [default: 0]
    #[arg(long, requires = "encoder", allow_negative_numbers = true)]
    encoder_offset: Option<f32>,
    /// Where ONNX Runtime runs the encoder
    #[arg(long, value_enum, default_value = "cpu", requires = "encoder")]
    execution_provider: Provider,
    /// Folder of the embeddings, which a second training finds again [default: in the user's cache folder]
    #[arg(long, requires = "encoder")]
    encoder_cache: Option<PathBuf>,
    /// Windows that are taken from a recording at most
    #[arg(long, default_value_t = 8, requires = "encoder")]
    windows_per_recording: usize,
    /// Seconds between two decisions of the exported model
    #[arg(long, default_value_t = 0.1, requires = "encoder")]
    decision_s: f64,
}

/// Options of `tocco train` that hold with and without an encoder.
pub(super) struct Common<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Folder of the run.
    pub out: &'a Path,
    /// Where the arithmetic of the head's training runs.
    pub device: &'a Device,
    /// The windows that are heard.
    pub segments: &'a SegmentArgs,
    /// Whether the run gets a page.
    pub report: bool,
    /// A file that asks for the same: `config.toml`.
    pub config: String,
    /// What `--task` and the options of the training say. `head`, `windows`, `cut` and `decision_s` are set here.
    pub training: HeadTraining,
}

impl EncoderArgs {
    /// Whether a head is to be trained.
    pub(super) fn is_asked(&self) -> bool {
        self.encoder.is_some()
    }

    /// Trains a head and exports it with its encoder; does nothing where no encoder is named.
    ///
    /// # Errors
    /// Where the encoder or the manifest is refused, or the run's folder can't be written.
    pub(super) fn run(self, common: Common<'_>) -> Result<()> {
        let Some(path) = &self.encoder else { return Ok(()) };
        ensure!(self.windows_per_recording > 0, "--windows-per-recording is 0: it must be at least 1");
        ensure!(
            self.decision_s > 0.0 && self.decision_s <= 60.0,
            "--decision-s is {}: it must lie between 0 and 60",
            self.decision_s
        );
        refuse_in(common.out, "encoder", path)?;
        let cache = Cache::open(&self.encoder_cache.clone().unwrap_or_else(default_folder))?;
        let output = self.encoder_output.as_deref();
        let segment = common.segments.segment;
        ensure!(
            segment.is_none() || self.encoder_window_s.is_none(),
            "--segment and --encoder-window-s say the same: leave one of them away"
        );
        let wish = self.wish(segment);
        let (encoder, sentence) = Encoder::open(path, &wish, output, self.execution_provider, Some(cache))?;
        remark(sentence);
        let identity = &encoder.identity;
        let cut = common.segments.segmentation(identity.hears.samples() as f32 / identity.rate as f32)?;
        let training = HeadTraining {
            head: self.head,
            windows: self.windows_per_recording,
            cut,
            decision_s: self.decision_s,
            ..common.training
        };
        let run = train(common.manifest, common.out, encoder, &training, common.device)?;
        write_beside(&common.out.join(CONFIG), common.config.as_bytes())?;
        for (name, value) in &run.figures()?.metrics {
            remark(format_args!("{name}: {value:.3}"));
        }
        let report = run.export(&run.settings.name, &common.out.join("model.onnx"), &OrtCheck::usual())?;
        remark(report.text());
        if common.report {
            let engine = (Engine::Ort, self.execution_provider);
            of_training(common.out, common.manifest, engine)?;
        }
        Ok(())
    }

    fn wish(&self, segment: Option<f32>) -> Wish {
        Wish {
            input: self.encoder_input,
            rate: self.encoder_rate,
            window_s: self.encoder_window_s.or(segment.map(f64::from)),
            mels: self.encoder_mels,
            fft_size: self.encoder_fft_size,
            frame: self.encoder_frame,
            hop: self.encoder_hop,
            fmin: self.encoder_fmin,
            fmax: self.encoder_fmax,
            log_floor: self.encoder_log_floor,
            scale: self.encoder_scale,
            offset: self.encoder_offset,
            windows: Some(self.encoder_windows),
            step_s: self.encoder_step_s,
        }
    }
}
