//! Names of repositories, and their folders in the cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hawk_files::{Error, Result};

use crate::settings::Settings;

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

    /// The folder of the revision's files in the cache, if they were pulled. Asks no network.
    #[must_use]
    pub fn pulled(&self, settings: &Settings) -> Option<PathBuf> {
        let folder = self.folder(&settings.cache);
        let commit = std::fs::read_to_string(folder.join("refs").join(&self.revision));
        let commit = commit.map_or_else(|_| self.revision.clone(), |commit| commit.trim().to_owned());
        let snapshot = folder.join("snapshots").join(commit);
        snapshot.is_dir().then_some(snapshot)
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
/// `typed` is the name of a repository that was not pulled, or there is no home folder to look in.
pub fn find_model(typed: &Path) -> Result<PathBuf> {
    let repository = if typed.exists() { None } else { typed.to_str().and_then(parse) };
    let Some(repository) = repository else { return Ok(typed.to_owned()) };
    let settings = Settings::from_env()?;
    repository.pulled(&settings).ok_or_else(|| {
        Error::input("no such folder, and no such repository was pulled")
            .at(typed.display())
            .expected(format!("a folder, or a repository in {}", settings.cache.display()))
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
