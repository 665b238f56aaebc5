//! The results of verification: at a node, and of a step.

use crate::token::{Code, NodeId};
use crate::tree::TokenTree;

/// The token that ends a step: drawn from the target's law at the last accepted node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its code.
    pub code: Code,
    /// The reason of the draw.
    pub drawn: Drawn,
}

/// The reason why the target drew a token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drawn {
    /// All candidates were rejected.
    Recovered,
    /// There was no candidate: all drafts on the path were accepted.
    Bonus,
}

/// The tests at one node of the walked path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node; its depth is the step's index.
    pub node: NodeId,
    /// Number of its candidates that were tested, from the first on.
    pub tested: u32,
    /// Index of the accepted candidate in [`TokenTree::candidates`]. It is the last one tested.
    pub accepted: Option<u32>,
}

/// The outcome of a step: the accepted nodes and the token after them.
///
/// It is a buffer for reuse. Its contents are defined after a
/// [`Verifier::verify`](crate::Verifier::verify) that returned Ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The accepted nodes from the root down, root excluded.
    pub path: Vec<NodeId>,
    /// The token after the last accepted node.
    pub next: Next,
    /// The tests at the root and at each accepted node: one more than `path`.
    pub steps: Vec<Step>,
}

impl Verdict {
    /// A buffer for trees of up to `depth` levels below the root. Deeper trees make it grow.
    #[must_use]
    pub fn with_capacity(depth: usize) -> Self {
        let next = Next { code: Code(0), drawn: Drawn::Bonus };
        Self { path: Vec::with_capacity(depth), next, steps: Vec::with_capacity(depth + 1) }
    }

    /// Number of cells that the step commits: the accepted cells and the cell drawn after them.
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

/// The decision of a rule at one node.
pub(super) struct Decision {
    pub(super) step: Step,
    pub(super) outcome: Outcome,
}

/// The end of the tests at a node.
pub(super) enum Outcome {
    Accepted(NodeId),
    Drawn(Code),
}
