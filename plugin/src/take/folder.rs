//! A take as a training folder: one folder a class, a WAV file a span, as `tocco prepare` reads it.

use std::io::{Cursor, ErrorKind};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hound::{SampleFormat, WavSpec, WavWriter};
use tocco_models::osc::sanitise;
use tocco_models::write_with_folder;

use super::Take;

/// Shorter spans teach nothing.
const SHORTEST_S: f64 = 0.03;

/// What is to be written: copied out of the take, so that writing holds up nobody.
#[derive(Debug)]
pub struct Folder {
    name: String,
    rate: u32,
    /// Class and sound.
    spans: Vec<(String, Vec<f32>)>,
}

impl Folder {
    /// Of all spans that ended and whose sound is kept.
    ///
    /// # Errors
    /// A sentence, where there is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of sound cards")]
    pub fn of(take: &Take, name: &str) -> Result<Self, String> {
        let recording = take.recording().ok_or("No sound is kept: switch «Keep the sound» on before you play.")?;
        let spans: Vec<_> = take
            .spans()
            .map(|span| &span.segment)
            .map(|segment| (segment.name.clone(), recording.part(segment.start_s, segment.end_s).to_vec()))
            .filter(|(_, sound)| sound.len() as f64 >= SHORTEST_S * recording.rate())
            .collect();
        if spans.is_empty() {
            return Err("No sound is kept of what was recognised.".into());
        }
        Ok(Self { name: sanitise(name), rate: recording.rate().round() as u32, spans })
    }

    /// Writes it into a folder, beside what is there; answers with the number of files.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write(&self, folder: &Path) -> Result<usize, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let spec =
            WavSpec { channels: 1, sample_rate: self.rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
        for (number, (class, sound)) in self.spans.iter().enumerate() {
            let file = folder.join(file_name(class)).join(format!("{}-{now}-{number:04}.wav", self.name));
            let bytes = wav(spec, sound).map_err(|error| format!("{}: {error}.", file.display()))?;
            if file.exists() {
                let error = std::io::Error::from(ErrorKind::AlreadyExists);
                return Err(format!("{}: {error}.", file.display()));
            }
            write_with_folder(&file, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(self.spans.len())
    }
}

/// A class as the name of a folder, on any system: names of classes may hold anything.
pub(super) fn file_name(class: &str) -> String {
    let plain = |c: char| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c };
    let name: String = class.chars().map(plain).collect();
    match name.trim_end_matches(['.', ' ']) {
        "" => "_".into(),
        name => name.into(),
    }
}

fn wav(spec: WavSpec, sound: &[f32]) -> hound::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    for &sample in sound {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}
