//! Files of a run. They are written whole or not at all, so that a run that was killed can resume.

use std::fs;
use std::path::Path;

use hawk_files::atomic::{self, Durability};
use hawk_files::{Error, FolderLock, Result, hex};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use hawk_files::atomic::{write, write_json};

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

/// A file of JSON, whose order of names and form of numbers mean nothing.
///
/// # Errors
/// It cannot be read, or is not JSON.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| Error::input("the file is not JSON").at(path.display()).got(error))
}

/// SHA-256 of the weights in a model's folder, `model.safetensors`.
///
/// # Errors
/// They cannot be read.
pub(crate) fn weights_digest(dir: &Path) -> Result<String> {
    Ok(hex(&Sha256::digest(read(&dir.join("model.safetensors"))?)))
}

/// As [`write`], but a power cut may leave a damaged file. Used for thousands of small files that
/// are checked when they are read again.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_quickly(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write_with(path, bytes, Durability::Fast)
}

/// The folder of a run, and which run it is for.
pub(crate) struct RunFolder<'a> {
    /// It is made where it is not there.
    pub(crate) dir: &'a Path,
    /// The file that holds the identity of the run.
    pub(crate) identity: &'static str,
    /// What may be in a new folder already.
    pub(crate) may_hold: &'a [&'static str],
}

impl RunFolder<'_> {
    /// Makes the folder, or checks that it belongs to this run. No other process works on it while
    /// the lock is held.
    ///
    /// # Errors
    /// Another process works on the folder, it belongs to another run, holds other files, or cannot
    /// be written.
    pub(crate) fn start<T: Serialize + DeserializeOwned + PartialEq>(&self, identity: &T) -> Result<FolderLock> {
        let lock = FolderLock::take(self.dir)?;
        let path = self.dir.join(self.identity);
        if !path.exists() {
            self.check_new()?;
        }
        check_identity(&path, identity)?;
        Ok(lock)
    }

    /// Refuses a folder with files that the run would replace or mix with its own.
    fn check_new(&self) -> Result<()> {
        check_holds(self.dir, self.may_hold, "a new or empty folder, or one that this command made")
    }
}

/// Refuses a folder that holds other files than these. `expected` says what would have been right.
///
/// # Errors
/// It does, or cannot be read.
pub(crate) fn check_holds(dir: &Path, may_hold: &[&str], expected: &str) -> Result<()> {
    let entries = fs::read_dir(dir).map_err(|e| Error::io("read the folder", dir, &e))?;
    // Hidden files are the lock, and what a run that was killed left.
    let foreign = |name: &std::ffi::OsString| {
        !name.as_encoded_bytes().starts_with(b".") && may_hold.iter().all(|known| name != known)
    };
    match entries.flatten().map(|entry| entry.file_name()).find(foreign) {
        None => Ok(()),
        Some(name) => Err(Error::input("the folder holds other files")
            .at(dir.display())
            .expected(expected)
            .got(name.display())
            .hint("nothing is overwritten; choose another folder")),
    }
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
