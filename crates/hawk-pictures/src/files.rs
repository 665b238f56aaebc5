//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Whether the bytes are on disk when a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The file survives a power cut.
    Synced,
    /// A power cut can leave a damaged file: for many small files that are checked when they are read again.
    Fast,
}

/// The file's name while it is written.
pub(crate) fn part(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Puts a file in place whole; a failure leaves what was there.
pub(crate) fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let part = part(path);
    let written = || -> std::io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        drop(file);
        fs::rename(&part, path)
    };
    written().map_err(Error::file("write the file", path))
}

/// Puts indented JSON in place whole, unless the file has it already.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::input(path.display(), e))?;
    bytes.push(b'\n');
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    write(path, &bytes, Durability::Synced)
}

/// SHA-256 of a file, in hexadecimal digits.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let failed = || Error::file("read the file", path);
    let mut reader = BufReader::new(File::open(path).map_err(failed())?);
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer).map_err(failed())? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
