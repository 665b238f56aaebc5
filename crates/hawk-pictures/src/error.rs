//! What can go wrong with files and things.

use std::io;
use std::path::{Path, PathBuf};

/// A failure with its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: cannot {doing}: {source}", path = path.display())]
    File {
        /// `read the pack`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{place}: {what}")]
    Input {
        /// The file, and the place in it.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// What was asked for cannot be painted.
    #[error("{0}")]
    Request(String),
    /// A folder that holds other files than painted pictures.
    #[error("{path}: the folder holds other files", path = .0.display())]
    Foreign(PathBuf),
    /// A folder whose pictures differ from those that were asked for.
    #[error("{path}: the folder holds other pictures; {what}", path = path.display())]
    OtherPictures {
        /// The folder.
        path: PathBuf,
        /// `its seed is 1, the wanted one 2`.
        what: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on a failure of the operating system.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }

    pub(crate) fn input(place: impl ToString, what: impl ToString) -> Self {
        Self::Input { place: place.to_string(), what: what.to_string() }
    }

    /// The place inside a larger one.
    pub(crate) fn inside(self, outer: impl ToString) -> Self {
        match self {
            Self::Input { place, what } => Self::Input { place: format!("{}: {place}", outer.to_string()), what },
            other => other,
        }
    }
}
