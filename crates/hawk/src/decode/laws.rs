//! The target's laws at the nodes of a tree, read from a pass when they are asked for.

use hawk_nn::{NodeOf, Passes};
use hawk_spec::{Cell, Chooser, Code, LawError, NodeId, TargetLaws};

/// The laws of one tree of a pass.
pub(super) struct PassLaws<'a> {
    pub(super) passes: &'a mut dyn Passes,
    /// Index of the tree in the pass.
    pub(super) tree: usize,
}

impl TargetLaws for PassLaws<'_> {
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        self.passes.scores(NodeOf { tree: self.tree, node: node.index() })
    }

    /// The best code by the tree's [`Ranking`](hawk_nn::Ranking), which is the chooser's noise: the
    /// scores stay where they are.
    fn replay(&mut self, node: NodeId, _: Cell, _: &mut dyn Chooser) -> Result<Code, LawError> {
        let best = self.passes.best(NodeOf { tree: self.tree, node: node.index() }, 1)?;
        best.first().map(|&(_, code)| code).ok_or(LawError::NoLaw { node })
    }
}
