//! What a model said about each recording, as a CSV file that can be pooled over folds.
//!
//! Columns: `file,label,predicted,open_hops`, then `p:CLASS` (mean probability) and `hops:CLASS` (hops that decided
//! for it) for every class in the model's order.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::metrics::{Confusion, argmax};

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its path.
    pub file: String,
    /// Index of the class it is.
    pub label: usize,
    /// Mean probability of each class over the hops that count.
    pub mean: Vec<f32>,
    /// For each class, how many of the hops that count decided for it.
    pub hops: Vec<u64>,
    /// Hops with the gate open; 0 where it never opened and all hops count instead.
    pub open_hops: u64,
}

/// The predictions of one model, or of several folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Class names in the model's order.
    pub classes: Vec<String>,
    /// One for each recording.
    pub rows: Vec<Prediction>,
}

impl Prediction {
    /// The class with the largest mean probability.
    #[must_use]
    pub fn predicted(&self) -> usize {
        argmax(&self.mean)
    }
}

impl Predictions {
    /// Confusion matrices over recordings and over hops.
    #[must_use]
    pub fn confusions(&self) -> (Confusion, Confusion) {
        let (mut files, mut hops) = (Confusion::new(&self.classes), Confusion::new(&self.classes));
        for row in &self.rows {
            files.add(row.label, row.predicted(), 1);
            for (class, n) in row.hops.iter().enumerate() {
                hops.add(row.label, class, *n);
            }
        }
        (files, hops)
    }

    /// The predictions as CSV.
    ///
    /// # Errors
    /// Never in practice: the table is written to memory.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = FIXED.map(str::to_owned).to_vec();
        header.extend(self.classes.iter().map(|c| format!("p:{c}")));
        header.extend(self.classes.iter().map(|c| format!("hops:{c}")));
        writer.write_record(&header)?;
        for row in &self.rows {
            let mut cells = vec![
                row.file.clone(),
                self.classes[row.label].clone(),
                self.classes[row.predicted()].clone(),
                row.open_hops.to_string(),
            ];
            cells.extend(row.mean.iter().map(|p| format!("{p:.6}")));
            cells.extend(row.hops.iter().map(ToString::to_string));
            writer.write_record(&cells)?;
        }
        writer.into_inner().context("the predictions can't be put together")
    }

    /// Reads one file of predictions.
    ///
    /// # Errors
    /// The sentence names file, line and reason.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        let mut reader = csv::Reader::from_path(path).with_context(at)?;
        let header = reader.headers().with_context(at)?.clone();
        let names: Vec<&str> = header.iter().collect();
        let classes: Vec<String> = names.iter().filter_map(|n| n.strip_prefix("p:")).map(str::to_owned).collect();
        let columns = FIXED.len() + 2 * classes.len();
        if names.len() != columns || names[..FIXED.len()] != FIXED || classes.is_empty() {
            bail!("{}: these are no predictions of «tocco evaluate --predictions»", at());
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.with_context(at)?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = || format!("{}, line {line}: the row can't be understood", path.display());
            let label = classes.iter().position(|c| c == &record[1]).with_context(wrong)?;
            let (means, hops) = (FIXED.len()..FIXED.len() + classes.len(), FIXED.len() + classes.len()..columns);
            rows.push(Prediction {
                file: record[0].to_owned(),
                label,
                mean: means.map(|c| record[c].parse()).collect::<Result<_, _>>().with_context(wrong)?,
                hops: hops.map(|c| record[c].parse()).collect::<Result<_, _>>().with_context(wrong)?,
                open_hops: record[3].parse().with_context(wrong)?,
            });
        }
        Ok(Self { classes, rows })
    }

    /// Several files as one, e.g. the folds of one experiment.
    ///
    /// # Errors
    /// A file can't be read, the classes differ, or a recording stands in two files.
    pub fn pool(paths: &[std::path::PathBuf]) -> Result<Self> {
        let mut pooled: Option<Self> = None;
        let mut seen = std::collections::BTreeSet::new();
        for path in paths {
            let next = Self::read(path)?;
            for row in &next.rows {
                ensure!(
                    seen.insert(row.file.clone()),
                    "{}: {} was predicted in an earlier file already: figures would count it twice",
                    path.display(),
                    row.file
                );
            }
            match &mut pooled {
                None => pooled = Some(next),
                Some(pooled) => {
                    ensure!(
                        pooled.classes == next.classes,
                        "{}: its classes ({}) are not those of the files before ({})",
                        path.display(),
                        next.classes.join(", "),
                        pooled.classes.join(", ")
                    );
                    pooled.rows.extend(next.rows);
                }
            }
        }
        pooled.context("there are no predictions to pool")
    }
}

const FIXED: [&str; 4] = ["file", "label", "predicted", "open_hops"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn fold(file: &str, label: usize, mean: [f32; 2], hops: [u64; 2]) -> Predictions {
        let row = Prediction { file: file.into(), label, mean: mean.to_vec(), hops: hops.to_vec(), open_hops: 7 };
        Predictions { classes: vec!["bowed".into(), "none".into()], rows: vec![row] }
    }

    #[test]
    fn folds_are_written_read_and_pooled() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("0.csv"), folder.path().join("1.csv")];
        let folds = [fold("a, b.wav", 0, [0.75, 0.25], [6, 1]), fold("c.wav", 1, [0.5625, 0.4375], [4, 3])];
        for (path, fold) in paths.iter().zip(&folds) {
            std::fs::write(path, fold.to_csv().unwrap()).unwrap();
            assert_eq!(&Predictions::read(path).unwrap(), fold);
        }
        let (files, hops) = Predictions::pool(&paths).unwrap().confusions();
        assert_eq!((files.count(0, 0), files.count(1, 0), files.count(1, 1)), (1, 1, 0));
        assert_eq!((hops.count(0, 0), hops.count(1, 0), hops.count(1, 1)), (6, 4, 3));
        let twice = Predictions::pool(&[paths[0].clone(), paths[0].clone()]).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn another_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "path,labels\na,b\n").unwrap();
        assert!(Predictions::read(&path).unwrap_err().to_string().contains("no predictions"));
    }
}
