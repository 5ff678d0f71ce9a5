//! `--label-map map.toml`: a dataset's labels renamed, merged and dropped.
//!
//! ```toml
//! drop = ["org"]                      # labels that are no classes here
//! keep_only = ["guitar", "voice"]     # where given: all others are dropped, by their new names
//! [rename]
//! gac = "guitar"                      # several old names with one new name are merged
//! gel = "guitar"
//! voi = "voice"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::collect::Candidate;
use crate::nearest::did_you_mean;

/// What becomes of each label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMap {
    rename: BTreeMap<String, String>,
    drop: BTreeSet<String>,
    keep_only: Option<BTreeSet<String>>,
}

/// What a map did to recordings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many recordings were left out, since they hold only labels that are dropped.
    pub left_out: usize,
    /// A sentence for each label that the map speaks of and no recording has.
    pub remarks: Vec<String>,
}

const KEYS: [&str; 3] = ["rename", "drop", "keep_only"];

impl LabelMap {
    /// Reads a map from a file.
    ///
    /// # Errors
    /// The sentence names the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self> {
        let at = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("{at}: the label map can't be read"))?;
        Self::parse(&text).with_context(|| format!("{at}: the label map is wrong"))
    }

    /// Reads a map and checks it in itself.
    ///
    /// # Errors
    /// A key that does not exist, a value of the wrong kind, or a label of which two things are said.
    pub fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        if let Some(key) = table.keys().find(|k| !KEYS.contains(&k.as_str())) {
            bail!("there is no key «{key}»{}; there are: {}", did_you_mean(key, KEYS), KEYS.join(", "));
        }
        let list = |key: &str| -> Result<Option<BTreeSet<String>>> {
            let Some(value) = table.get(key) else { return Ok(None) };
            let names: Vec<String> =
                value.clone().try_into().ok().with_context(|| format!("«{key}» must be a list of labels"))?;
            ensure!(names.iter().all(|n| is_label(n)), "«{key}»: a label is not empty and holds no semicolon");
            Ok(Some(names.into_iter().collect()))
        };
        let rename: BTreeMap<String, String> = match table.get("rename") {
            Some(value) => value
                .clone()
                .try_into()
                .ok()
                .context("«rename» must be a table of labels: [rename], then old = \"new\" a line")?,
            None => BTreeMap::new(),
        };
        ensure!(
            rename.iter().flat_map(|(old, new)| [old, new]).all(|n| is_label(n)),
            "«rename»: a label is not empty and holds no semicolon"
        );
        let map = Self { rename, drop: list("drop")?.unwrap_or_default(), keep_only: list("keep_only")? };
        if let Some(both) = map.drop.iter().find(|d| map.rename.contains_key(*d)) {
            bail!("«{both}» is renamed and dropped: say one of them");
        }
        if let Some(both) = map.drop.iter().find(|d| map.keep_only.as_ref().is_some_and(|k| k.contains(*d))) {
            bail!("«{both}» is dropped and kept: say one of them");
        }
        Ok(map)
    }

    /// The new name of a label; `None` where it is dropped.
    fn new_name<'a>(&'a self, old: &'a str) -> Option<&'a str> {
        let new = self.rename.get(old).map_or(old, String::as_str);
        let kept = self.keep_only.as_ref().is_none_or(|k| k.contains(new));
        (kept && !self.drop.contains(old) && !self.drop.contains(new)).then_some(new)
    }

    /// Gives all recordings their new labels, and leaves out those of which nothing is left.
    ///
    /// A merged class sounds where one of its old labels does. It is known to be absent only where all of its old
    /// labels that occur are.
    pub fn apply(&self, candidates: &mut Vec<Candidate>) -> Applied {
        let occurring: BTreeSet<String> =
            candidates.iter().flat_map(|c| c.labels.iter().chain(&c.known)).cloned().collect();
        let mut merged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for old in &occurring {
            if let Some(new) = self.new_name(old) {
                merged.entry(new).or_default().push(old);
            }
        }
        let before = candidates.len();
        candidates.retain_mut(|candidate| {
            let had_known = !candidate.known.is_empty();
            let mut labels: Vec<String> = Vec::new();
            for new in candidate.labels.iter().filter_map(|old| self.new_name(old)) {
                if !labels.iter().any(|l| l == new) {
                    labels.push(new.to_owned());
                }
            }
            let checked = |old: &&str| candidate.known.iter().any(|k| k == old);
            let known = merged
                .iter()
                .filter(|(new, olds)| labels.iter().any(|l| l == *new) || olds.iter().all(checked))
                .map(|(new, _)| (*new).to_owned());
            candidate.known = if had_known { known.collect() } else { Vec::new() };
            candidate.labels = labels;
            !(candidate.labels.is_empty() && candidate.known.is_empty())
        });
        let spoken_of = self.rename.keys().chain(&self.drop).map(|l| (l, &occurring));
        let new_names: BTreeSet<String> = merged.keys().map(|new| (*new).to_owned()).collect();
        let kept = self.keep_only.iter().flatten().map(|l| (l, &new_names));
        let remarks = spoken_of.chain(kept).filter(|(label, names)| !names.contains(*label)).map(|(label, names)| {
            let guess = did_you_mean(label, names.iter().map(String::as_str));
            format!("the label map speaks of «{label}», which no recording is labelled{guess}")
        });
        Applied { left_out: before - candidates.len(), remarks: remarks.collect() }
    }
}

