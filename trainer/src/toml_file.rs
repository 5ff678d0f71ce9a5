//! TOML files that people write: read once, and spoken of by name and line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A key and its value, with their places in the text.
pub type Entry<'t> = (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>);

/// A file and its text.
#[derive(Debug, Clone)]
pub struct TomlFile {
    path: PathBuf,
    text: String,
}

impl TomlFile {
    /// # Errors
    /// The file can't be read; the sentence names it.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{}: the file can't be read", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// Its keys and values, each with its place in the text.
    ///
    /// # Errors
    /// The text is no TOML: the sentence names file and line.
    pub fn table(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text)
            .map_err(|e| anyhow!("{}: {}", self.at(e.span().map_or(0, |span| span.start)), e.message()))
    }

    /// «FILE, line N», for a position in the text.
    #[must_use]
    pub fn at(&self, position: usize) -> String {
        let line = 1 + self.text.get(..position).map_or(0, |before| before.matches('\n').count());
        format!("{}, line {line}", self.path.display())
    }

    /// The folder that paths in it are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
