//! The token tree: candidates for the cells after the anchor, each with its draft law.

use std::iter;

use crate::law::{DraftLaw, LawId, Source};
use crate::token::{Cell, Code, NodeId};

/// Largest distance of a draft law's sum from 1: enough for rounding over any number of codes, too
/// small for a law in f32.
const SUM_TOLERANCE: f64 = 1e-9;

/// A candidate: one code proposed below a node. It is an edge of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node of the code. Candidates of the same code below one parent share it.
    pub child: NodeId,
    /// The proposed code.
    pub code: Code,
    /// The law that the code was drawn from.
    pub draft: DraftLaw,
    /// The source that proposed it.
    pub source: Source,
}

/// The capacity of a [`TokenTree`]. All memory is allocated at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Most nodes, root included; at least 1.
    pub nodes: usize,
    /// Most candidates, in all.
    pub candidates: usize,
    /// Most draft laws, in all.
    pub laws: usize,
    /// V, the number of codes: the length of a law.
    pub codes: usize,
}

/// A tree of drafted cells, rooted at the anchor.
///
/// The root is the last committed token; at the start of an image it is the last token of the
/// prefix. A node at depth d (root: 0) is a draft of the cell `first_open + d - 1`. The target's
/// law at the node is the law of the next cell. Nodes are numbered in insertion order, parents
/// before children.
#[derive(Clone, Debug)]
pub struct TokenTree {
    limits: TreeLimits,
    /// Most nodes until the next reset.
    bound: usize,
    first_open: Cell,
    cells_left: u32,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    laws: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: NodeId,
    depth: u32,
    /// Code and source of the edge that made the node; none at the root.
    origin: Option<(Code, Source)>,
    first_edge: Option<u32>,
    last_edge: Option<u32>,
}

/// A candidate in its parent's linked list: lists of unknown length, in memory that never grows.
#[derive(Clone, Copy, Debug)]
struct Edge {
    candidate: Candidate,
    next: Option<u32>,
}

impl TokenTree {
    /// A tree of up to `nodes` nodes (root included) over `codes` codes, with room for 4 candidates
    /// and 2 laws per node.
    ///
    /// Later steps allocate nothing. The tree starts as after `reset(Cell(0), 1)`: it refuses all
    /// candidates.
    #[must_use]
    pub fn with_capacity(nodes: usize, codes: usize) -> Self {
        let nodes = nodes.max(1);
        Self::with_limits(TreeLimits { nodes, candidates: 4 * nodes, laws: 2 * nodes, codes })
    }

    /// A tree of this capacity.
    #[must_use]
    pub fn with_limits(limits: TreeLimits) -> Self {
        let limits = TreeLimits { nodes: limits.nodes.max(1), ..limits };
        let mut tree = Self {
            limits,
            bound: limits.nodes,
            first_open: Cell(0),
            cells_left: 1,
            nodes: Vec::with_capacity(limits.nodes),
            edges: Vec::with_capacity(limits.candidates),
            laws: Vec::with_capacity(limits.laws * limits.codes),
        };
        tree.reset(Cell(0), 1);
        tree
    }

    /// Removes everything but the root. `first_open` is the first cell that is not committed,
    /// `cells_left` the number of open cells of the grid from there on.
    ///
    /// # Panics
    /// `cells_left` is 0: a full grid has no open cell.
    pub fn reset(&mut self, first_open: Cell, cells_left: u32) {
        assert!(cells_left >= 1, "cells_left must be at least 1, got 0");
        self.bound = self.limits.nodes;
        self.first_open = first_open;
        self.cells_left = cells_left;
        self.nodes.clear();
        self.edges.clear();
        self.laws.clear();
        self.nodes.push(Node { parent: NodeId::ROOT, depth: 0, origin: None, first_edge: None, last_edge: None });
    }

    /// Limits the tree to `nodes` nodes, root included, until the next reset.
    pub fn bound(&mut self, nodes: usize) {
        self.bound = nodes.clamp(self.nodes.len(), self.limits.nodes);
    }

