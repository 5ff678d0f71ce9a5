//! What a model said about each recording, as a CSV file that can be pooled over folds.
//!
//! Columns: `file,label,predicted,open_hops`, then `p:CLASS` (mean probability) and `hops:CLASS` (hops in which it was
//! the most probable) for every class in the model's order, then `group` and `known`. `label` and `predicted` name
//! several classes as `a;b`, and no class at all as `none`; where every recording has one class, the strongest is
//! predicted, else what reaches its threshold. Of a model of any number of classes at a time, `t:CLASS` is
//! the threshold of each class. A file without the columns after `hops:CLASS` is read too.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tocco_models::{NONE, Task};

use crate::metrics::{Confusion, Scored, argmax};

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its path.
    pub file: String,
    /// Whether each class is there; `None` where nobody checked.
    pub truth: Vec<Option<bool>>,
    /// Recordings of one group are drawn together for intervals.
    pub group: String,
    /// Mean probability of each class over the hops that count.
    pub mean: Vec<f32>,
    /// For each class, in how many of the hops that count it was the most probable.
    pub hops: Vec<u64>,
    /// Hops with the gate open; 0 where it never opened and all hops count instead.
    pub open_hops: u64,
    /// The probability from which each class counts as heard; empty where one class holds at a time.
    pub thresholds: Vec<f32>,
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
    pub fn strongest(&self) -> usize {
        argmax(&self.mean)
    }

    /// The one class of the recording; `None` where it holds none or several, or where some are unknown.
    #[must_use]
    pub fn label(&self) -> Option<usize> {
        let there = self.truth.iter().filter(|t| **t == Some(true)).count();
        let known = self.truth.iter().all(Option::is_some);
        self.truth.iter().position(|t| *t == Some(true)).filter(|_| there == 1 && known)
    }

    /// Whether the class counts as heard: from its threshold on, or where it is the strongest.
    #[must_use]
    pub fn is_heard(&self, class: usize) -> bool {
        match self.thresholds.get(class) {
            Some(threshold) => self.mean[class] >= *threshold,
            None => self.strongest() == class,
        }
    }
}

impl Predictions {
    /// Whether one class holds at a time, or any number.
    #[must_use]
    pub fn task(&self) -> Task {
        let one = self.rows.iter().all(|r| r.thresholds.is_empty());
        if one { Task::Technique } else { Task::Instruments }
    }

    /// Confusion matrices over recordings and over hops, the strongest class against the one that is there. `None`
    /// where a recording holds none or several: there is no strongest right one then.
    #[must_use]
    pub fn confusions(&self) -> Option<(Confusion, Confusion)> {
        let (mut files, mut hops) = (Confusion::new(&self.classes), Confusion::new(&self.classes));
        for row in &self.rows {
            let label = row.label()?;
            files.add(label, row.strongest(), 1);
            for (class, n) in row.hops.iter().enumerate() {
                hops.add(label, class, *n);
            }
        }
        Some((files, hops))
    }

    /// The classes that are judged, and each recording's scores and truth. Where any number of classes may sound,
    /// `none` is no class of its own: it says that no other one sounds.
    #[must_use]
    pub fn scored(&self) -> (Vec<String>, Vec<Scored>) {
        let judged = self.judged();
        let names = judged.iter().map(|&c| self.classes[c].clone()).collect();
        let scored = self.rows.iter().map(|row| Scored {
            scores: judged.iter().map(|&c| row.mean[c]).collect(),
            truth: judged.iter().map(|&c| row.truth[c]).collect(),
        });
        (names, scored.collect())
    }

    /// Indices of the classes of [`Predictions::scored`].
    #[must_use]
    pub fn judged(&self) -> Vec<usize> {
        let task = self.task();
        (0..self.classes.len()).filter(|&c| task == Task::Technique || self.classes[c] != NONE).collect()
    }

