//! What verification asks of the target.

use crate::chooser::Chooser;
use crate::law::LawError;
use crate::token::{Cell, Code, NodeId};

/// The target's laws over the tree, as the pass computed them.
pub trait TargetLaws {
    /// The warped scores at a node, one per code: the law of the cell
    /// [`open_cell_below`](TokenTree::open_cell_below) it. Asked once per node and only for nodes on the walked path.
    ///
    /// # Errors
    /// [`LawError`] when the logits are no law, or [`LawError::NoLaw`].
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError>;

    /// The token that plain AR draws at the node, for `cell`. A device that has drawn it already, with the chooser's own noise, gives it
    /// without its scores; by default the chooser draws.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn replay(&mut self, node: NodeId, cell: Cell, chooser: &mut dyn Chooser) -> Result<Code, LawError> {
        chooser.replay(cell, self.scores(node)?)
    }
}
