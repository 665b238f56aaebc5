//! Streams: keys and values of the committed tokens, and the rows of the next pass.

use hawk_files::{Error, Result, TransformerConfig};

use super::id::TargetId;
use super::kv::{Kv, KvFormat, LazyLines};
use crate::pass::OwnInputs;
use crate::rows::Rows;

/// One token sequence: the keys and values of its committed tokens, allocated once, and the rows
/// that the next pass runs.
///
/// [`Target::forward`](crate::cpu::target::Target::forward) runs the rows of several streams
/// together; only [`Staged::commit`](crate::cpu::staged::Staged::commit) makes rows committed
/// tokens.
pub struct Stream {
    /// The rows of the next pass.
    pub rows: Rows,
    own: OwnInputs,
    kv: Kv,
    target: TargetId,
    /// Rows that a pass has run since the last commit; only they have keys and values.
    run: usize,
}

impl Stream {
    /// Room for `tokens` committed and staged tokens of a target.
    pub(super) fn new(target: TargetId, config: &TransformerConfig, tokens: usize, format: KvFormat) -> Result<Self> {
        let kv = Kv::new(config, tokens, format)?;
        Ok(Self { rows: Rows::default(), own: OwnInputs::default(), kv, target, run: 0 })
    }

    /// The stream with inputs of its own.
    #[must_use]
    pub fn with_inputs(self, own: OwnInputs) -> Self {
        Self { own, ..self }
    }

    /// The inputs of the ids behind the vocabulary.
    pub(crate) fn inputs(&self) -> &[f32] {
        self.own.vectors()
    }

    /// Position of the first token.
    pub(crate) fn start(&self) -> usize {
        self.own.start()
    }

    /// S, committed tokens.
    pub fn committed(&self) -> usize {
        self.kv.committed()
    }

    /// Most tokens, committed and staged.
    pub fn capacity(&self) -> usize {
        self.kv.capacity
    }

    /// Forgets all but the first `tokens` committed tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.kv.set_committed(self.kv.committed().min(tokens));
    }

    /// Takes the first `tokens` committed tokens of another stream of the same target in place of
    /// its own.
    ///
    /// # Panics
    /// The streams have different capacities or belong to different targets, or `other` has committed fewer tokens.
    pub(crate) fn copy_from(&mut self, other: &Stream, tokens: usize) {
        self.kv.copy_from(&other.kv, tokens);
    }

    /// Begins another sequence, with inputs of its own.
    pub(crate) fn restart(&mut self, own: OwnInputs) {
        self.kv.set_committed(0);
        self.own = own;
        self.clear();
    }

    /// Bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        self.kv.keys.iter().chain(&self.kv.values).map(LazyLines::bytes).sum()
    }

    /// The keys and values of the committed tokens of a layer in contiguous pieces: what attention
    /// reads.
    pub fn committed_bytes(&self, layer: usize) -> Vec<&[u8]> {
        self.kv.committed_bytes(layer)
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    /// Removes the rows of the next pass.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.run = 0;
    }

    /// Notes that a pass has written the keys and values of all rows.
    pub(super) fn rows_have_run(&mut self) {
        self.run = self.rows.len();
    }

    /// Commits the path to `row`, ancestors first, and removes the other rows.
    ///
    /// # Panics
    /// The last pass has not run this row.
    pub(crate) fn commit(&mut self, row: usize) {
        assert!(row < self.run && self.rows.len() == self.run, "row {row} of a pass over {} rows", self.run);
        let path = self.rows.path(row);
        for (i, &row) in path.iter().enumerate() {
            if row != i {
                let (from, to) = (self.kv.committed() + row, self.kv.committed() + i);
                // SAFETY: nobody else has the stream, and both are rows of a pass that was inside the
                // capacity.
                self.kv.heads().for_each(|head| unsafe { head.copy(from, to) });
            }
        }
        self.kv.set_committed(self.kv.committed() + path.len());
        self.clear();
    }

    /// Whether the rows can be run: by this target, with so many ids, width D, and positions.
    pub(super) fn check(&self, target: TargetId, vocab: usize, width: usize, positions: usize) -> Result<()> {
        target.owns("stream", self.target)?;
        let vocab = vocab + self.own.vectors().len() / width;
        if let Some(token) = self.rows.tokens().iter().find(|token| token.index() >= vocab) {
            return Err(Error::input("a token is not in the vocabulary").expected(format!("below {vocab}")).got(token));
        }
        let needed = self.kv.committed() + self.rows.len();
        if needed > self.kv.capacity {
            return Err(Error::input("the sequence is too long")
                .expected(format!("at most {} tokens", self.kv.capacity))
                .got(needed));
        }
        let needed = self.own.start().saturating_add(self.kv.committed() + self.rows.deepest());
        if needed > positions {
            return Err(Error::input("the sequence leaves the positions that the model has")
                .expected(format!("at most {positions}"))
                .got(needed));
        }
        Ok(())
    }
}
