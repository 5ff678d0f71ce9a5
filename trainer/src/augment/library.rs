//! Recorded rooms and backgrounds, in memory at one rate.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tocco_models::resample_all;

use super::config::Config;
use super::room;
use crate::audio;

/// Longest impulse response that is used, in seconds.
pub(super) const LONGEST_RESPONSE_S: f32 = 4.0;

/// What effects with recordings of their own draw from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Library {
    /// Impulse responses, each from its direct sound on.
    pub responses: Vec<Vec<f32>>,
    /// Backgrounds.
    pub backgrounds: Vec<Vec<f32>>,
}

impl Library {
    /// Loads what the configuration can draw, at `rate` Hz; nothing where those effects are off. Files that can't be
    /// used are named on standard error.
    ///
    /// # Errors
    /// A folder is missing, or holds no recording that can be used.
    pub fn load(config: &Config, rate: u32) -> Result<Self> {
        let mut library = Self::default();
        if config.recorded_room.chance > 0.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
            let most = (LONGEST_RESPONSE_S * rate as f32) as usize;
            let recordings = folder(&config.recorded_room.folder, rate, "recorded_room.folder")?;
            library.responses = recordings.iter().filter_map(|samples| room::recorded(samples)).collect();
            library.responses.iter_mut().for_each(|response| response.truncate(most));
        }
        if config.backgrounds.chance > 0.0 {
            library.backgrounds = folder(&config.backgrounds.folder, rate, "backgrounds.folder")?;
        }
        Ok(library)
    }
}

/// Every recording of a folder and those below it, in the order of their paths.
fn folder(folder: &Path, rate: u32, key: &str) -> Result<Vec<Vec<f32>>> {
    if folder.as_os_str().is_empty() {
        bail!("{key} is empty: it must name a folder of recordings");
    }
    let mut recordings = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("{key}: {}: the folder can't be read", folder.display()))?;
        if !entry.file_type().is_file() || !audio::has_audio_extension(entry.path()) {
            continue;
        }
        let sound = match audio::decode(entry.path()) {
            Ok(sound) => sound,
            Err(reason) => {
                crate::commands::remark(format_args!("skipped: {reason}"));
                continue;
            }
        };
        recordings.push(resample_all(&sound.samples, f64::from(sound.rate), f64::from(rate))?);
    }
    if recordings.is_empty() {
        bail!("{key}: {}: the folder holds no recording that can be used", folder.display());
    }
    Ok(recordings)
}
