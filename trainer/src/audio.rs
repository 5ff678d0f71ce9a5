//! Recordings of any common format as mono samples.
//!
//! [`Reader`] streams a file block by block; [`decode`] is the whole file at once, with the checks that training
//! data needs. A damaged file is an error that says how much of it could be heard.

use std::fs::File;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

mod cut;
mod mp3;

/// Shorter sounds are of no use: a decision needs a few analysis windows. In seconds.
pub const SHORTEST_S: f64 = 0.1;
/// Where no sample is louder than this (-80 dBFS), nothing was recorded.
const SILENT_PEAK: f32 = 1e-4;
/// File name endings that are taken for recordings, lower case.
pub const EXTENSIONS: [&str; 14] =
    ["wav", "wave", "flac", "mp3", "ogg", "oga", "aif", "aiff", "aifc", "m4a", "mp4", "aac", "caf", "mka"];

/// Why a recording can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses the file.
    #[error("{path}: the recording can't be read: {source}")]
    Unreadable {
        /// The file as it was asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No known format.
    #[error(
        "{path}: this is not a recording that can be decoded ({reason}); wav, flac, mp3, ogg, aiff and m4a files can"
    )]
    NotAudio {
        /// The file as it was asked for.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A recording without one sample.
    #[error("{0}: the recording is empty: it holds no sound at all")]
    Empty(PathBuf),
    /// A recording that ends too early or breaks off inside.
    #[error("{path}: the recording is damaged ({reason}); {decoded_s:.2} s of it can be heard")]
    Damaged {
        /// The file as it was asked for.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// Seconds that were decoded.
        decoded_s: f64,
    },
    /// Sound shorter than [`SHORTEST_S`].
    #[error("{path}: the recording is too short: {duration_s:.3} s, at least {SHORTEST_S} s are needed")]
    TooShort {
        /// The file as it was asked for.
        path: PathBuf,
        /// Its length in seconds.
        duration_s: f64,
    },
    /// Only silence.
    #[error("{0}: the recording is silent: nothing in it is louder than -80 dBFS")]
    Silent(PathBuf),
}

/// Result of everything in this module.
pub type Result<T> = std::result::Result<T, Error>;

/// A whole recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Mono samples: the mean of the channels.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate: u32,
}

impl Sound {
    /// Length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }
}

/// Whether the file's name ends like a recording's.
#[must_use]
pub fn has_audio_extension(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Decodes a whole recording to mono at its own rate.
///
/// # Errors
/// [`Error`] in every case that makes the file unfit for training: no recording, empty, cut off or broken, silent,
/// shorter than [`SHORTEST_S`].
pub fn decode(path: &Path) -> Result<Sound> {
    let mut reader = Reader::open(path)?;
    let mut samples = Vec::with_capacity(reader.expected());
    while let Some(block) = reader.next_block()? {
        samples.extend_from_slice(block);
    }
    let sound = Sound { samples, rate: reader.rate() };
    let path = path.to_path_buf();
    let loudest = loudest(&sound.samples);
    if !loudest.is_finite() {
        let reason = "it holds values that are not finite numbers".to_owned();
        return Err(Error::Damaged { path, reason, decoded_s: sound.duration_s() });
    }
    if sound.duration_s() < SHORTEST_S {
        return Err(Error::TooShort { path, duration_s: sound.duration_s() });
    }
    if loudest < SILENT_PEAK {
        return Err(Error::Silent(path));
    }
    Ok(sound)
}

/// The largest magnitude; not finite where a sample is none.
fn loudest(samples: &[f32]) -> f32 {
    // Several maxima side by side: a single one would wait for each sample.
    let mut most = [0_u32; 16];
    let (blocks, rest) = samples.as_chunks::<16>();
    // As bits without their sign, magnitudes compare as numbers do, and whatever is not finite is above all that is.
    let magnitude = |sample: &f32| sample.abs().to_bits();
    for block in blocks {
        for (most, sample) in most.iter_mut().zip(block) {
            *most = magnitude(sample).max(*most);
        }
    }
    f32::from_bits(rest.iter().map(magnitude).chain(most).max().unwrap_or(0))
}

/// Mono samples as a WAV file of 24 bits; what lies outside of -1 to 1 is cut off. Equal samples give equal files.
///
/// # Errors
/// The file can't be written.
pub fn write_wav(path: &Path, samples: &[f32], rate: u32) -> anyhow::Result<()> {
    const FULL: f32 = 8_388_607.0;
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    for sample in samples {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 24 bits")]
        writer.write_sample((sample.clamp(-1.0, 1.0) * FULL).round() as i32)?;
    }
    writer.finalize()?;
    Ok(tocco_models::write_beside(path, bytes.get_ref())?)
}

/// What a packet's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spec {
    channels: usize,
    /// Samples a second.
    rate: u32,
}

enum Decoder {
    Mp3(Box<mp3::Decoder>),
    Other(Box<dyn AudioDecoder>),
}

impl Decoder {
    /// The samples of one packet, channels in turn, in place of what `interleaved` held.
    fn decode(&mut self, packet: &Packet, interleaved: &mut Vec<f32>) -> std::result::Result<Spec, Fault> {
        match self {
            Self::Mp3(mp3) => mp3.decode(packet, interleaved),
            Self::Other(other) => {
                let sound = other.decode(packet)?;
                interleaved.resize(sound.samples_interleaved(), 0.0);
                sound.copy_to_slice_interleaved(interleaved);
                Ok(Spec { channels: sound.spec().channels().count(), rate: sound.spec().rate() })
            }
        }
    }
}