fn is_label(name: &str) -> bool {
    !name.trim().is_empty() && !name.contains(';')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn candidate(labels: &[&str], known: &[&str]) -> Candidate {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Candidate {
            path: "a.wav".into(),
            labels: owned(labels),
            known: owned(known),
            group: "a".into(),
            split: None,
            source: (String::new(), String::new()),
        }
    }

    fn applied(map: &str, before: &[(&[&str], &[&str])]) -> (Vec<(String, String)>, Applied) {
        let mut candidates: Vec<Candidate> = before.iter().map(|(l, k)| candidate(l, k)).collect();
        let did = LabelMap::parse(map).unwrap().apply(&mut candidates);
        (candidates.iter().map(|c| (c.labels.join(";"), c.known.join(";"))).collect(), did)
    }

    #[test]
    fn labels_are_renamed_merged_and_dropped() {
        let map = "drop = ['org']\n[rename]\ngac = 'guitar'\ngel = 'guitar'";
        let (after, did) = applied(map, &[(&["gac", "gel", "org"], &[]), (&["org"], &[]), (&["voi"], &[])]);
        let after: Vec<&str> = after.iter().map(|(labels, _)| labels.as_str()).collect();
        assert_eq!((after, did.left_out, did.remarks.len()), (vec!["guitar", "voi"], 1, 0));
        let (after, did) =
            applied("keep_only = ['voice']\nrename = { voi = 'voice' }", &[(&["voi"], &[]), (&["gel"], &[])]);
        assert_eq!((after.len(), after[0].0.as_str(), did.left_out), (1, "voice", 1));
    }

    #[test]
    fn a_merged_class_is_absent_only_where_all_its_parts_were_checked() {
        let map = "[rename]\ngac = 'guitar'\ngel = 'guitar'";
        let (after, _) =
            applied(map, &[(&[], &["gac", "gel"]), (&["voi"], &["gac", "voi"]), (&["gel"], &["gel"]), (&["voi"], &[])]);
        let known: Vec<&str> = after.iter().map(|(_, known)| known.as_str()).collect();
        assert_eq!(known, ["guitar", "voi", "guitar", ""], "unchecked parts make the whole unknown; empty stays all");
    }

    #[test]
    fn what_the_map_says_in_vain_is_remarked_with_a_guess() {
        let (_, did) = applied("[rename]\nviolni = 'strings'", &[(&["violin"], &[])]);
        assert_eq!(did.remarks.len(), 1);
        assert!(did.remarks[0].contains("«violni»") && did.remarks[0].contains("«violin»"), "{}", did.remarks[0]);
    }

    #[test]
    fn a_wrong_map_is_refused_with_its_place() {
        for (text, parts) in [
            ("renmae = {}", ["«renmae»", "did you mean «rename»"]),
            ("drop = 'a'", ["«drop»", "list"]),
            ("rename = ['a']", ["«rename»", "table"]),
            ("[rename]\na = 'x;y'", ["«rename»", "semicolon"]),
            ("drop = ['a']\nrename = { a = 'b' }", ["«a»", "renamed and dropped"]),
            ("drop = ['a']\nkeep_only = ['a']", ["«a»", "dropped and kept"]),
        ] {
            let sentence = format!("{:#}", LabelMap::parse(text).unwrap_err());
            assert!(parts.iter().all(|p| sentence.contains(p)), "{text}: {sentence}");
        }
    }
}
