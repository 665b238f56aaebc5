//! The error of this crate: what went wrong and where, what was expected and found, and who can
//! repair it.

use std::fmt;

use hawk_spec::LawError;

/// Who can repair the failure; the program turns it into its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What the caller handed over is wrong: a file's content, a setting, a shape.
    Input,
    /// The machine is in the way: a missing permission, a full disk, no memory.
    Environment,
}

/// A failure with its place. [`Error::input`] and [`Error::environment`] start one; the other
/// methods add what is known.
#[derive(Debug)]
pub struct Error(Box<Details>);

// Boxed, so that a `Result` on a hot path stays small.
#[derive(Debug)]
struct Details {
    fault: Fault,
    what: String,
    place: Option<String>,
    expected: Option<String>,
    got: Option<String>,
    hint: Option<String>,
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Whether a path leads through links that lead to each other.
#[cfg(unix)]
fn is_loop_of_links(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_loop_of_links(_: &std::io::Error) -> bool {
    false
}

impl Error {
    /// A failure that better input cures.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(Fault::Input, what.into())
    }

    /// A failure that a better environment cures.
    pub fn environment(what: impl Into<String>) -> Self {
        Self::new(Fault::Environment, what.into())
    }

    /// A failure of the operating system on `path`. A path that does not exist or is of the wrong
    /// kind is the fault of the caller, anything else that of the machine.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
        let fault = match error.kind() {
            _ if is_loop_of_links(error) => Fault::Input,
            NotFound | NotADirectory | IsADirectory | InvalidFilename | UnexpectedEof => Fault::Input,
            _ => Fault::Environment,
        };
        Self::new(fault, format!("cannot {doing}: {error}")).at(path.display())
    }

    fn new(fault: Fault, what: String) -> Self {
        Self(Box::new(Details { fault, what, place: None, expected: None, got: None, hint: None }))
    }

    /// Where: a file, a tensor, a field. Called again, it wraps the earlier place: `outer: inner`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.place = Some(match self.0.place.take() {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// What would have been right.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// What was found.
    #[must_use]
    pub fn got(mut self, got: impl fmt::Display) -> Self {
        self.0.got = Some(got.to_string());
        self
    }

    /// What to try.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.0.hint = Some(hint.to_string());
        self
    }

    /// The error with another hint, or none. Whoever shows it knows what the user can do.
    #[must_use]
    pub fn map_hint(mut self, map: impl FnOnce(String) -> Option<String>) -> Self {
        self.0.hint = self.0.hint.take().and_then(map);
        self
    }

    /// Who can repair it.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }
}

impl From<LawError> for Error {
    /// A law that a device did not give is the fault of the machine; others are those of the weights.
    fn from(error: LawError) -> Self {
        match error {
            LawError::Unread { .. } => Self::environment(error.to_string()),
            _ => Self::input(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.what)?;
        if let Some(expected) = &self.0.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(got) = &self.0.got {
            write!(f, "{} got {got}", if self.0.expected.is_some() { "," } else { ";" })?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<hawk_kernels::Error> for Error {
    fn from(error: hawk_kernels::Error) -> Self {
        let what = Self::input(error.what).expected(error.expected).got(error.got);
        match error.place {
            Some(place) => what.at(place),
            None => what,
        }
    }
}
