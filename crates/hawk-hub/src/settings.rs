//! Which hub, which cache, which token.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hawk_files::{Error, Result};

use crate::address::{self, Proxy};
use crate::patience::Patience;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// The longest file of a token that is read, in bytes.
const MAX_TOKEN_BYTES: u64 = 4096;

/// The folder of the user's caches: `XDG_CACHE_HOME`, else `~/.cache`. None without a home folder.
#[must_use]
pub fn user_cache() -> Option<PathBuf> {
    let variables = Variables { value: &|name| env::var_os(name), home: env::home_dir() };
    variables.user_cache().ok().flatten()
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
    /// The way to the hub; direct where none.
    pub proxy: Option<Proxy>,
    /// How long servers are borne with.
    pub patience: Patience,
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
    /// | `HTTPS_PROXY` or `HTTP_PROXY` by the hub's scheme, else `ALL_PROXY` | the proxy; also in lower case |
    /// | `NO_PROXY` | hosts that are reached without the proxy |
    ///
    /// A leading `~` in a folder is the home folder.
    ///
    /// # Errors
    /// There is no home folder, and neither `HF_HOME` nor `XDG_CACHE_HOME` is set. A variable has a value that is none of
    /// its kind.
    pub fn from_env() -> Result<Self> {
        Variables { value: &|name| env::var_os(name), home: env::home_dir() }.settings()
    }
}

/// The proxy for an address.
///
/// # Errors
/// A variable has a value that is none of a proxy.
pub(crate) fn proxy_from_env(address: &str) -> Result<Option<Proxy>> {
    Variables { value: &|name| env::var_os(name), home: env::home_dir() }.proxy(address)
}

/// The folder of the cache. Variables of the network are not looked at.
///
/// # Errors
/// As [`Settings::from_env`].
pub(crate) fn cache_from_env() -> Result<PathBuf> {
    let variables = Variables { value: &|name| env::var_os(name), home: env::home_dir() };
    variables.cache(&variables.hugging_face_home()?)
}

/// The environment.
struct Variables<'a> {
    value: &'a dyn Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
}

impl Variables<'_> {
    /// A variable that is not blank, without white space at its ends. Bytes that are no UTF-8 become
    /// characters that no address and no token may have.
    fn set(&self, name: &str) -> Option<String> {
        let value = (self.value)(name)?.to_string_lossy().trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// A folder, with a leading `~` expanded.
    fn folder(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(value) = self.set(name) else { return Ok(None) };
        // Names of folders may be other bytes than UTF-8.
        let other = (self.value)(name).filter(|value| value.to_str().is_none());
        if let Some(other) = other {
            return Ok(Some(PathBuf::from(other)));
        }
        let Some(rest) = value.strip_prefix('~') else { return Ok(Some(PathBuf::from(value))) };
        let home = self.home.clone().filter(|_| rest.is_empty() || rest.starts_with(['/', '\\']));
        let home = home.ok_or_else(|| {
            Error::input("a folder that begins with `~`, which has no home folder here")
                .at(name)
                .expected("a path, or ~/ and a path in your home folder")
                .got(format!("{value:?}"))
        })?;
        Ok(Some(home.join(rest.trim_start_matches(['/', '\\']))))
    }

    fn user_cache(&self) -> Result<Option<PathBuf>> {
        let named = self.folder("XDG_CACHE_HOME")?;
        Ok(named.or_else(|| Some(self.home.as_ref()?.join(".cache"))))
    }

    /// The folder of the ecosystem: the cache and the stored token.
    fn hugging_face_home(&self) -> Result<PathBuf> {
        let home = match self.folder("HF_HOME")? {
            Some(home) => Some(home),
            None => self.user_cache()?.map(|cache| cache.join("huggingface")),
        };
        home.ok_or_else(|| {
            let error = Error::environment("no home folder for the cache of models");
            error.hint("set HF_HOME to a folder with enough room")
        })
    }

    fn cache(&self, home: &Path) -> Result<PathBuf> {
        Ok(self.folder("HF_HUB_CACHE")?.unwrap_or_else(|| home.join("hub")))
    }

    fn settings(&self) -> Result<Settings> {
        let home = self.hugging_face_home()?;
        let endpoint = self.set("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let endpoint = address::endpoint(&endpoint).map_err(|e| e.at("HF_ENDPOINT"))?;
        let stored = home.join("token");
        let (token, place) = match self.set("HF_TOKEN") {
            Some(token) => (Some(token), "HF_TOKEN".to_owned()),
            None => (read_token(&stored), stored.display().to_string()),
        };
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::input("not a token: it has spaces, or characters that are not ASCII").at(place));
        }
        Ok(Settings {
            cache: self.cache(&home)?,
            token,
            offline: self
                .set("HF_HUB_OFFLINE")
                .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str())),
            proxy: self.proxy(&endpoint)?,
            patience: Patience::default(),
            endpoint,
        })
    }

    /// The proxy for an endpoint.
    fn proxy(&self, endpoint: &str) -> Result<Option<Proxy>> {
        let own = if endpoint.starts_with("https:") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let either = |name: &str| {
            [name.to_owned(), name.to_lowercase()].into_iter().find_map(|name| Some((self.set(&name)?, name)))
        };
        let Some((address, name)) = either(own).or_else(|| either("ALL_PROXY")) else { return Ok(None) };
        let exempt = either("NO_PROXY").map(|(hosts, _)| hosts).unwrap_or_default();
        Proxy::new(&address, &exempt).map(Some).map_err(|e| e.at(name))
    }
}

