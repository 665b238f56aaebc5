//! Cells per pass by tree size.

use hawk_spec::NodeId;
use serde::{Deserialize, Serialize};

use super::sizes::{COUNT, PLAIN, SIZES};

/// Trees after which older ones count half.
const WINDOW: f64 = 512.0;
/// Trees that make an estimate.
pub(super) const ENOUGH_TREES: f64 = 16.0;
/// Trees whose mean is trusted although they were grown at other places of the images.
const MANY_TREES: f64 = 256.0;
/// What twice as many nodes must have brought at least, or more nodes are not tried.
const GROWS: f64 = 1.05;
/// Trees of a size that halve the doubt whether what differs from the first nodes of larger trees
/// is due to the place or to the size.
const DOUBT_TREES: f64 = 32.0;

/// Sums over trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) trees: f64,
    /// Cells committed.
    pub(super) cells: f64,
    /// Nodes, roots included.
    pub(super) nodes: f64,
}

/// Means over trees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub(super) cells: f64,
    pub(super) nodes: f64,
}

impl Tally {
    /// The means, where there are enough trees.
    fn mean(self, trees: f64) -> Option<Mean> {
        (self.trees >= trees).then(|| Mean { cells: self.cells / self.trees, nodes: self.nodes / self.trees })
    }

    pub(super) fn scaled(self, factor: f64) -> Self {
        Self { trees: self.trees * factor, cells: self.cells * factor, nodes: self.nodes * factor }
    }
}

/// Cells per tree by size.
#[derive(Clone, Debug, Default)]
pub(super) struct Gain {
    /// By the bound of the trees that were grown, then by size up to it: what the first nodes of
    /// these trees brought.
    tallies: [[Tally; COUNT]; COUNT],
    /// The bound of the last trees. Sizes are compared on its trees, which are the same for all:
    /// trees of two bounds were grown at different places, some easier than others.
    bound: usize,
}

impl Gain {
    /// Learns from a tree of `nodes` nodes, grown up to the size number `bound`, and the accepted
    /// path in it, root excluded.
    pub(super) fn record(&mut self, bound: usize, nodes: usize, path: &[NodeId]) {
        let row = &mut self.tallies[bound];
        for (tally, &size) in row[..=bound].iter_mut().zip(&SIZES) {
            // Parents come before children: the path's nodes within the size are its beginning.
            let accepted = path.iter().take_while(|node| node.index() < size).count();
            tally.trees += 1.0;
            tally.cells += 1.0 + accepted as f64;
            tally.nodes += nodes.min(size) as f64;
        }
        if row[bound].trees > WINDOW {
            row.iter_mut().for_each(|tally| *tally = tally.scaled(0.5));
        }
        if self.tallies[bound][bound].trees >= ENOUGH_TREES {
            self.bound = bound;
        }
    }

    /// What a tree of a size brings. None where no trees of this size or a larger one were grown.
    pub(super) fn of(&self, size: usize) -> Option<Mean> {
        if size == PLAIN {
            return Some(Mean { cells: 1.0, nodes: 1.0 });
        }
        let own = self.tallies[size][size];
        if let Some(mean) = own.mean(MANY_TREES) {
            return Some(mean);
        }
        let last = self.tallies[self.bound];
        if size < self.bound {
            let mean = last[size].mean(ENOUGH_TREES)?;
            return Some(Mean { cells: (mean.cells * self.truth(size, self.bound)).max(1.0), ..mean });
        }
        let mean = own.mean(ENOUGH_TREES)?;
        // By how much the larger size was better on its own trees.
        let (smaller, base) = (self.tallies[size][self.bound], last[self.bound].mean(ENOUGH_TREES)?);
        let smaller = smaller.cells / smaller.trees * self.truth(self.bound, size);
        Some(Mean { cells: base.cells * mean.cells / smaller, ..mean })
    }

    /// Whether trees of a size brought clearly more than the first half of their nodes.
    pub(super) fn grows(&self, size: usize) -> bool {
        let (all, half) = (self.tallies[size][size].cells, self.tallies[size][size.saturating_sub(2)].cells);
        all > GROWS * half
    }

