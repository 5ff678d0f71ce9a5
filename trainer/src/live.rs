//! Sound from an audio interface, as it is played.
//!
//! Promises: the audio thread's callback only writes into a lock-free ring and never waits, allocates or logs; what
//! finds no room there is counted, and the place where it is missing is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig};
use tocco_models::Latency;
use tocco_models::stream::{SoundInput, SoundOutput, sound};

mod devices;

pub use devices::{Input, inputs, pick};

/// How much sound may wait: whoever is later than this loses some.
const RING_S: u32 = 2;
/// Troubles that can wait to be told; of more than these the first count.
const TROUBLES: usize = 8;

/// One channel of a device, open and running. It ends when this is dropped.
pub struct Live {
    /// Samples a second.
    pub rate: u32,
    /// Frames that the backend delivers at once.
    pub buffer: u32,
    /// Where the sound comes out.
    pub sound: SoundOutput,
    counters: Arc<Counters>,
    troubles: Receiver<cpal::Error>,
    _stream: cpal::Stream,
}

/// What the backend's threads tell without waiting.
#[derive(Debug, Default)]
struct Counters {
    /// From the capture of the newest buffer's first sample to the callback, as the backend reports it.
    delay_ns: AtomicU64,
    /// How often the system lost sound before we got it.
    overruns: AtomicU64,
}

/// How late a decision about live sound is, term by term, in ms, each the longest that it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The first sample of a buffer waits for the last.
    pub buffer: f64,
    /// What the backend reports beyond its buffer: converters, drivers.
    pub driver: f64,
    /// The wait until this program looks into the ring.
    pub look: f64,
    /// What the model needs, in seconds.
    pub model: Latency,
}

impl Terms {
    /// The sum of all terms, in ms.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.buffer + self.driver + self.look + 1000.0 * self.model.total()
    }
}

impl std::fmt::Display for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { buffer, driver, look, model } = self;
        let [resampler, window, hop, smoothing, least] =
            [model.resampler, model.window, model.hop, model.smoothing, model.min_duration].map(|s| 1000.0 * s);
        write!(
            f,
            "{:.1} ms: buffer {buffer:.1} + driver {driver:.1} + look {look:.1} + resampler {resampler:.1} + \
             window {window:.1} + hop {hop:.1} + smoothing {smoothing:.1} + minimum duration {least:.1}",
            self.total()
        )
    }
}