    /// Whether the tree refuses every further candidate.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.nodes.len() >= self.bound || self.edges.len() == self.limits.candidates
    }

    /// Stores a draft law: one probability per code, with sum 1 up to 1e-9.
    ///
    /// # Errors
    /// [`TreeError::LawLength`], [`TreeError::NotALaw`], or [`TreeError::Full`] where the tree has
    /// no room for a law.
    pub fn add_law(&mut self, law: &[f64]) -> Result<LawId, TreeError> {
        if law.len() != self.limits.codes {
            return Err(TreeError::LawLength { expected: self.limits.codes, got: law.len() });
        }
        let count = self.law_count();
        if count == self.limits.laws {
            return Err(TreeError::Full { what: "laws", capacity: self.limits.laws });
        }
        let sum: f64 = law.iter().sum();
        let smallest = law.iter().copied().fold(f64::INFINITY, f64::min);
        // A NaN makes the sum NaN, which fails the first comparison.
        if !((sum - 1.0).abs() <= SUM_TOLERANCE && smallest >= 0.0) {
            return Err(TreeError::NotALaw { sum, smallest });
        }
        self.laws.extend_from_slice(law);
        Ok(LawId(count as u32))
    }

    /// Adds the candidate `code` below `parent` and returns its node. The node is new unless an
    /// earlier candidate there has the same code. Candidates are tested in the order of proposal.
    ///
    /// # Errors
    /// [`TreeError::Full`] where no node or no candidate is left, whatever the code.
    /// [`TreeError::TooDeep`] where the node would be the grid's last cell, which the target always
    /// draws itself. [`TreeError::NoSuchNode`], [`TreeError::NoSuchCode`],
    /// [`TreeError::NoSuchLaw`]. The tree is then as before.
    pub fn propose(
        &mut self,
        parent: NodeId,
        code: Code,
        draft: DraftLaw,
        source: Source,
    ) -> Result<NodeId, TreeError> {
        self.check_proposal(parent, code, draft)?;
        let depth = self.depth(parent) + 1;
        let child = match self.child(parent, code) {
            Some(child) => child,
            None => {
                let origin = Some((code, source));
                self.nodes.push(Node { parent, depth, origin, first_edge: None, last_edge: None });
                NodeId(self.nodes.len() as u32 - 1)
            }
        };
        let edge = self.edges.len() as u32;
        self.edges.push(Edge { candidate: Candidate { child, code, draft, source }, next: None });
        let node = &mut self.nodes[parent.index()];
        match node.last_edge.replace(edge) {
            Some(last) => self.edges[last as usize].next = Some(edge),
            None => node.first_edge = Some(edge),
        }
        Ok(child)
    }

    fn check_proposal(&self, parent: NodeId, code: Code, draft: DraftLaw) -> Result<(), TreeError> {
        if parent.index() >= self.nodes.len() {
            return Err(TreeError::NoSuchNode { node: parent, nodes: self.nodes.len() });
        }
        if code.index() >= self.limits.codes {
            return Err(TreeError::NoSuchCode { code, codes: self.limits.codes });
        }
        if let DraftLaw::Drawn { law, .. } = draft
            && law.0 as usize >= self.law_count()
        {
            return Err(TreeError::NoSuchLaw { law: law.0, laws: self.law_count() });
        }
        let depth = self.depth(parent) + 1;
        if depth >= self.cells_left {
            return Err(TreeError::TooDeep { depth, cells_left: self.cells_left });
        }
        // A code that needs no new node is refused too. If repeats were accepted and other codes
        // refused, a drafter that ignores the refusal would propose by value, and its candidates
        // would not have the law that they name.
        if self.nodes.len() >= self.bound {
            return Err(TreeError::Full { what: "nodes", capacity: self.bound });
        }
        if self.edges.len() == self.limits.candidates {
            return Err(TreeError::Full { what: "candidates", capacity: self.limits.candidates });
        }
        Ok(())
    }

    /// N, the number of nodes, root included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the root is always there")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Largest number of nodes, root included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.limits.nodes
    }

    /// The capacity of the tree.
    #[must_use]
    pub fn limits(&self) -> TreeLimits {
        self.limits
    }

    /// All nodes in insertion order, the root first and parents before children.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The node's parent; none at the root.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.index()].origin.map(|_| self.nodes[node.index()].parent)
    }

    /// Number of edges from the root.
    #[must_use]
    pub fn depth(&self, node: NodeId) -> u32 {
        self.nodes[node.index()].depth
    }

    /// The cell that the node drafts; none at the root.
    #[must_use]
    pub fn cell(&self, node: NodeId) -> Option<Cell> {
        self.depth(node).checked_sub(1).map(|above| Cell(self.first_open.0 + above))
    }

    /// The node's code; none at the root.
    #[must_use]
    pub fn code(&self, node: NodeId) -> Option<Code> {
        self.nodes[node.index()].origin.map(|(code, _)| code)
    }

    /// The source that proposed the node first; none at the root.
    #[must_use]
    pub fn source_of(&self, node: NodeId) -> Option<Source> {
        self.nodes[node.index()].origin.map(|(_, source)| source)
    }

    /// The candidates below a node, in proposal order.
    pub fn candidates(&self, node: NodeId) -> impl Iterator<Item = &Candidate> {
        let edge = |index: Option<u32>| index.map(|index| &self.edges[index as usize]);
        iter::successors(edge(self.nodes[node.index()].first_edge), move |last| edge(last.next))
            .map(|edge| &edge.candidate)
    }

    /// The child of a node with this code, if there is one.
    #[must_use]
    pub fn child(&self, node: NodeId, code: Code) -> Option<NodeId> {
        self.candidates(node).find(|candidate| candidate.code == code).map(|candidate| candidate.child)
    }

    /// The node, its parent, and so on up to the root: the nodes that it attends to.
    pub fn ancestors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        iter::successors(Some(node), |&node| self.parent(node))
    }

    /// The first cell that is not committed.
    #[must_use]
    pub fn first_open(&self) -> Cell {
        self.first_open
    }

    /// Number of open cells of the grid, from [`first_open`](Self::first_open) on.
    #[must_use]
    pub fn cells_left(&self) -> u32 {
        self.cells_left
    }

    /// The cell whose law the target gives at the node.
    #[must_use]
    pub fn open_cell_below(&self, node: NodeId) -> Cell {
        Cell(self.first_open.0 + self.depth(node))
    }

    /// A stored draft law, one probability per code.
    #[must_use]
    pub fn law(&self, id: LawId) -> &[f64] {
        let start = id.0 as usize * self.limits.codes;
        &self.laws[start..start + self.limits.codes]
    }

    fn law_count(&self) -> usize {
        // A tree over no codes holds no laws.
        self.laws.len() / self.limits.codes.max(1)
    }
}

