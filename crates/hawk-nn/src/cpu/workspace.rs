//! Memory of a pass.

use hawk_files::Result;
use hawk_kernels::{Activations, PANEL};

use super::id::TargetId;
use super::output::Projection;
use super::parts::PartTimes;
use super::target::Target;
use crate::memory::zeros;
use crate::weights::rotary::Rope;

/// Memory of a pass; allocated once.
pub struct Workspace {
    pub(super) parts: PartTimes,
    pub(super) target: TargetId,
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
    ///
    /// # Errors
    /// The system has no room.
    pub fn workspace(&self, limits: PassLimits) -> Result<Workspace> {
        let (c, rows) = (&self.config, limits.rows);
        let capacity = limits.tokens.div_ceil(PANEL).saturating_mul(PANEL);
        let widths = Widths::of(self);
        let numbers = |factors: &[usize]| zeros("the rows of a pass", factors);
        Ok(Workspace {
            parts: PartTimes::default(),
            target: self.id,
            limits,
            capacity,
            scores: numbers(&[rows, c.heads, capacity])?,
            hidden: numbers(&[rows, c.hidden])?,
            normed: numbers(&[rows, c.hidden])?,
            qkv: numbers(&[rows, widths.queries_keys_values])?,
            attended: numbers(&[rows, c.heads * c.head_dim])?,
            // Also the scratch row of a norm that comes after its block.
            gated: numbers(&[rows.max(c.hidden.div_ceil(widths.inner)), widths.inner])?,
            head: numbers(&[limits.readouts, self.output.inner_width()])?,
            logits: numbers(&[limits.readouts, Projection::room(&self.output, limits.vocabulary)])?,
            rope: Rope::new(c, capacity)?,
            activations: Activations::new(self.precision, rows, widths.widest),
        })
    }

    /// The factors of about the bytes of a workspace, rounded inputs and tables included.
    pub(super) fn workspace_bytes(&self, limits: PassLimits) -> [[usize; 3]; 3] {
        let (c, widths, number) = (&self.config, Widths::of(self), size_of::<f32>());
        let row = 2 * c.hidden + widths.queries_keys_values + c.heads * c.head_dim + widths.inner + widths.widest;
        let scores = c.heads.saturating_mul(limits.tokens.div_ceil(PANEL).saturating_mul(PANEL));
        let readout = self.output.inner_width() + Projection::room(&self.output, limits.vocabulary);
        [
            [number, limits.rows, row.saturating_add(scores)],
            [number, limits.readouts, readout],
            [number, limits.tokens, c.head_dim],
        ]
    }
}

/// Numbers of a row between the products of a layer.
struct Widths {
    queries_keys_values: usize,
    /// Inside the SwiGLU, whole panels.
    inner: usize,
    /// The most inputs of a product.
    widest: usize,
}

impl Widths {
    fn of(target: &Target) -> Self {
        let c = &target.config;
        let (queries, inner) = (c.heads * c.head_dim, c.intermediate.next_multiple_of(PANEL));
        Self {
            queries_keys_values: queries + 2 * c.kv_heads * c.head_dim,
            inner,
            widest: c.hidden.max(inner).max(queries).max(target.output.inner_width()),
        }
    }
}
