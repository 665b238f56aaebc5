//! The rows of a pass: a tree of tokens after the committed ones.

use hawk_spec::{Cell, TokenId};

/// The reading of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// The logits after the row.
    Logits,
    /// The law of this cell, whose noise ranks the codes.
    Law(Cell),
    /// Nothing but keys and values.
    Nothing,
}

/// The rows of one pass of one stream: tokens after the committed ones, each after its parent row.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    tokens: Vec<TokenId>,
    /// The rows that are read, in rising order.
    read: Vec<usize>,
    /// Their cells; cell 0 for [`Readout::Logits`].
    read_cells: Vec<Cell>,
    /// The path of every row, oldest ancestor first and the row itself last, one after another.
    paths: Vec<usize>,
    /// The end of each row's path in `paths`.
    path_ends: Vec<usize>,
}

impl Rows {
    /// Memory for `rows` rows in paths of up to `depth` rows.
    pub fn with_capacity(rows: usize, depth: usize) -> Self {
        Self {
            tokens: Vec::with_capacity(rows),
            read: Vec::with_capacity(rows),
            read_cells: Vec::with_capacity(rows),
            paths: Vec::with_capacity(rows * depth),
            path_ends: Vec::with_capacity(rows),
        }
    }

    /// Adds a row after row `parent`, or directly after the committed tokens; returns its number.
    ///
    /// # Panics
    /// `parent` is not a row.
    pub fn push(&mut self, token: TokenId, parent: Option<usize>, readout: Readout) -> usize {
        let row = self.tokens.len();
        let cell = match readout {
            Readout::Logits => Some(Cell(0)),
            Readout::Law(cell) => Some(cell),
            Readout::Nothing => None,
        };
        if let Some(cell) = cell {
            self.read.push(row);
            self.read_cells.push(cell);
        }
        if let Some(parent) = parent {
            self.paths.extend_from_within(self.path_range(parent));
        }
        self.paths.push(row);
        self.path_ends.push(self.paths.len());
        self.tokens.push(token);
        row
    }

    fn path_range(&self, row: usize) -> std::ops::Range<usize> {
        row.checked_sub(1).map_or(0, |before| self.path_ends[before])..self.path_ends[row]
    }

    /// Length of the longest path.
    pub fn deepest(&self) -> usize {
        (0..self.len()).map(|row| self.path_range(row).len()).max().unwrap_or(0)
    }

    /// Adds a chain of tokens after row `parent`. `readout` is that of the last one. Returns the
    /// last row, or `parent` if there are no tokens.
    pub fn push_chain(
        &mut self,
        tokens: impl IntoIterator<Item = TokenId>,
        parent: Option<usize>,
        readout: Readout,
    ) -> Option<usize> {
        let mut tokens = tokens.into_iter().peekable();
        let mut last = parent;
        while let Some(token) = tokens.next() {
            let readout = if tokens.peek().is_none() { readout } else { Readout::Nothing };
            last = Some(self.push(token, last, readout));
        }
        last
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.read.clear();
        self.read_cells.clear();
        self.paths.clear();
        self.path_ends.clear();
    }

    /// N, the number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens of the rows.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// The rows that are read, in rising order.
    pub fn read(&self) -> &[usize] {
        &self.read
    }

    /// The cells of [`read`](Self::read).
    pub fn read_cells(&self) -> &[Cell] {
        &self.read_cells
    }

    /// The row's ancestors, oldest first, and the row itself.
    pub fn path(&self, row: usize) -> &[usize] {
        &self.paths[self.path_range(row)]
    }
}
