//! What the caller asks for, and what it hears meanwhile.

use std::num::NonZero;
use std::path::PathBuf;

/// Where the recipe's packages are by default.
pub const NPM_REGISTRY: &str = "https://registry.npmjs.org";

/// What is made, and where.
#[derive(Clone, Debug)]
pub struct EmojiSettings {
    /// Folder of the result; one that was begun with the same settings is finished.
    pub out: PathBuf,
    /// Folder of the packages; what is there is not fetched.
    pub cache: PathBuf,
    /// Address of the npm registry, or of a mirror.
    pub registry: String,
    /// How many composed scenes.
    pub scenes: usize,
    /// The only styles to take; none means all.
    pub styles: Vec<String>,
    /// Only what scenes are composed of, faces and hearts.
    pub things: bool,
    /// At most this many emoji, evenly taken from all.
    pub limit: Option<NonZero<usize>>,
    /// The result does not depend on it.
    pub threads: NonZero<usize>,
}

impl EmojiSettings {
    pub(crate) fn wants(&self, style: &str) -> bool {
        self.styles.is_empty() || self.styles.iter().any(|name| name == style)
    }
}

/// What an observer hears.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EmojiProgress<'a> {
    /// A package is being fetched.
    Fetching {
        /// Name and version.
        package: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// Drawings were turned into cut-outs.
    Objects {
        /// So many.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Pictures were put together and written.
    Pictures {
        /// So many.
        done: usize,
        /// Of so many.
        of: usize,
    },
}
