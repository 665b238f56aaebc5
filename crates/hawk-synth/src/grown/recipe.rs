//! How a tensor of a grown model is made of one of its source, and the numbers of it.

use std::io::Write;

use hawk_files::{Checkpoint, Error, Planned, Result};
use safetensors::Dtype;

use crate::random::SplitMix64;
use crate::weights::stream;

/// Bytes of numbers that are written at once.
const BUFFER: usize = 1 << 16;

/// Inputs that may share an int8 scale.
const BLOCK: usize = 64;

/// Numbers where the source has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Numbers of the source's row, drawn at random. No number is larger than the largest of its row
    /// and of its block, so that int8 scales stay.
    Drawn,
    /// Zeros.
    Zero,
}

/// A part of a tensor's rows.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// The first row of the part in the source's tensor.
    pub(super) first: usize,
    /// Rows that the source has.
    pub(super) source: usize,
    /// How many of them one stored row stands for.
    pub(super) stored_for: usize,
    /// Rows that are the source's, from the first on.
    pub(super) kept: usize,
    /// Rows of the part in the new tensor.
    pub(super) grown: usize,
    /// The source's columns of the other rows.
    pub(super) beyond: Beyond,
}

impl Rows {
    /// `grown` rows, of which the first `source` are those of the source.
    pub(super) fn grown(source: usize, grown: usize, beyond: Beyond) -> Self {
        Self { first: 0, source, stored_for: 1, kept: source, grown, beyond }
    }
}

/// The columns of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    /// Columns that the source has.
    pub(super) source: usize,
    /// Columns of the new tensor.
    pub(super) grown: usize,
    /// The columns behind the source's.
    pub(super) beyond: Beyond,
}

/// A tensor to be written.
pub(super) struct Recipe {
    pub(super) planned: Planned,
    /// The tensor of the source, and its shape.
    pub(super) from: String,
    pub(super) shape: Vec<usize>,
    /// The parts, one below the other.
    pub(super) rows: Vec<Rows>,
    pub(super) columns: Columns,
    /// All numbers are multiplied with it.
    pub(super) factor: f32,
}

impl Recipe {
    /// Numbers that are zero by design.
    pub(super) fn zeros(&self) -> u64 {
        let zeros = |beyond: Beyond, count: usize| if beyond == Beyond::Zero { count as u64 } else { 0 };
        let of_part = |rows: &Rows| {
            let beside = self.columns.grown - self.columns.source;
            zeros(rows.beyond, (rows.grown - rows.kept) * self.columns.source)
                + zeros(self.columns.beyond, rows.grown * beside)
        };
        self.rows.iter().map(of_part).sum()
    }

    /// Writes the numbers: a function of the seed, the tensor's name and the source.
    pub(super) fn write(&self, source: &Checkpoint, seed: u64, out: &mut dyn Write) -> Result<()> {
        let tensor = source.tensor(&self.from, &self.shape)?;
        let failed = |e: std::io::Error| Error::environment(format!("cannot write the weights: {e}"));
        let mut random = stream(seed, &self.planned.name);
        let (mut stored, mut row) = (vec![0.0; self.columns.source], vec![0.0; self.columns.grown]);
        let mut bytes = Vec::with_capacity(2 * BUFFER);
        // The source's last columns share their block with new ones.
        let last = self.columns.source / BLOCK * BLOCK;
        let border = self.columns.source.next_multiple_of(BLOCK).min(self.columns.grown);
        for rows in &self.rows {
            for index in 0..rows.grown {
                tensor.row_into(rows.first + index % rows.source / rows.stored_for, &mut stored);
                let (own, beside) = row.split_at_mut(self.columns.source);
                if index < rows.kept {
                    own.copy_from_slice(&stored);
                } else {
                    fill(own, rows.beyond, &stored, &mut random);
                }
                let (near, far) = beside.split_at_mut(border - self.columns.source);
                fill(near, self.columns.beyond, &stored[last..], &mut random);
                fill(far, self.columns.beyond, &stored, &mut random);
                row.iter_mut().for_each(|x| *x *= self.factor);
                encode(self.planned.dtype, &row, &mut bytes);
                if bytes.len() >= BUFFER {
                    out.write_all(&bytes).map_err(failed)?;
                    bytes.clear();
                }
            }
        }
        out.write_all(&bytes).map_err(failed)?;
        source.release();
        Ok(())
    }
}

fn fill(out: &mut [f32], beyond: Beyond, stored: &[f32], random: &mut SplitMix64) {
    match beyond {
        Beyond::Zero => out.fill(0.0),
        Beyond::Drawn => {
            let drawn = |half: u64| stored[((half * stored.len() as u64) >> 32) as usize];
            for pair in out.chunks_mut(2) {
                let bits = random.bits();
                pair.iter_mut().zip([bits >> 32, bits & 0xffff_ffff]).for_each(|(x, half)| *x = drawn(half));
            }
        }
    }
}

fn encode(dtype: Dtype, row: &[f32], bytes: &mut Vec<u8>) {
    match dtype {
        Dtype::BF16 => bytes.extend(row.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())),
        Dtype::F16 => bytes.extend(row.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes())),
        _ => bytes.extend(row.iter().flat_map(|x| x.to_le_bytes())),
    }
}