impl Live {
    /// Opens `channel` (counted from 1) of a device, with the smallest buffer that the backend gives, or with `buffer`
    /// frames.
    ///
    /// # Errors
    /// The device has no such channel or buffer, or the system refuses it.
    pub fn open(input: &Input, channel: u16, buffer: Option<u32>) -> Result<Self> {
        let chosen = input.configuration(channel)?;
        let wishes = match buffer {
            Some(frames) => {
                chosen.check_buffer(input, frames)?;
                vec![BufferSize::Fixed(frames)]
            }
            None => chosen.buffers_from_the_smallest(),
        };
        let mut refusal = None;
        for wish in wishes {
            let config = StreamConfig { channels: chosen.channels, sample_rate: chosen.rate, buffer_size: wish };
            match Self::start(input, config, chosen.format, channel) {
                Ok(live) => return Ok(live),
                Err(error) if is_final(error.kind()) => return Err(error).with_context(|| refused(input)),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or_else(|| anyhow::bail!(refused(input)), |error| Err(error).with_context(|| refused(input)))
    }

    fn start(input: &Input, config: StreamConfig, format: SampleFormat, channel: u16) -> Result<Self, cpal::Error> {
        let start = match format {
            SampleFormat::F32 => start_as::<f32>,
            SampleFormat::F64 => start_as::<f64>,
            SampleFormat::I16 => start_as::<i16>,
            SampleFormat::I24 => start_as::<cpal::I24>,
            SampleFormat::I32 => start_as::<i32>,
            SampleFormat::U8 => start_as::<u8>,
            SampleFormat::U16 => start_as::<u16>,
            other => {
                let message = format!("its samples come as {other}, which Tocco does not read");
                return Err(cpal::Error::with_message(ErrorKind::UnsupportedConfig, message));
            }
        };
        start(input, config, channel)
    }

    /// The first trouble that ended the sound, if any.
    #[must_use]
    pub fn trouble(&self) -> Option<cpal::Error> {
        self.troubles.try_recv().ok()
    }

    /// How often the system lost sound before this program got it.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.counters.overruns.load(Ordering::Relaxed)
    }

    /// How late decisions are, once the first buffer has come; `look` is how often the ring is looked into.
    #[must_use]
    pub fn terms(&self, model: Latency, look: Duration) -> Terms {
        let buffer = f64::from(self.buffer) / f64::from(self.rate);
        // Backends count from the first sample of the buffer: what is more than the buffer is theirs.
        let delay = Duration::from_nanos(self.counters.delay_ns.load(Ordering::Relaxed)).as_secs_f64();
        Terms {
            buffer: 1000.0 * buffer,
            driver: 1000.0 * (delay - buffer).max(0.0),
            look: 1000.0 * look.as_secs_f64(),
            model,
        }
    }
}

/// Opens a stream whose samples are `T`.
fn start_as<T>(input: &Input, config: StreamConfig, channel: u16) -> Result<Live, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let (mut into, sound) = sound((config.sample_rate * RING_S) as usize);
    let counters = Arc::new(Counters::default());
    let (tell, troubles) = sync_channel(TROUBLES);
    let heard = Arc::clone(&counters);
    let write = move |data: &[T], info: &cpal::InputCallbackInfo| {
        let timestamp = info.timestamp();
        let delay = timestamp.callback.saturating_duration_since(timestamp.capture);
        heard.delay_ns.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        write_channel(&mut into, data, config.channels, channel);
    };
    let watched = Arc::clone(&counters);
    let trouble = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun => {
            watched.overruns.fetch_add(1, Ordering::Relaxed);
        }
        // The sound goes on all the same.
        ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => (),
        _ => {
            let _ = tell.try_send(error);
        }
    };
    let stream = input.device.build_input_stream(config, write, trouble, None)?;
    stream.play()?;
    let buffer = stream.buffer_size()?;
    Ok(Live { rate: config.sample_rate, buffer, sound, counters, troubles, _stream: stream })
}

/// Writes one of `channels` interleaved channels.
fn write_channel<T>(into: &mut SoundInput, data: &[T], channels: u16, channel: u16)
where
    T: Copy,
    f32: FromSample<T>,
{
    let (channels, skipped) = (usize::from(channels), usize::from(channel - 1));
    let samples = data.iter().skip(skipped).step_by(channels).map(|&sample| f32::from_sample_(sample));
    into.push(data.len() / channels, samples);
}

/// Whether another buffer can't help.
fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::DeviceBusy
            | ErrorKind::DeviceNotAvailable
            | ErrorKind::HostUnavailable
            | ErrorKind::PermissionDenied
            | ErrorKind::ResourceExhausted
    )
}

fn refused(input: &Input) -> String {
    format!("«{}» ({}) can't be opened", input.name, input.backend.name())
}

/// Checks a channel's number before a device is looked for.
///
/// # Errors
/// It is 0.
pub fn check_channel(channel: u16) -> Result<()> {
    ensure!(channel > 0, "there is no channel 0: the first one is 1");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tocco_models::stream::Piece;

    use super::*;

    #[test]
    fn only_the_chosen_channel_is_heard_in_any_format() {
        let (mut input, mut output) = sound(16);
        write_channel(&mut input, &[0_i16, i16::MIN, 0, 16_384], 2, 2);
        write_channel(&mut input, &[0.5_f32, 9.0, 9.0, -0.25, 9.0, 9.0], 3, 1);
        let mut samples = [0.0; 16];
        assert_eq!(output.next(&mut samples), Some(Piece::Sound(4)));
        assert_eq!(samples[..4], [-1.0, 0.5, 0.5, -0.25]);
    }

    #[test]
    fn the_delay_is_the_sum_of_its_terms() {
        let model = Latency { window: 0.02, hop: 0.01, ..Latency::default() };
        let terms = Terms { buffer: 5.0, driver: 1.5, look: 1.0, model };
        assert!((terms.total() - 37.5).abs() < 1e-9);
        let told = terms.to_string();
        assert!(
            told.starts_with("37.5 ms: buffer 5.0 + driver 1.5 + look 1.0 + resampler 0.0 + window 20.0"),
            "{told}"
        );
    }
}
