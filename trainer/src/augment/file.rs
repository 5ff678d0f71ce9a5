//! Augmentation as people write it: a table an effect, in a file of its own or under `[augment]` in the config of a
//! training.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use toml::de::{DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::config::Config;
use crate::nearest::did_you_mean;
use crate::toml_file::{Entry, TomlFile};

/// The key whose value is a folder, in whichever table.
const FOLDER: &str = "folder";

/// A value somewhere in the tables.
struct Leaf<'a> {
    keys: Vec<&'a str>,
    value: &'a Spanned<DeValue<'a>>,
    position: usize,
}

impl Config {
    /// Reads a TOML file; what it leaves out is as in `usual`. Folders in it are relative to its own.
    ///
    /// # Errors
    /// The file can't be read, holds an unknown key or a value outside of its range. The sentence names it.
    pub fn read(path: &Path, usual: &Self) -> Result<Self> {
        let file = TomlFile::read(path).context("the augmentation")?;
        let table = file.table()?;
        usual.with_tables(&file, &table.get_ref().iter().collect::<Vec<_>>())
    }

    /// The same with what these tables of `file` say.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn with_tables(&self, file: &TomlFile, tables: &[Entry<'_>]) -> Result<Self> {
        let mut whole = Table::try_from(self)?;
        let mut leaves = Vec::new();
        for entry in tables {
            gather(&whole, &[], *entry, file, &mut leaves)?;
        }
        let mut config = self.clone();
        for leaf in leaves {
            let name = leaf.keys.join(".");
            let here = || format!("{}: «{name}»", file.at(leaf.position));
            set(&mut whole, &leaf.keys, leaf.value(file).with_context(here)?);
            // One after the other, so that a value of the wrong kind is known by its line.
            config = Self::deserialize(whole.clone()).map_err(|e| anyhow!("{}: {}", here(), e.message()))?;
        }
        config.check().with_context(|| file.path().display().to_string())?;
        Ok(config)
    }

    /// Whether there is an effect of this name.
    #[must_use]
    pub fn has_effect(name: &str) -> bool {
        Table::try_from(Self::default()).is_ok_and(|tables| tables.contains_key(name))
    }

    /// A table for each effect, to be read again by [`Config::with_tables`] whatever is usual. Folders are absolute.
    ///
    /// # Errors
    /// Where a folder is not valid Unicode or has no absolute form.
    pub fn tables(&self) -> Result<Table> {
        let mut config = self.clone();
        for folder in [&mut config.recorded_room.folder, &mut config.backgrounds.folder] {
            // An empty path has no absolute form, and says that there is none.
            if !folder.as_os_str().is_empty() {
                *folder = std::path::absolute(&folder)?;
            }
        }
        let tables = Table::try_from(&config).context("the folders of the augmentation can't be written down")?;
        Ok(tables.into_iter().map(|(name, effect)| (name, shortest(effect))).collect())
    }
}

impl Leaf<'_> {
    fn value(&self, file: &TomlFile) -> Result<Value> {
        let value = Value::deserialize(ValueDeserializer::from(self.value.clone()))?;
        Ok(match (self.keys.last(), value) {
            (Some(&FOLDER), Value::String(folder)) if !folder.is_empty() => {
                // In full: a training may be resumed from elsewhere.
                let folder: PathBuf = std::path::absolute(file.folder().join(folder))?;
                Value::String(folder.to_str().context("the folder is not valid Unicode")?.to_owned())
            }
            (_, value) => value,
        })
    }
}

/// All values below a key; `known` is the table that the key must stand in, `above` the keys on the way there.
fn gather<'a>(
    known: &Table,
    above: &[&'a str],
    (key, value): Entry<'a>,
    file: &TomlFile,
    leaves: &mut Vec<Leaf<'a>>,
) -> Result<()> {
    let position = key.span().start;
    let here = file.at(position);
    let keys: Vec<&str> = above.iter().copied().chain([key.get_ref().as_ref()]).collect();
    let (name, own) = (keys.join("."), key.get_ref().as_ref());
    match (known.get(own), value.get_ref()) {
        (Some(Value::Table(known)), DeValue::Table(table)) => {
            table.iter().try_for_each(|inner| gather(known, &keys, inner, file, leaves))
        }
        (Some(Value::Table(_)), _) => bail!("{here}: «{name}» is no value: what belongs to it stands in a table"),
        (Some(_), _) => {
            leaves.push(Leaf { keys, value, position });
            Ok(())
        }
        (None, _) => {
            let what = if above.is_empty() { "effect" } else { "key" };
            bail!("{here}: augmentation has no {what} «{name}»{}", did_you_mean(own, known.keys().map(String::as_str)))
        }
    }
}

fn set(table: &mut Table, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(*key) {
                set(inner, rest, value);
            }
        }
    }
}

/// Numbers by way of their shortest text as 32-bit floats: 0.1 must not become 0.10000000149.
fn shortest(value: Value) -> Value {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "they came from 32-bit floats")]
        Value::Float(x) => Value::Float((x as f32).to_string().parse().unwrap_or(x)),
        Value::Array(list) => Value::Array(list.into_iter().map(shortest).collect()),
        Value::Table(table) => Value::Table(table.into_iter().map(|(key, value)| (key, shortest(value))).collect()),
        other => other,
    }
}
