//! Writing files so that a crash or a full disk leaves the old one whole.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// [`write_beside`] where the folder may be missing: it is made.
///
/// # Errors
/// [`Error::Unwritable`], of the folder or of the file.
pub fn write_with_folder(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.to_owned(), source })?;
    }
    write_beside(path, bytes)
}

/// Whether the name is that of a file which [`write_beside`] had not finished: `NAME.PROCESS.tmp`.
#[must_use]
pub fn is_half_written(path: &Path) -> bool {
    let process = path.file_stem().and_then(|stem| Path::new(stem).extension()?.to_str());
    path.extension() == Some("tmp".as_ref()) && process.is_some_and(|id| id.parse::<u32>().is_ok())
}

/// Writes `bytes` to a new file beside `path` and renames it to `path`.
///
/// # Errors
/// [`Error::Unwritable`]; what stood at `path` before is untouched then, and nothing is left beside it.
pub fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| {
        // The error that matters is the first one: a leftover is only litter.
        let _ = std::fs::remove_file(&beside);
        unwritable(source)
    })
}
