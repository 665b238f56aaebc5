//! Models of a hub in the cache that every program of the Hugging Face ecosystem shares: `models--ORG--NAME/{blobs,refs,snapshots}`.

mod fetch;
mod listing;
#[cfg(test)]
mod listing_tests;

use std::env;
use std::path::{Path, PathBuf};

use hawk::{Error, Result};

pub(crate) use fetch::{Event, pull};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const DEFAULT_REVISION: &str = "main";
/// Longest part of a name.
const MAX_NAME: usize = 96;

/// A repository and one of its revisions, as `org/name` or `org/name@revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    name: String,
    revision: String,
}

impl Repository {
    /// From what was typed, if it can be one.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let (name, revision) = typed.split_once('@').unwrap_or((typed, DEFAULT_REVISION));
        let (organisation, model) = name.split_once('/')?;
        let word = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.len() <= MAX_NAME && part.chars().all(plain) && !part.starts_with('.')
        };
        let valid = word(organisation) && word(model) && revision.split('/').all(word);
        valid.then(|| Self { name: name.to_owned(), revision: revision.to_owned() })
    }

    /// The same repository at another revision.
    pub(crate) fn at(&self, revision: &str) -> Result<Self> {
        Self::parse(&format!("{}@{revision}", self.name)).ok_or_else(|| {
            Error::input("there can be no such revision")
                .expected("a branch, a tag or a commit")
                .got(format!("{revision:?}"))
        })
    }

    /// Its folder in a cache.
    fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("models--{}", self.name.replace('/', "--")))
    }

    /// The files of the revision in the cache, if it was pulled.
    pub(crate) fn pulled(&self, settings: &Settings) -> Option<PathBuf> {
        let folder = self.folder(&settings.cache);
        let commit = std::fs::read_to_string(folder.join("refs").join(&self.revision));
        let commit = commit.map_or_else(|_| self.revision.clone(), |commit| commit.trim().to_owned());
        let snapshot = folder.join("snapshots").join(commit);
        snapshot.is_dir().then_some(snapshot)
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.revision == DEFAULT_REVISION { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// What the environment says, by the names that the ecosystem uses.
pub(crate) struct Settings {
    endpoint: String,
    cache: PathBuf,
    token: Option<String>,
    offline: bool,
}

impl Settings {
    /// `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME`, `HF_TOKEN` or the token that was logged in with, `HF_HUB_OFFLINE`.
    pub(crate) fn from_env() -> Result<Self> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            Some(cache.or_else(|| Some(env::home_dir()?.join(".cache")))?.join("huggingface"))
        });
        let Some(home) = home else {
            let error = Error::environment("there is no home folder to keep models in");
            return Err(error.hint("set HF_HOME to a folder with room for them"));
        };
        let kept = || std::fs::read_to_string(home.join("token")).ok().map(|token| token.trim().to_owned());
        Ok(Self {
            endpoint: set("HF_ENDPOINT")
                .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
                .trim_end_matches('/')
                .to_owned(),
            cache: set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            token: set("HF_TOKEN").or_else(kept).filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE")
                .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.trim().to_lowercase().as_str())),
        })
    }
}

/// A model as typed: a folder, or a repository that was pulled.
pub(crate) fn find_model(typed: &Path) -> Result<PathBuf> {
    let repository = if typed.exists() { None } else { typed.to_str().and_then(Repository::parse) };
    let Some(repository) = repository else { return Ok(typed.to_owned()) };
    let settings = Settings::from_env()?;
    repository.pulled(&settings).ok_or_else(|| {
        Error::input("there is no such folder, and no such model was pulled")
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
            assert_eq!(Repository::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(Repository::parse("a/b@main"), Repository::parse("a/b"));
        for bad in ["", "a", "/a/b", "a/b/c", "../b", "a/..", "a/b@../c", "a/b@", "a/b@x/", "a b/c", "a\\b/c", "~/b"] {
            assert_eq!(Repository::parse(bad), None, "{bad}");
        }
    }
}
