//! From the last hidden state to logits, shared by the target's own passes and by the draft heads.

use std::ops::Range;

use hawk_files::Result;
use hawk_kernels::{Activations, Isa, Matrix, PANEL, Product, Threads};

use crate::weights::dense::gelu;
use crate::weights::ends::OutputHead;

/// The matrices with the panels that the logits of these ids need.
pub(super) fn matrices(head: &OutputHead<Matrix>, ids: Range<usize>) -> impl Iterator<Item = (&Matrix, Range<usize>)> {
    let inner = head.inner.iter().map(|inner| (&inner.weights, 0..inner.weights.panels()));
    let outputs = ids.start.saturating_sub(head.first)..ids.end.saturating_sub(head.first);
    inner.chain([(&head.outputs.weights, panels_of(outputs))])
}

/// From last hidden states to the logits over a range of the vocabulary.
pub(crate) struct Projection<'a> {
    head: &'a OutputHead<Matrix>,
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
    pub(crate) fn new(head: &'a OutputHead<Matrix>, pool: &'a Threads, vocabulary: Range<usize>) -> Result<Self> {
        let outputs = head.outputs_of(vocabulary)?;
        let product = Product::new(pool, Isa::detect(), &head.outputs.weights);
        Ok(Self {
            head,
            skip: outputs.start % PANEL,
            product: Product { panels: panels_of(outputs.clone()), ..product },
            outputs,
        })
    }

    /// Numbers that a row takes in the output of [`run`](Self::run) for a range of this length.
    pub(crate) fn room(head: &OutputHead<Matrix>, vocabulary: usize) -> usize {
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
