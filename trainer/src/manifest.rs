//! The manifest: one row a recording, with its labels, group and split. It is CSV, so that a person can edit it.
//!
//! Columns: `path` (relative to the manifest's own folder where possible), `labels` (separated by `;`), `group`
//! (recordings that must stay on one side of a split), `split` (`train`, `val`, `test`), `duration_s`,
//! `sample_rate`; and, where they say something, `collection`, `licence`, `known` (the labels whose presence or
//! absence was checked, separated by `;`; empty where that is all of them) and `weight` (how often training draws the
//! recording against the others; empty: 1). Further columns are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, MAIN_SEPARATOR, Path, PathBuf};

use anyhow::{Context, Result, bail};
use tocco_models::{LONGEST_CLASS, NONE, Task, unfit_name};

use crate::mixture::AND;

/// Which part of the data a recording belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Split {
    /// What the network learns from.
    Train,
    /// What decides when to stop and which checkpoint is best.
    Val,
    /// What the figures are about.
    Test,
}

impl Split {
    /// All splits, in the order of the files.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The word in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// Reads the word in the manifest or a folder's name, in small letters or large ones.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it lies, usable from the working folder.
    pub path: PathBuf,
    /// What sounds: one class for a technique, any number for instruments; at least one, unless `known` says what
    /// was listened for in vain.
    pub labels: Vec<String>,
    /// The labels that somebody checked, those in `labels` among them: one that is here and not in `labels` is
    /// absent, one that stands in neither is unknown and teaches nothing. Empty: every label was checked.
    pub known: Vec<String>,
    /// Recordings of one group never stand in two splits.
    pub group: String,
    /// Which part of the data it belongs to.
    pub split: Split,
    /// Length in seconds.
    pub duration_s: f64,
    /// Samples a second of the file.
    pub sample_rate: u32,
    /// Name of the collection it comes from; empty where unknown.
    pub collection: String,
    /// Licence of the collection; empty where unknown.
    pub licence: String,
    /// How often it is drawn in training and in mixtures, against 1 of the others.
    pub weight: f32,
}

impl Row {
    /// Whether the label sounds in the recording, or `None` where nobody checked.
    #[must_use]
    pub fn sounds(&self, label: &str) -> Option<bool> {
        let has = |labels: &[String]| labels.iter().any(|l| l == label);
        match has(&self.labels) {
            true => Some(true),
            false => (self.known.is_empty() || has(&self.known)).then_some(false),
        }
    }

    /// The classes that sound: bit `i` for `classes[i]`. A row of `none`, where that is no class, holds none of them.
    ///
    /// # Errors
    /// The first label that is neither.
    pub fn sounding(&self, classes: &[String]) -> Result<u128, &str> {
        self.labels.iter().try_fold(0, |set, label| match classes.iter().position(|class| class == label) {
            Some(class) => Ok(set | 1 << class),
            None if label == NONE => Ok(set),
            None => Err(label.as_str()),
        })
    }

    /// The classes that it says something about, as bits. One class at a time, the label says of all others that they are
    /// not there.
    #[must_use]
    pub fn listened_for(&self, classes: &[String], task: Task) -> u128 {
        let is_known = |class: &String| task == Task::Technique || self.sounds(class).is_some();
        classes.iter().enumerate().filter(|(_, class)| is_known(class)).fold(0, |set, (i, _)| set | 1 << i)
    }

    /// Whether a model of this task can learn from it and be judged by it: one class at a time takes one label.
    #[must_use]
    pub fn is_for(&self, task: Task) -> bool {
        task == Task::Instruments || self.labels.len() == 1
    }

    /// What must stay in one split: the row's group and, where notes were mixed, those of theirs that are `known`. Other
    /// names may hold a « + » of their own.
    pub fn groups(&self, known: &BTreeSet<&str>) -> impl Iterator<Item = &str> {
        self.group.split(AND).filter(|group| known.contains(group)).chain([self.group.as_str()])
    }

