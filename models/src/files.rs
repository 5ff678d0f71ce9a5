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

/// Writes `bytes` to a new file beside `path` and renames it to `path`. A link stays, and what it leads to is replaced; a
/// device or a pipe is written to.
///
/// # Errors
/// [`Error::Unwritable`]; what stood at `path` before is untouched then, and nothing is left beside it.
pub fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    let Ok(real) = path.canonicalize() else { return replace(path, bytes).map_err(unwritable) };
    if real.is_file() || real.is_dir() {
        return replace(&real, bytes).map_err(unwritable);
    }
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    opened.and_then(|mut device| device.write_all(bytes)).map_err(unwritable)
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.inspect_err(|_| {
        // The error that matters is the first one: a leftover is only litter.
        let _ = std::fs::remove_file(&beside);
    })
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("run3.onnx"), "old").unwrap();
        std::os::unix::fs::symlink("run3.onnx", at("current.onnx")).unwrap();
        write_beside(&at("current.onnx"), b"new").unwrap();
        assert!(at("current.onnx").is_symlink());
        assert_eq!(std::fs::read(at("run3.onnx")).unwrap(), b"new");
        write_beside(Path::new("/dev/null"), b"anything").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    }
}
