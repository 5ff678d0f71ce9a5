//! Embeddings on disk: an encoder is dear, and a second training with another head asks for the same ones.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tocco_models::write_beside;

use crate::commands::remark;
use crate::hash::fnv1a;

/// What every file begins with.
const MAGIC: &[u8; 8] = b"TOCCOEM1";
/// Magic, three sizes and the checksum.
const HEADER: usize = 8 + 3 * 4 + 8;

/// The embeddings of a recording's windows, `[windows, time, size]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// Windows.
    pub windows: usize,
    /// Embeddings in the sequence of each window; 1 where the encoder gives a single one.
    pub time: usize,
    /// Numbers in an embedding.
    pub size: usize,
    /// The numbers.
    pub numbers: Vec<f32>,
}

/// A folder of files, one a recording.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The folder is made where it is not there.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: the folder of embeddings can't be made", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// What was kept under a key. A file that is broken, e.g. cut off, is told and counts as none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Embeddings> {
        let path = self.path(key);
        let bytes = std::fs::read(&path).ok()?;
        let found = decode(&bytes);
        if found.is_none() {
            remark(format_args!("{}: the kept embeddings are broken: they are made anew", path.display()));
        }
        found
    }

    /// Keeps embeddings under a key.
    ///
    /// # Errors
    /// Where the file can't be written; an older one stays then.
    pub fn put(&self, key: &str, embeddings: &Embeddings) -> Result<()> {
        Ok(write_beside(&self.path(key), &encode(embeddings))?)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.embeddings"))
    }
}

/// Where embeddings are kept if nobody says it: in the user's folder for what can be made anew.
#[must_use]
pub fn default_folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = variable("XDG_CACHE_HOME").or_else(|| {
        let inside = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        variable("HOME").map(|home| home.join(inside))
    });
    caches.or_else(|| variable("LOCALAPPDATA")).unwrap_or_else(std::env::temp_dir).join("tocco").join("embeddings")
}

/// 128 bits that stand for bytes. The standard library may change its function with a release of the compiler: the
/// embeddings are made anew then, which is all that a cache has to promise.
#[must_use]
pub(super) fn fingerprint(parts: &[&[u8]]) -> String {
    let half = |seed: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(seed);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

fn encode(embeddings: &Embeddings) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for size in [embeddings.windows, embeddings.time, embeddings.size] {
        // Sizes beyond 32 bits would not fit in memory; were one there, the reader would refuse the file.
        bytes.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
    }
    let numbers: Vec<u8> = embeddings.numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    bytes.extend(fnv1a(&numbers).to_le_bytes());
    bytes.extend(numbers);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Embeddings> {
    let (header, numbers) = bytes.split_at_checked(HEADER)?;
    let (magic, header) = header.split_at(MAGIC.len());
    let (sizes, sum) = header.split_at(12);
    let size = |i: usize| {
        let bytes = sizes.as_chunks::<4>().0.get(i)?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let (windows, time, size) = (size(0)?, size(1)?, size(2)?);
    let expected = windows.checked_mul(time)?.checked_mul(size)?.checked_mul(4)?;
    if magic != MAGIC || numbers.len() != expected || sum != fnv1a(numbers).to_le_bytes() {
        return None;
    }
    let numbers = numbers.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Some(Embeddings { windows, time, size, numbers })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn some() -> Embeddings {
        Embeddings { windows: 2, time: 3, size: 4, numbers: (0..24_u8).map(f32::from).collect() }
    }

    #[test]
    fn a_file_that_was_cut_off_or_changed_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(cache.get("a"), None);
        cache.put("a", &some()).unwrap();
        assert_eq!(cache.get("a"), Some(some()));
        let path = cache.path("a");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.get("a"), None, "{length} bytes");
        }
        let mut changed = whole;
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_eq!(cache.get("a"), None);
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..2000 {
            let length = rng.random_range(0..200);
            let bytes: Vec<u8> = (0..length).map(|_| rng.random_range(0..=3) * 85).collect();
            assert_eq!(decode(&bytes), None);
            let named = [MAGIC.as_slice(), &bytes].concat();
            if let Some(found) = decode(&named) {
                assert_eq!(found.numbers.len(), found.windows * found.time * found.size);
            }
        }
    }

    #[test]
    fn fingerprints_tell_parts_apart() {
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