    /// Every label that the row speaks of: those that sound and those that were checked.
    pub fn spoken_of(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().chain(&self.known).map(String::as_str)
    }
}

/// A manifest as read: the rows that can be used, and those that point nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Where the manifest lies.
    pub path: PathBuf,
    /// Rows whose recording is there, in the file's order.
    pub rows: Vec<Row>,
    /// The rows whose recording is not there, each after its line.
    pub missing: Vec<(u64, Row)>,
}

impl Manifest {
    /// Reads a manifest. Rows whose recording is missing are put aside in `missing`; a row that can't be
    /// understood is an error, since a person may have meant something else by it.
    ///
    /// # Errors
    /// The file can't be read, a column is missing, or a row is wrong: the sentence names file, line and reason;
    /// or no row is left.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{}: the manifest can't be read", path.display()))?;
        let mut manifest = Self { path: path.to_path_buf(), rows: Vec::new(), missing: Vec::new() };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
        let header = reader.headers().with_context(|| path.display().to_string())?.clone();
        let columns = Columns::find(&header).with_context(|| path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for record in reader.records() {
            let record = record.with_context(|| path.display().to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = columns.row(&record, folder).with_context(|| format!("{}, line {line}", path.display()))?;
            if row.path.is_file() {
                manifest.rows.push(row);
            } else {
                manifest.missing.push((line, row));
            }
        }
        if manifest.rows.is_empty() {
            let why = manifest.missing.first().map_or_else(
                || "it has no rows".to_owned(),
                |(line, row)| {
                    let (n, file) = (manifest.missing.len(), row.path.display());
                    format!("none of its {n} rows points to a file that is there (line {line}: {file})")
                },
            );
            bail!("{}: the manifest holds no recordings: {why}", path.display());
        }
        Ok(manifest)
    }

    /// Sentences about the rows that point nowhere: the first few by name, then a count. Empty where all is well.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        const NAMED: usize = 10;
        let at = self.path.display();
        let mut remarks: Vec<String> = (self.missing.iter().take(NAMED))
            .map(|(line, row)| format!("{at}, line {line}: {} is not there; the row is skipped", row.path.display()))
            .collect();
        if !self.missing.is_empty() {
            let (n, left) = (self.missing.len(), self.rows.len());
            remarks.push(format!("{at}: {n} rows point nowhere and are skipped; {left} are left"));
        }
        remarks
    }

    /// The classes that the rows speak of: sorted by name, `none` last. Their order is the model's.
    #[must_use]
    pub fn classes(&self) -> Vec<String> {
        sorted_classes(self.rows.iter().flat_map(Row::spoken_of))
    }

