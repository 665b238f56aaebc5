//! The target's output projection, shared by the target's own passes and by the draft heads.

use std::ops::Range;

use crate::kernels::{Activations, Isa, PANEL, Pool, Product};
use crate::{Checkpoint, Error, Result, Target, Tensor, TransformerConfig};

impl TransformerConfig {
    /// The output projection's tensor, `[V, D]`, wherever a checkpoint keeps it.
    ///
    /// # Errors
    /// It is missing or does not fit the config.
    pub fn output_projection<'c>(&self, checkpoint: &'c Checkpoint) -> Result<Tensor<'c>> {
        checkpoint.tensor(self.output_projection_name(), &[self.vocab, self.hidden])
    }

    pub(crate) fn output_projection_name(&self) -> &'static str {
        if self.tied_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" }
    }
}

/// From last hidden states to the logits over a range of the vocabulary.
pub(crate) struct Projection<'a> {
    /// Only the panels that hold the range are computed.
    product: Product<'a>,
    /// Outputs of the first panel before the range.
    skip: usize,
    /// Length of the range.
    count: usize,
}

impl<'a> Projection<'a> {
    /// # Errors
    /// The range leaves the vocabulary.
    pub(crate) fn new(target: &'a Target, pool: &'a Pool, vocabulary: Range<usize>) -> Result<Self> {
        let vocab = target.config().vocab;
        if vocabulary.start > vocabulary.end || vocabulary.end > vocab {
            return Err(Error::input("logits beyond the vocabulary are asked for")
                .expected(format!("a range inside 0..{vocab}"))
                .got(format!("{vocabulary:?}")));
        }
        let (skip, count) = (vocabulary.start % PANEL, vocabulary.len());
        let panels = panels_of(vocabulary);
        Ok(Self {
            skip,
            count,
            product: Product { panels, ..Product::new(pool, Isa::detect(), target.output_projection()) },
        })
    }

    /// Numbers that a row takes in the output of [`run`](Self::run) for a range of this length.
    pub(crate) fn room(target: &Target, vocabulary: usize) -> usize {
        // The range may begin and end inside a panel.
        (vocabulary + 2 * PANEL).min(target.config().vocab)
    }

    /// Logits of a row.
    pub(crate) fn columns(&self) -> usize {
        self.count
    }

    /// `states` `[rows, D]` to `logits` `[rows, columns]`, which has [`room`](Self::room) for every row.
    pub(crate) fn run(&self, activations: &mut Activations, states: &[f32], rows: usize, logits: &mut [f32]) {
        self.product.run(activations, states, rows, logits);
        let stride = self.product.columns();
        for row in 0..rows {
            let start = row * stride + self.skip;
            logits.copy_within(start..start + self.count, row * self.count);
        }
    }
}

/// The panels that hold the logits of these ids.
pub(crate) fn panels_of(vocabulary: Range<usize>) -> Range<usize> {
    vocabulary.start / PANEL..vocabulary.end.div_ceil(PANEL)
}
