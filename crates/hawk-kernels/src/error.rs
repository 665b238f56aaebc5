//! What the kernels refuse.

use std::fmt;

/// A name or a place in memory that the kernels refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub what: &'static str,
    /// Where it was given, if that is known: a variable of the environment.
    pub place: Option<&'static str>,
    /// What would have been right.
    pub expected: String,
    /// What was given.
    pub got: String,
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}; expected {}, got {}", self.what, self.expected, self.got)
    }
}

impl std::error::Error for Error {}
