//! Finding recordings in folders and saying, from their paths alone, what they are and what belongs together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::audio;
use crate::labels::{LabelSet, Table};
use crate::manifest::Split;
use crate::pitch::Pitch;

/// Where a recording's label comes from.
pub enum LabelFrom<'a> {
    /// The folder it lies in.
    Folder,
    /// A label set of the table of labels.
    Table(&'a Table, &'a LabelSet),
}

/// What must stay on one side of a split.
#[derive(Debug, Clone)]
pub enum GroupBy {
    /// What the table of labels says; with folders as labels: each file.
    Table,
    /// Each file for itself.
    File,
    /// The note name in the file name, with the folder's name; files without one for themselves.
    Pitch,
    /// The N-th folder above the file (1: the folder it lies in), up to the folder that was given.
    Dir(usize),
    /// What the expression matches in the path (its first group, where it has one); other files for themselves.
    Regex(Regex),
    /// What the dataset says of each recording.
    Attribute(Attribute),
}

/// What a published dataset can say of a recording beside its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// Which instrument sounds: the kind, or the very one.
    Instrument,
    /// How it is played.
    Technique,
    /// Who plays or sings.
    Player,
    /// When and where it was recorded.
    Session,
    /// Through which microphone or pickup.
    Microphone,
    /// Which recording it was cut from; takes that several microphones heard are one source.
    Source,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Instrument, Self::Technique, Self::Player, Self::Session, Self::Microphone, Self::Source];

    /// The word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instrument => "instrument",
            Self::Technique => "technique",
            Self::Player => "player",
            Self::Session => "session",
            Self::Microphone => "microphone",
            Self::Source => "source",
        }
    }
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.split_once(':') {
            None if word == "table" => Ok(Self::Table),
            None if word == "file" => Ok(Self::File),
            None if word == "pitch" => Ok(Self::Pitch),
            Some(("dir", n)) => match n.parse() {
                Ok(n) if n > 0 => Ok(Self::Dir(n)),
                _ => Err(format!("«{n}» is no number of folders to climb: write dir:1, dir:2, ...")),
            },
            Some(("regex", text)) => Regex::new(text).map(Self::Regex).map_err(|e| e.to_string()),
            _ => Attribute::ALL.into_iter().find(|a| a.name() == word).map(Self::Attribute).ok_or_else(|| {
                "write table, file, pitch, instrument, technique, player, session, microphone, source, dir:N or \
                 regex:EXPRESSION"
                    .to_owned()
            }),
        }
    }
}

/// A recording that was found, not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Absolute path.
    pub path: PathBuf,
    /// What sounds: one class, or what the dataset says of a mixture.
    pub labels: Vec<String>,
    /// The labels that the dataset speaks of; empty where that is all of them.
    pub known: Vec<String>,
    /// What it must stay together with.
    pub group: String,
    /// The split that its folder or the dataset names, where they do.
    pub split: Option<Split>,
    /// Collection and licence, where known; else empty.
    pub source: (String, String),
}

/// What was found and what was left out, with the reason.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their paths.
    pub candidates: Vec<Candidate>,
    /// Path and reason, in the order of their paths.
    pub skipped: Vec<(PathBuf, String)>,
    /// How many recordings the table knows but the label set leaves out.
    pub outside: usize,
    /// How many files have no audio file's name, by the ending of their names.
    pub other_files: BTreeMap<String, usize>,
    /// How many recordings the grouping rule found nothing to group by in.
    pub ungrouped: usize,
}

/// Looks through folders (and single files). Files named like recordings are candidates or stand in `skipped`; a
/// recording that is reached twice counts once.
///
/// # Errors
/// A folder can't be read, the table of labels contradicts itself, or the grouping rule needs what only a dataset's
/// importer knows.
pub fn collect(dirs: &[PathBuf], label_from: &LabelFrom<'_>, group_by: &GroupBy) -> Result<Found> {
    if let GroupBy::Attribute(attribute) = group_by {
        let name = attribute.name();
        bail!(
            "--group-by {name}: folders alone do not tell it: name the layout of a dataset that does (--dataset), or \
             the part of the path that does (dir:N or regex:EXPRESSION)"
        );
    }
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for dir in dirs {
        let root = dir.canonicalize().with_context(|| format!("{}: the folder can't be read", dir.display()))?;
        let splits_by_folder = names_splits(&root)?;
        for entry in walkdir::WalkDir::new(&root).follow_links(true).sort_by_file_name() {
            let entry = entry.with_context(|| format!("{}: the folder can't be read to its end", dir.display()))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let path = entry.path();
            if !audio::has_audio_extension(path) {
                let ending = path.extension().map_or_else(|| "no ending".into(), |e| e.to_string_lossy());
                *found.other_files.entry(ending.into_owned()).or_default() += 1;
                continue;
            }
            let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            if seen.insert(real) {
                found.add(path, &root, splits_by_folder, label_from, group_by)?;
            }
        }
    }
    Ok(found)
}

