//! What the rows of a pass attend to: a pass of its own, for analysis.
//!
//! It runs the layers of [`Pass`](super::pass::Pass), and after each layer scores queries with keys
//! once more, by the kernel of the layer itself. Other passes keep no scores and pay nothing for it.

use hawk_files::{Error, Result};
use hawk_kernels::{Isa, Softmax, Threads};
use hawk_spec::TokenId;

use super::stream::Stream;
use super::target::Target;
use super::workspace::{PassLimits, Workspace};
use crate::pass::OwnInputs;
use crate::rows::Readout;

/// Rows of a pass.
const ROWS: usize = 64;

/// What one token attends to in one head of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Index of the layer.
    pub layer: usize,
    /// Index of the query head.
    pub head: usize,
    /// Index of the token in the sequence.
    pub token: usize,
    /// Products of its query with the keys of the tokens 0 to `token`, divided by the square root of
    /// the head's width: what the softmax reads.
    pub logits: &'a [f32],
    /// Their softmax: the share of each token, `token + 1` numbers.
    pub weights: &'a [f32],
}

impl Target {
    /// Runs a sequence and calls the observer with what every token attends to: layer after layer in
    /// passes of 64 tokens, token after token, head after head.
    ///
    /// Queries and keys are those of decoding, rounded to bf16 where a stream keeps bf16. Memory grows
    /// with the tokens, not with their square.
    ///
    /// # Errors
    /// A token is not in the vocabulary, the sequence is longer than the model's positions, or memory is
    /// short.
    pub fn attention(
        &self,
        pool: &Threads,
        own: OwnInputs,
        tokens: &[TokenId],
        observer: &mut dyn FnMut(Attention<'_>),
    ) -> Result<()> {
        if tokens.is_empty() {
            return Err(Error::input("the sequence is empty").at("tokens").expected("at least 1 token"));
        }
        let (most, needed) = (self.config.max_positions, own.start().saturating_add(tokens.len()));
        if needed > most {
            return Err(Error::input("the sequence leaves the positions that the model has")
                .expected(format!("at most {most}"))
                .got(needed));
        }
        let rows = ROWS.min(tokens.len());
        let limits = PassLimits { rows, readouts: 0, tokens: tokens.len(), vocabulary: 0 };
        let mut workspace = self.workspace(limits)?;
        let mut stream = [self.stream(tokens.len())?.with_inputs(own)];
        let mut weights = Vec::with_capacity(tokens.len());
        for part in tokens.chunks(rows) {
            let last = stream[0].rows.push_chain(part.iter().copied(), None, Readout::Nothing);
            let mut pass = self.begin(pool, &mut workspace, &stream)?;
            for layer in 0..self.layers.len() {
                pass.layer(layer);
                // SAFETY: the layer has just put queries and keys in place, `units` gives each unit to one thread, and
                // scores are overwritten by the next layer.
                pass.units(layer, &|unit| unsafe { unit.score_all() });
                self.show(layer, &stream[0], pass.workspace, &mut weights, observer);
            }
            stream.iter_mut().for_each(Stream::rows_have_run);
            last.into_iter().for_each(|row| stream[0].commit(row));
        }
        Ok(())
    }

    /// Calls the observer with the scores of a layer, which lie in the workspace, `[rows, heads, capacity]`. The rows
    /// are a chain: the slots of their keys are in logical order.
    fn show(
        &self,
        layer: usize,
        stream: &Stream,
        workspace: &mut Workspace,
        weights: &mut Vec<f32>,
        observer: &mut dyn FnMut(Attention<'_>),
    ) {
        let (heads, capacity) = (self.config.heads, workspace.capacity);
        let scale = 1.0 / (self.config.head_dim as f32).sqrt();
        for row in 0..stream.rows.len() {
            let token = stream.committed() + row;
            for head in 0..heads {
                let logits = &mut workspace.scores[(row * heads + head) * capacity..][..=token];
                logits.iter_mut().for_each(|logit| *logit *= scale);
                weights.clear();
                weights.extend_from_slice(logits);
                Softmax { scores: weights, scale: 1.0 }.on(Isa::detect());
                observer(Attention { layer, head, token, logits, weights });
            }
        }
    }
}
