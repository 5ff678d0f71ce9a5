//! What the options of `tocco train` say about augmentation.

use std::path::PathBuf;

use anyhow::Result;

use super::config;
use crate::augment::{Config, Range};
use crate::toml_file::TomlFile;

/// How far augmentation goes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Augment")]
pub(super) struct AugmentArgs {
    /// What augmentation does, as a TOML file; the options below go before it. The same tables can stand in the file
    /// of --config: [augment.pitch_shift] [default: as the shipped models]
    #[arg(long, value_name = "FILE")]
    augment: Option<PathBuf>,
    /// Most semitones that a note is shifted in training [default: 4, for instruments 3]
    #[arg(long)]
    semitones: Option<f32>,
    /// Most dB that a band of the tone colour is changed in training [default: 9, for instruments 7]
    #[arg(long)]
    tone_db: Option<f32>,
    /// Chance of a room in training [default: 0.4, for instruments 0.35]
    #[arg(long)]
    room: Option<f32>,
}

impl AugmentArgs {
    /// The usual augmentation with what `--augment` says, then the tables in the file of `--config`, then the options.
    ///
    /// # Errors
    /// One of the files can't be meant.
    pub(super) fn config(&self, usual: Config, tables: Option<&TomlFile>) -> Result<Config> {
        let mut config = usual;
        if let Some(path) = &self.augment {
            config = Config::read(path, &config)?;
        }
        if let Some(file) = tables {
            config = config::augmentation(file, &config)?;
        }
        if let Some(semitones) = self.semitones {
            config.pitch_shift.semitones = Range(-semitones, semitones);
        }
        if let Some(db) = self.tone_db {
            config.tone_colour.db = db;
        }
        if let Some(chance) = self.room {
            config.room.chance = chance;
        }
        Ok(config)
    }
}
