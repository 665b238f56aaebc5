//! From the last hidden state to logits, shared by the target's own passes and by the draft heads.

use std::ops::Range;

use hawk_files::{Error, Result};
use hawk_kernels::{Activations, Isa, Matrix, PANEL, Product, Threads};

use super::dense::{Dense, gelu};

/// What turns the last hidden state into logits.
pub(crate) struct OutputHead {
    /// The id of the first output.
    first: usize,
    /// A layer of its own and a GELU before the projection, where the family has them.
    inner: Option<Dense>,
    outputs: Dense,
}

impl OutputHead {
    /// One product, for the ids from `first` on.
    pub(crate) fn plain(first: usize, outputs: Dense) -> Self {
        Self { first, inner: None, outputs }
    }

    /// `outputs(gelu(inner(x)))`.
    pub(crate) fn mlp(first: usize, inner: Dense, outputs: Dense) -> Self {
        Self { first, inner: Some(inner), outputs }
    }

    /// The ids that it gives logits of.
    pub(crate) fn ids(&self) -> Range<usize> {
        self.first..self.first + self.outputs.weights.n()
    }

    /// Width of the layer before the projection, 0 where there is none.
    pub(crate) fn inner_width(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.weights.n())
    }

    /// The matrices with the panels that the logits of these ids need.
    pub(crate) fn matrices(&self, ids: Range<usize>) -> impl Iterator<Item = (&Matrix, Range<usize>)> {
        let inner = self.inner.iter().map(|inner| (&inner.weights, 0..inner.weights.panels()));
        let outputs = ids.start.saturating_sub(self.first)..ids.end.saturating_sub(self.first);
        inner.chain([(&self.outputs.weights, panels_of(outputs))])
    }
}

/// From last hidden states to the logits over a range of the vocabulary.
pub(crate) struct Projection<'a> {
    head: &'a OutputHead,
    /// Only the panels that hold the range are computed.
    product: Product<'a>,
    /// Outputs of the first panel before the range.
    skip: usize,
    /// The range, counted from the head's first output.
    outputs: Range<usize>,
}

impl<'a> Projection<'a> {
    /// # Errors
    /// The range leaves the ids that the model gives logits of.
    pub(crate) fn new(head: &'a OutputHead, pool: &'a Threads, vocabulary: Range<usize>) -> Result<Self> {
        let ids = head.ids();
        if vocabulary.start > vocabulary.end || vocabulary.start < ids.start || vocabulary.end > ids.end {
            return Err(Error::input("logits beyond the vocabulary are asked for")
                .expected(format!("a range inside {ids:?}"))
                .got(format!("{vocabulary:?}")));
        }
        let outputs = vocabulary.start - ids.start..vocabulary.end - ids.start;
        let product = Product::new(pool, Isa::detect(), &head.outputs.weights);
        Ok(Self {
            head,
            skip: outputs.start % PANEL,
            product: Product { panels: panels_of(outputs.clone()), ..product },
            outputs,
        })
    }

    /// Numbers that a row takes in the output of [`run`](Self::run) for a range of this length.
    pub(crate) fn room(head: &OutputHead, vocabulary: usize) -> usize {
        // The range may begin and end inside a panel.
        (vocabulary + 2 * PANEL).min(head.ids().len())
    }

    /// Logits of a row.
    pub(crate) fn columns(&self) -> usize {
        self.outputs.len()
    }

    /// `states` `[rows, D]` to `logits` `[rows, columns]`. `logits` has [`room`](Self::room) for
    /// every row, `inner` has [`inner_width`](OutputHead::inner_width).
    pub(crate) fn run(
        &self,
        activations: &mut Activations,
        inner: &mut [f32],
        states: &[f32],
        rows: usize,
        logits: &mut [f32],
    ) {
        let states = match &self.head.inner {
            Some(layer) => {
                let inner = &mut inner[..rows * layer.weights.n()];
                Product::new(self.product.threads, self.product.isa, &layer.weights).run(
                    activations,
                    states,
                    rows,
                    inner,
                );
                layer.add_bias(inner);
                gelu(inner);
                &*inner
            }
            None => states,
        };
        self.product.run(activations, states, rows, logits);
        let (stride, count, bias) = (self.product.columns(), self.outputs.len(), &self.head.outputs.bias);
        for row in 0..rows {
            let start = row * stride + self.skip;
            logits.copy_within(start..start + count, row * count);
            if !bias.is_empty() {
                let logits = &mut logits[row * count..][..count];
                logits.iter_mut().zip(&bias[self.outputs.clone()]).for_each(|(logit, bias)| *logit += bias);
            }
        }
    }
}

/// The panels that hold the logits of these outputs.
fn panels_of(outputs: Range<usize>) -> Range<usize> {
    outputs.start / PANEL..outputs.end.div_ceil(PANEL)
}
