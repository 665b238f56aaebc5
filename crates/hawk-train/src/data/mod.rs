//! Makes the pictures and captions that small models learn from: the recipe `emoji`.
//!
//! Packages of the npm registry, pinned to their bytes ([`recipe`], [`cache`], [`archive`]), hold drawings ([`catalogue`]) of what the
//! emoji standard names ([`concepts`]). They are drawn ([`picture`]), captioned ([`words`], [`colour`]), split ([`split`]) and composed to
//! [`scenes`]; [`make`] puts everything in order and on disk. The result is a function of the recipe and of scenes, styles, things and limit
//! in [`EmojiSettings`] alone: its digest is the same on any number of threads, after any number of interruptions.

mod archive;
mod cache;
mod catalogue;
mod colour;
mod concepts;
mod make;
mod manifest;
mod objects;
mod picture;
mod recipe;
mod scenes;
mod sheet;
mod split;
mod words;

use std::num::NonZero;
use std::path::PathBuf;

use hawk_nn::Result;

pub(crate) use make::Kind;
pub use manifest::{Counts, Manifest};
pub(crate) use picture::Picture;
pub(crate) use sheet::{COLUMNS as SHEET_COLUMNS, sheet as contact_sheet};
pub(crate) use split::Split;

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

/// The colours that scenes stand on, white included.
pub(crate) fn grounds() -> Result<Vec<[u8; 3]>> {
    let named = recipe::Recipe::built_in()?.lists.backgrounds;
    Ok(named.into_values().chain([scenes::WHITE]).collect())
}

/// Makes the data set: `images/NNNNNN.png`, `captions.jsonl`, `objects/`, `objects.jsonl`, `manifest.json`, `sheet.png`, `ATTRIBUTION`.
///
/// # Errors
/// A package cannot be fetched or is not the pinned one; the folder belongs to other settings; a file cannot be written.
pub fn make_emoji(settings: &EmojiSettings, observe: &mut dyn FnMut(EmojiProgress<'_>)) -> Result<Manifest> {
    make::make(&recipe::Recipe::built_in()?, settings, observe)
}
