//! Settings of the data set, and the progress reports of making it.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use hawk_hub::Server;

/// Default address of the npm registry.
pub const NPM_REGISTRY: &str = "https://registry.npmjs.org";

/// Contents and folder of a data set.
#[derive(Clone, Debug)]
pub struct EmojiSettings {
    /// Folder of the result. A run that was stopped resumes there.
    pub out: PathBuf,
    /// Folder of the packages. Packages that are there are not fetched.
    pub cache: PathBuf,
    /// The npm registry or a mirror.
    pub registry: Server,
    /// Number of composed scenes.
    pub scenes: usize,
    /// Styles to use; empty for all.
    pub styles: Vec<String>,
    /// Use only faces, hearts, and the things that scenes show.
    pub things: bool,
    /// The largest number of emoji, spread evenly over all.
    pub limit: Option<NonZero<usize>>,
    /// Number of threads. The result does not depend on it.
    pub threads: NonZero<usize>,
}

impl EmojiSettings {
    /// Whether the data set has this style.
    pub(crate) fn wants(&self, style: &str) -> bool {
        self.styles.is_empty() || self.styles.iter().any(|name| name == style)
    }
}

/// Reported to the observer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EmojiProgress<'a> {
    /// A package is being fetched.
    Fetching {
        /// Name and version.
        package: &'a str,
        /// Size of the package.
        bytes: u64,
    },
    /// An attempt to fetch a package failed for this reason; the next one follows after the pause.
    Retrying {
        /// The reason.
        why: &'a str,
        /// The time until the next attempt.
        pause: Duration,
    },
    /// Drawings are rendered as cut-outs.
    Objects {
        /// Number that is complete.
        done: usize,
        /// Number of all.
        of: usize,
    },
    /// Pictures are composed and written.
    Pictures {
        /// Number that is complete.
        done: usize,
        /// Number of all.
        of: usize,
    },
}