    /// The predictions as CSV.
    ///
    /// # Errors
    /// Never in practice: the table is written to memory.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let with_thresholds = self.task() == Task::Instruments;
        let one_each = self.rows.iter().all(|row| row.label().is_some());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = FIXED.map(str::to_owned).to_vec();
        let mut columns = |prefix: &str| header.extend(self.classes.iter().map(|c| format!("{prefix}{c}")));
        columns("p:");
        columns("hops:");
        header.extend(["group", "known"].map(str::to_owned));
        if with_thresholds {
            header.extend(self.classes.iter().map(|c| format!("t:{c}")));
        }
        writer.write_record(&header)?;
        for row in &self.rows {
            let mut cells = vec![
                row.file.clone(),
                self.names(|c| row.truth[c] == Some(true)),
                self.names(|c| if one_each { row.strongest() == c } else { row.is_heard(c) }),
                row.open_hops.to_string(),
            ];
            cells.extend(row.mean.iter().map(|p| format!("{p:.6}")));
            cells.extend(row.hops.iter().map(ToString::to_string));
            let all_known = row.truth.iter().all(Option::is_some);
            let known = if all_known { String::new() } else { self.names(|c| row.truth[c].is_some()) };
            cells.extend([row.group.clone(), known]);
            cells.extend(row.thresholds.iter().map(ToString::to_string));
            writer.write_record(&cells)?;
        }
        writer.into_inner().context("the predictions can't be put together")
    }

    fn names(&self, has: impl Fn(usize) -> bool) -> String {
        let names: Vec<&str> =
            self.classes.iter().enumerate().filter(|(c, _)| has(*c)).map(|(_, name)| name.as_str()).collect();
        if names.is_empty() { NONE.to_owned() } else { names.join(";") }
    }

    /// Reads one file of predictions.
    ///
    /// # Errors
    /// The sentence names file, line and reason.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        let mut reader = csv::Reader::from_path(path).with_context(at)?;
        let header = reader.headers().with_context(at)?.clone();
        let classes: Vec<String> = header.iter().filter_map(|n| n.strip_prefix("p:")).map(str::to_owned).collect();
        let fits = header.len() >= FIXED.len() + 2 * classes.len() && header.iter().take(FIXED.len()).eq(FIXED);
        let columns = Columns::find(&header, &classes).filter(|_| fits && !classes.is_empty());
        let Some(columns) = columns else {
            bail!("{}: these are no predictions of «tocco evaluate --predictions»", at());
        };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.with_context(at)?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = columns.row(&record, &classes);
            rows.push(row.with_context(|| format!("{}, line {line}: the row can't be understood", path.display()))?);
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

/// Where everything stands in a file.
struct Columns {
    means: Vec<usize>,
    hops: Vec<usize>,
    thresholds: Option<Vec<usize>>,
    group: Option<usize>,
    known: Option<usize>,
}

impl Columns {
    fn find(header: &csv::StringRecord, classes: &[String]) -> Option<Self> {
        let at = |name: &str| header.iter().position(|h| h == name);
        let of_classes =
            |prefix: &str| classes.iter().map(|c| at(&format!("{prefix}{c}"))).collect::<Option<Vec<usize>>>();
        Some(Self {
            means: of_classes("p:")?,
            hops: of_classes("hops:")?,
            thresholds: of_classes("t:"),
            group: at("group"),
            known: at("known"),
        })
    }

