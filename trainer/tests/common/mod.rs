//! What the tests of the command share: sounds and a model with known answers, and the command itself.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tocco_models::onnx::{Attribute, GraphBuilder, encode, pb, with_card};
use tocco_models::{CARD_FORMAT, Card, FrontendConfig, NetworkKind, StateSpec, Task};

pub const RATE: u32 = 24_000;
const MELS: usize = 16;

/// Classes high, low, none: the upper half of the mel bands against the lower one; `none` where both are silent.
pub fn card() -> Card {
    Card {
        format: CARD_FORMAT,
        name: "high or low".into(),
        task: Task::Technique,
        classes: ["high", "low", "none"].map(String::from).to_vec(),
        sample_rate: RATE,
        frontend: Some(FrontendConfig { mels: MELS, ..FrontendConfig::default() }),
        network: NetworkKind::Stream {
            frames_per_step: 2,
            states: vec![StateSpec { name: "past".into(), shape: vec![1, 1, MELS] }],
        },
        temperature: 1.0,
        offsets: Vec::new(),
        thresholds: Vec::new(),
        data: Vec::new(),
        licence: "MIT OR Apache-2.0".into(),
        metrics: std::collections::BTreeMap::new(),
        reference: None,
    }
}

/// One linear layer over the newest frame; the state only passes it on.
pub fn graph() -> pb::ModelProto {
    let mut g = GraphBuilder::new("high_or_low");
    g.input("frames", &[1, 2, MELS]).input("past", &[1, 1, MELS]);
    g.output("logits", &[1, 3]).output("past_next", &[1, 1, MELS]);
    let row = |band: usize| if band < MELS / 2 { [-1.0_f32, 1.0, 0.0] } else { [1.0, -1.0, 0.0] };
    let weights: Vec<f32> = (0..MELS).flat_map(row).map(|w| w / 8.0).collect();
    g.initializer("w", &[MELS, 3], &weights).initializer("b", &[3], &[0.0, 0.0, 1.0]).initializer("half", &[], &[0.5]);
    g.initializer_i64("first", &[1], &[1]).initializer_i64("last", &[1], &[2]).initializer_i64("axis", &[1], &[1]);
    g.initializer_i64("flat", &[2], &[1, 16]);
    g.node("Slice", &["frames", "first", "last", "axis"], &["past_next"], &[]);
    g.node("Add", &["past_next", "past"], &["sum"], &[]);
    g.node("Mul", &["sum", "half"], &["mean"], &[]);
    g.node("Reshape", &["mean", "flat"], &["row"], &[]);
    g.node("Gemm", &["row", "w", "b"], &["logits"], &[("alpha", Attribute::Float(1.0))]);
    g.finish()
}

pub fn model_bytes() -> Vec<u8> {
    encode(&with_card(graph(), &card()).unwrap())
}

/// Writes the model and gives its path.
pub fn model(folder: &Path) -> PathBuf {
    let path = folder.join("high-or-low.onnx");
    std::fs::write(&path, model_bytes()).unwrap();
    path
}

/// A sine, faded in and out.
pub fn sine(rate: u32, hz: f32, seconds: f32) -> Vec<f32> {
    let n = (rate as f32 * seconds).round();
    (0..)
        .map(|i| i as f32)
        .take_while(|i| *i < n)
        .map(|i| 0.3 * (std::f32::consts::TAU * hz * i / rate as f32).sin() * (i.min(n - i) / 100.0).min(1.0))
        .collect()
}

pub const HIGH_HZ: f32 = 5000.0;
pub const LOW_HZ: f32 = 200.0;
/// Classes of [`data_set`].
pub const HIGH: (&str, f32) = ("high", HIGH_HZ);
pub const LOW: (&str, f32) = ("low", LOW_HZ);

/// Writes a 16-bit WAV file, and the folders above it.
pub fn write_wav(path: &Path, rate: u32, channels: &[&[f32]]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let spec = hound::WavSpec {
        channels: u16::try_from(channels.len()).unwrap(),
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..channels[0].len() {
        for channel in channels {
            #[allow(clippy::cast_possible_truncation, reason = "the tests' sounds lie between -1 and 1")]
            writer.write_sample((channel[i] * 32_767.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
}

/// Pitches of [`data_set`]: a split, and a factor on the class's frequency.
pub const FIVE_PITCHES: [(&str, f32); 5] =
    [("train", 1.0), ("train", 1.1), ("train", 1.2), ("val", 1.3), ("test", 1.4)];

/// Sines of each class around its frequency, one for each of `pitches`, and their manifest.
pub fn data_set(folder: &Path, classes: &[(&str, f32)], pitches: &[(&str, f32)]) -> PathBuf {
    let mut manifest = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for (class, hz) in classes {
        for (pitch, (split, factor)) in pitches.iter().enumerate() {
            let file = format!("{class}{pitch}.wav");
            write_wav(&folder.join(&file), RATE, &[&sine(RATE, hz * factor, 0.4)]);
            manifest += &format!("{file},{class},{class}-{pitch},{split},0.4,{RATE}\n");
        }
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, manifest).unwrap();
    path
}

/// A valid MP3 of silence: `frames` frames of 26 ms whose side information says that nothing follows.
pub fn silent_mp3(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..frames {
        bytes.extend([0xff, 0xfb, 0x90, 0xc4]);
        bytes.resize(bytes.len() + 413, 0);
    }
    bytes
}

/// Says that a test can't do its work for lack of a tool. Under `cargo xtask test`, which installs everything, that
/// is a failure.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("TOCCO_STRICT").is_none(), "nothing may be missing here: {why}");
    println!("skipped: {why}");
}

/// The command's answer.
pub struct Answer {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Fails the test where the command failed.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// The one sentence of a refusal: exit status 1, nothing on standard output, no panic.
    pub fn refusal(self) -> String {
        assert_eq!(self.code, Some(1), "{} {}", self.out, self.err);
        assert_eq!(self.out, "");
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// Runs `tocco`.
pub fn tocco<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Answer {
    tocco_in::<&str, &str, S>([], arguments)
}

/// Runs `tocco` with environment variables.
pub fn tocco_in<K: AsRef<OsStr>, V: AsRef<OsStr>, S: AsRef<OsStr>>(
    environment: impl IntoIterator<Item = (K, V)>,
    arguments: impl IntoIterator<Item = S>,
) -> Answer {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tocco"));
    program.args(arguments).envs(environment);
    let Output { status, stdout, stderr } = program.output().expect("the command starts");
    Answer {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Arguments from paths and words.
#[macro_export]
macro_rules! tocco {
    ($($argument:expr),+ $(,)?) => {
        common::tocco([$(std::ffi::OsString::from(&$argument)),+])
    };
}
