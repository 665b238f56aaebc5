//! What comes of verification, node by node and for a step.

use crate::token::{Code, NodeId};
use crate::tree::TokenTree;

/// The token that ends a step: drawn from the target's law at the last accepted node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its code.
    pub code: Code,
    /// Why it was drawn.
    pub drawn: Drawn,
}

/// Why the target drew a token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drawn {
    /// There were candidates and none was accepted.
    Recovered,
    /// There was no candidate left: all that was proposed on the path was accepted.
    Bonus,
}

/// What happened at one node of the walked path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node; its depth is the step's index.
    pub node: NodeId,
    /// How many of its candidates were tested, from the first on.
    pub tested: u32,
    /// Index of the accepted candidate in [`TokenTree::candidates`]; it is then the last one tested.
    pub accepted: Option<u32>,
}

/// The outcome of a step: the accepted nodes and the token after them. A buffer for reuse, meaningful after a
/// [`Verifier::verify`](crate::Verifier::verify) that returned Ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The accepted nodes from the root down, root excluded.
    pub path: Vec<NodeId>,
    /// The token after the last accepted node.
    pub next: Next,
    /// What happened at the root and at each accepted node: one more than `path`.
    pub steps: Vec<Step>,
}

impl Verdict {
    /// A buffer for trees of up to `depth` levels below the root; deeper ones would make it grow.
    #[must_use]
    pub fn with_capacity(depth: usize) -> Self {
        let next = Next { code: Code(0), drawn: Drawn::Bonus };
        Self { path: Vec::with_capacity(depth), next, steps: Vec::with_capacity(depth + 1) }
    }

    /// Number of cells that the step commits: the accepted ones and the one drawn after them.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.path.len() + 1
    }

    /// The codes that the step commits, in raster order from the tree's first open cell.
    pub fn codes(&self, tree: &TokenTree) -> impl Iterator<Item = Code> {
        self.path.iter().filter_map(|&node| tree.code(node)).chain([self.next.code])
    }

    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.steps.clear();
    }
}

/// A node whose candidates are tested.
#[derive(Clone, Copy)]
pub(super) struct Tested<'a> {
    pub(super) tree: &'a TokenTree,
    pub(super) node: NodeId,
    /// The target's warped scores at the node, one per code.
    pub(super) scores: &'a [f32],
}

/// What a rule decides at one node.
pub(super) struct Decision {
    pub(super) step: Step,
    pub(super) outcome: Outcome,
}

/// How a node ends.
pub(super) enum Outcome {
    Accepted(NodeId),
    Drawn(Code),
}
