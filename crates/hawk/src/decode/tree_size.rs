//! Tunes the tree size at run time by measured cells per second.
//!
//! The cost of a row depends on model, precision, threads, batch and load; what a node brings
//! depends on prompt and heads. Neither is modelled: sizes are tried, from plain decoding upwards,
//! the best one is kept, and its neighbours are tried again from time to time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::request::decoding::Decoding;
use crate::request::tree::AUTO_NODES;

/// Tree sizes that are tried, in nodes.
const SIZES: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, AUTO_NODES];
/// Steps of a trial, and steps before it that do not count.
const TRIAL: u32 = 16;
const WARM_UP: u32 = 2;
/// Steps with the best size between two trials.
const REST: u32 = 400;
/// Weight of older measurements after a trial.
const FADING: f64 = 0.5;

/// Measurements of one size.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cells: f64,
    seconds: f64,
}

impl Tally {
    /// Cells per second; none before it was tried.
    fn speed(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.cells / self.seconds)
    }
}

/// The tuner of one decoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeSize {
    tallies: [Tally; SIZES.len()],
    /// The size in use.
    at: usize,
    /// Steps with it.
    steps: u32,
    resting: bool,
    /// Whether the last look at a neighbour was at the larger one.
    looked_up: bool,
}

impl TreeSize {
    /// Most nodes of the next step's trees.
    pub(crate) fn nodes(&self) -> usize {
        SIZES[self.at]
    }

    /// Learns what a step brought, over all images of its pass.
    pub(crate) fn record(&mut self, cells: usize, time: Duration) {
        self.steps += 1;
        if self.steps <= WARM_UP {
            return;
        }
        let tally = &mut self.tallies[self.at];
        tally.cells += cells as f64;
        tally.seconds += time.as_secs_f64();
        if self.steps >= if self.resting { REST } else { WARM_UP + TRIAL } {
            self.turn();
        }
    }

    /// Chooses what comes next: a size next to the best that was never tried, else the best itself,
    /// else again a neighbour.
    fn turn(&mut self) {
        let was_resting = std::mem::take(&mut self.resting);
        self.steps = 0;
        let best = self.best();
        let (up, down) = (Some(best + 1).filter(|&up| up < SIZES.len()), best.checked_sub(1));
        let untried = [up, down].into_iter().flatten().find(|&size| self.tallies[size].speed().is_none());
        if let Some(untried) = untried {
            self.at = untried;
        } else if was_resting {
            self.looked_up = !self.looked_up;
            let look = if self.looked_up { up.or(down) } else { down.or(up) };
            self.at = look.unwrap_or(best);
            for size in [best, self.at] {
                self.tallies[size].cells *= FADING;
                self.tallies[size].seconds *= FADING;
            }
        } else {
            (self.at, self.resting) = (best, true);
        }
    }

    fn best(&self) -> usize {
        let speeds = self.tallies.iter().map(|tally| tally.speed().unwrap_or(0.0)).enumerate();
        speeds.fold((0, 0.0), |best, (size, speed)| if speed > best.1 { (size, speed) } else { best }).0
    }
}

/// What sizes of trees have brought, by what else the time of a pass depends on: kept from request
/// to request.
#[derive(Debug, Default)]
pub(crate) struct TreeSizes(Mutex<Vec<(Decoding, usize, TreeSize)>>);

impl TreeSizes {
    /// What was learned with `streams` streams in a pass.
    pub(crate) fn known(&self, decoding: Decoding, streams: usize) -> TreeSize {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sizes.iter().find(|size| (size.0, size.1) == (decoding, streams));
        known.map_or_else(TreeSize::default, |(.., size)| size.clone())
    }

    /// Keeps it for the next request.
    pub(crate) fn keep(&self, decoding: Decoding, streams: usize, size: TreeSize) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.retain(|size| (size.0, size.1) != (decoding, streams));
        sizes.push((decoding, streams, size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of each size in a run on a machine where a pass over n nodes takes `cost(n)` and
    /// brings `gain(n)` cells.
    fn steps(cost: impl Fn(usize) -> f64, gain: impl Fn(usize) -> usize) -> Vec<(usize, usize)> {
        let (mut size, mut steps) = (TreeSize::default(), SIZES.map(|size| (size, 0)));
        for _ in 0..4000 {
            let nodes = size.nodes();
            steps.iter_mut().find(|step| step.0 == nodes).unwrap().1 += 1;
            size.record(gain(nodes), Duration::from_secs_f64(cost(nodes)));
        }
        steps.into_iter().filter(|step| step.1 > 0).collect()
    }

    #[test]
    fn where_rows_cost_as_much_as_passes_nothing_is_guessed() {
        let steps = steps(|nodes| nodes as f64, |nodes| 100 + 10 * nodes);
        assert_eq!(steps.iter().map(|step| step.0).collect::<Vec<_>>(), [1, 2]);
        assert!(steps[0].1 > 3700, "{steps:?}");
    }

    #[test]
    fn where_rows_are_nearly_free_trees_grow_until_they_bring_no_more() {
        let steps =
            steps(|nodes| 1.0 + 0.01 * nodes as f64, |nodes| [100, 130, 145, 155, 170, 171, 171, 171][index(nodes)]);
        let most = steps.iter().max_by_key(|step| step.1).unwrap();
        assert!(most.0 == 6 && most.1 > 3000, "{steps:?}");
        assert!(steps.iter().all(|step| step.0 <= 8), "{steps:?}");
    }

    #[test]
    fn a_machine_that_changes_is_followed() {
        let mut size = TreeSize::default();
        for step in 0..20_000 {
            let cost = if step < 2000 { size.nodes() as f64 } else { 1.0 + 0.01 * size.nodes() as f64 };
            size.record(100 + 20 * index(size.nodes()), Duration::from_secs_f64(cost));
        }
        assert!(size.nodes() > 3, "{size:?}");
    }

    fn index(nodes: usize) -> usize {
        SIZES.iter().position(|&size| size == nodes).unwrap()
    }
}
