//! The demonstration phrase and the truth about it. See `tests/demo/README.md`.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

/// What is played where nothing is played.
pub const SILENCE: &str = "silence";

/// A stretch of time in which one class holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// In seconds.
    pub start_s: f64,
    /// In seconds.
    pub end_s: f64,
    /// `bowed`, `plucked`, … or [`SILENCE`].
    pub class: String,
}

/// A recording with its truth.
#[derive(Debug, Clone)]
pub struct Phrase {
    /// Mono samples.
    pub samples: Vec<f32>,
    /// In Hz.
    pub rate: u32,
    /// Stretches that cover it without a gap.
    pub truth: Vec<Stretch>,
}

impl Phrase {
    /// Reads `phrase.flac` and `phrase.csv` of a folder.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let (flac, csv) = (folder.join("phrase.flac"), folder.join("phrase.csv"));
        let (samples, rate) = decode(&flac)?;
        let text = std::fs::read_to_string(&csv).with_context(|| format!("{} can't be read", csv.display()))?;
        let truth = parse_truth(&text).with_context(|| format!("{} is no truth", csv.display()))?;
        Ok(Self { samples, rate, truth })
    }

    /// The samples between two times in seconds.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times within the phrase")]
    pub fn part(&self, from_s: f64, to_s: f64) -> &[f32] {
        let sample = |time_s: f64| ((time_s * f64::from(self.rate)) as usize).min(self.samples.len());
        &self.samples[sample(from_s)..sample(to_s)]
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }
}

/// The class at a time.
#[must_use]
pub fn class_at(stretches: &[Stretch], time_s: f64) -> &str {
    stretches.iter().find(|s| s.start_s <= time_s && time_s < s.end_s).map_or(SILENCE, |s| &s.class)
}

/// Of the time that `class` holds in `truth`, the share in which it holds in `heard` too.
#[must_use]
pub fn recall(truth: &[Stretch], heard: &[Stretch], class: &str) -> f64 {
    let of_class = |stretches: &[Stretch]| -> Vec<(f64, f64)> {
        stretches.iter().filter(|s| s.class == class).map(|s| (s.start_s, s.end_s)).collect()
    };
    let (truth, heard) = (of_class(truth), of_class(heard));
    let total: f64 = truth.iter().map(|(start, end)| end - start).sum();
    let overlap = |a: &(f64, f64), b: &(f64, f64)| (a.1.min(b.1) - a.0.max(b.0)).max(0.0);
    let right: f64 = truth.iter().flat_map(|t| heard.iter().map(move |h| overlap(t, h))).sum();
    // The sum of nothing is -0.
    right.abs() / total
}

fn parse_truth(text: &str) -> Result<Vec<Stretch>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some("start_s,end_s,class"), "its first line is not start_s,end_s,class");
    let mut truth: Vec<Stretch> = Vec::new();
    for line in lines {
        let [start, end, class] = line.split(',').collect::<Vec<_>>()[..] else { bail!("the line {line:?}") };
        let stretch = Stretch { start_s: start.parse()?, end_s: end.parse()?, class: class.into() };
        let before = truth.last().map_or(0.0, |last| last.end_s);
        ensure!((stretch.start_s - before).abs() < 1e-6, "a gap before {line:?}");
        truth.push(stretch);
    }
    Ok(truth)
}

/// The samples of a mono recording (FLAC, WAV or Ogg Vorbis), and its rate in Hz.
///
/// # Errors
/// Names the file that can't be decoded.
pub fn decode(path: &Path) -> Result<(Vec<f32>, u32)> {
    decode_mono(path).with_context(|| format!("{} can't be decoded", path.display()))
}

fn decode_mono(path: &Path) -> Result<(Vec<f32>, u32)> {
    let stream = MediaSourceStream::new(Box::new(File::open(path)?), MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe().probe(
        Hint::new().with_extension(&path.extension().unwrap_or_default().to_string_lossy()),
        stream,
        FormatOptions::default(),
        MetadataOptions::default(),
    )?;
    let track = format.default_track(TrackType::Audio).context("it holds no audio")?;
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio()).context("its coding is unknown")?;
    let rate = parameters.sample_rate.context("its sample rate is unknown")?;
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default())?;
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    while let Some(packet) = format.next_packet()? {
        let sound = decoder.decode(&packet)?;
        ensure!(sound.spec().channels().count() == 1, "it is not mono");
        block.resize(sound.samples_interleaved(), 0.0_f32);
        sound.copy_to_slice_interleaved(&mut block);
        samples.extend_from_slice(&block);
    }
    Ok((samples, rate))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TRUTH: &str = "start_s,end_s,class\n0,1,silence\n1,3,bowed\n3,4,silence\n4,6,plucked\n";

    #[test]
    fn recall_is_the_share_of_the_time_of_a_class() {
        let truth = parse_truth(TRUTH).unwrap();
        let heard = parse_truth("start_s,end_s,class\n0,1.5,silence\n1.5,4,bowed\n4,6,silence\n").unwrap();
        assert!((recall(&truth, &heard, "bowed") - 0.75).abs() < 1e-9);
        assert!((recall(&truth, &heard, SILENCE) - 0.5).abs() < 1e-9);
        assert!(recall(&truth, &heard, "plucked").abs() < 1e-9);
        assert!((recall(&truth, &truth, "plucked") - 1.0).abs() < 1e-9);
        assert_eq!(class_at(&truth, 2.9), "bowed");
        assert_eq!(class_at(&truth, 99.0), SILENCE);
    }

    #[test]
    fn a_truth_with_a_gap_is_refused() {
        assert!(parse_truth(&TRUTH.replace("3,4,silence\n", "")).is_err());
        assert!(parse_truth("0,1,silence\n").is_err());
    }
}
