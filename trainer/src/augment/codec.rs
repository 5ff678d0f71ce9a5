//! A round trip through a lossy coder: what a phone call, a stream or a small file leaves of a sound.
//!
//! The coders are part of the program only with the feature `codecs`.

use serde::{Deserialize, Serialize};

/// A lossy coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// MPEG layer III.
    Mp3,
    /// Opus (RFC 6716).
    Opus,
}

impl Codec {
    /// Whether this program holds the coders.
    pub const BUILT_IN: bool = cfg!(feature = "codecs");

    /// Codes and decodes in place, in time with the original. A rate that the coder does not have is resampled there
    /// and back. A sound that the coder refuses stays as it is.
    #[cfg(feature = "codecs")]
    pub(super) fn round_trip(self, samples: &mut [f32], rate: f32, kbits: f32) {
        let own_rate = match self {
            Self::Mp3 => nearest(&MP3_RATES, rate),
            Self::Opus => nearest(&OPUS_RATES, rate),
        };
        let code = |samples: &[f32]| match self {
            Self::Mp3 => mp3(samples, own_rate, kbits),
            Self::Opus => opus(samples, own_rate, kbits),
        };
        let same = (own_rate - f64::from(rate)).abs() < 0.5;
        let there = if same { Ok(samples.to_vec()) } else { resample_all(samples, rate.into(), own_rate) };
        let Some(coded) = there.ok().and_then(|there| code(&there)) else { return };
        let back = if same { Ok(coded) } else { resample_all(&coded, own_rate, rate.into()) };
        let Ok(back) = back else { return };
        for (to, from) in samples.iter_mut().zip(back.iter().chain(std::iter::repeat(&0.0))) {
            *to = if from.is_finite() { *from } else { 0.0 };
        }
    }

    /// Without the coders nothing happens; a configuration that asks for them is refused beforehand.
    #[cfg(not(feature = "codecs"))]
    pub(super) fn round_trip(self, _: &mut [f32], _: f32, _: f32) {}
}

#[cfg(feature = "codecs")]
use tocco_models::resample_all;

/// Rates of MPEG-1 and MPEG-2 layer III, in Hz.
#[cfg(feature = "codecs")]
const MP3_RATES: [f64; 6] = [16_000.0, 22_050.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0];
/// Rates of Opus, in Hz.
#[cfg(feature = "codecs")]
const OPUS_RATES: [f64; 5] = [8_000.0, 12_000.0, 16_000.0, 24_000.0, 48_000.0];

/// The lowest rate that loses nothing, else the highest.
#[cfg(feature = "codecs")]
fn nearest(rates: &[f64], rate: f32) -> f64 {
    rates.iter().copied().find(|r| *r >= f64::from(rate) - 0.5).unwrap_or(48_000.0)
}

#[cfg(feature = "codecs")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and bit rates are small and whole")]
fn mp3(samples: &[f32], rate: f64, kbits: f32) -> Option<Vec<f32>> {
    /// Samples by which the filterbanks of both sides are late (2 x 528 and one).
    const FILTERS: usize = 1057;
    // Before the sound comes a frame that only says how long it is; MPEG-2, up to 24 kHz, has frames of half the size.
    let late = FILTERS + if rate > 24_000.0 { 1152 } else { 576 };
    let config = rusty_mp3::Mp3EncoderConfig { bitrate_kbps: kbits as u32, vbr_quality: None };
    let mut encoder = rusty_mp3::Mp3Encoder::new(config);
    let padded: Vec<f32> = samples.iter().copied().chain(std::iter::repeat_n(0.0, 2 * late)).collect();
    encoder.push_pcm_f32(&padded, 1, rate as u32).ok()?;
    encoder.finish();
    let mut decoder = rusty_mp3::Mp3Decoder::new();
    while let Ok(packet) = encoder.next_packet() {
        decoder.push(&packet);
    }
    decoder.flush();
    let mut decoded = Vec::new();
    while let Ok(frame) = decoder.next_frame() {
        decoded.extend_from_slice(&frame.samples);
    }
    (decoded.len() >= late).then(|| decoded.split_off(late))
}

#[cfg(feature = "codecs")]
#[expect(clippy::cast_possible_truncation, reason = "rates and bit rates are small and whole")]
fn opus(samples: &[f32], rate: f64, kbits: f32) -> Option<Vec<f32>> {
    use opus_pure::{Application, MAX_PACKET_BYTES, OpusDecoder, OpusEncoder};
    let rate = rate as i32;
    let mut encoder = OpusEncoder::new(rate, 1, Application::Audio).ok()?;
    encoder.bitrate_bps = (kbits * 1000.0) as i32;
    let mut decoder = OpusDecoder::new(rate, 1).ok()?;
    // Packets of 20 ms.
    let frame = usize::try_from(rate / 50).ok()?;
    let late = encoder.lookahead();
    let mut packet = vec![0; MAX_PACKET_BYTES];
    let (mut block, mut decoded) = (vec![0.0; frame], Vec::with_capacity(samples.len() + 2 * frame));
    for start in (0..samples.len() + late).step_by(frame) {
        let left = samples.get(start..).unwrap_or_default();
        let here = left.len().min(frame);
        block[..here].copy_from_slice(&left[..here]);
        block[here..].fill(0.0);
        let bytes = encoder.encode(&block, frame, &mut packet).ok()?;
        decoded.resize(decoded.len() + frame, 0.0);
        let end = decoded.len();
        decoder.decode(&packet[..bytes], frame, &mut decoded[end - frame..]).ok()?;
    }
    (decoded.len() >= late).then(|| decoded.split_off(late))
}