/// The token that another program stored.
fn read_token(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_TOKEN_BYTES);
    let token = small.then(|| std::fs::read_to_string(path).ok()).flatten()?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of these variables, in a home folder of the test.
    fn settings(variables: &[(&str, &str)]) -> Result<Settings> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Variables { value: &value, home: Some(PathBuf::from("/home/me")) }.settings()
    }

    #[test]
    fn a_leading_tilde_is_the_home_folder() {
        let cache = |variables: &[(&str, &str)]| settings(variables).unwrap().cache;
        assert_eq!(cache(&[]), Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "~/x")]), Path::new("/home/me/x/hub"));
        assert_eq!(cache(&[("HF_HOME", "~")]), Path::new("/home/me/hub"));
        assert_eq!(cache(&[("HF_HUB_CACHE", "~/x/y")]), Path::new("/home/me/x/y"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "~/c")]), Path::new("/home/me/c/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "a/~")]), Path::new("a/~/hub"));
        for name in ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"] {
            let error = settings(&[(name, "~you/x")]).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("~you/x"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_utf_8_are_followed_or_refused() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"/data/caf\xe9".to_vec());
        let with = |set: &str| {
            let value = |name: &str| (name == set).then(|| odd.clone());
            Variables { value: &value, home: Some(PathBuf::from("/home/me")) }.settings()
        };
        assert_eq!(with("HF_HUB_CACHE").unwrap().cache, Path::new(&odd));
        assert_eq!(with("HF_HOME").unwrap().cache, Path::new(&odd).join("hub"));
        for name in ["HF_TOKEN", "HF_ENDPOINT", "HTTPS_PROXY", "ALL_PROXY"] {
            let error = with(name).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn proxies_are_used_or_refused_by_name() {
        let host = |variables: &[(&str, &str)]| {
            settings(variables).unwrap().proxy.map(|proxy| format!("{}:{}", proxy.inner().host(), proxy.inner().port()))
        };
        assert_eq!(host(&[]), None);
        assert_eq!(host(&[("ALL_PROXY", "")]), None);
        assert_eq!(host(&[("all_proxy", "socks5://a:1"), ("HTTP_PROXY", "http://b:2")]).as_deref(), Some("a:1"));
        assert_eq!(host(&[("ALL_PROXY", "socks5://a:1"), ("https_proxy", "b:2")]).as_deref(), Some("b:2"));
        let plain = [("HF_ENDPOINT", "http://x"), ("HTTP_PROXY", "c:3"), ("HTTPS_PROXY", "b:2")];
        assert_eq!(host(&plain).as_deref(), Some("c:3"));
        for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"] {
            let error = settings(&[(name, "quic://me:secret@x")]).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("quic") && !error.contains("secret"), "{error}");
        }
        let exempt = [("ALL_PROXY", "a:1"), ("no_proxy", "huggingface.co")];
        let proxy = settings(&exempt).unwrap().proxy.unwrap().inner();
        assert!(proxy.is_no_proxy(&"https://huggingface.co".parse().unwrap()));
    }

    #[test]
    fn values_are_trimmed_and_checked() {
        assert_eq!(settings(&[("HF_TOKEN", " hf_x\n")]).unwrap().token.as_deref(), Some("hf_x"));
        assert_eq!(settings(&[("HF_ENDPOINT", "hf-mirror.com")]).unwrap().endpoint, "https://hf-mirror.com");
        assert!(settings(&[("HF_HUB_OFFLINE", " Yes")]).unwrap().offline);
        for (name, value) in [("HF_TOKEN", "a\nb"), ("HF_TOKEN", "ä"), ("HF_ENDPOINT", "ftp://x")] {
            assert!(settings(&[(name, value)]).err().unwrap().to_string().contains(name));
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_stored\n").unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).unwrap().token.as_deref(), Some("hf_stored"));
        std::fs::write(dir.path().join("token"), "hf stored").unwrap();
        assert!(settings(&[("HF_HOME", home)]).err().unwrap().to_string().contains("token"));
    }
}
