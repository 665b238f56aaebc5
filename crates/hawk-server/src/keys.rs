//! Keys that clients must show.

use hawk::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The shortest key in bytes.
const SHORTEST: usize = 8;

/// The keys of a server. Only their digests are kept.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    /// No keys: every client may use the server.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The keys of a file, one per line. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The text has no key, or a key is shorter than 8 bytes or has spaces.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().map(str::trim).enumerate();
        let mut keys = Vec::new();
        for (number, key) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if key.len() < SHORTEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::input("invalid API key")
                    .at(format!("line {}", number + 1))
                    .expected(format!("{SHORTEST} or more ASCII characters without spaces")));
            }
            keys.push(digest(key));
        }
        if keys.is_empty() {
            return Err(Error::input("the file has no API key").expected("one key per line"));
        }
        Ok(Self(keys))
    }

    /// Whether clients must show a key.
    pub(crate) fn are_asked_for(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a key is one of these. The time does not depend on which, nor on how much of it is right.
    pub(crate) fn accept(&self, key: &str) -> bool {
        let shown = digest(key);
        let found = self.0.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(&shown));
        found.into()
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A name of a client that shows a key, which does not tell the key.
pub(crate) fn name_of(key: &str) -> String {
    digest(key)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_accepted_whole() {
        let keys = ApiKeys::parse("\u{feff}# people\nfirst-key\n\n  second-key\r\n").unwrap();
        assert!(keys.are_asked_for() && keys.accept("first-key") && keys.accept("second-key"));
        for wrong in ["", "first-ke", "first-key2", "# people", "FIRST-KEY"] {
            assert!(!keys.accept(wrong), "{wrong}");
        }
        assert!(!ApiKeys::none().are_asked_for());
        for (text, words) in [("", "no API key"), ("# none\n", "no API key"), ("ok-ok-ok\nshort", "line 2")] {
            let error = ApiKeys::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
