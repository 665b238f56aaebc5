//! Which hub, which cache, which token.

use std::env;
use std::path::PathBuf;

use hawk_files::{Error, Result};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A variable that is not blank.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The folder of the user's caches: `XDG_CACHE_HOME`, else `~/.cache`. None without a home folder.
#[must_use]
pub fn user_cache() -> Option<PathBuf> {
    set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")))
}

/// Where models come from and where they are kept.
#[derive(Clone)]
pub struct Settings {
    /// The hub's address, without a slash at the end.
    pub endpoint: String,
    /// The folder of the cache.
    pub cache: PathBuf,
    /// The token of an account, for gated and private repositories. It is sent to the hub and not to the stores that
    /// the hub redirects to.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
}

impl Settings {
    /// The settings of the environment variables that the ecosystem uses.
    ///
    /// | variable | setting |
    /// |---|---|
    /// | `HF_ENDPOINT` | the hub; default `https://huggingface.co` |
    /// | `HF_HUB_CACHE` | the cache; default `hub/` in `HF_HOME`, else `huggingface/hub` in `XDG_CACHE_HOME` or `~/.cache` |
    /// | `HF_TOKEN` | the token; default the content of `token` in `HF_HOME` |
    /// | `HF_HUB_OFFLINE` | offline where it is `1`, `true`, `yes` or `on` |
    ///
    /// # Errors
    /// There is no home folder, and neither `HF_HOME` nor `XDG_CACHE_HOME` is set.
    pub fn from_env() -> Result<Self> {
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| Some(user_cache()?.join("huggingface")));
        let Some(home) = home else {
            let error = Error::environment("no home folder for the cache of models");
            return Err(error.hint("set HF_HOME to a folder with enough room"));
        };
        let stored = || std::fs::read_to_string(home.join("token")).ok().map(|token| token.trim().to_owned());
        Ok(Self {
            endpoint: set("HF_ENDPOINT")
                .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
                .trim_end_matches('/')
                .to_owned(),
            cache: set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            token: set("HF_TOKEN").or_else(stored).filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE")
                .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.trim().to_lowercase().as_str())),
        })
    }
}
