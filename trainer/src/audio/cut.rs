//! Whether a file was cut off, for formats whose decoder takes any end for the proper one.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Whether the file's name says MP3.
pub fn is_mp3(path: &Path) -> bool {
    has_extension(path, &["mp3"])
}

/// Whether an MP3 or Ogg file ends in the middle of a frame or page. `false` where that can't be told.
pub fn is_cut_off(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let Ok(length) = file.metadata().map(|m| m.len()) else {
        return false;
    };
    let mut file = BufReader::new(file);
    if is_mp3(path) {
        mp3_ends_inside(&mut file, length).unwrap_or(false)
    } else if has_extension(path, &["ogg", "oga"]) {
        ogg_ends_inside(&mut file, length).unwrap_or(false)
    } else {
        false
    }
}

/// Whether a WAV file was written into a pipe: its header could not know the length and says the largest one.
pub fn was_streamed(path: &Path) -> bool {
    /// Programs write 2^32 - 1, 2^31 - 1 or slightly less; a file really that long would not end too early.
    const PLACEHOLDER: u32 = 0x7fff_0000;
    let mut start = Vec::new();
    let Ok(file) = File::open(path) else { return false };
    if file.take(4096).read_to_end(&mut start).is_err() || !start.starts_with(b"RIFF") {
        return false;
    }
    let Some(at) = start.windows(4).position(|w| w == b"data") else { return false };
    let length = start.get(at + 4..at + 8).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    length.is_some_and(|l| l >= PLACEHOLDER)
}

fn has_extension(path: &Path, any: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| any.iter().any(|a| e.eq_ignore_ascii_case(a)))
}

/// Walks from frame header to frame header; the last frame must be whole. What follows the last frame (tags) is no
/// cut, and a stream that does not start with a frame after its ID3v2 tag is not judged.
fn mp3_ends_inside(file: &mut BufReader<impl Read + Seek>, length: u64) -> std::io::Result<bool> {
    let mut start = [0_u8; 10];
    if length < 10 {
        return Ok(false);
    }
    file.read_exact(&mut start)?;
    let mut at = 0_u64;
    if &start[..3] == b"ID3" {
        let size = start[6..10].iter().fold(0_u64, |n, b| n << 7 | u64::from(b & 0x7f));
        at = 10 + size;
    }
    let mut frames = 0_u32;
    let mut read = 10_u64;
    while at + 4 <= length {
        let mut header = [0_u8; 4];
        // Unlike a plain seek, this keeps what was read ahead: a few frames.
        file.seek_relative(at.cast_signed() - read.cast_signed())?;
        file.read_exact(&mut header)?;
        read = at + 4;
        let Some(size) = mp3_frame_bytes(u32::from_be_bytes(header)) else {
            return Ok(false);
        };
        if at + size > length {
            return Ok(frames > 0);
        }
        at += size;
        frames += 1;
    }
    // Fewer than four bytes left: the start of a header that was cut.
    Ok(frames > 0 && at < length)
}

/// Length of an MPEG layer III frame from its header (ISO 11172-3, 2.4.2.3 and 13818-3), or `None` where it is no
/// such header or of a free bit rate.
fn mp3_frame_bytes(header: u32) -> Option<u64> {
    const KBIT_1: [u64; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBIT_2: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    if header >> 21 != 0x7ff || (header >> 17) & 3 != 1 {
        return None;
    }
    let version = (header >> 19) & 3;
    let (kbits, base, samples_by_8) = match version {
        3 => (KBIT_1, [44_100, 48_000, 32_000], 144_u64),
        2 => (KBIT_2, [22_050, 24_000, 16_000], 72),
        0 => (KBIT_2, [11_025, 12_000, 8_000], 72),
        _ => return None,
    };
    let kbit = *kbits.get(((header >> 12) & 15) as usize).filter(|k| **k > 0)?;
    let rate: u64 = *base.get(((header >> 10) & 3) as usize)?;
    Some(samples_by_8 * kbit * 1000 / rate + u64::from((header >> 9) & 1))
}

/// Looks at the last page: it must be whole (RFC 3533, 6).
fn ogg_ends_inside(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<bool> {
    /// The longest page: header, 255 lacing values, 255 segments of 255 bytes.
    const LONGEST_PAGE: u64 = 27 + 255 + 255 * 255;
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_PAGE + 4)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(at) = tail.windows(4).rposition(|w| w == b"OggS") else {
        return Ok(false);
    };
    let page = &tail[at..];
    let Some(segments) = page.get(26).map(|n| usize::from(*n)) else {
        return Ok(true);
    };
    let Some(lacing) = page.get(27..27 + segments) else {
        return Ok(true);
    };
    let bytes = 27 + segments + lacing.iter().map(|n| usize::from(*n)).sum::<usize>();
    Ok(page.len() < bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;
    use std::io::Cursor;

    /// `frames` MPEG-1 layer III frames of 128 kbit/s at 44.1 kHz: 417 bytes each.
    fn mp3(frames: usize) -> Vec<u8> {
        let mut bytes = b"ID3\x03\0\0\0\0\0\x04abcd".to_vec();
        for _ in 0..frames {
            bytes.extend([0xff, 0xfb, 0x90, 0x00]);
            bytes.resize(bytes.len() + 413, 0);
        }
        bytes
    }

    fn mp3_is_cut(bytes: &[u8]) -> bool {
        mp3_ends_inside(&mut BufReader::new(Cursor::new(bytes)), bytes.len() as u64).unwrap()
    }

    #[test]
    fn an_mp3_is_cut_when_its_last_frame_is() {
        let whole = mp3(5);
        assert!(!mp3_is_cut(&whole));
        assert!(mp3_is_cut(&whole[..whole.len() - 1]));
        assert!(mp3_is_cut(&whole[..whole.len() - 415]));
        let mut tagged = whole;
        tagged.extend(b"TAG");
        tagged.resize(tagged.len() + 125, 0);
        assert!(!mp3_is_cut(&tagged), "a tag at the end is no frame");
    }

    #[test]
    fn an_ogg_is_cut_when_its_last_page_is() {
        let mut page = b"OggS".to_vec();
        page.resize(26, 0);
        page.extend([2, 255, 10]);
        page.resize(page.len() + 265, 7);
        let is_cut = |bytes: &[u8]| ogg_ends_inside(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(!is_cut(&page));
        assert!(is_cut(&page[..page.len() - 1]));
        assert!(is_cut(&page[..20]));
    }
}
