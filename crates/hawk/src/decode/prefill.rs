//! Prefill: the tokens of a prompt become committed tokens, some per pass.

use hawk_nn::{Passes, Readout, Result, Staged, StreamId};
use hawk_spec::TokenId;

/// Most rows of prompts in a pass.
pub(crate) const PREFILL_ROWS: usize = 64;
/// Most rows of prompts in a pass that decodes other slots: a long prompt must not stall them.
pub(crate) const PREFILL_ROWS_BESIDE: usize = 16;

/// Stages the next rows of a prompt in its stream, at most `most`. Returns the row to commit; none
/// where the whole prompt is committed.
pub(super) fn stage(passes: &mut dyn Passes, stream: StreamId, tokens: &[TokenId], most: usize) -> Option<usize> {
    let read = passes.committed(stream);
    let next = tokens.iter().skip(read).take(most).copied();
    passes.rows(stream).push_chain(next, None, Readout::Nothing)
}

/// Commits all tokens of a prompt to a stream. No other stream may have staged rows.
///
/// # Errors
/// See [`Passes::forward`].
pub(crate) fn read_tokens(passes: &mut dyn Passes, stream: StreamId, tokens: &[TokenId]) -> Result<()> {
    while let Some(row) = stage(passes, stream, tokens, PREFILL_ROWS) {
        Staged::run(passes, &[])?.commit([(stream, row)]);
    }
    Ok(())
}
