//! The Speculation Cache: the laws that heads give for open cells, kept until decoding reaches them
//! (Hawk, section "Speculation Cache").
//!
//! A head that looks `n` cells ahead in raster order has predicted at most the next `n` cells. A
//! ring of `n` entries therefore holds all that can still be read: for vertical heads of 1 to D
//! rows, C * D * (D + 1) / 2 entries in all. An entry dies when its cell is passed: it is
//! overwritten. It holds the head's logits less the largest of them, one f32 per code; candidates
//! are made of it when its cell is drafted.

use hawk_nn::{Arrangement, HeadOffset};
use hawk_spec::Cell;

/// The entries of one head.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    holds: Vec<Option<Cell>>,
    /// `[entries, codes]`.
    logits: Vec<f32>,
    codes: usize,
}

impl Ring {
    /// Entries for a head of this offset. A horizontal head is only asked at the anchor, so it has
    /// one.
    pub(super) fn new(offset: HeadOffset, arrangement: Arrangement, codes: usize) -> Self {
        let entries = Self::entries(offset, arrangement);
        Self { holds: vec![None; entries], logits: vec![0.0; entries * codes], codes }
    }

    /// Number of entries.
    fn entries(offset: HeadOffset, arrangement: Arrangement) -> usize {
        match arrangement {
            Arrangement::Grid(grid) if offset.down() > 0 => {
                let ahead = i64::from(offset.down()) * i64::from(grid.cols()) + i64::from(offset.right());
                ahead.max(1) as usize
            }
            Arrangement::Grid(_) | Arrangement::Line => 1,
        }
    }

    /// Bytes of the entries.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.logits) + size_of_val(&*self.holds)
    }

    pub(super) fn clear(&mut self) {
        self.holds.fill(None);
    }

    /// Keeps the head's logits for a cell, `[codes]`, all finite.
    pub(super) fn put(&mut self, cell: Cell, logits: &[f32]) {
        let entry = cell.index() % self.holds.len();
        self.holds[entry] = Some(cell);
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.logits[entry * self.codes..][..self.codes].iter_mut().zip(logits).for_each(|(kept, x)| *kept = x - best);
    }

    /// The head's logits for a cell, if it was asked: `[codes]`, the largest 0.
    pub(super) fn get(&self, cell: Cell) -> Option<&[f32]> {
        let entry = cell.index() % self.holds.len();
        (self.holds[entry] == Some(cell)).then(|| &self.logits[entry * self.codes..][..self.codes])
    }
}

#[cfg(test)]
mod tests {
    use hawk_spec::Grid;

    use super::*;

    #[test]
    fn vertical_rings_have_the_papers_size_and_keep_what_can_be_read() {
        let grid = Grid::new(8, 6).unwrap();
        let offset = |down| HeadOffset::new(down, 0).unwrap();
        assert_eq!((1..=3).map(|down| Ring::entries(offset(down), grid.into())).sum::<usize>(), 6 * 3 * 4 / 2);
        for down in 1..=3 {
            let mut ring = Ring::new(offset(down), grid.into(), 2);
            for cell in (0..grid.cells()).map(Cell) {
                // The hidden state of `cell` is known: everything up to `down` rows on must still
                // be there.
                let Some(below) = offset(down).target(grid, cell) else { break };
                ring.put(below, &[0.5, 0.5 - below.0 as f32]);
                for open in (cell.0 + 1..=below.0).filter(|&open| open >= down * grid.cols()).map(Cell) {
                    assert_eq!(ring.get(open), Some(&[0.0, -(open.0 as f32)][..]));
                }
                assert!(ring.get(Cell(below.0 + 1)).is_none());
            }
            ring.clear();
            assert!(ring.get(Cell(down * grid.cols())).is_none());
        }
    }
}
