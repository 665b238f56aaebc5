//! Launches of kernels.

use cubecl::prelude::{CubeCount, CubeDim};

use crate::kernels::elementwise;
use crate::kernels::numbers::Numbers;
use crate::kernels::product::{Epilogue, TEAM, TEAMS, product};
use crate::matrix::GpuMatrix;
use crate::memory::{Buffer, Memory};

/// Rows of the blocks that products are compiled for.
const BLOCKS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// A number of cubes in two directions.
pub(crate) fn cubes(x: usize, y: usize) -> CubeCount {
    CubeCount::Static(x as u32, y as u32, 1)
}

/// Units of a cube.
pub(crate) fn units(count: u32) -> CubeDim {
    CubeDim::new_1d(count)
}

/// Rows in a buffer.
#[derive(Clone, Copy)]
pub(crate) struct RowsIn<'a> {
    pub(crate) buffer: &'a Buffer,
    /// Numbers from one row to the next.
    pub(crate) stride: usize,
}

/// Some rows of inputs against some outputs of a matrix.
pub(crate) struct Product<'a> {
    pub(crate) matrix: &'a GpuMatrix,
    pub(crate) epilogue: Epilogue,
    /// Inputs, [`padded`](crate::matrix::padded).
    pub(crate) x: RowsIn<'a>,
    pub(crate) y: RowsIn<'a>,
    /// The rows of `x` and `y`.
    pub(crate) rows: std::ops::Range<usize>,
    /// The outputs; the first is column 0 of `y`.
    pub(crate) outputs: std::ops::Range<usize>,
}

impl Product<'_> {
    pub(crate) fn run(&self, memory: &Memory) {
        let (rows, outputs) = (self.rows.len(), self.outputs.len());
        if rows == 0 || outputs == 0 {
            return;
        }
        let largest = BLOCKS[BLOCKS.len() - 1];
        let block = BLOCKS.into_iter().find(|block| *block >= rows).unwrap_or(largest);
        // SAFETY: `x` and `y` have the rows with these strides, and the matrix has the outputs;
        // rows of inputs are as long as those of the matrix.
        unsafe {
            product::launch_unchecked(
                &memory.client,
                cubes(outputs.div_ceil(TEAMS as usize), rows.div_ceil(block)),
                units(TEAM * TEAMS),
                self.x.buffer.vectors(),
                self.matrix.buffer.vectors(),
                self.matrix.scales.arg(),
                self.y.buffer.arg(),
                rows as u32,
                self.rows.start as u32,
                (self.x.stride / 4) as u32,
                self.matrix.vectors as u32,
                self.y.stride as u32,
                self.outputs.start as u32,
                outputs as u32,
                block,
                self.matrix.format,
                self.epilogue,
            );
        }
    }
}

/// Rows `pick` of `x` that are copied to `out`, rounded as products read them.
pub(crate) struct Gather<'a> {
    pub(crate) x: &'a Buffer,
    pub(crate) pick: &'a Buffer,
    pub(crate) out: &'a Buffer,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) numbers: Numbers,
}

impl Gather<'_> {
    pub(crate) fn run(&self, memory: &Memory) {
        // SAFETY: `pick` names rows of `x`, and both buffers have the rows with this stride.
        unsafe {
            elementwise::gather::launch_unchecked(
                &memory.client,
                cubes(self.width.div_ceil(elementwise::UNITS as usize), self.rows),
                units(elementwise::UNITS),
                self.x.arg(),
                self.pick.arg(),
                self.out.arg(),
                self.width as u32,
                self.stride as u32,
                self.numbers,
            );
        }
    }
}
