//! What a drafter may look at. It never sees the verifier's random numbers under `rejection`.

use hawk_nn::{HeadRow, NodeOf, Passes};
use hawk_spec::{Cell, Code, LawError, NodeId, TokenTree, Verdict};

/// What is known when a tree is proposed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The committed cells in raster order, or the text after the prompt.
    pub codes: &'a [Code],
}

/// A pass that has been verified: what was proposed, what became of it, and what the target said at
/// every node.
pub struct Seen<'a> {
    /// The tree that the pass ran.
    pub tree: &'a TokenTree,
    /// The accepted path and the code after it.
    pub verdict: &'a Verdict,
    /// All committed cells, those of this pass included.
    pub codes: &'a [Code],
    pub(crate) passes: &'a mut dyn Passes,
    /// Index of the tree in the pass.
    pub(crate) index: usize,
    /// The slot's first row in the run of the draft heads.
    pub(crate) first_head_row: usize,
}

impl Seen<'_> {
    /// The first cell that the pass has committed.
    #[must_use]
    pub fn first(&self) -> Cell {
        self.tree.first_open()
    }

    /// The codes that the pass has committed.
    #[must_use]
    pub fn new_codes(&self) -> &[Code] {
        &self.codes[self.first().index()..]
    }

    /// The root and the accepted nodes, with the cells that the target's laws there are for.
    pub fn path(&self) -> impl Iterator<Item = (Cell, NodeId)> + use<'_> {
        (self.first().0..).map(Cell).zip([NodeId::ROOT].into_iter().chain(self.verdict.path.iter().copied()))
    }

    /// The target's warped scores at a node, `[codes]`, -inf where dropped.
    ///
    /// # Errors
    /// Logits that make no law.
    pub fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        self.passes.scores(self.at(node))
    }

    /// The best codes at a node by score plus the noise of its cell, best first.
    /// [`Needs::best`](super::contract::Needs::best) bounds `count`.
    ///
    /// # Errors
    /// Logits that make no law.
    pub fn best(&mut self, node: NodeId, count: usize) -> Result<&[(f64, Code)], LawError> {
        self.passes.best(self.at(node), count)
    }

    /// The conditional stream's last hidden state at a node, `[D]`.
    #[must_use]
    pub fn hidden(&mut self, node: NodeId) -> Option<&[f32]> {
        self.passes.hidden(self.at(node))
    }

    /// The logits of a head that was asked in this step, `[codes]`, by the order of
    /// [`HeadAsks::ask`].
    #[must_use]
    pub fn head_logits(&self, ask: usize) -> &[f32] {
        self.passes.head_logits(self.first_head_row + ask)
    }

    fn at(&self, node: NodeId) -> NodeOf {
        NodeOf { tree: self.index, node: node.index() }
    }
}

/// The list of what draft heads are asked in a step.
pub struct HeadAsks<'a> {
    pub(crate) rows: &'a mut Vec<HeadRow>,
    /// Index of the tree in the pass.
    pub(crate) tree: usize,
}

impl HeadAsks<'_> {
    /// Asks a head about the hidden state at a node.
    /// [`Needs::head_rows`](super::contract::Needs::head_rows) bounds the number of asks.
    pub fn ask(&mut self, node: NodeId, head: usize) {
        self.rows.push(HeadRow { at: NodeOf { tree: self.tree, node: node.index() }, head });
    }
}
