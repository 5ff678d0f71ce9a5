//! What each recording is: the table `recipes/labels.toml`, which says so by (collection, instrument, tag).
//!
//! The file itself explains its format. [`Table::identify`] reads a path; [`LabelSet::label`] then gives the class,
//! or says that the recording is no part of the set.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde::Deserialize;
use tocco_models::NONE;

use crate::pitch::Pitch;

/// The table as shipped.
pub const BUILT_IN: &str = include_str!("../recipes/labels.toml");
const FORMAT: u32 = 1;
/// Begins the last part of the name of a group that is one recording.
pub(crate) const OF_ONE_FILE: &str = "file:";
/// Stands for every instrument of a collection.
const ANY: &str = "*";

/// The whole table, checked.
#[derive(Debug)]
pub struct Table {
    collections: Vec<Collection>,
    entries: Vec<Entry>,
    label_sets: BTreeMap<String, LabelSet>,
}

/// Where recordings come from.
#[derive(Debug)]
struct Collection {
    about: CollectionText,
    paths: Vec<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectionText {
    name: String,
    title: String,
    licence: String,
    #[serde(default)]
    instrument: Option<String>,
    #[serde(default)]
    family: Option<String>,
    #[serde(default)]
    renamed: BTreeMap<String, String>,
    paths: Vec<String>,
}

/// What some recordings are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    collection: String,
    instruments: Vec<String>,
    tags: Vec<String>,
    excitation: Option<String>,
    technique: Option<String>,
    #[serde(default)]
    technique_by_length: BTreeMap<String, String>,
    #[serde(default)]
    group: GroupRule,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GroupRule {
    #[default]
    Pitch,
    Stem,
    File,
}

/// A property of a recording that a label set can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Property {
    /// Which instrument plays.
    Instrument,
    /// How the sound is made: bowed, plucked, blown, struck, noise.
    Excitation,
    /// How it is played: sustained, short, trill, ...
    Technique,
}

/// A choice of recordings and what they are called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSet {
    /// One line for people.
    pub about: String,
    /// The property that makes the class.
    pub by: Property,
    collections: Vec<String>,
    #[serde(default)]
    instruments: Vec<String>,
    #[serde(default)]
    classes: BTreeMap<String, Vec<String>>,
    /// Excitations that are no playing.
    #[serde(default)]
    none: Vec<String>,
}

/// What one recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Name of its collection.
    pub collection: String,
    /// Who made it, in one line.
    pub title: String,
    /// The collection's licence.
    pub licence: String,
    /// The instrument's class, e.g. `cor-anglais`.
    pub instrument: String,
    /// How the sound is made, where known.
    pub excitation: Option<String>,
    /// How it is played, where known.
    pub technique: Option<String>,
    /// Whether it holds many notes.
    pub is_phrase: bool,
    /// What must stay in one split, e.g. `double-bass/double-bass/a#1`.
    pub group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    format: u32,
    #[serde(default)]
    collection: Vec<CollectionText>,
    #[serde(default)]
    entry: Vec<Entry>,
    #[serde(default)]
    label_set: BTreeMap<String, LabelSet>,
}

