//! Compares files with the digests of the hub's list.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use hawk_files::{Error, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::listing::Sibling;

/// Files up to this size are read again at every pull.
const SMALL_BYTES: u64 = 16 << 20;
/// Digits of the id of a blob in a repository that hashes with SHA-1.
const SHA1_DIGITS: usize = 40;

/// The bytes of a file, 0 where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Whether the cache holds this file whole: its size, and the content of a small one.
///
/// # Errors
/// The list gives no valid size or digest, or the file cannot be read.
pub(crate) fn is_whole(file: &Sibling, path: &Path) -> Result<bool> {
    let bytes = file.bytes()?;
    if !path.is_file() || length(path) != bytes {
        return Ok(false);
    }
    Ok(bytes > SMALL_BYTES || mismatch(file, path)?.is_none())
}

/// A file whose content is not what the list says.
pub(crate) struct Mismatch {
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// Compares size and digest with the list: the SHA-256 of a large file, the blob id of git of a small one.
///
/// # Errors
/// The list gives no valid size or digest, or the file cannot be read.
pub(crate) fn mismatch(file: &Sibling, path: &Path) -> Result<Option<Mismatch>> {
    let (bytes, expected) = (length(path), file.bytes()?);
    if bytes != expected {
        let (expected, got) = (format!("{expected} bytes"), format!("{bytes} bytes"));
        return Ok(Some(Mismatch { expected, got }));
    }
    let expected = file.blob()?;
    // What git hashes begins with this.
    let head = format!("blob {bytes}\0");
    let got = match &file.lfs {
        Some(_) => hash::<Sha256>(b"", path),
        None if expected.len() == SHA1_DIGITS => hash::<Sha1>(head.as_bytes(), path),
        None => hash::<Sha256>(head.as_bytes(), path),
    };
    let got = got.map_err(|e| Error::io("read the file", path, &e))?;
    let same = got.eq_ignore_ascii_case(expected);
    Ok((!same).then(|| Mismatch { expected: expected.to_owned(), got }))
}

fn hash<D: Digest>(head: &[u8], path: &Path) -> std::io::Result<String> {
    let (mut digest, mut content) = (D::new(), File::open(path)?);
    digest.update(head);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hawk_files::hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::Lfs;

    /// `printf 'hello\n' | git hash-object --stdin`, also with `--object-format=sha256`.
    const GIT_SHA1: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const GIT_SHA256: &str = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
    /// `printf 'hello\n' | sha256sum`.
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn contents_are_compared_with_every_kind_of_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let file = |blob: &str, size| Sibling {
            rfilename: "x".to_owned(),
            size: Some(size),
            blob: Some(blob.to_owned()),
            lfs: None,
        };
        let lfs = |digest: &str| Sibling {
            lfs: Some(Lfs { sha256: digest.to_owned(), size: 6 }),
            ..file(&"0".repeat(40), 6)
        };
        assert!(!is_whole(&file(GIT_SHA1, 6), &path).unwrap());
        fs::write(&path, "hello\n").unwrap();
        for right in [file(GIT_SHA1, 6), file(GIT_SHA256, 6), file(&GIT_SHA1.to_uppercase(), 6), lfs(SHA256)] {
            assert!(is_whole(&right, &path).unwrap());
        }
        for wrong in [file(&"0".repeat(40), 6), file(SHA256, 6), file(GIT_SHA1, 7), lfs(GIT_SHA256)] {
            assert!(!is_whole(&wrong, &path).unwrap());
        }
    }
}
