//! A pass between its run and its commit.

use hawk_files::Result;

use crate::backend::Passes;
use crate::pass::{Laws, StreamId};

/// A pass that has run and is not committed.
///
/// Dropping it rolls the pass back. Only [`commit`](Self::commit) makes rows committed tokens.
pub struct Staged<'p>(&'p mut dyn Passes);

impl<'p> Staged<'p> {
    /// Runs the staged rows of all streams. Where the run fails, the rows are removed.
    ///
    /// # Errors
    /// See [`Passes::forward`].
    pub fn run(passes: &'p mut dyn Passes, trees: &[Laws]) -> Result<Self> {
        let staged = Self(passes);
        staged.0.forward(trees)?;
        Ok(staged)
    }

    /// The passes, to read laws, hidden states and draft heads.
    pub fn read(&mut self) -> &mut dyn Passes {
        &mut *self.0
    }

    /// Commits the paths to these rows, at most one row per stream, and rolls all other rows back.
    pub fn commit(self, rows: impl IntoIterator<Item = (StreamId, usize)>) {
        rows.into_iter().for_each(|(stream, row)| self.0.commit(stream, row));
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}
