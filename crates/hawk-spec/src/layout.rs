//! The latent grid, and the places of its cells in the token sequence.

use std::ops::Range;

use crate::token::{Cell, Code, TokenId};

/// Largest number of rows and of columns.
const MAX_SIDE: u32 = 1024;

/// The latent grid: R rows of C columns, cells in raster order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    rows: u32,
    cols: u32,
}

impl Grid {
    /// A grid of `rows` x `cols` cells, each side in `1..=1024`.
    ///
    /// # Errors
    /// [`LayoutError::Side`] where a side is out of range.
    pub fn new(rows: u32, cols: u32) -> Result<Self, LayoutError> {
        for (field, given) in [("rows", rows), ("cols", cols)] {
            if !(1..=MAX_SIDE).contains(&given) {
                return Err(LayoutError::Side { field, given });
            }
        }
        Ok(Self { rows, cols })
    }

    /// Number of rows, R.
    #[must_use]
    pub fn rows(self) -> u32 {
        self.rows
    }

    /// Number of columns, C.
    #[must_use]
    pub fn cols(self) -> u32 {
        self.cols
    }

    /// Number of cells, R * C.
    #[must_use]
    pub fn cells(self) -> u32 {
        self.rows * self.cols
    }

    /// Row of the cell, from 0 at the top.
    #[must_use]
    pub fn row(self, cell: Cell) -> u32 {
        cell.0 / self.cols
    }

    /// Column of the cell, from 0 at the left.
    #[must_use]
    pub fn col(self, cell: Cell) -> u32 {
        cell.0 % self.cols
    }

    /// The neighbour to the left; none in the first column.
    #[must_use]
    pub fn left(self, cell: Cell) -> Option<Cell> {
        (self.col(cell) > 0).then(|| Cell(cell.0 - 1))
    }

    /// The neighbour above; none in the first row.
    #[must_use]
    pub fn above(self, cell: Cell) -> Option<Cell> {
        cell.0.checked_sub(self.cols).map(Cell)
    }
}

/// The structure tokens of a model family. They are no cells, and the layout fixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Structure {
    /// Lumina-mGPT: `begin, height, width`, then rows of cells that each close with `row_end`, then
    /// `end`.
    Lumina {
        /// Opens an image.
        begin: TokenId,
        /// Closes an image, after the last row's `row_end`.
        end: TokenId,
        /// Closes a row.
        row_end: TokenId,
        /// The size token of `n` units is `size_base + n`.
        size_base: TokenId,
        /// Cells per size unit, at least 1. The public checkpoints have 2: a unit is 32 pixels, a
        /// cell 16.
        size_unit: u32,
    },
    /// `begin`, then cells alone.
    Opened {
        /// Opens an image.
        begin: TokenId,
    },
    /// Cells alone.
    Plain,
}

/// The places of cells, codes and structure tokens in the sequence and in the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    grid: Grid,
    code_offset: u32,
    codes: u32,
    structure: Structure,
    /// The tokens after the last cell. The first `row_tail` of them follow every row.
    tail: Vec<TokenId>,
    row_tail: usize,
}

impl Layout {
    /// A layout whose code `c` has the vocabulary id `code_offset + c`, for `c` in `0..codes`.
    ///
    /// # Errors
    /// [`LayoutError`] where there are fewer than 2 codes, an id exceeds 32 bits, a structure token
    /// has the id of a code, or a side of the grid is no multiple of the size unit.
    pub fn new(grid: Grid, code_offset: u32, codes: u32, structure: Structure) -> Result<Self, LayoutError> {
        if codes < 2 {
            return Err(LayoutError::Codes { given: codes });
        }
        if code_offset.checked_add(codes).is_none() {
            return Err(LayoutError::Overflow { field: "code_offset + codes" });
        }
        let (tail, row_tail) = match structure {
            Structure::Lumina { end, row_end, .. } => (vec![row_end, end], 1),
            Structure::Opened { .. } | Structure::Plain => (Vec::new(), 0),
        };
        let layout = Self { grid, code_offset, codes, structure, tail, row_tail };
        if let Structure::Lumina { size_base, size_unit, .. } = structure {
            check_sizes(grid, size_base, size_unit)?;
        }
        for token in layout.opening().into_iter().chain(layout.tail.iter().copied()) {
            if layout.code(token).is_some() {
                return Err(LayoutError::StructureAmongCodes {
                    token,
                    first: code_offset,
                    last: code_offset + codes - 1,
                });
            }
        }
        Ok(layout)
    }

    /// The latent grid.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Number of codes.
    #[must_use]
    pub fn codes(&self) -> u32 {
        self.codes
    }

    /// Vocabulary id of code 0. The ids of the codes are contiguous.
    #[must_use]
    pub fn code_offset(&self) -> u32 {
        self.code_offset
    }

