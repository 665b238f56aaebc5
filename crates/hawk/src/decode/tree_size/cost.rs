//! Time per pass by the number of nodes in it.

use serde::{Deserialize, Serialize};

use super::sizes::{COUNT, PLAIN};

/// Most times of one kind.
const MOST: usize = 64;
/// The quantile that stands for the times of one kind. A pass that had to wait for the processor
/// tells nothing of its cost, and longer passes wait more often: on a busy machine the median of
/// passes over large trees is one that waited, that of plain passes is not.
const QUANTILE: f64 = 0.25;
/// A factor between two trials of one size that is more than noise.
const CHANGE: f64 = 1.3;

/// Times of passes of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    seconds: [f64; MOST],
    count: usize,
    nodes: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self { seconds: [0.0; MOST], count: 0, nodes: 0.0 }
    }
}

impl Times {
    /// Adds a pass with so many nodes a tree. Passes beyond the 64th are ignored.
    pub(super) fn push(&mut self, seconds: f64, nodes: f64) {
        if let Some(place) = self.seconds.get_mut(self.count) {
            *place = seconds;
            self.count += 1;
            self.nodes += nodes;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The time of a pass that did not wait, in seconds; none without passes.
    fn seconds(&self) -> Option<f64> {
        let mut sorted = self.seconds;
        let sorted = &mut sorted[..self.count];
        sorted.sort_unstable_by(f64::total_cmp);
        let place = QUANTILE * self.count.checked_sub(1)? as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        Some(below + (above - below) * place.fract())
    }

    /// The cost of these passes beside plain ones.
    pub(super) fn over(&self, plain: &Self) -> Option<Point> {
        let ratio = self.seconds()? / plain.seconds()?;
        let point = Point { nodes: self.nodes / self.count as f64, ratio };
        Some(point).filter(|point| point.ratio.is_finite() && point.ratio > 0.0)
    }
}

/// The cost of trees of one bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Nodes that were in a tree, on average.
    pub(super) nodes: f64,
    /// Time of such a pass over that of a plain pass.
    pub(super) ratio: f64,
}

/// Ratios of times by nodes, for one number of trees in a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Curve {
    /// By size; the first is a pass in which drafters observe and propose nothing.
    points: [Option<Point>; COUNT],
}

impl Curve {
    /// Learns from a trial of a size. Returns whether it contradicts an earlier one. Else it is
    /// averaged with that.
    pub(super) fn learn(&mut self, size: usize, point: Point) -> bool {
        let last = self.points[size];
        let near = last.filter(|last| (1.0 / CHANGE..CHANGE).contains(&(point.ratio / last.ratio)));
        let ratio = near.map_or(point.ratio, |last| f64::midpoint(last.ratio, point.ratio));
        self.put(size, Point { ratio, ..point });
        last.is_some() && near.is_none()
    }

    pub(super) fn put(&mut self, size: usize, point: Point) {
        self.points[size] = Some(point);
    }

    /// Forgets all sizes but this one and plain decoding.
    pub(super) fn forget_others(&mut self, size: usize) {
        let others = self.points.iter_mut().enumerate().filter(|(other, _)| ![PLAIN, size].contains(other));
        others.for_each(|(_, point)| *point = None);
    }

    /// Whether a size was tried.
    pub(super) fn knows(&self, size: usize) -> bool {
        self.points[size].is_some()
    }

    /// Whether no size was tried.
    pub(super) fn is_empty(&self) -> bool {
        self.points[1..].iter().all(Option::is_none)
    }

    /// The points, as (size, point).
    pub(super) fn points(&self) -> impl Iterator<Item = (usize, Point)> + '_ {
        self.points.iter().enumerate().filter_map(|(size, point)| Some((size, (*point)?)))
    }

    /// The time of a pass with trees of a size that have so many nodes, over that of a plain pass.
    /// None where it would have to be guessed.
    ///
    /// Of a size that was not tried it is known that it costs no less than fewer nodes and no more
    /// than on a straight line: rows are nearly free up to some number and cost the same each above
    /// it. The mean of the two bounds is taken.
    pub(super) fn ratio(&self, size: usize, nodes: f64) -> Option<f64> {
        if size == PLAIN {
            return Some(1.0);
        }
        if let Some(own) = self.points[size] {
            return Some(own.ratio);
        }
        let points = || self.points().map(|(_, point)| point);
        let below = points().filter(|point| point.nodes <= nodes).max_by(|a, b| a.nodes.total_cmp(&b.nodes))?;
        let above = points().filter(|point| point.nodes > nodes).min_by(|a, b| a.nodes.total_cmp(&b.nodes))?;
        let share = (nodes - below.nodes) / (above.nodes - below.nodes);
        Some(below.ratio + share * (above.ratio - below.ratio) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: impl IntoIterator<Item = f64>) -> Times {
        let mut times = Times::default();
        seconds.into_iter().for_each(|seconds| times.push(seconds, 8.0));
        times
    }

    #[test]
    fn passes_that_waited_for_the_processor_are_dropped() {
        let cost = |trees: Times, plain: Times| trees.over(&plain).map(|point| point.ratio);
        let quiet = [2.0, 2.0, 2.0, 2.0];
        assert_eq!(cost(times([6.0, 600.0, 6.0, 6.0]), times(quiet)), Some(3.0));
        assert_eq!(cost(times([6.0, 600.0, 500.0, 6.0, 400.0]), times([200.0, 2.0, 2.0])), Some(3.0));
        assert_eq!(cost(times([6.0; 100]), times(quiet)), Some(3.0));
        assert_eq!(times([6.0; 3]).over(&times(quiet)), Some(Point { nodes: 8.0, ratio: 3.0 }));
        assert_eq!((cost(times([]), times(quiet)), cost(times(quiet), times([]))), (None, None));
        assert_eq!(cost(times(quiet), times([0.0])), None);
    }

    #[test]
    fn a_size_between_tried_ones_costs_something_between_flat_and_a_straight_line() {
        let mut curve = Curve::default();
        assert!(curve.is_empty());
        assert_eq!((curve.ratio(PLAIN, 1.0), curve.ratio(2, 3.0)), (Some(1.0), None));
        curve.put(PLAIN, Point { nodes: 1.0, ratio: 1.1 });
        curve.put(5, Point { nodes: 8.0, ratio: 3.1 });
        let near = |got: Option<f64>, want: f64| assert!((got.unwrap() - want).abs() < 1e-12, "{got:?} {want}");
        near(curve.ratio(1, 2.0), 1.1 + 1.0 / 7.0);
        near(curve.ratio(5, 8.0), 3.1);
        near(curve.ratio(5, 7.5), 3.1);
        assert_eq!(curve.ratio(6, 12.0), None);
        assert!(curve.knows(5) && !curve.knows(1));
    }

    #[test]
    fn trials_are_averaged_until_the_machine_changes() {
        let mut curve = Curve::default();
        let known = |curve: &Curve| curve.points().map(|(size, point)| (size, point.ratio)).collect::<Vec<_>>();
        let point = |ratio: f64| Point { nodes: 8.0, ratio };
        assert!(!curve.learn(5, point(4.0)));
        assert!(!curve.learn(7, point(8.0)));
        assert!(!curve.learn(5, point(5.0)));
        assert_eq!(known(&curve), [(5, 4.5), (7, 8.0)]);
        assert!(curve.learn(5, point(2.0)));
        assert_eq!(known(&curve), [(5, 2.0), (7, 8.0)]);
        curve.forget_others(5);
        assert_eq!(known(&curve), [(5, 2.0)]);
    }
}