    fn row(&self, record: &csv::StringRecord, classes: &[String]) -> Result<Prediction> {
        let indices = |cell: &str| -> Result<Vec<usize>> {
            let names = cell.split(';').filter(|n| !n.is_empty() && (*n != NONE || classes.iter().any(|c| c == n)));
            names.map(|n| classes.iter().position(|c| c == n).with_context(|| format!("no class «{n}»"))).collect()
        };
        let there = indices(&record[1])?;
        let known = self.known.map(|k| &record[k]).filter(|k| !k.is_empty()).map(indices).transpose()?;
        let truth_of = |c: usize| {
            let is_known = known.as_ref().is_none_or(|k| k.contains(&c));
            if there.contains(&c) { Some(true) } else { is_known.then_some(false) }
        };
        let floats = |columns: &[usize]| -> Result<Vec<f32>> {
            let read = columns.iter().map(|c| record[*c].parse::<f32>());
            let numbers = read.collect::<std::result::Result<Vec<_>, _>>()?;
            ensure!(numbers.iter().all(|n| n.is_finite()), "a number is not finite");
            Ok(numbers)
        };
        Ok(Prediction {
            file: record[0].to_owned(),
            truth: (0..classes.len()).map(truth_of).collect(),
            group: self.group.map_or(&record[0], |g| &record[g]).to_owned(),
            mean: floats(&self.means)?,
            hops: self.hops.iter().map(|c| record[*c].parse()).collect::<Result<_, _>>()?,
            open_hops: record[3].parse()?,
            thresholds: self.thresholds.as_deref().map(floats).transpose()?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn fold(file: &str, label: usize, mean: [f32; 2], hops: [u64; 2]) -> Predictions {
        let row = Prediction {
            file: file.into(),
            truth: vec![Some(label == 0), Some(label == 1)],
            group: format!("group of {file}"),
            mean: mean.to_vec(),
            hops: hops.to_vec(),
            open_hops: 7,
            thresholds: Vec::new(),
        };
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
        let (files, hops) = Predictions::pool(&paths).unwrap().confusions().unwrap();
        assert_eq!((files.count(0, 0), files.count(1, 0), files.count(1, 1)), (1, 1, 0));
        assert_eq!((hops.count(0, 0), hops.count(1, 0), hops.count(1, 1)), (6, 4, 3));
        let twice = Predictions::pool(&[paths[0].clone(), paths[0].clone()]).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    /// What earlier versions wrote has neither groups nor masks nor thresholds.
    #[test]
    fn an_older_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.csv");
        let text =
            "file,label,predicted,open_hops,p:bowed,p:none,hops:bowed,hops:none\nc.wav,none,bowed,7,0.75,0.25,6,1\n";
        std::fs::write(&path, text).unwrap();
        let row = &Predictions::read(&path).unwrap().rows[0];
        assert_eq!((row.label(), row.strongest(), row.group.as_str()), (Some(1), 0, "c.wav"));
        std::fs::write(&path, text.replace("c.wav,none", "c.wav,plucked")).unwrap();
        let sentence = format!("{:#}", Predictions::read(&path).unwrap_err());
        assert!(sentence.contains("line 2") && sentence.contains("no class «plucked»"), "{sentence}");
    }

    #[test]
    fn several_classes_masks_and_thresholds_are_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("several.csv");
        let row = |truth: [Option<bool>; 3]| Prediction {
            file: format!("{truth:?}"),
            truth: truth.to_vec(),
            group: "g".into(),
            mean: vec![0.75, 0.25, 0.5],
            hops: vec![3, 0, 1],
            open_hops: 4,
            thresholds: vec![0.5, 0.125, 0.625],
        };
        let rows = vec![
            row([Some(true), Some(true), Some(false)]),
            row([None, Some(true), Some(false)]),
            row([Some(false); 3]),
        ];
        let classes = ["cello", "flute", "oboe"].map(String::from).to_vec();
        let predictions = Predictions { classes, rows };
        let csv = predictions.to_csv().unwrap();
        assert!(String::from_utf8_lossy(&csv).contains(",cello;flute,cello;flute,4,"), "labels, then what was heard");
        std::fs::write(&path, &csv).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), predictions);
        assert!(predictions.confusions().is_none(), "no recording has one class");
        assert_eq!(predictions.rows[1].label(), None, "the cello might sound too");
    }

    #[test]
    fn another_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "path,labels\na,b\n").unwrap();
        assert!(Predictions::read(&path).unwrap_err().to_string().contains("no predictions"));
    }
}