    /// The rows of one split.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |r| r.split == split)
    }

    /// Where the sound comes from: each collection once, with its licence. Mixtures of notes that stand in the manifest too
    /// bring nothing new.
    #[must_use]
    pub fn sources(&self) -> Vec<tocco_models::DataSource> {
        let named: BTreeSet<_> =
            self.rows.iter().filter(|r| !r.collection.is_empty()).map(|r| (&r.collection, &r.licence)).collect();
        let alone: BTreeSet<&str> = named.iter().map(|(name, _)| name.as_str()).filter(|n| !n.contains(AND)).collect();
        named
            .into_iter()
            .filter(|(name, _)| !name.contains(AND) || name.split(AND).any(|each| !alone.contains(each)))
            .map(|(name, licence)| tocco_models::DataSource { name: name.clone(), licence: licence.clone() })
            .collect()
    }

    /// Whether a network can be trained on it: at least two classes, each of them in `train` and in `val`; no group on
    /// two sides. The test may hold some of the classes only: an instrument that was held out has those that it has.
    ///
    /// # Errors
    /// The sentence names the class and split, or the group.
    pub fn check_for_training(&self) -> Result<()> {
        let at = self.path.display();
        let classes = self.classes();
        if classes.len() < 2 {
            bail!("{at}: there is only the class «{}»: a model needs at least two", classes.join(""));
        }
        for split in [Split::Train, Split::Val] {
            let held: BTreeSet<&str> = self.split(split).flat_map(|r| r.labels.iter().map(String::as_str)).collect();
            if let Some(class) = classes.iter().find(|c| !held.contains(c.as_str())) {
                bail!(
                    "{at}: the class «{class}» has no usable recording in the split «{}»: every class must stand in \
                     «train» and in «val»; record more of it, or run «tocco prepare» again",
                    split.name()
                );
            }
        }
        if let Some((group, [one, other])) = on_two_sides(&self.rows) {
            bail!(
                "{at}: the group «{group}» stands in «{}» and in «{}»: figures would flatter; keep each group in one split",
                one.name(),
                other.name()
            );
        }
        Ok(())
    }

    /// Writes rows as a manifest, beside and renamed. Paths under the manifest's folder become relative to it; the
    /// columns `known` and `weight` are left out where every row knows everything, or weighs 1.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(path: &Path, rows: &[Row]) -> Result<()> {
        let folder = absolute_folder(path);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let says = |column: &usize| match *column {
            KNOWN => rows.iter().any(|r| !r.known.is_empty()),
            WEIGHT => rows.iter().any(|r| r.weight != 1.0),
            _ => true,
        };
        let columns: Vec<usize> = (0..COLUMNS.len()).filter(says).collect();
        writer.write_record(columns.iter().map(|c| COLUMNS[*c]))?;
        for row in rows {
            let shown = relative_to(&row.path, &folder);
            let path = shown
                .to_str()
                .with_context(|| format!("{}: the name is not valid Unicode: rename the file", row.path.display()))?;
            // Windows reads both separators, the others only theirs: a manifest goes from one to the other.
            let path = if shown.is_relative() { path.replace(MAIN_SEPARATOR, "/") } else { path.to_owned() };
            let cells = [
                path.as_str(),
                &row.labels.join(";"),
                &row.group,
                row.split.name(),
                &format!("{:.3}", row.duration_s),
                &row.sample_rate.to_string(),
                &row.collection,
                &row.licence,
                &row.known.join(";"),
                &row.weight.to_string(),
            ];
            writer.write_record(columns.iter().map(|c| cells[*c]))?;
        }
        let bytes = writer.into_inner().context("the manifest can't be put together")?;
        Ok(tocco_models::write_with_folder(path, &bytes)?)
    }
}

/// The first group that stands in two splits, and those.
#[must_use]
pub fn on_two_sides(rows: &[Row]) -> Option<(&str, [Split; 2])> {
    let known = rows.iter().map(|row| row.group.as_str()).collect();
    let mut sides: BTreeMap<&str, Split> = BTreeMap::new();
    let mut all = rows.iter().flat_map(|row| row.groups(&known).map(|group| (group, row.split)));
    all.find_map(|(group, split)| {
        let side = *sides.entry(group).or_insert(split);
        (side != split).then_some((group, [side, split]))
    })
}

/// Classes in a model's order: sorted by name, `none` last.
#[must_use]
pub fn sorted_classes<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let set: BTreeSet<&str> = labels.collect();
    let none = set.contains(NONE).then_some(NONE);
    set.iter().copied().filter(|c| *c != NONE).chain(none).map(str::to_owned).collect()
}

const COLUMNS: [&str; 10] =
    ["path", "labels", "group", "split", "duration_s", "sample_rate", "collection", "licence", "known", "weight"];
/// How many of [`COLUMNS`] must be there.
const NEEDED: usize = 6;
/// Where `known` stands in [`COLUMNS`].
const KNOWN: usize = 8;
/// Where `weight` stands in [`COLUMNS`].
const WEIGHT: usize = 9;

