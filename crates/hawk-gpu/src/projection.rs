//! From last hidden states to logits, for passes and for draft heads.

use std::ops::Range;

use crate::kernels::elementwise;
use crate::kernels::product::Epilogue;
use crate::launch::{Product, RowsIn, cubes, units};
use crate::memory::Buffer;
use crate::weights::Target;
use crate::widths::Widths;

/// From last hidden states to the logits of the codes.
pub(crate) struct Projection {
    pub(crate) widths: Widths,
    /// Outputs of the codes.
    pub(crate) outputs: Range<usize>,
}

impl Projection {
    /// `states` `[rows][hidden]` to `logits` `[rows][codes]`; `inner` is memory of as many rows.
    pub(crate) fn run(&self, target: &Target, states: &Buffer, inner: &Buffer, logits: &Buffer, rows: usize) {
        let (output, memory, numbers) = (&target.weights.output, &target.memory, target.numbers);
        let per_row = |width: usize| cubes(width.div_ceil(elementwise::UNITS as usize), rows);
        let mut x = RowsIn { buffer: states, stride: self.widths.hidden };
        if let Some(layer) = &output.inner {
            let width = layer.size.outputs;
            let product = Product {
                matrix: &layer.weights,
                epilogue: Epilogue::Store,
                x,
                y: RowsIn { buffer: inner, stride: self.widths.head },
                rows: 0..rows,
                outputs: 0..width,
            };
            product.run(memory);
            // SAFETY: `inner` has the rows with this stride, and the bias as many numbers as there
            // are outputs.
            unsafe {
                elementwise::gelu_bias::launch_unchecked(
                    &memory.client,
                    per_row(width),
                    units(elementwise::UNITS),
                    inner.arg(),
                    target.inner_bias.arg(),
                    width as u32,
                    self.widths.head as u32,
                    numbers,
                );
            }
            x = RowsIn { buffer: inner, stride: self.widths.head };
        }
        let product = Product {
            matrix: &output.outputs.weights,
            epilogue: Epilogue::Store,
            x,
            y: RowsIn { buffer: logits, stride: self.widths.codes },
            rows: 0..rows,
            outputs: self.outputs.clone(),
        };
        product.run(memory);
        if !output.outputs.bias.is_empty() {
            // SAFETY: `logits` has the rows with this stride, and the bias the outputs.
            unsafe {
                elementwise::add_bias::launch_unchecked(
                    &memory.client,
                    per_row(self.outputs.len()),
                    units(elementwise::UNITS),
                    logits.arg(),
                    target.output_bias.arg(),
                    self.outputs.start as u32,
                    self.outputs.len() as u32,
                    self.widths.codes as u32,
                );
            }
        }
    }
}
