//! MP3 packets as samples.
//!
//! rusty_mp3 needs two thirds of the time of symphonia's decoder, which is the most expensive step of reading short
//! recordings, and its samples are the same but for rounding. Containers, tags and damage stay symphonia's work.

use rusty_mp3::decode::Mp3Decode;
use rusty_mp3::header::FrameHeader;
use symphonia::core::errors::{Error as Fault, Result};
use symphonia::core::formats::{FormatReader, Track, well_known::FORMAT_ID_MP3};
use symphonia::core::packet::Packet;

use super::Spec;

const HEADER_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 2;

pub(super) struct Decoder {
    state: Mp3Decode,
    /// Of the first frame: all others must agree.
    spec: Option<Spec>,
    /// Whether the encoder's delay and padding are known. Where they are not, symphonia would trim the end of the sound
    /// at a length that it guessed from the bit rate.
    trims: bool,
}

impl Decoder {
    /// `None` where the file is no plain MP3.
    pub fn new(format: &dyn FormatReader, track: &Track) -> Option<Self> {
        let is_mp3 = format.format_info().format == FORMAT_ID_MP3;
        let trims = track.delay.is_some() || track.padding.is_some();
        is_mp3.then(|| Self { state: Mp3Decode::new(), spec: None, trims })
    }

    /// The samples of one packet, channels in turn, in place of what `interleaved` held.
    ///
    /// # Errors
    /// [`Fault::DecodeError`] for a broken packet: the next one may be whole.
    pub fn decode(&mut self, packet: &Packet, interleaved: &mut Vec<f32>) -> Result<Spec> {
        let bytes = &packet.data[..];
        let broken = || Fault::DecodeError("a broken MP3 frame");
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or_else(broken)?;
        let header = FrameHeader::parse(*header).map_err(|_| broken())?;
        let spec = Spec { channels: header.channel_mode.channels(), rate: header.sample_rate };
        if header.frame_size() != bytes.len() || *self.spec.get_or_insert(spec) != spec {
            return Err(broken());
        }
        let body = HEADER_BYTES + if header.crc_protected { CHECKSUM_BYTES } else { 0 };
        let body = bytes.get(body..).ok_or_else(broken)?;
        let (side, main) = body.split_at_checked(header.side_info_len()).ok_or_else(broken)?;
        *interleaved = self.state.decode_frame(&header, side, main).map_err(|_| broken())?;
        if self.trims {
            let samples = |frames: u64| usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(spec.channels);
            let end = interleaved.len().saturating_sub(samples(packet.trim_end.get()));
            interleaved.truncate(end);
            interleaved.drain(..samples(packet.trim_start.get()).min(end));
        }
        Ok(spec)
    }
}