/// Where each of [`COLUMNS`] stands in this file.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self> {
        let at = COLUMNS.map(|name| header.iter().position(|h| h.trim_start_matches('\u{feff}') == name));
        if let Some(missing) = (0..NEEDED).find(|c| at[*c].is_none()) {
            bail!(
                "the column «{}» is missing: a manifest starts with the line «{}»",
                COLUMNS[missing],
                COLUMNS[..NEEDED].join(",")
            );
        }
        Ok(Self(at))
    }

    fn row(&self, record: &csv::StringRecord, folder: &Path) -> Result<Row> {
        let cell = |column: usize| self.0[column].and_then(|c| record.get(c)).unwrap_or("");
        let list = |column: usize| -> Vec<String> {
            cell(column).split(';').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
        };
        let (labels, known) = (list(1), list(KNOWN));
        if cell(0).is_empty() {
            bail!("the path is empty");
        }
        if labels.is_empty() && known.is_empty() {
            bail!("the row has no label: write a class, or «none»");
        }
        // As a card has it: better told here than after the training.
        if let Some(unfit) = labels.iter().find_map(|label| unfit_name(label, LONGEST_CLASS)) {
            bail!("the label {unfit}: rename the class");
        }
        let Some(split) = Split::parse(cell(3)) else {
            bail!("the split is «{}»: it must be train, val or test", cell(3));
        };
        let duration_s: f64 = cell(4)
            .parse()
            .ok()
            .filter(|d: &f64| d.is_finite() && *d >= 0.0)
            .with_context(|| format!("the duration is «{}»: it must be a number of seconds", cell(4)))?;
        let sample_rate: u32 = cell(5)
            .parse()
            .with_context(|| format!("the sample rate is «{}»: it must be a whole number of Hz", cell(5)))?;
        let weight: f32 = match cell(WEIGHT) {
            "" => 1.0,
            word => (word.parse().ok().filter(|w: &f32| w.is_finite() && *w > 0.0))
                .with_context(|| format!("the weight is «{word}»: it must be a number above 0"))?,
        };
        let path = folder.join(cell(0));
        let group = if cell(2).is_empty() { cell(0) } else { cell(2) };
        let (group, collection, licence) = (group.to_owned(), cell(6).to_owned(), cell(7).to_owned());
        Ok(Row { path, labels, known, group, split, duration_s, sample_rate, collection, licence, weight })
    }
}

fn absolute_folder(manifest: &Path) -> PathBuf {
    let folder = manifest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().or_else(|_| std::path::absolute(folder)).unwrap_or_else(|_| folder.to_path_buf())
}

