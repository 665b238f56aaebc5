//! Plain decoding for a while where drafting does not pay in an image.
//!
//! The size in use is the best over many images. An image, or a part of it, may accept much less: its cells per
//! pass are compared with the cost of its passes as they come. Where they are clearly below, drafting pauses, then
//! it is tried again. A pause that was right is followed by one of twice the length, so that an image that never
//! pays loses little.

/// Fewest trees of a judgement.
const TREES: f64 = 8.0;
/// Standard errors of the mean that make a loss clear.
const CLEAR: f64 = 1.5;
/// Passes of the first pause.
const FIRST: u32 = 32;

/// The trees of an image since its start or its last pause, and the pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    trees: f64,
    cells: f64,
    squares: f64,
    /// Passes left of this pause.
    left: u32,
    /// Passes of the next one.
    next: u32,
}

impl Default for Pause {
    fn default() -> Self {
        Self { trees: 0.0, cells: 0.0, squares: 0.0, left: 0, next: FIRST }
    }
}

impl Pause {
    /// Whether drafting pauses.
    pub(super) fn is_on(&self) -> bool {
        self.left > 0
    }

    /// A pass is over.
    pub(super) fn pass(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Learns the cells of a tree, and the time of its pass over that of a plain one.
    pub(super) fn record(&mut self, cells: f64, cost: f64) {
        self.trees += 1.0;
        self.cells += cells;
        self.squares += cells * cells;
        let mean = self.cells / self.trees;
        let variance = (self.squares / self.trees - mean * mean).max(0.0);
        let error = (variance / self.trees).sqrt();
        if self.trees >= TREES && mean + CLEAR * error < cost {
            *self = Self { left: self.next, next: 2 * self.next, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trees, of so many cells in turn, until a pause; none in the first thousand.
    fn trees_before_a_pause(pause: &mut Pause, cells: &[f64], cost: f64) -> Option<usize> {
        (1..=1000).find(|&tree| {
            pause.record(cells[tree % cells.len()], cost);
            pause.is_on()
        })
    }

    #[test]
    fn what_does_not_pay_pauses_for_ever_longer() {
        let mut pause = Pause::default();
        for length in [32, 64, 128] {
            let trees = trees_before_a_pause(&mut pause, &[1.0, 2.0, 1.0, 1.0], 1.7).unwrap();
            assert!(trees <= 12, "{trees}");
            let passes = (1..).find(|_| {
                pause.pass();
                !pause.is_on()
            });
            assert_eq!(passes, Some(length));
        }
    }

    #[test]
    fn what_pays_goes_on() {
        assert_eq!(trees_before_a_pause(&mut Pause::default(), &[1.0, 3.0, 1.0, 2.0], 1.5), None);
        // Too near to tell.
        assert_eq!(trees_before_a_pause(&mut Pause::default(), &[1.0, 1.0, 1.0, 4.0], 1.75), None);
    }
}
