//! Files of a run: written whole or not at all, so that a run that was killed can resume.

use std::fs;
use std::io::Write;
use std::path::Path;

use hawk_nn::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Creates a folder and its parents if they do not exist.
///
/// # Errors
/// The folder cannot be created.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))
}

/// # Errors
/// The file cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("read the file", path, &e))
}

/// Writes a whole file, or leaves the old one. The file survives a power cut after this call.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, |file| file.sync_all())
}

/// As [`write`], but a power cut may leave a damaged file.
/// Used for thousands of small files that are checked when they are read again.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_quickly(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, |_| Ok(()))
}

fn replace(path: &Path, bytes: &[u8], sync: impl Fn(&fs::File) -> std::io::Result<()>) -> Result<()> {
    let replace = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        sync(file.as_file())?;
        file.persist(path).map_err(|e| e.error)
    };
    replace().map(drop).map_err(|e| Error::io("write the file", path, &e))
}

/// # Errors
/// The value has no JSON form, or the file cannot be written.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Checks that a folder belongs to this run. `path` holds the identity of the run that started in
/// the folder: it is written if it does not exist, and compared with `identity` if it does.
///
/// # Errors
/// The folder belongs to another run, or the file cannot be read or written.
pub(crate) fn check_identity<T: Serialize + DeserializeOwned + PartialEq>(path: &Path, identity: &T) -> Result<()> {
    if !path.exists() {
        return write_json(path, identity);
    }
    let found: T = serde_json::from_slice(&read(path)?)
        .map_err(|e| Error::input(format!("invalid file of a training run: {e}")).at(path.display()))?;
    if found == *identity {
        return Ok(());
    }
    Err(Error::input("the folder belongs to a run with other settings")
        .at(path.display())
        .hint("use the settings that the run started with, choose another folder, or remove this one"))
}