    /// The cells of trees of a size over those that the first nodes of larger trees promised. A
    /// drafter that refines its guesses from pass to pass (Jacobi) has better ones in a larger tree.
    /// 1 before trees of the size were grown.
    fn truth(&self, size: usize, larger: usize) -> f64 {
        let (own, promised) = (self.tallies[size][size], self.tallies[larger][size]);
        let trees = own.trees.min(promised.trees);
        if size == larger || trees == 0.0 {
            return 1.0;
        }
        let ratio = own.cells / own.trees * promised.trees / promised.cells;
        (trees * ratio + DOUBT_TREES) / (trees + DOUBT_TREES)
    }

    /// The tallies that are not empty, as (bound, size, tally).
    pub(super) fn tallies(&self) -> impl Iterator<Item = (usize, usize, Tally)> + '_ {
        let rows = self.tallies.iter().enumerate();
        let all = rows.flat_map(|(bound, row)| row.iter().enumerate().map(move |(size, tally)| (bound, size, *tally)));
        all.filter(|(.., tally)| tally.trees > 0.0)
    }

    /// Puts back a tally of an earlier run.
    pub(super) fn put(&mut self, bound: usize, size: usize, tally: Tally) {
        self.tallies[bound][size] = tally;
    }

    /// The bound whose trees sizes are compared on.
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Puts back the bound of an earlier run.
    pub(super) fn put_bound(&mut self, bound: usize) {
        self.bound = bound;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::index;
    use super::*;

    fn cells(gain: &Gain, nodes: usize) -> f64 {
        gain.of(index(nodes).unwrap()).unwrap().cells
    }

    #[test]
    fn one_tree_tells_what_every_smaller_one_would_have_accepted() {
        let (mut gain, eight) = (Gain::default(), index(8).unwrap());
        let path = [1, 2, 5].map(NodeId);
        for _ in 0..16 {
            assert_eq!(gain.of(eight), None);
            gain.record(eight, 7, &path);
        }
        assert_eq!(gain.of(eight), Some(Mean { cells: 4.0, nodes: 7.0 }));
        for (nodes, accepted) in [(2, 1.0), (3, 2.0), (4, 2.0), (6, 3.0)] {
            let mean = gain.of(index(nodes).unwrap()).unwrap();
            assert_eq!(mean, Mean { cells: 1.0 + accepted, nodes: nodes as f64 });
        }
        assert_eq!(gain.of(PLAIN), Some(Mean { cells: 1.0, nodes: 1.0 }));
        assert_eq!(gain.of(index(12).unwrap()), None);
    }

    #[test]
    fn sizes_are_compared_on_the_same_trees() {
        let (mut gain, eight, sixteen) = (Gain::default(), index(8).unwrap(), index(16).unwrap());
        // An easy place at 8 nodes, then a hard one at 16.
        (0..16).for_each(|_| gain.record(eight, 8, &[1, 2, 3, 4, 5, 6, 7].map(NodeId)));
        (0..16).for_each(|_| gain.record(sixteen, 16, &[1, 2].map(NodeId)));
        assert_eq!((cells(&gain, 16), cells(&gain, 12), cells(&gain, 6)), (3.0, 3.0, 3.0));
        // Of 8 nodes more is known, which is doubted: they had the easy place.
        assert!((3.0..5.0).contains(&cells(&gain, 8)), "{}", cells(&gain, 8));
    }

    #[test]
    fn what_larger_trees_promise_is_held_against_what_comes() {
        let (mut gain, four, eight) = (Gain::default(), index(4).unwrap(), index(8).unwrap());
        (0..64).for_each(|_| gain.record(eight, 8, &[1, 2, 3, 4, 5].map(NodeId)));
        assert_eq!(cells(&gain, 4), 4.0);
        (0..64).for_each(|_| gain.record(four, 4, &[1].map(NodeId)));
        assert_eq!(cells(&gain, 4), 2.0);
        assert!(cells(&gain, 8) > 4.0, "{}", cells(&gain, 8));
        (0..16).for_each(|_| gain.record(eight, 8, &[1, 2, 3, 4, 5].map(NodeId)));
        assert!(cells(&gain, 4) < 3.0, "{}", cells(&gain, 4));
    }

    #[test]
    fn old_trees_are_forgotten() {
        let (mut gain, two) = (Gain::default(), index(2).unwrap());
        (0..2000).for_each(|_| gain.record(two, 2, &[NodeId(1)]));
        (0..2000).for_each(|_| gain.record(two, 2, &[]));
        assert!(cells(&gain, 2) < 1.1);
    }
}
