//! The inputs of a drafter at work. They never include the verifier's random numbers under
//! `rejection`.

use hawk_nn::{HeadRow, NodeOf, Passes};
use hawk_spec::{Cell, Code, LawError, NodeId, TokenTree, Verdict};

/// The state before a proposal.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The committed codes in raster order, or those of the text after the prompt.
    pub codes: &'a [Code],
}

/// A verified pass: the tree, the verdict, and the target's laws and hidden states at every node.
pub struct Seen<'a> {
    /// The tree that the pass ran.
    pub tree: &'a TokenTree,
    /// The accepted path and the code after it.
    pub verdict: &'a Verdict,
    /// All committed codes, those of this pass included.
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

    /// The root and the accepted nodes, each with the cell whose law the target gives there.
    pub fn path(&self) -> impl Iterator<Item = (Cell, NodeId)> + use<'_> {
        (self.first().0..).map(Cell).zip([NodeId::ROOT].into_iter().chain(self.verdict.path.iter().copied()))
    }

    /// The target's warped scores at a node, `[codes]`, -inf where dropped.
    ///
    /// # Errors
    /// The logits make no law.
    pub fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        self.passes.scores(self.at(node))
    }

    /// The best codes at a node by score plus the noise of its cell, best first. `count` is at most
    /// [`Needs::best`](super::contract::Needs::best).
    ///
    /// # Errors
    /// The logits make no law.
    pub fn best(&mut self, node: NodeId, count: usize) -> Result<&[(f64, Code)], LawError> {
        self.passes.best(self.at(node), count)
    }

    /// The conditional stream's last hidden state at a node, `[D]`.
    #[must_use]
    pub fn hidden(&mut self, node: NodeId) -> Option<&[f32]> {
        self.passes.hidden(self.at(node))
    }

    /// The logits of a head that was asked in this step, `[codes]`. `ask` is the index of the call
    /// of [`HeadAsks::ask`].
    #[must_use]
    pub fn head_logits(&self, ask: usize) -> &[f32] {
        self.passes.head_logits(self.first_head_row + ask)
    }

    fn at(&self, node: NodeId) -> NodeOf {
        NodeOf { tree: self.index, node: node.index() }
    }
}

/// The rows of draft heads that a drafter asks for in a step.
pub struct HeadAsks<'a> {
    pub(crate) rows: &'a mut Vec<HeadRow>,
    /// Index of the tree in the pass.
    pub(crate) tree: usize,
}

impl HeadAsks<'_> {
    /// Asks for a head on the hidden state at a node. The number of calls is at most
    /// [`Needs::head_rows`](super::contract::Needs::head_rows).
    pub fn ask(&mut self, node: NodeId, head: usize) {
        self.rows.push(HeadRow { at: NodeOf { tree: self.tree, node: node.index() }, head });
    }
}