impl Found {
    fn add(
        &mut self,
        path: &Path,
        root: &Path,
        splits_by_folder: bool,
        label_from: &LabelFrom<'_>,
        group_by: &GroupBy,
    ) -> Result<()> {
        let Some(slashed) = slashed(path) else {
            self.skipped.push((path.to_path_buf(), "its name is not valid Unicode".into()));
            return Ok(());
        };
        let within = path.strip_prefix(root).unwrap_or(path);
        let split = match within.components().next() {
            Some(first) if splits_by_folder => first.as_os_str().to_str().and_then(Split::parse),
            _ => None,
        };
        if splits_by_folder && split.is_none() {
            self.skipped.push((path.to_path_buf(), "it lies in none of the folders train, val, test".into()));
            return Ok(());
        }
        let (label, table_group, source) = match label_from {
            LabelFrom::Folder => match class_folder(path, root, split.is_some()) {
                Some(label) => (label, None, (String::new(), String::new())),
                None => {
                    self.skipped.push((path.to_path_buf(), "it lies in no class folder".into()));
                    return Ok(());
                }
            },
            LabelFrom::Table(table, set) => {
                let Some(recording) = table.identify(&slashed)? else {
                    self.skipped.push((path.to_path_buf(), "the table of labels does not know it".into()));
                    return Ok(());
                };
                let Some(label) = set.label(&recording) else {
                    self.outside += 1;
                    return Ok(());
                };
                (label.to_owned(), Some(recording.group), (recording.title, recording.licence))
            }
        };
        // Groups decide folds: they must not depend on where the data lies on this machine.
        let within = from_root(path, root).unwrap_or(slashed);
        let group = group_of(&within, table_group, group_by).unwrap_or_else(|| {
            self.ungrouped += 1;
            within
        });
        self.candidates.push(Candidate {
            path: path.to_path_buf(),
            labels: vec![label],
            known: Vec::new(),
            group,
            split,
            source,
        });
        Ok(())
    }
}

/// The path from the folder that was given on, with `/` between folders: the same wherever that folder lies.
pub(crate) fn from_root(path: &Path, root: &Path) -> Option<String> {
    root.parent().and_then(|above| path.strip_prefix(above).ok()).and_then(slashed)
}

/// The group of a file, or `None` where the rule finds nothing in its path (from the folder that was given on).
pub(crate) fn group_of(slashed: &str, table_group: Option<String>, group_by: &GroupBy) -> Option<String> {
    let (folder, name) = slashed.rsplit_once('/').unwrap_or(("", slashed));
    match group_by {
        GroupBy::Table => Some(table_group.unwrap_or_else(|| slashed.to_owned())),
        GroupBy::File => Some(slashed.to_owned()),
        GroupBy::Pitch => {
            let pitch = Pitch::in_file_name(name)?;
            let instrument = folder.rsplit('/').next().unwrap_or(folder);
            Some(format!("{instrument}/{pitch}"))
        }
        GroupBy::Dir(n) => slashed.rmatch_indices('/').nth(n - 1).map(|(at, _)| slashed[..at].to_owned()),
        GroupBy::Regex(regex) => {
            let groups = regex.captures(slashed)?;
            groups.get(1).or_else(|| groups.get(0)).map(|m| m.as_str().to_owned())
        }
        GroupBy::Attribute(_) => None,
    }
}

/// The folder that names the class: the one the file lies in, if that is below the root (or below the split).
fn class_folder(path: &Path, root: &Path, has_split: bool) -> Option<String> {
    let folder = path.parent()?;
    let depth = folder.strip_prefix(root).ok()?.components().count();
    if depth < 1 + usize::from(has_split) {
        return None;
    }
    folder.file_name()?.to_str().map(str::to_owned)
}

