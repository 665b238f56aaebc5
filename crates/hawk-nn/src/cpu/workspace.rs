//! Memory of a pass.

use hawk_kernels::{Activations, PANEL};

use super::output::Projection;
use super::parts::PartTimes;
use super::rope::Rope;
use super::target::Target;

/// Memory of a pass; allocated once.
pub struct Workspace {
    pub(super) parts: PartTimes,
    pub(super) limits: PassLimits,
    pub(super) capacity: usize,
    pub(super) rope: Rope,
    pub(super) activations: Activations,
    pub(super) hidden: Vec<f32>,
    /// Inputs of a block; at the end of a pass the final norm's output of the rows that are read.
    pub(super) normed: Vec<f32>,
    pub(super) qkv: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gated: Vec<f32>,
    pub(super) scores: Vec<f32>,
    /// Between the layers of the output head, where it has two.
    pub(super) head: Vec<f32>,
    pub(super) logits: Vec<f32>,
}

/// How much a [`Workspace`] has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassLimits {
    /// Rows of all streams of a pass.
    pub rows: usize,
    /// Rows whose logits are read.
    pub readouts: usize,
    /// Tokens of the longest stream, committed and staged.
    pub tokens: usize,
    /// Logits of a row: V, or fewer if only a range of the vocabulary is read.
    pub vocabulary: usize,
}

impl Workspace {
    /// Times the parts of the passes that follow.
    pub fn time_parts(&mut self) {
        self.parts.switch_on();
    }

    /// The time that each part of the last pass took; 0 where parts are not timed.
    pub fn parts(&self) -> PartTimes {
        self.parts
    }
}

impl Target {
    /// Memory for passes within these limits.
    pub fn workspace(&self, limits: PassLimits) -> Workspace {
        let (c, rows) = (&self.config, limits.rows);
        let (q, capacity) = (c.heads * c.head_dim, limits.tokens.next_multiple_of(PANEL));
        let inner = c.intermediate.next_multiple_of(PANEL);
        let widest = c.hidden.max(inner).max(q).max(self.output.inner_width());
        Workspace {
            parts: PartTimes::default(),
            limits,
            capacity,
            rope: Rope::new(c, capacity),
            activations: Activations::new(self.precision, rows, widest),
            hidden: vec![0.0; rows * c.hidden],
            normed: vec![0.0; rows * c.hidden],
            qkv: vec![0.0; rows * (q + 2 * c.kv_heads * c.head_dim)],
            attended: vec![0.0; rows * q],
            // Also the scratch row of a norm that comes after its block.
            gated: vec![0.0; (rows * inner).max(c.hidden)],
            scores: vec![0.0; rows * c.heads * capacity],
            head: vec![0.0; limits.readouts * self.output.inner_width()],
            logits: vec![0.0; limits.readouts * Projection::room(&self.output, limits.vocabulary)],
        }
    }
}
