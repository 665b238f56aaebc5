//! The Speculation Cache: what each head says of open cells, kept until their turn comes (Hawk, section "Speculation Cache").
//!
//! A head that looks `n` cells on in raster order has spoken of at most the next `n` cells, so a ring of `n` entries holds all that can still be
//! read: for vertical heads of 1 to D rows, C * D * (D + 1) / 2 entries in all. An entry dies when its cell is passed, by being written over.

use hawk_nn::HeadOffset;
use hawk_spec::{Cell, Code, Grid};

/// What is kept of a head's law; see [`Manner`](super::heads::Manner).
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// The best candidates, best first.
    Ranked(Vec<(f64, Code)>),
    /// The whole law, one probability per code.
    Law(Vec<f64>),
}

impl Kept {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Kept::Ranked(ranked) => ranked.capacity() * size_of::<(f64, Code)>(),
            Kept::Law(law) => law.capacity() * size_of::<f64>(),
        }
    }
}

/// The entries of one head.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    entries: Vec<(Option<Cell>, Kept)>,
}

impl Ring {
    /// Entries for a head of this offset. A horizontal head is only asked at the anchor: it has said something of one cell.
    pub(super) fn new(offset: HeadOffset, grid: Grid, empty: impl Fn() -> Kept) -> Self {
        let entries = Self::entries(offset, grid);
        Self { entries: (0..entries).map(|_| (None, empty())).collect() }
    }

    /// Number of entries.
    pub(super) fn entries(offset: HeadOffset, grid: Grid) -> usize {
        let ahead = i64::from(offset.down()) * i64::from(grid.cols()) + i64::from(offset.right());
        if offset.down() == 0 { 1 } else { ahead.max(1) as usize }
    }

    pub(super) fn clear(&mut self) {
        self.entries.iter_mut().for_each(|(cell, _)| *cell = None);
    }

    /// The entry of a cell, to be written.
    pub(super) fn put(&mut self, cell: Cell) -> &mut Kept {
        let at = cell.index() % self.entries.len();
        let (holds, kept) = &mut self.entries[at];
        *holds = Some(cell);
        kept
    }

    /// What the head said of a cell, if it did.
    pub(super) fn get(&self, cell: Cell) -> Option<&Kept> {
        let (holds, kept) = &self.entries[cell.index() % self.entries.len()];
        (*holds == Some(cell)).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertical_rings_have_the_papers_size_and_keep_what_can_be_read() {
        let grid = Grid::new(8, 6).unwrap();
        let offset = |down| HeadOffset::new(down, 0).unwrap();
        assert_eq!((1..=3).map(|down| Ring::entries(offset(down), grid)).sum::<usize>(), 6 * 3 * 4 / 2);
        for down in 1..=3 {
            let mut ring = Ring::new(offset(down), grid, || Kept::Ranked(Vec::new()));
            for cell in (0..grid.cells()).map(Cell) {
                // The hidden state of `cell` is known: everything up to `down` rows on must still be there.
                let Some(below) = offset(down).target(grid, cell) else { break };
                *ring.put(below) = Kept::Ranked(vec![(0.0, Code(below.0))]);
                for open in (cell.0 + 1..=below.0).filter(|&open| open >= down * grid.cols()).map(Cell) {
                    assert!(matches!(ring.get(open), Some(Kept::Ranked(ranked)) if ranked[0].1 == Code(open.0)));
                }
                assert!(ring.get(Cell(below.0 + 1)).is_none());
            }
            ring.clear();
            assert!(ring.get(Cell(down * grid.cols())).is_none());
        }
    }
}