/// The tree refuses a candidate or a draft law.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The tree is full. For a drafter this is the end of proposing.
    #[error("the tree has room for {capacity} {what}, all used")]
    Full {
        /// `nodes`, `candidates` or `laws`.
        what: &'static str,
        /// The most that there may be.
        capacity: usize,
    },
    /// The node would be the grid's last cell or lie beyond it.
    #[error("depth must be below cells_left = {cells_left}, got {depth}")]
    TooDeep {
        /// Depth of the refused node.
        depth: u32,
        /// Open cells of the grid.
        cells_left: u32,
    },
    /// The parent is no node of this tree.
    #[error("node must be below {nodes}, got {node}")]
    NoSuchNode {
        /// The parent as given.
        node: NodeId,
        /// Number of nodes.
        nodes: usize,
    },
    /// The code is out of range.
    #[error("code must be below {codes}, got {code}")]
    NoSuchCode {
        /// The code as given.
        code: Code,
        /// Number of codes.
        codes: usize,
    },
    /// The draft law was not added since the last reset.
    #[error("law must be below {laws}, got {law}")]
    NoSuchLaw {
        /// The law's number.
        law: u32,
        /// Number of laws.
        laws: usize,
    },
    /// A draft law does not have one entry per code.
    #[error("a draft law must have {expected} entries, one per code, got {got}")]
    LawLength {
        /// Number of codes.
        expected: usize,
        /// Number of entries.
        got: usize,
    },
    /// A draft law does not sum to 1, or has a negative entry.
    #[error("a draft law must be non-negative and sum to 1, got sum {sum} and smallest entry {smallest}")]
    NotALaw {
        /// Sum of the entries.
        sum: f64,
        /// Smallest entry.
        smallest: f64,
    },
}
