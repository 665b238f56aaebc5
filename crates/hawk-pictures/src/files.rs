//! Files of a folder of pictures.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use hawk_files::{Error, Result, atomic, hex};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Puts indented JSON in place, unless the file has it already.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::input(e.to_string()).at(path.display()))?;
    bytes.push(b'\n');
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    atomic::write(path, &bytes)
}

/// SHA-256 of a file, in hexadecimal digits.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let failed = |e: std::io::Error| Error::io("read the file", path, &e);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}