/// Streams a recording as mono blocks.
pub struct Reader {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Decoder,
    track: u32,
    rate: u32,
    /// Frames that the container speaks of; 0 where it says nothing.
    expected: u64,
    /// Frames that the container promises, where its word can be trusted.
    promised: Option<u64>,
    decoded: u64,
    broken_packets: u64,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
}

impl Reader {
    /// Opens a recording and finds its first audio track.
    ///
    /// # Errors
    /// [`Error::Unreadable`] and [`Error::NotAudio`].
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::Unreadable { path: path.to_path_buf(), source };
        let not_audio = |reason: String| Error::NotAudio { path: path.to_path_buf(), reason };
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if about.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        if about.len() == 0 {
            return Err(Error::Empty(path.to_path_buf()));
        }
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(Box::new(file), symphonia::core::io::MediaSourceStreamOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| not_audio(plain(&e)))?;
        let track =
            format.default_track(TrackType::Audio).ok_or_else(|| not_audio("it holds no audio track".into()))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio())
            .ok_or_else(|| not_audio("its audio track says nothing about its coding".into()))?;
        let decoder = match mp3::Decoder::new(&*format, track) {
            Some(mp3) => Decoder::Mp3(Box::new(mp3)),
            None => symphonia::default::get_codecs()
                .make_audio_decoder(parameters, &AudioDecoderOptions::default())
                .map(Decoder::Other)
                .map_err(|e| not_audio(plain(&e)))?,
        };
        let rate = parameters.sample_rate.unwrap_or(0);
        // An MP3 or raw AAC without a header of its own length is guessed at by its bit rate: no promise.
        let expected = track.num_frames.unwrap_or(0);
        let promised = track.num_frames.filter(|_| !cut::is_mp3(path) && format.format_info().short_name != "aac");
        let track = track.id;
        Ok(Self {
            path: path.to_path_buf(),
            format,
            decoder,
            track,
            rate,
            expected,
            promised,
            decoded: 0,
            broken_packets: 0,
            interleaved: Vec::new(),
            mono: Vec::new(),
        })
    }

    /// How many samples to make room for: what the container says, as far as that is believable.
    fn expected(&self) -> usize {
        const MOST: u64 = 1 << 24;
        usize::try_from(self.expected.min(MOST)).unwrap_or(0)
    }

    /// Samples a second; known for certain after the first block.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Seconds decoded so far.
    #[must_use]
    pub fn decoded_s(&self) -> f64 {
        self.decoded as f64 / f64::from(self.rate.max(1))
    }

    /// The next mono samples, or `None` at the proper end.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file breaks off or is broken inside, after everything that can be heard was
    /// handed out; [`Error::Empty`] where it ends without one sample.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id != self.track => continue,
                Ok(Some(packet)) => packet,
                Ok(None) | Err(Fault::ResetRequired) => return self.end().map(|()| None),
                Err(Fault::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                    if self.decoded > 0 && cut::was_streamed(&self.path) {
                        return Ok(None);
                    }
                    return Err(self.damaged("it ends in the middle: the file was cut off".into()));
                }
                Err(e) => return Err(self.damaged(plain(&e))),
            };
            let Spec { channels, rate } = match self.decoder.decode(&packet, &mut self.interleaved) {
                Ok(spec) => spec,
                Err(Fault::DecodeError(_) | Fault::IoError(_)) => {
                    self.broken_packets += 1;
                    continue;
                }
                Err(e) => {
                    let reason = plain(&e);
                    return Err(self.damaged(reason));
                }
            };
            if self.interleaved.is_empty() || channels == 0 {
                continue;
            }
            if self.decoded == 0 {
                self.rate = rate;
            }
            self.decoded += (self.interleaved.len() / channels) as u64;
            if channels == 1 {
                return Ok(Some(&self.interleaved));
            }
            self.mono.clear();
            let share = 1.0 / channels as f32;
            self.mono.extend(self.interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * share));
            return Ok(Some(&self.mono));
        }
    }

    fn end(&self) -> Result<()> {
        if self.decoded == 0 && self.broken_packets == 0 {
            return Err(Error::Empty(self.path.clone()));
        }
        if self.broken_packets > 0 {
            return Err(self.damaged(format!("{} of its packets can't be decoded", self.broken_packets)));
        }
        if cut::is_cut_off(&self.path) {
            return Err(self.damaged("it ends in the middle: the file was cut off".into()));
        }
        // Encoders round and pad; a tenth of a second is beyond that.
        let slack = u64::from(self.rate / 10);
        match self.promised {
            Some(promised) if self.decoded + slack < promised => Err(self.damaged(format!(
                "it ends too early: its header promises {:.2} s",
                promised as f64 / f64::from(self.rate)
            ))),
            _ => Ok(()),
        }
    }

    fn damaged(&self, reason: String) -> Error {
        Error::Damaged { path: self.path.clone(), reason, decoded_s: self.decoded_s() }
    }
}

/// The decoder's complaint as part of a sentence.
fn plain(fault: &Fault) -> String {
    match fault {
        Fault::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it ends before any sound begins".to_owned()
        }
        Fault::Unsupported(what) => format!("unknown format or coding: {what}"),
        other => other.to_string(),
    }
}
