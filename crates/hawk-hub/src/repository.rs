//! Names of repositories, and their folders in the cache.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hawk_files::{Error, Result};

use crate::answer::is_commit;
use crate::settings::{Settings, cache_from_env};
use crate::snapshot::lack;

/// Bytes of a file that names a commit.
const MAX_REF_BYTES: u64 = 128;
const DEFAULT_REVISION: &str = "main";
/// The longest part of a name, in bytes.
const MAX_PART_BYTES: usize = 96;

/// A repository of models and one of its revisions. Parsed from `ORG/NAME` (revision `main`) or `ORG/NAME@REVISION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository {
    name: String,
    revision: String,
}

impl Repository {
    /// `ORG/NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A branch, a tag or a commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same repository at another revision.
    ///
    /// # Errors
    /// `revision` is empty or has characters that no revision has.
    pub fn with_revision(&self, revision: &str) -> Result<Self> {
        parse(&format!("{}@{revision}", self.name)).ok_or_else(|| {
            Error::input("invalid revision").expected("a branch, a tag or a commit").got(format!("{revision:?}"))
        })
    }

    /// The folder of the revision's files in the cache, if there is one. Asks no network. It may hold a part of the
    /// files only.
    #[must_use]
    pub fn pulled(&self, settings: &Settings) -> Option<PathBuf> {
        self.snapshot(&settings.cache)
    }

    fn snapshot(&self, cache: &Path) -> Option<PathBuf> {
        let commit = self.commit(cache).unwrap_or_else(|| self.revision.clone());
        let snapshot = self.folder(cache).join("snapshots").join(commit);
        snapshot.is_dir().then_some(snapshot)
    }

    /// As [`pulled`](Self::pulled), and what every model has is there.
    ///
    /// # Errors
    /// A part of the files is there.
    pub(crate) fn whole(&self, cache: &Path) -> Result<Option<PathBuf>> {
        let Some(snapshot) = self.snapshot(cache) else { return Ok(None) };
        match lack(&snapshot) {
            None => Ok(Some(snapshot)),
            Some(lack) => Err(Error::input("a part of the repository was pulled")
                .at(snapshot.display())
                .got(format!("a folder without {lack}"))
                .hint(format!("hawk pull {self}"))),
        }
    }

    /// The commit that the cache has for the revision.
    pub(crate) fn commit(&self, cache: &Path) -> Option<String> {
        let path = self.folder(cache).join("refs").join(&self.revision);
        let mut commit = String::new();
        std::fs::File::open(path).ok()?.take(MAX_REF_BYTES).read_to_string(&mut commit).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// The repository's folder in a cache.
    pub(crate) fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("models--{}", self.name.replace('/', "--")))
    }
}

fn parse(typed: &str) -> Option<Repository> {
    let (name, revision) = typed.split_once('@').unwrap_or((typed, DEFAULT_REVISION));
    let (organisation, model) = name.split_once('/')?;
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= MAX_PART_BYTES && part.chars().all(plain) && !part.starts_with('.')
    };
    let valid = part(organisation) && part(model) && revision.split('/').all(part);
    valid.then(|| Repository { name: name.to_owned(), revision: revision.to_owned() })
}

impl FromStr for Repository {
    type Err = Error;

    fn from_str(typed: &str) -> Result<Self> {
        parse(typed).ok_or_else(|| {
            Error::input("invalid name of a repository")
                .expected("ORG/NAME or ORG/NAME@REVISION")
                .got(format!("{typed:?}"))
        })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.revision == DEFAULT_REVISION { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// The folder of a model that was named by its folder or by a pulled repository. A folder that exists goes first.
///
/// Text that names neither is returned as a path, so that the loader names what is missing there.
///
/// # Errors
/// `typed` is the name of a repository that was not pulled or in part only, or there is no home folder to look in.
pub fn find_model(typed: &Path) -> Result<PathBuf> {
    let repository = if typed.exists() { None } else { typed.to_str().and_then(parse) };
    let Some(repository) = repository else { return Ok(typed.to_owned()) };
    let cache = cache_from_env()?;
    repository.whole(&cache)?.ok_or_else(|| {
        Error::input("no such folder, and no such repository was pulled")
            .at(typed.display())
            .expected(format!("a folder, or a repository in {}", cache.display()))
            .hint(format!("hawk pull {repository}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_paths() {
        for good in ["Alpha-VLLM/Lumina-mGPT-7B-768", "a/b", "a/b@v1.0", "a/b@refs/pr/4"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        assert_eq!(parse("a/b@main"), parse("a/b"));
        for bad in ["", "a", "/a/b", "a/b/c", "../b", "a/..", "a/b@../c", "a/b@", "a/b@x/", "a b/c", "a\\b/c", "~/b"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