/// `path` as seen from `folder` (absolute), climbing with `..` where they share a root; else `path` itself.
fn relative_to(path: &Path, folder: &Path) -> PathBuf {
    let Ok(path) = path.canonicalize().or_else(|_| std::path::absolute(path)) else {
        return path.to_path_buf();
    };
    let common = path.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    // Only the root in common (on Windows a drive comes before it): a climb to the root helps nobody.
    if !path.components().take(common).any(|part| matches!(part, Component::Normal(_))) {
        return path;
    }
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn read(text: &str) -> Result<Manifest> {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.wav", "b.wav"] {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        std::fs::write(folder.path().join("m.csv"), text).unwrap();
        Manifest::read(&folder.path().join("m.csv"))
    }

    #[test]
    fn what_was_checked_is_told_from_what_is_unknown() {
        let header = "path,known,labels,group,split,duration_s,sample_rate\n";
        let row = "flute; voice,flute,g,train,1,44100";
        let manifest = read(&format!("{header}a.wav,{row}\nb.wav,cello,,h,val,1,44100\n")).unwrap();
        let sounds = |r: usize| ["flute", "voice", "cello"].map(|label| manifest.rows[r].sounds(label));
        assert_eq!(sounds(0), [Some(true), Some(false), None]);
        assert_eq!(sounds(1), [None, None, Some(false)], "a row may hold nothing of what was listened for");
        assert_eq!(manifest.classes(), ["cello", "flute", "voice"]);
        let reason = read(&format!("{header}a.wav,,,g,train,1,44100\n")).unwrap_err();
        assert!(format!("{reason:#}").contains("no label"), "{reason:#}");
    }

    #[test]
    fn a_mixture_brings_no_source_that_its_notes_have_named() {
        let header = "path,labels,group,split,duration_s,sample_rate,collection,licence\n";
        let sources = |rows: [&str; 2]| {
            let [a, b] = rows.map(|said| format!("cello,g,train,1,44100,{said}\n"));
            let named = read(&format!("{header}a.wav,{a}b.wav,{b}a.wav,cello,g,train,1,44100,B,CC0-1.0\n")).unwrap();
            named.sources().into_iter().map(|source| source.name).collect::<Vec<_>>()
        };
        assert_eq!(sources(["A,CC BY 4.0", "A + B,CC BY 4.0 + CC0-1.0"]), ["A", "B"]);
        assert_eq!(sources(["B,CC0-1.0", "A + B,CC BY 4.0 + CC0-1.0"]), ["A + B", "B"], "A is named nowhere else");
    }

    #[test]
    fn a_note_and_a_mixture_of_it_stand_on_one_side() {
        let check = |mixture: &str| {
            let header = "path,labels,group,split,duration_s,sample_rate\n";
            let notes = "a.wav,x,g,train,1,44100\na.wav,y,oboe + cello/k,train,1,44100\nb.wav,x,h,val,1,44100\n";
            read(&format!("{header}{notes}b.wav,x;y,{mixture},val,1,44100\n")).unwrap().check_for_training()
        };
        check("h + i").unwrap();
        // Where somebody's own name holds a « + », no part of it is a note's group.
        check("oboe + harp/i").unwrap();
        let reason = check("h + g").unwrap_err().to_string();
        assert!(reason.contains("the group «g» stands in «train» and in «val»"), "{reason}");
    }

    #[test]
    fn a_weight_is_a_number_above_0_and_need_not_be_there() {
        let rows = |weights: [&str; 2]| {
            let [a, b] = weights;
            read(&format!(
                "path,labels,group,split,duration_s,sample_rate,weight\na.wav,x,g,train,1,44100,{a}\nb.wav,y,h,val,1,44100,{b}\n"
            ))
        };
        let manifest = rows(["2.5", ""]).unwrap();
        assert_eq!([manifest.rows[0].weight, manifest.rows[1].weight], [2.5, 1.0]);
        for wrong in ["0", "-1", "inf", "NaN", "often"] {
            let reason = format!("{:#}", rows(["1", wrong]).unwrap_err());
            assert!(
                reason.contains("m.csv, line 3") && reason.contains(&format!("the weight is «{wrong}»")),
                "{reason}"
            );
        }
    }

    #[test]
    fn what_is_written_reads_back_and_the_mask_only_stands_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let (sound, path) = (folder.path().join("sub/a.wav"), folder.path().join("m.csv"));
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(&sound, "x").unwrap();
        let mut row = Row {
            path: sound,
            labels: vec!["flute".into(), "voice".into()],
            known: Vec::new(),
            group: "g".into(),
            split: Split::Test,
            duration_s: 1.5,
            sample_rate: 44_100,
            collection: "mine, all of it".into(),
            licence: String::new(),
            weight: 1.0,
        };
        Manifest::write(&path, &[row.clone()]).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("path,labels,group,split,duration_s,sample_rate,collection,licence\nsub/a.wav,")
        );
        assert_eq!(Manifest::read(&path).unwrap().rows, [row.clone()]);
        assert_eq!(row.sounds("cello"), Some(false), "without a mask everything is known");
        row.known = vec!["flute".into(), "cello".into()];
        row.weight = 0.25;
        Manifest::write(&path, &[row.clone()]).unwrap();
        assert_eq!(Manifest::read(&path).unwrap().rows, [row]);
    }
}
