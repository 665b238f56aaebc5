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
use crate::memory::{Buffer, Memory, Unread};
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

/// Memory of runs of draft heads, and what was read of the last run.
pub(crate) struct HeadRuns {
    heads: Arc<Heads>,
    inputs: Buffer,
    inner: Buffer,
    states: Buffer,
    head: Buffer,
    logits: Buffer,
    lists: HeadLists,
    /// The rows of the last run in the order of [`key`], and their lists once they were read.
    known: Vec<HeadRow>,
    read: Vec<u32>,
    /// The logits of the rows that were asked for, `[rows][codes]`, as the lists tell them.
    told: Vec<f32>,
}

/// Rows of one head lie together.
fn key(row: &HeadRow) -> [usize; 3] {
    [row.head, row.at.tree, row.at.node]
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
            known: Vec::with_capacity(rows),
            read: Vec::new(),
            told: Vec::new(),
            heads,
        }
    }

    /// Number of heads.
    pub(crate) fn heads(&self) -> usize {
        self.heads.blocks.len()
    }

    /// Forgets the last run.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.read.clear();
        self.told.clear();
    }

    /// Whether the lists of all these rows were read.
    pub(crate) fn knows(&self, rows: &[HeadRow]) -> bool {
        !self.read.is_empty() && rows.iter().all(|row| self.place(row).is_some())
    }

    fn place(&self, row: &HeadRow) -> Option<usize> {
        self.known.binary_search_by_key(&key(row), key).ok()
    }

    /// Runs heads that exist on rows of the last hidden states; `rows` come with the number of their state. The lists
    /// of their logits are to be read and [taken](Self::take).
    pub(crate) fn run(
        &mut self,
        target: &Target,
        projection: &Projection,
        mut rows: Vec<(HeadRow, usize)>,
        last: &Buffer,
    ) -> Unread {
        self.clear();
        rows.sort_by_key(|(row, _)| key(row));
        self.known.extend(rows.iter().map(|(row, _)| *row));
        let (memory, w) = (&target.memory, projection.widths);
        let pick = memory.upload(rows.iter().map(|&(_, state)| state as u32).collect());
        let head = memory.upload(rows.iter().map(|(row, _)| row.head as u32).collect());
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
        for block in 0..self.heads() {
            let first = self.known.partition_point(|row| row.head < block);
            let end = self.known.partition_point(|row| row.head <= block);
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
        self.lists.run(memory, &self.logits, rows.len())
    }

    /// Takes the lists of the last run.
    pub(crate) fn take(&mut self, lists: &[u8]) {
        self.read.extend_from_slice(bytemuck::cast_slice(lists));
    }

    /// Tells the logits of rows of the last run. Returns the bytes that were read for it.
    ///
    /// # Errors
    /// The device is lost.
    pub(crate) fn tell(&mut self, memory: &Memory, rows: &[HeadRow]) -> Result<usize> {
        self.told.clear();
        let mut bytes = 0;
        for row in rows {
            if let Some(place) = self.place(row) {
                bytes += self.lists.tell(memory, &self.logits, &self.read, place, &mut self.told)?;
            }
        }
        Ok(bytes)
    }

    /// The logits of a row that was asked for.
    pub(crate) fn logits(&self, row: usize) -> &[f32] {
        &self.told[row * self.lists.codes..][..self.lists.codes]
    }
}
