//! The curve of a training as a table: `history.csv` in the run's folder, one row a validation.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file's name in the folder of a run.
pub const FILE: &str = "history.csv";

/// What was known at one validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Passes over the training sound so far.
    pub epoch: usize,
    /// Steps so far.
    pub step: usize,
    /// Running mean of the training loss.
    pub loss: f64,
    /// Loss on the validation recordings.
    pub val_loss: f64,
    /// Macro-F1 on the validation recordings.
    pub macro_f1: f64,
    /// Macro-recall on the validation recordings, `none` left out.
    pub macro_recall: f64,
    /// Learning rate of the newest step.
    pub learning_rate: f64,
    /// Seconds of sound that were learnt from so far.
    pub sound_s: f64,
    /// Seconds of training so far, those before an interruption included.
    pub wall_s: f64,
}

/// The table and its file.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    rows: Vec<Row>,
}

impl History {
    /// For the run in `folder`. A training from the start (`first_step` 0) removes the table of an older one; a
    /// resumed one keeps the rows up to the step that it goes on from, since later ones will be made again.
    ///
    /// # Errors
    /// The older table can't be removed, read or understood.
    pub fn begin(folder: &Path, first_step: usize) -> Result<Self> {
        let path = folder.join(FILE);
        let mut history = Self { path, rows: Vec::new() };
        if history.path.exists() {
            if first_step == 0 {
                std::fs::remove_file(&history.path).with_context(|| {
                    format!("{}: the file of an older training can't be removed", history.path.display())
                })?;
            } else {
                history.rows = read(&history.path)?;
                history.rows.retain(|row| row.step <= first_step);
            }
        }
        Ok(history)
    }

    /// The newest row.
    #[must_use]
    pub fn last(&self) -> Option<&Row> {
        self.rows.last()
    }

    /// Adds a row, and writes the whole table beside the old one: a kill leaves one or the other.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn push(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        let mut table = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            table.serialize(row)?;
        }
        let bytes = table.into_inner().context("the history can't be put together")?;
        Ok(tocco_models::write_beside(&self.path, &bytes)?)
    }
}

/// Reads the table of a run.
///
/// # Errors
/// The sentence names the file and the reason.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: the file can't be read", path.display()))?;
    csv::Reader::from_reader(bytes.as_slice())
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{}: this is no history of a training", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn row(epoch: usize) -> Row {
        Row {
            epoch,
            step: 10 * epoch,
            loss: 1.0 / epoch as f64,
            val_loss: f64::NAN,
            macro_f1: 0.5,
            macro_recall: 0.25,
            learning_rate: 0.003,
            sound_s: 40.0,
            wall_s: 2.5,
        }
    }

    #[test]
    fn resuming_drops_what_will_be_made_again_and_starting_drops_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::begin(folder.path(), 0).unwrap();
        (1..=4).for_each(|epoch| history.push(row(epoch)).unwrap());
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.starts_with("epoch,step,loss,val_loss,macro_f1,macro_recall,learning_rate,sound_s,wall_s\n"));

        let mut resumed = History::begin(folder.path(), 20).unwrap();
        assert_eq!(resumed.last().map(|r| r.epoch), Some(2));
        resumed.push(Row { loss: 7.0, ..row(3) }).unwrap();
        let rows = read(&folder.path().join(FILE)).unwrap();
        assert_eq!(rows.iter().map(|r| (r.epoch, r.loss)).collect::<Vec<_>>(), [(1, 1.0), (2, 0.5), (3, 7.0)]);
        assert!(rows[0].val_loss.is_nan());

        History::begin(folder.path(), 0).unwrap();
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn another_table_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "epoch,step\n1,two\n").unwrap();
        let words = format!("{:#}", History::begin(folder.path(), 5).unwrap_err());
        assert!(words.contains("history.csv: this is no history"), "{words}");
    }
}
