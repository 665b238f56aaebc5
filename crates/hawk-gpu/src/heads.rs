//! Draft heads on a device: `h + silu(W h + b)`, then the target's output projection.

use std::sync::Arc;

use hawk_files::{Checkpoint, Error, HeadsConfig, Result};
use hawk_kernels::MatrixSize;
use hawk_nn::{HeadRow, PassPlan};

use crate::head_lists::HeadLists;
use crate::kernels::elementwise::{UNITS, head_block};
use crate::kernels::product::Epilogue;
use crate::launch::{Gather, Product, RowsIn, cubes, units};
use crate::matrix::GpuMatrix;
use crate::memory::{Buffer, Memory};
use crate::projection::Projection;
use crate::weights::Target;
use crate::widths::Widths;

/// Loaded draft heads.
pub(crate) struct Heads {
    blocks: Vec<GpuMatrix>,
    /// `[heads][D]`.
    bias: Buffer,
    memory: Arc<Memory>,
    planned: u64,
}

impl Heads {
    pub(crate) fn load(target: &Target, config: &HeadsConfig, checkpoint: &Checkpoint) -> Result<Self> {
        let (d, memory) = (target.config().hidden, &target.memory);
        if config.hidden != d {
            return Err(Error::input("the draft heads were made for another model")
                .at("hidden")
                .expected(d)
                .got(config.hidden));
        }
        let heads = config.heads.len();
        let planned = (heads * (target.format.row_bytes(d) * d + 4 * d)) as u64;
        memory.plan("the draft heads", planned, planned / heads.max(1) as u64)?;
        let size = MatrixSize { outputs: d, inputs: d };
        let load = |head: usize| -> Result<(GpuMatrix, Vec<f32>)> {
            let name = format!("heads.{head}.weight");
            let weights = checkpoint.tensor(&name, &[d, d])?;
            let fill = &mut |row, out: &mut [f32]| weights.row_into(row, out);
            let matrix = GpuMatrix::upload(memory, &name, target.precision, size, fill)?;
            Ok((matrix, checkpoint.tensor(&format!("heads.{head}.bias"), &[d])?.to_f32()))
        };
        let loaded = (0..heads).map(load).collect::<Result<Vec<_>>>().inspect_err(|_| memory.give_back(planned))?;
        let (blocks, bias): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
        Ok(Self { blocks, bias: memory.upload(bias.concat()), memory: Arc::clone(memory), planned })
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(|block| block.bytes_of(block.size.outputs));
        blocks.sum::<usize>() + 4 * self.bias.words
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        self.memory.give_back(self.planned);
    }
}

/// Memory of runs of draft heads, and the logits of the last run.
pub(crate) struct HeadRuns {
    heads: Arc<Heads>,
    inputs: Buffer,
    inner: Buffer,
    states: Buffer,
    head: Buffer,
    logits: Buffer,
    lists: HeadLists,
    /// Where each row stands among rows of one head.
    places: Vec<usize>,
    /// `[rows][codes]`, as the lists tell them.
    read: Vec<f32>,
}

impl HeadRuns {
    /// Words of the memory for the passes of a plan: of the logits, and of all else.
    pub(crate) fn words(plan: &PassPlan, widths: Widths) -> [usize; 2] {
        let of_rows = |width: usize| plan.head_rows.saturating_mul(width);
        [of_rows(widths.codes), of_rows(3 * widths.hidden + widths.head).saturating_add(HeadLists::words(plan))]
    }

    pub(crate) fn new(heads: Arc<Heads>, memory: &Memory, plan: &PassPlan, widths: Widths) -> Self {
        let rows = plan.head_rows;
        Self {
            inputs: memory.zeros(rows * widths.hidden),
            inner: memory.zeros(rows * widths.hidden),
            states: memory.zeros(rows * widths.hidden),
            head: memory.zeros(rows * widths.head),
            logits: memory.zeros(rows * widths.codes),
            lists: HeadLists::new(memory, plan),
            places: Vec::with_capacity(rows),
            read: Vec::new(),
            heads,
        }
    }

    /// Runs heads on rows of the last hidden states; `states` are the rows, as many as `rows`. Returns the bytes that
    /// were read.
    ///
    /// # Errors
    /// A head does not exist, or the device failed.
    pub(crate) fn run(
        &mut self,
        target: &Target,
        projection: &Projection,
        rows: &[HeadRow],
        states: &[usize],
        last: &Buffer,
    ) -> Result<usize> {
        if let Some(row) = rows.iter().find(|row| row.head >= self.heads.blocks.len()) {
            let expected = format!("below {}", self.heads.blocks.len());
            return Err(Error::input("there is no such draft head").at("head").expected(expected).got(row.head));
        }
        self.read.clear();
        self.places.clear();
        if rows.is_empty() {
            return Ok(0);
        }
        let (memory, w) = (&target.memory, projection.widths);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| rows[row].head);
        self.places.resize(rows.len(), 0);
        order.iter().enumerate().for_each(|(place, &row)| self.places[row] = place);
        let pick = memory.upload(order.iter().map(|&row| states[row] as u32).collect());
        let head = memory.upload(order.iter().map(|&row| rows[row].head as u32).collect());
        let (width, stride) = (target.config().hidden as u32, w.hidden as u32);
        let inputs = Gather {
            x: last,
            pick: &pick,
            out: &self.inputs,
            rows: rows.len(),
            width: target.config().hidden,
            stride: w.hidden,
            numbers: target.numbers,
        };
        inputs.run(memory);
        for block in 0..self.heads.blocks.len() {
            let first = order.partition_point(|&row| rows[row].head < block);
            let end = order.partition_point(|&row| rows[row].head <= block);
            let product = Product {
                matrix: &self.heads.blocks[block],
                epilogue: Epilogue::Store,
                x: RowsIn { buffer: &self.inputs, stride: w.hidden },
                y: RowsIn { buffer: &self.inner, stride: w.hidden },
                rows: first..end,
                outputs: 0..target.config().hidden,
            };
            product.run(memory);
        }
        // SAFETY: `pick` names rows of `last`, `head` rows of the biases; all buffers have the rows
        // with this stride.
        unsafe {
            head_block::launch_unchecked(
                &memory.client,
                cubes(target.config().hidden.div_ceil(UNITS as usize), rows.len()),
                units(UNITS),
                last.arg(),
                pick.arg(),
                self.inner.arg(),
                self.heads.bias.arg(),
                head.arg(),
                self.states.arg(),
                width,
                stride,
                target.numbers,
            );
        }
        projection.run(target, &self.states, &self.head, &self.logits, rows.len());
        self.lists.read(memory, &self.logits, rows.len(), &mut self.read)
    }

    /// The logits of a row of the last run.
    pub(crate) fn logits(&self, row: usize) -> &[f32] {
        let codes = self.read.len() / self.places.len().max(1);
        &self.read[self.places[row] * codes..][..codes]
    }
}