impl Table {
    /// The table that the program ships.
    ///
    /// # Errors
    /// Never for a released program: a test reads it.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN).context("the built-in table of labels")
    }

    /// Reads a table from a file.
    ///
    /// # Errors
    /// The sentence names the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: the table of labels can't be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{}: the table of labels is wrong", path.display()))
    }

    /// Reads a table and checks it in itself.
    ///
    /// # Errors
    /// The sentence names the entry that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let text: Text = toml::from_str(text)?;
        ensure!(text.format == FORMAT, "it is of format {}, this version reads {FORMAT}", text.format);
        let mut collections = Vec::new();
        for about in text.collection {
            let paths = about.paths.iter().map(|p| Regex::new(p)).collect::<Result<Vec<_>, _>>()?;
            for path in &paths {
                let names: Vec<&str> = path.capture_names().flatten().collect();
                ensure!(names.contains(&"tag"), "«{}»: no group «tag» in {path}", about.name);
                ensure!(
                    about.instrument.is_some() || names.contains(&"instrument"),
                    "«{}»: no group «instrument» in {path}",
                    about.name
                );
            }
            collections.push(Collection { about, paths });
        }
        let table = Self { collections, entries: text.entry, label_sets: text.label_set };
        table.check()?;
        Ok(table)
    }

    /// The names of the label sets, each with its line for people.
    pub fn label_sets(&self) -> impl Iterator<Item = (&str, &LabelSet)> {
        self.label_sets.iter().map(|(name, set)| (name.as_str(), set))
    }

    /// A label set by name.
    ///
    /// # Errors
    /// There is none of this name; the sentence lists those there are.
    pub fn label_set(&self, name: &str) -> Result<&LabelSet> {
        self.label_sets.get(name).with_context(|| {
            let known: Vec<_> = self.label_sets.keys().map(String::as_str).collect();
            format!("the table of labels has no label set «{name}»; it has: {}", known.join(", "))
        })
    }

    /// The label set of a table that has but one.
    ///
    /// # Errors
    /// It has none or several; the sentence lists them.
    pub fn only_label_set(&self) -> Result<&LabelSet> {
        let names: Vec<_> = self.label_sets.keys().map(String::as_str).collect();
        match self.label_sets.values().next() {
            Some(set) if names.len() == 1 => Ok(set),
            _ => bail!(
                "the table of labels has {} label sets ({}): choose one with --label-set",
                names.len(),
                names.join(", ")
            ),
        }
    }

    /// Says what the recording at `path` (with `/` between folders) is; `None` where no collection knows such a path.
    ///
    /// # Errors
    /// A collection knows the path, but not exactly one entry says what it is: the table is wrong.
    pub fn identify(&self, path: &str) -> Result<Option<Recording>> {
        let mut found = None;
        for collection in &self.collections {
            for pattern in &collection.paths {
                let Some(groups) = pattern.captures(path) else { continue };
                if found.is_some() {
                    bail!("{path}: two layouts of the table of labels match this path");
                }
                let get = |name| groups.name(name).map(|m| m.as_str());
                found = Some(self.recording(&collection.about, path, &get)?);
            }
        }
        Ok(found)
    }

    fn recording<'p>(
        &self,
        collection: &CollectionText,
        path: &str,
        get: &impl Fn(&'static str) -> Option<&'p str>,
    ) -> Result<Recording> {
        let instrument = get("instrument").or(collection.instrument.as_deref()).unwrap_or_default();
        let tag = get("tag").unwrap_or_default();
        let mut entries = self.entries.iter().filter(|e| e.speaks_of(&collection.name, instrument, tag));
        let key = format!("collection «{}», instrument «{instrument}», tag «{tag}»", collection.name);
        let entry = entries
            .next()
            .with_context(|| format!("{path}: no entry of the table of labels says what it is ({key})"))?;
        ensure!(entries.next().is_none(), "{path}: two entries of the table of labels speak of it ({key})");
        let is_phrase = get("length") == Some("phrase");
        let of_length = get("length").and_then(|length| entry.technique_by_length.get(length));
        let file = path.rsplit('/').next().unwrap_or(path);
        let file = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let stem = get("stem").unwrap_or(file);
        let what = match entry.group {
            _ if is_phrase => format!("{OF_ONE_FILE}{stem}"),
            GroupRule::File => format!("{OF_ONE_FILE}{file}"),
            GroupRule::Stem => format!("stem:{stem}"),
            GroupRule::Pitch => get("pitch")
                .and_then(Pitch::parse)
                .map(|p| p.to_string())
                .with_context(|| format!("{path}: the entry groups by pitch, but the name tells none ({key})"))?,
        };
        let class = collection.family.as_deref().unwrap_or(instrument);
        let class = collection.renamed.get(class).map_or(class, String::as_str);
        Ok(Recording {
            collection: collection.name.clone(),
            title: collection.title.clone(),
            licence: collection.licence.clone(),
            instrument: class.to_owned(),
            excitation: entry.excitation.clone(),
            technique: of_length.or(entry.technique.as_ref()).cloned(),
            is_phrase,
            group: format!("{}/{}/{what}", collection.name, get("player").unwrap_or(instrument)),
        })
    }

    fn check(&self) -> Result<()> {
        let known = |name: &str| self.collections.iter().any(|c| c.about.name == name);
        for (i, entry) in self.entries.iter().enumerate() {
            let at = || format!("entry {} ({}, {:?}, {:?})", i + 1, entry.collection, entry.instruments, entry.tags);
            ensure!(known(&entry.collection), "{}: there is no such collection", at());
            ensure!(!entry.instruments.is_empty() && !entry.tags.is_empty(), "{}: it speaks of nothing", at());
            let names = entry.instruments.iter().flat_map(|n| entry.tags.iter().map(move |t| (n, t)));
            for (name, tag) in names {
                let twice = self.entries[..i].iter().any(|e| e.overlaps(&entry.collection, name, tag));
                ensure!(!twice, "{}: an earlier entry speaks of «{name}», «{tag}» too", at());
            }
        }
        for (name, set) in &self.label_sets {
            if let Some(unknown) = set.collections.iter().find(|c| !known(c)) {
                bail!("label set «{name}»: there is no collection «{unknown}»");
            }
            let mut values: Vec<&String> = set.classes.values().flatten().collect();
            values.sort();
            ensure!(values.windows(2).all(|w| w[0] != w[1]), "label set «{name}»: a value stands in two classes");
            let said = |v: &str| self.entries.iter().any(|e| e.value(set.by) == Some(v));
            let excites = |v: &str| self.entries.iter().any(|e| e.excitation.as_deref() == Some(v));
            if let Some(value) = set.none.iter().find(|v| !excites(v)) {
                bail!("label set «{name}»: no entry is excited by «{value}»");
            }
            if let Some(value) = values.iter().find(|v| set.by != Property::Instrument && !said(v)) {
                bail!("label set «{name}»: no entry says «{value}»");
            }
        }
        Ok(())
    }
}

