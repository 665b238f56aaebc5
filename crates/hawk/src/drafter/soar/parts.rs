//! The parts of soar that can be off or changed, to measure what each brings.

use super::growth::{Branches, Worth};
use super::laws::MOST_KEPT;
use super::spatial::Ranked;

/// The neighbours whose codes guess a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copies {
    /// None: a random code stands for a cell that nothing else guesses.
    Off,
    /// Both where they agree and nothing else guesses the cell. A copy is right more often than a random code, but
    /// where the law is certain a wrong copy spoils the laws of the cells behind it more.
    Agreeing,
    /// The cell to the left.
    Left,
    /// The cell above.
    Above,
    /// Both.
    Both,
}

/// What soar is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// Laws of a cell that are kept, up to [`MOST_KEPT`].
    pub(super) laws: usize,
    pub(super) copies: Copies,
    /// The codes that spatial heads rank; none where they are off.
    pub(super) spatial: Option<Ranked>,
    pub(super) branches: Branches,
    pub(super) worth: Worth,
}

/// soar itself.
pub(super) const ALL: Parts = Parts {
    laws: MOST_KEPT,
    copies: Copies::Agreeing,
    spatial: Some(Ranked::Shortlist),
    branches: Branches::Allowed,
    worth: Worth::WithFuture,
};
