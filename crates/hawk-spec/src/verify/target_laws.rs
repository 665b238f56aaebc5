//! The target as verification sees it.

use crate::chooser::Chooser;
use crate::law::LawError;
use crate::token::{Cell, Code, NodeId};

/// The target's laws at the nodes of a tree, from one pass.
pub trait TargetLaws {
    /// The warped scores at a node, one per code: the law of the cell
    /// [`open_cell_below`](crate::TokenTree::open_cell_below) it. Verification reads them once per
    /// node, and only at the nodes of the walked path.
    ///
    /// # Errors
    /// [`LawError`] where the logits make no law, or [`LawError::NoLaw`].
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError>;

    /// The token that plain AR draws at the node for `cell`.
    ///
    /// By default the chooser draws it from the scores. A device may draw it itself, with the
    /// chooser's own noise, and keep the scores.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn replay(&mut self, node: NodeId, cell: Cell, chooser: &mut dyn Chooser) -> Result<Code, LawError> {
        chooser.replay(cell, self.scores(node)?)
    }
}
