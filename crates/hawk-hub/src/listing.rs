//! The hub's list of a repository's files. Every field is checked before it is used.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use hawk_files::{Error, Result};
use serde::Deserialize;

use crate::answer::is_commit;

/// The largest file that is fetched: several times the largest that a hub stores.
const MAX_FILE_BYTES: u64 = 1 << 42;

/// The files of a revision.
#[derive(Deserialize)]
pub(crate) struct Listing {
    /// The commit.
    pub(crate) sha: String,
    pub(crate) siblings: Vec<Sibling>,
}

/// A file of the repository.
#[derive(Deserialize)]
pub(crate) struct Sibling {
    pub(crate) rfilename: String,
    pub(crate) size: Option<u64>,
    #[serde(rename = "blobId")]
    pub(crate) blob: Option<String>,
    pub(crate) lfs: Option<Lfs>,
}

#[derive(Deserialize)]
pub(crate) struct Lfs {
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Listing {
    /// Reads the hub's answer.
    ///
    /// # Errors
    /// Not a list of files, or a list with a path outside of the repository, a file twice, or an invalid commit.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        let listing: Self = hawk_files::from_json("a list of files", bytes).map_err(|e| {
            Error::environment(format!("invalid answer of the hub: {e}")).hint("does HF_ENDPOINT name a hub?")
        })?;
        let commit = listing.sha.as_str();
        if !is_commit(commit) {
            return Err(wrong("sha", "a commit", commit));
        }
        let mut names = BTreeSet::new();
        for file in &listing.siblings {
            file.path()?;
            if !names.insert(&file.rfilename) {
                return Err(wrong("siblings", "each file once", &file.rfilename));
            }
        }
        Ok(listing)
    }
}

impl Sibling {
    /// Its size in bytes. The list states it twice for a large file.
    pub(crate) fn bytes(&self) -> Result<u64> {
        let bytes = match (&self.lfs, self.size) {
            (Some(lfs), Some(size)) if lfs.size != size => {
                return Err(wrong(&self.rfilename, &format!("size = lfs.size = {}", lfs.size), &size.to_string()));
            }
            (Some(lfs), _) => Some(lfs.size),
            (None, size) => size,
        };
        let got = bytes.map_or("no size".to_owned(), |bytes| bytes.to_string());
        let expected = format!("a size of at most {MAX_FILE_BYTES} bytes");
        bytes.filter(|bytes| *bytes <= MAX_FILE_BYTES).ok_or_else(|| wrong(&self.rfilename, &expected, &got))
    }

    /// The name of its blob: the content's digest.
    pub(crate) fn blob(&self) -> Result<&str> {
        let (id, lengths, what) = match &self.lfs {
            Some(lfs) => (lfs.sha256.as_str(), &[64][..], "lfs.sha256 of 64 hex digits"),
            None => (self.blob.as_deref().unwrap_or_default(), &[40, 64][..], "blobId of 40 or 64 hex digits"),
        };
        let digest = lengths.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digest { Ok(id) } else { Err(wrong(&self.rfilename, what, id)) }
    }

    /// Its path in the snapshot.
    pub(crate) fn path(&self) -> Result<&Path> {
        let path = Path::new(&self.rfilename);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let safe = plain && !self.rfilename.is_empty() && !self.rfilename.contains(['\\', ':', '\0']);
        if safe { Ok(path) } else { Err(wrong("rfilename", "a path inside the repository", &self.rfilename)) }
    }
}

fn wrong(place: &str, expected: &str, got: &str) -> Error {
    Error::environment("invalid list of files from the hub").at(place).expected(expected).got(format!("{got:?}"))
}
