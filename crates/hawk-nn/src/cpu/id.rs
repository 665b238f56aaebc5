//! What tells the memory of one transformer from that of another.

use std::sync::atomic::{AtomicU64, Ordering};

use hawk_files::{Error, Result};

/// The number of a loaded transformer. No two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetId(u64);

impl TargetId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Refuses memory that was made for another transformer: its sizes are others.
    pub(crate) fn owns(self, what: &str, made_for: Self) -> Result<()> {
        if self == made_for {
            return Ok(());
        }
        let error = Error::input(format!("a {what} was made for another model")).at(what);
        Err(error.expected("one that this model made").got("one of another model"))
    }
}
