//! The data of a pass, the same for every backend.

use std::ops::Range;
use std::sync::Arc;

use hawk_spec::{Noise, Pipeline, Purpose, Sampling};

/// Room and reading of passes, fixed when they are opened.
#[derive(Clone, Debug, PartialEq)]
pub struct PassPlan {
    /// Vocabulary ids whose laws are read. Code 0 is the first.
    pub ids: Range<usize>,
    /// Codes with probability 0 in every law.
    pub dropped: Range<usize>,
    /// Order of guidance, mask, temperature, top-k and top-p.
    pub pipeline: Pipeline,
    /// Most streams that are open at once.
    pub streams: usize,
    /// Most rows of a pass, all streams together.
    pub rows: usize,
    /// Most rows of one stream in a pass.
    pub stream_rows: usize,
    /// Most rows of a pass whose laws are read.
    pub readouts: usize,
    /// Most tokens of a stream, committed and staged.
    pub tokens: usize,
    /// Most rows of one run of the draft heads.
    pub head_rows: usize,
}

/// The number of an open stream, given by [`Passes::open`](crate::backend::Passes::open).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub usize);

/// Inputs of one stream alone, beside those of the vocabulary, and the position of its first token.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnInputs {
    /// `[count, D]`; row i is the input of id V + i.
    vectors: Arc<[f32]>,
    start: usize,
}

impl Default for OwnInputs {
    /// No inputs, from position 0 on.
    fn default() -> Self {
        Self::new(Arc::from([]), 0)
    }
}

impl OwnInputs {
    /// `vectors` `[count, D]` as the inputs of the ids from V on, and the position of the first
    /// token.
    #[must_use]
    pub fn new(vectors: Arc<[f32]>, start: usize) -> Self {
        Self { vectors, start }
    }

    /// The same positions without the inputs.
    #[must_use]
    pub fn positions_alone(&self) -> Self {
        Self::new(Arc::from([]), self.start)
    }

    /// The inputs, `[count, D]`.
    #[must_use]
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Position of the first token.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }
}

/// The way from the logits of a node to its law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shaping {
    /// The logits are the scores.
    Logits,
    /// Guidance and warping.
    Sampling(Sampling),
}

/// The value that ranks the codes of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranking {
    /// Score plus the noise of the node's cell.
    Noise(Noise, Purpose),
    /// Score alone.
    Score,
}

/// What verification reads of the nodes that it walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// The best code of each.
    Best,
    /// The scores of each.
    Scores,
}

/// The laws of one tree in a pass. Node k of the tree is the k-th row of the stream that is read
/// ([`Readout`](crate::Readout)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Laws {
    /// The conditional stream.
    pub cond: StreamId,
    /// The unconditional stream, with the same rows, where the sampling is guided.
    pub uncond: Option<StreamId>,
    /// The way from logits to laws.
    pub shaping: Shaping,
    /// The ranking of codes.
    pub ranking: Ranking,
    /// Most codes that the drafter reads of every node's ranking; 0 where only verification reads.
    pub best: usize,
    /// What verification reads. A device prepares it; it may be asked for anything else as well.
    pub walked: Walked,
    /// Whether the drafter asks draft heads about accepted nodes. A device may run them at all nodes with the pass.
    pub asks_heads: bool,
}

impl Laws {
    /// The logits of a stream as they are, for all nodes; no drafter reads a ranking.
    #[must_use]
    pub fn logits(stream: StreamId) -> Self {
        Self {
            cond: stream,
            uncond: None,
            shaping: Shaping::Logits,
            ranking: Ranking::Score,
            best: 0,
            walked: Walked::Scores,
            asks_heads: false,
        }
    }
}

/// What passes have read back from a device of its own memory, and how codes were ranked there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// Bytes of laws, of best codes and of hidden states.
    pub bytes: u64,
    /// Nodes whose best codes the device has listed.
    pub listed: u64,
    /// Nodes whose best codes the host has ranked instead, from all their logits: a tie was too near
    /// for the device, or its list cannot answer.
    pub ranked_on_host: u64,
}

/// A node of a tree in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOf {
    /// Index of the tree in the pass.
    pub tree: usize,
    /// Index of the node in the tree.
    pub node: usize,
}

/// One draft head on the hidden state at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// The node, in the conditional stream.
    pub at: NodeOf,
    /// Index of the head.
    pub head: usize,
}

/// Least cost of a pass, whatever its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassCost {
    /// Bytes of the weights that are read.
    pub bytes: usize,
    /// Number of weights that every row is multiplied with.
    pub weights: usize,
}