impl Entry {
    fn speaks_of(&self, collection: &str, instrument: &str, tag: &str) -> bool {
        self.collection == collection
            && self.instruments.iter().any(|i| i == ANY || i == instrument)
            && self.tags.iter().any(|t| t == tag)
    }

    fn overlaps(&self, collection: &str, instrument: &str, tag: &str) -> bool {
        self.speaks_of(collection, instrument, tag)
            || (instrument == ANY && self.collection == collection && self.tags.iter().any(|t| t == tag))
    }

    fn value(&self, by: Property) -> Option<&str> {
        match by {
            Property::Instrument => None,
            Property::Excitation => self.excitation.as_deref(),
            Property::Technique => self.technique.as_deref(),
        }
    }
}

impl LabelSet {
    /// The recording's class, or `None` where it is no part of this set.
    #[must_use]
    pub fn label<'a>(&'a self, recording: &'a Recording) -> Option<&'a str> {
        if !self.collections.contains(&recording.collection)
            || !(self.instruments.is_empty() || self.instruments.contains(&recording.instrument))
        {
            return None;
        }
        if recording.excitation.as_ref().is_some_and(|e| self.none.contains(e)) {
            return Some(NONE);
        }
        let value = match self.by {
            Property::Instrument => Some(recording.instrument.as_str()),
            Property::Excitation => recording.excitation.as_deref(),
            Property::Technique => recording.technique.as_deref(),
        }?;
        if self.classes.is_empty() {
            return Some(value);
        }
        self.classes.iter().find(|(_, values)| values.iter().any(|v| v == value)).map(|(class, _)| class.as_str())
    }
}

#[cfg(test)]
mod tests;
