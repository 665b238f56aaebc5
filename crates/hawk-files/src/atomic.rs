//! Replaces files atomically: after a crash a path has the old file or the new one, never a part of it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Whether the bytes are on disk when a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    Synced,
    /// A power cut can leave a damaged file. For many small files that are checked when they are
    /// read again.
    Fast,
}

/// Writes a file that survives a power cut, or leaves the old one.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, bytes, Durability::Synced)
}

/// Writes a file, or leaves the old one.
///
/// # Errors
/// The file cannot be written.
pub fn write_with(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let replace = || -> std::io::Result<File> {
        let mut file = temporary_beside(path)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.as_file().sync_all()?;
        }
        file.persist(path).map_err(|e| e.error)
    };
    replace().map(drop).map_err(|e| Error::io("write the file", path, &e))
}

/// Writes indented JSON with a line break at the end, as [`write`](fn@write).
///
/// # Errors
/// The value has no JSON form, or the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")).at(path.display()))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Checks that a file or folder can be made at `path`, without making it. Long work starts with
/// this check.
///
/// # Errors
/// The parent folder does not exist or cannot be written.
pub fn check_parent(path: &Path) -> Result<()> {
    temporary_beside(path).map(drop).map_err(|e| Error::io("write into the folder", parent(path), &e))
}

/// A temporary file in the folder of `path`, so that renaming it does not cross file systems.
fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hawk-");
    // The default of temporary files is access by the owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(parent(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write(&path, b"old").unwrap();
        write_with(&path, b"new", Durability::Fast).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        write_json(&path, &[1]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"[\n  1\n]\n");
        assert!(write(&dir.path().join("none/x.json"), b"").is_err());
        assert!(write(dir.path(), b"").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[test]
    fn the_parent_is_checked_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        check_parent(&dir.path().join("x")).unwrap();
        assert!(check_parent(&dir.path().join("none/x")).unwrap_err().to_string().contains("none"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
