//! Files of a run: whole or not at all, so that a run that is killed goes on from what is there.

use std::fs;
use std::io::Write;
use std::path::Path;

use hawk_nn::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("read the file", path, &e))
}

/// Puts a whole file in place, or leaves what was there; after that it survives a power cut.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, |file| file.sync_all())
}

/// As [`write`], but a power cut may leave a damaged file: for files by the thousand that are checked when they are used again.
pub(crate) fn write_quickly(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, |_| Ok(()))
}

fn put(path: &Path, bytes: &[u8], settle: impl Fn(&fs::File) -> std::io::Result<()>) -> Result<()> {
    let put = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        settle(file.as_file())?;
        file.persist(path).map_err(|e| e.error)
    };
    put().map(drop).map_err(|e| Error::io("write the file", path, &e))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// What a folder belongs to: writes `value` where there is nothing yet, else compares.
///
/// # Errors
/// The folder is another's.
pub(crate) fn claim<T: Serialize + DeserializeOwned + PartialEq>(path: &Path, value: &T) -> Result<()> {
    if !path.exists() {
        return write_json(path, value);
    }
    let found: T = serde_json::from_slice(&read(path)?)
        .map_err(|e| Error::input(format!("not a file of a training run: {e}")).at(path.display()))?;
    if found == *value {
        return Ok(());
    }
    Err(Error::input("the folder belongs to a run with other settings")
        .at(path.display())
        .hint("give the settings that it was begun with, name another folder, or remove this one"))
}