/// Whether the folder holds `train` and `val` or `test`: then those are the splits. Hidden folders and macOS's
/// leftovers in archives count for nothing.
///
/// # Errors
/// The folder can't be read, or another one lies beside the splits: what it holds would have no side.
fn names_splits(root: &Path) -> Result<bool> {
    if !root.is_dir() {
        return Ok(false);
    }
    let mut named = BTreeSet::new();
    let mut others = BTreeSet::new();
    for entry in std::fs::read_dir(root).with_context(|| format!("{}: the folder can't be read", root.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let word = name.to_string_lossy();
        if !entry.path().is_dir() || word.starts_with('.') || word == "__MACOSX" {
            continue;
        }
        match Split::parse(&word) {
            Some(split) => named.insert(split),
            None => others.insert(word.into_owned()),
        };
    }
    let splits = named.contains(&Split::Train) && named.len() > 1;
    match others.first() {
        Some(other) if splits => bail!(
            "{}: the folder «{other}» lies beside {}, which name the splits: move what it holds into one of them, or \
             move it away",
            root.display(),
            named.iter().map(|s| format!("«{}»", s.name())).collect::<Vec<_>>().join(" and ")
        ),
        _ => Ok(splits),
    }
}

fn slashed(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    Some(if std::path::MAIN_SEPARATOR == '/' { text.to_owned() } else { text.replace('\\', "/") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn group(path: &str, by: &str) -> Option<String> {
        group_of(path, None, &by.parse().unwrap())
    }

    #[test]
    fn groups_by_every_rule() {
        let path = "data/anna/pizz/take3/bass_Eb2_p.wav";
        assert_eq!(group(path, "file").as_deref(), Some(path));
        assert_eq!(group(path, "pitch").as_deref(), Some("take3/d#2"));
        assert_eq!(group(path, "dir:1").as_deref(), Some("data/anna/pizz/take3"));
        assert_eq!(group(path, "dir:3").as_deref(), Some("data/anna"));
        assert_eq!(group(path, "dir:9"), None);
        assert_eq!(group(path, "regex:data/([a-z]+)/").as_deref(), Some("anna"));
        assert_eq!(group(path, "regex:take[0-9]").as_deref(), Some("take3"));
        assert_eq!(group(path, "regex:cello"), None);
        assert!("dir:0".parse::<GroupBy>().is_err());
        assert!("regex:(".parse::<GroupBy>().is_err());
        assert!("moon".parse::<GroupBy>().is_err());
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        root
    }

    #[test]
    fn folders_name_classes_and_splits() {
        let root = tree(&["train/home/bowed/a.wav", "test/hall/bowed/b.flac", "val/home/none/c.mp3", "val/notes.txt"]);
        let found = collect(&[root.path().into()], &LabelFrom::Folder, &GroupBy::File).unwrap();
        let got: Vec<_> = found.candidates.iter().map(|c| (c.labels[0].as_str(), c.split)).collect();
        assert_eq!(
            got,
            [("bowed", Some(Split::Test)), ("bowed", Some(Split::Train)), ("none", Some(Split::Val))],
            "in the order of their paths"
        );
        assert_eq!(found.other_files["txt"], 1);
        let name = root.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(found.candidates[0].group, format!("{name}/test/hall/bowed/b.flac"), "wherever the folder lies");
    }

    #[test]
    fn a_folder_beside_the_splits_is_refused() {
        let root = tree(&["train/home/bowed/a.wav", "test/hall/bowed/b.wav", ".git/c.wav", "__MACOSX/train/._a.wav"]);
        let folders = || collect(&[root.path().into()], &LabelFrom::Folder, &GroupBy::File);
        let found = folders().unwrap();
        let splits: Vec<_> = found.candidates.iter().map(|c| c.split).collect();
        assert_eq!(splits, [Some(Split::Test), Some(Split::Train)]);
        assert_eq!(found.skipped.len(), 2, "what lies beside them is named: {:?}", found.skipped);
        std::fs::create_dir(root.path().join("extra")).unwrap();
        let sentence = folders().unwrap_err().to_string();
        assert!(sentence.contains("«extra»") && sentence.contains("«train» and «test»"), "{sentence}");
    }

    #[test]
    fn plain_folders_name_classes_and_stray_files_are_reported() {
        let root = tree(&["bowed/a.wav", "deep/er/plucked/b.wav", "stray.wav", "train/x.wav"]);
        let dirs = [root.path().to_path_buf(), root.path().join("bowed")];
        let found = collect(&dirs, &LabelFrom::Folder, &GroupBy::File).unwrap();
        let labels: Vec<_> = found.candidates.iter().map(|c| c.labels[0].as_str()).collect();
        assert_eq!(labels, ["bowed", "plucked", "train"], "one folder named train is a class; no file counts twice");
        assert_eq!(found.skipped.len(), 1);
        assert!(found.skipped[0].0.ends_with("stray.wav"));
    }
}
