//! The inputs of tokens on a device.

use hawk_files::Result;
use hawk_nn::Table;

use crate::kernels::elementwise::{self, UNITS};
use crate::kernels::numbers::Numbers;
use crate::launch::{cubes, units};
use crate::matrix::pair_of;
use crate::memory::{Buffer, Memory};

/// The tables of a model, one after another: f32, or bf16 where the checkpoint has all in bf16.
pub(crate) struct Embedding {
    table: Buffer,
    numbers: Numbers,
    /// Words of a row.
    words: usize,
    /// D.
    width: usize,
    /// Number of rows.
    ids: usize,
}

impl Embedding {
    /// Uploads the tables. Returns also the bytes that were planned.
    ///
    /// # Errors
    /// The device has no room.
    pub(crate) fn upload(memory: &Memory, tables: Vec<Table>, width: usize) -> Result<(Self, u64)> {
        let is_bf16 = width.is_multiple_of(2) && tables.iter().all(|table| matches!(table, Table::Bf16(_)));
        let (numbers, words) = if is_bf16 { (Numbers::Bf16, width / 2) } else { (Numbers::F32, width) };
        let length = |table: &Table| match table {
            Table::F32(numbers) => numbers.len(),
            Table::Bf16(numbers) => numbers.len(),
        };
        let ids = tables.iter().map(length).sum::<usize>() / width;
        let planned = (4 * ids * words) as u64;
        memory.plan("the inputs of the tokens", planned, planned)?;
        let mut all: Vec<u32> = Vec::with_capacity(ids * words);
        for table in tables {
            match table {
                Table::Bf16(numbers) if is_bf16 => {
                    all.extend(numbers.as_chunks::<2>().0.iter().map(|[low, high]| pair_of(*low, *high)));
                }
                Table::Bf16(numbers) => all.extend(numbers.iter().map(|x| x.to_f32().to_bits())),
                Table::F32(numbers) => all.extend(numbers.iter().map(|x| x.to_bits())),
            }
        }
        Ok((Self { table: memory.upload(all), numbers, words, width, ids }, planned))
    }

    /// Writes the inputs of tokens to rows of `out`. Tokens from [`ids`](Self::ids) on are rows of
    /// `own`.
    pub(crate) fn run(&self, memory: &Memory, tokens: Tokens, out: &Buffer, stride: usize) {
        let count = tokens.ids.len();
        let own = if tokens.own.is_empty() { vec![0.0] } else { tokens.own };
        // SAFETY: tokens name rows of the table or of `own`, and `out` has the rows with this stride.
        unsafe {
            elementwise::embed::launch_unchecked(
                &memory.client,
                cubes(self.width.div_ceil(UNITS as usize), count),
                units(UNITS),
                self.table.arg(),
                memory.upload(own).arg(),
                memory.upload(tokens.ids).arg(),
                out.arg(),
                self.ids as u32,
                self.words as u32,
                self.width as u32,
                stride as u32,
                self.numbers,
            );
        }
    }

    /// The number of ids that the model itself has inputs of.
    pub(crate) fn ids(&self) -> usize {
        self.ids
    }
}

/// The tokens of the rows of a pass.
pub(crate) struct Tokens {
    /// Ids of the model; those behind the last are rows of `own`.
    pub(crate) ids: Vec<u32>,
    /// Inputs of streams, `[count, D]`.
    pub(crate) own: Vec<f32>,
}