    /// Vocabulary ids of the codes.
    #[must_use]
    pub fn code_ids(&self) -> Range<usize> {
        self.code_offset as usize..(self.code_offset + self.codes) as usize
    }

    /// The family's structure tokens.
    #[must_use]
    pub fn structure(&self) -> Structure {
        self.structure
    }

    /// The structure tokens between the prompt and the first cell. They end the prefix.
    #[must_use]
    pub fn opening(&self) -> Vec<TokenId> {
        match self.structure {
            Structure::Lumina { begin, size_base, size_unit, .. } => {
                let size = |side: u32| TokenId(size_base.0 + side / size_unit);
                vec![begin, size(self.grid.rows), size(self.grid.cols)]
            }
            Structure::Opened { begin } => vec![begin],
            Structure::Plain => Vec::new(),
        }
    }

    /// The structure tokens directly after the cell's token; none inside a row.
    #[must_use]
    pub fn after(&self, cell: Cell) -> &[TokenId] {
        if cell.0 + 1 == self.grid.cells() {
            &self.tail
        } else if self.grid.col(cell) + 1 == self.grid.cols {
            &self.tail[..self.row_tail]
        } else {
            &[]
        }
    }

    /// The vocabulary id of a code below [`codes`](Self::codes).
    #[must_use]
    pub fn token(&self, code: Code) -> TokenId {
        debug_assert!(code.0 < self.codes, "code {code} of {}", self.codes);
        TokenId(self.code_offset + code.0)
    }

    /// The code of a vocabulary id; none for text and structure tokens.
    #[must_use]
    pub fn code(&self, token: TokenId) -> Option<Code> {
        token.0.checked_sub(self.code_offset).filter(|&code| code < self.codes).map(Code)
    }

    /// The tokens of the first `codes.len()` cells after the prefix, structure tokens included.
    ///
    /// # Panics
    /// There are more codes than cells.
    #[must_use]
    pub fn sequence(&self, codes: &[Code]) -> Vec<TokenId> {
        assert!(codes.len() <= self.grid.cells() as usize, "{} codes for {} cells", codes.len(), self.grid.cells());
        let mut tokens = Vec::with_capacity(codes.len() + self.tail.len() * self.grid.rows as usize);
        for (cell, &code) in (0..).map(Cell).zip(codes) {
            tokens.push(self.token(code));
            tokens.extend_from_slice(self.after(cell));
        }
        tokens
    }

    /// Length of the [`sequence`](Self::sequence) of a full grid.
    #[must_use]
    pub fn sequence_len(&self) -> usize {
        let last = Cell(self.grid.cells() - 1);
        self.offset_of(last) + 1 + self.after(last).len()
    }

    /// Index of the cell's token in [`sequence`](Self::sequence).
    #[must_use]
    pub fn offset_of(&self, cell: Cell) -> usize {
        cell.index() + self.grid.row(cell) as usize * self.row_tail
    }

    /// Length of the longest run of structure tokens after a cell.
    #[must_use]
    pub fn max_structure_run(&self) -> usize {
        self.tail.len()
    }
}

fn check_sizes(grid: Grid, size_base: TokenId, size_unit: u32) -> Result<(), LayoutError> {
    if size_unit == 0 {
        return Err(LayoutError::SizeUnit);
    }
    for (field, side) in [("rows", grid.rows), ("cols", grid.cols)] {
        if side % size_unit != 0 {
            return Err(LayoutError::NotInUnits { field, given: side, size_unit });
        }
        if size_base.0.checked_add(side / size_unit).is_none() {
            return Err(LayoutError::Overflow { field: "size_base + size" });
        }
    }
    Ok(())
}

/// A [`Grid`] or [`Layout`] cannot exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A side of the grid is out of range.
    #[error("{field} must be 1 to 1024, got {given}")]
    Side {
        /// `rows` or `cols`.
        field: &'static str,
        /// The value.
        given: u32,
    },
    /// There are fewer than 2 codes.
    #[error("codes must be at least 2, got {given}")]
    Codes {
        /// The value.
        given: u32,
    },
    /// A vocabulary id exceeds 32 bits.
    #[error("{field} exceeds 32 bits")]
    Overflow {
        /// The sum that overflows.
        field: &'static str,
    },
    /// The size unit is zero.
    #[error("size_unit must be at least 1, got 0")]
    SizeUnit,
    /// A side is no whole number of size units.
    #[error("{field} must be a multiple of size_unit = {size_unit}, got {given}")]
    NotInUnits {
        /// `rows` or `cols`.
        field: &'static str,
        /// The side, in cells.
        given: u32,
        /// Cells per size unit.
        size_unit: u32,
    },
    /// A structure token has the id of a code.
    #[error("structure token {token} lies among the codes, ids {first} to {last}")]
    StructureAmongCodes {
        /// The structure token.
        token: TokenId,
        /// Id of the first code.
        first: u32,
        /// Id of the last code.
        last: u32,
    },
}
