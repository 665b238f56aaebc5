//! The inputs of token ids.

use hawk_files::Tensor;

/// Inputs of ids from 0 on, one table after another. A pass reads one row per token.
pub struct Embedding {
    tables: Vec<Table>,
    /// D.
    width: usize,
}

/// A table in the checkpoint's numbers, `[ids, D]`.
pub enum Table {
    /// f32.
    F32(Vec<f32>),
    /// bf16.
    Bf16(Vec<half::bf16>),
}

impl Table {
    pub(crate) fn read(table: &Tensor<'_>) -> Self {
        match table.bf16_numbers() {
            Some(numbers) => Self::Bf16(numbers.collect()),
            None => Self::F32(table.to_f32()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(table) => table.len(),
            Self::Bf16(table) => table.len(),
        }
    }
}

impl Embedding {
    pub(crate) fn new(width: usize, tables: Vec<Table>) -> Self {
        Self { tables, width }
    }

    /// Writes the input of an id, `[D]`; the ids behind the last table's belong to `more`.
    ///
    /// # Panics
    /// No table and no row of `more` has the id.
    pub fn row_into(&self, row: usize, more: &[f32], out: &mut [f32]) {
        let mut start = row * self.width;
        for table in &self.tables {
            if start < table.len() {
                let range = start..start + self.width;
                match table {
                    Table::F32(table) => out.copy_from_slice(&table[range]),
                    Table::Bf16(table) => out.iter_mut().zip(&table[range]).for_each(|(out, x)| *out = x.to_f32()),
                }
                return;
            }
            start -= table.len();
        }
        out.copy_from_slice(&more[start..start + self.width]);
    }

    /// Takes the tables out, for a device that keeps them itself; none is left.
    pub fn take(&mut self) -> Vec<Table> {
        std::mem::take(&mut self.tables)
    }

    /// Bytes of the tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |table: &Table| match table {
            Table::F32(table) => size_of_val(&table[..]),
            Table::Bf16(table) => size_of_val(&table[..]),
        };
        self.tables.iter().map(bytes).sum()
    }
}
