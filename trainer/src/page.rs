//! Pages that need nothing but a browser: one HTML file that holds its style, script, pictures and sound.

use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audio::{self, Reader};

/// Colours and type that all pages share, light and dark.
const STYLE: &str = include_str!("page/style.css");
/// A browser that honours it asks no network for anything, whatever the page holds.
const POLICY: &str =
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A whole page. `style` and `script` are the page's own; `body` is HTML.
#[must_use]
pub fn document(title: &str, style: &str, body: &str, script: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n\
         <style>\n{STYLE}{style}</style>\n</head>\n<body>\n{body}\n<script>\n{script}</script>\n</body>\n</html>\n",
        escape(title)
    )
}

/// Text as it may stand in HTML, inside quotes too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// JSON as it may stand inside a script element: nothing in it can end that.
#[must_use]
pub fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// Bytes as a text of base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as an address that holds them.
#[must_use]
pub fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", base64(bytes))
}

/// What browsers call a recording of this name; `None` for the formats that they don't play.
#[must_use]
pub fn media_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "mp3" => "audio/mpeg",
        "wav" | "wave" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" | "oga" => "audio/ogg",
        "m4a" | "mp4" => "audio/mp4",
        "aac" => "audio/aac",
        _ => return None,
    })
}

/// The samples of a recording, or of its beginning where it breaks off, and their rate.
///
/// # Errors
/// The file holds no sound that can be decoded.
pub fn samples(file: &Path) -> Result<(Vec<f32>, u32)> {
    let mut reader = Reader::open(file)?;
    let mut samples = Vec::new();
    loop {
        match reader.next_block() {
            Ok(Some(block)) => samples.extend_from_slice(block),
            Ok(None) => break,
            Err(audio::Error::Damaged { .. }) if !samples.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((samples, reader.rate()))
}

/// Mono samples as a WAV file of 16 bits.
///
/// # Errors
/// Never in practice: the file is written to memory.
pub fn wav(samples: &[f32], rate: u32) -> Result<Vec<u8>> {
    let format =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, format)?;
    for sample in samples {
        #[expect(clippy::cast_possible_truncation, reason = "between -32767 and 32767")]
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

/// A size for people.
#[must_use]
pub fn size(bytes: usize) -> String {
    if bytes < 1_000_000 { format!("{:.0} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

/// What has no colour of its own.
pub const GREY: &str = "hsl(220 8% 55%)";

/// The colour of the class with this number, in CSS.
#[must_use]
pub fn colour(number: usize) -> String {
    // The golden angle: however many there are, each new hue lies in the widest gap.
    format!("hsl({:.0} 58% {}%)", (205.0 + 137.508 * number as f64) % 360.0, [52, 44, 60][number % 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recordings_are_called_can_not_become_markup() {
        let page = document("<script>alert('a & b')</script>", "", "", "");
        assert!(page.contains("<title>&lt;script&gt;alert(&#39;a &amp; b&#39;)&lt;/script&gt;</title>"));
        assert!(!embedded(r#"{"name":"</script>"}"#).contains('<'));
    }

    #[test]
    fn endings_say_what_a_browser_plays() {
        assert_eq!(media_type(Path::new("A.MP3")), Some("audio/mpeg"));
        assert_eq!(media_type(Path::new("a.aiff")), None);
        assert_eq!(data_uri("audio/wav", b"abc"), "data:audio/wav;base64,YWJj");
    }
}
