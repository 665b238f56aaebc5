//! What is asked of a pass: plain data that every backend understands.

use std::ops::Range;

use hawk_spec::{Noise, Pipeline, Purpose, Sampling};

/// What passes have room for, and what they read: fixed when they are opened.
#[derive(Clone, Debug, PartialEq)]
pub struct PassPlan {
    /// Ids whose laws are read; code 0 is the first.
    pub ids: Range<usize>,
    /// Ids of them that no law ever has.
    pub dropped: Range<usize>,
    /// Order of guidance, mask, temperature, top-k and top-p.
    pub pipeline: Pipeline,
    /// Rows of all streams of a pass.
    pub rows: usize,
    /// Rows of one stream of a pass.
    pub stream_rows: usize,
    /// Rows of a pass whose laws are read.
    pub readouts: usize,
    /// Tokens of a stream, committed and staged.
    pub tokens: usize,
    /// Rows of a run of the draft heads.
    pub head_rows: usize,
}

/// A token sequence under way, as [`Passes::open`](crate::backend::Passes::open) numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub usize);

/// From the logits of a node to its law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shaping {
    /// The logits themselves.
    Logits,
    /// Guidance and warping.
    Sampling(Sampling),
}

/// What the best codes of a node are ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranking {
    /// Score plus the noise of the node's cell.
    Noise(Noise, Purpose),
    /// Score alone.
    Score,
}

/// The laws of one tree in a pass: at node k of the tree, the k-th row of the stream that is read ([`Readout`](crate::cpu::rows::Readout)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Laws {
    /// The conditional stream.
    pub cond: StreamId,
    /// The unconditional stream, with the same rows, where the sampling is guided.
    pub uncond: Option<StreamId>,
    /// How its laws are made of logits.
    pub shaping: Shaping,
    /// How its best codes are ranked.
    pub ranking: Ranking,
    /// Most best codes that will be asked of every node; 0 where only the walk asks.
    pub best: usize,
}

/// A node of a tree: which of the pass's [`Laws`], and which of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOf {
    /// Index of the tree in the pass.
    pub tree: usize,
    /// Index of the node in the tree.
    pub node: usize,
}

/// A draft head to be run on the hidden state at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// Where the hidden state comes from, in the conditional stream.
    pub at: NodeOf,
    /// Index of the head.
    pub head: usize,
}

/// What a pass costs at least, whatever its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassCost {
    /// Weight bytes that are read.
    pub bytes: usize,
    /// Weights that every row is multiplied with.
    pub weights: usize,
}
