//! What guesses the cells after the anchor. A new drafter is one new file here and one arm in [`new`].

mod neighbour;

use hawk_spec::{Code, Grid, TokenTree, TreeError};

use crate::Decoder;

/// What a drafter may look at: never the verifier's randomness.
pub(crate) struct View<'a> {
    pub(crate) grid: Grid,
    /// The committed cells in raster order.
    pub(crate) codes: &'a [Code],
}

/// Guesses cells, in memory of its own that is allocated when it is made.
pub(crate) trait Drafter {
    /// Adds candidates to a tree that has nothing but its root. Returns the refusal that ended it: a full tree and the grid's end are
    /// the usual ones, anything else is a fault of the drafter.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> Result<(), TreeError>;
}

/// Plain AR: no guesses.
struct Nothing;

impl Drafter for Nothing {
    fn propose(&mut self, _: &View<'_>, _: &mut TokenTree) -> Result<(), TreeError> {
        Ok(())
    }
}

pub(crate) fn new(decoder: Decoder) -> Box<dyn Drafter> {
    match decoder {
        Decoder::Ar => Box::new(Nothing),
        Decoder::Neighbour => Box::new(neighbour::Neighbour),
    }
}
