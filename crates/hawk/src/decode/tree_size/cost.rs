//! Time per pass by the number of nodes in it.

use serde::{Deserialize, Serialize};

use super::sizes::{COUNT, PLAIN};

/// Passes with trees in a round.
pub(super) const ROUND: usize = 4;
/// Most rounds that are counted.
const MOST: usize = 16;
/// A factor between two trials of one size that is more than noise.
const CHANGE: f64 = 1.3;

/// The rounds of a trial: in each a plain pass, then passes with trees. A round is short, so that
/// all its passes are under the same load and at the same place of the image.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    /// Time of a pass with trees over that of a plain pass, round by round.
    ratios: [f64; MOST],
    /// The same of a pass in which drafters only observe.
    observing: [f64; MOST],
    count: usize,
    /// Seconds of the plain pass of this round, and with the work of drafters.
    plain: f64,
    observed: f64,
    /// Seconds of the passes with trees of this round.
    seconds: [f64; ROUND],
    passes: usize,
    /// Sums over the passes of all rounds.
    nodes: f64,
    all_passes: f64,
}

impl Rounds {
    /// Begins a round with its plain pass: its time without and with the work of drafters.
    pub(super) fn begin(&mut self, plain: f64, observed: f64) {
        (self.plain, self.observed, self.passes) = (plain, observed, 0);
    }

    /// Adds a pass with so many nodes a tree.
    pub(super) fn push(&mut self, seconds: f64, nodes: f64) {
        self.nodes += nodes;
        self.all_passes += 1.0;
        if let Some(place) = self.seconds.get_mut(self.passes) {
            *place = seconds;
            self.passes += 1;
        }
        if self.passes == ROUND {
            self.end();
        }
    }

    /// Whether the round is over.
    pub(super) fn is_over(&self) -> bool {
        self.passes == ROUND
    }

    /// Ends a round. Rounds beyond the 16th are ignored.
    fn end(&mut self) {
        if self.count < MOST && self.plain > 0.0 {
            self.seconds.sort_unstable_by(f64::total_cmp);
            let middle = f64::midpoint(self.seconds[(ROUND - 1) / 2], self.seconds[ROUND / 2]);
            self.ratios[self.count] = middle / self.plain;
            self.observing[self.count] = self.observed / self.plain;
            self.count += 1;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The cost of the trees. Medians drop passes that waited for the processor. None without a round.
    pub(super) fn trees(&self) -> Option<Point> {
        Some(Point { nodes: self.nodes / self.all_passes, ratio: median(&self.ratios[..self.count])? })
    }

    /// The cost of observing.
    pub(super) fn observing(&self) -> Option<Point> {
        Some(Point { nodes: 1.0, ratio: median(&self.observing[..self.count])? })
    }
}

fn median(ratios: &[f64]) -> Option<f64> {
    let mut sorted = [0.0; MOST];
    let sorted = &mut sorted[..ratios.len()];
    sorted.copy_from_slice(ratios);
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(ratios.len() / 2).copied()
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
    /// Learns from a trial of a size. Returns whether it agrees with an earlier one, with which it
    /// is averaged then.
    pub(super) fn learn(&mut self, size: usize, point: Point) -> bool {
        let last = self.points[size].filter(|last| (1.0 / CHANGE..CHANGE).contains(&(point.ratio / last.ratio)));
        let ratio = last.map_or(point.ratio, |last| (last.ratio + point.ratio) / 2.0);
        self.put(size, Point { ratio, ..point });
        last.is_some()
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

    fn rounds(rounds: impl IntoIterator<Item = [f64; 3]>) -> Rounds {
        let mut all = Rounds::default();
        for [plain, observed, trees] in rounds {
            all.begin(plain, observed);
            (0..ROUND).for_each(|_| all.push(trees, 8.0));
            assert!(all.is_over());
        }
        all
    }

    #[test]
    fn rounds_in_which_a_pass_waited_for_the_processor_are_dropped() {
        let quiet = [2.0, 2.2, 6.0];
        let all = rounds([quiet, [200.0, 200.2, 6.0], quiet, [2.0, 2.2, 600.0], quiet]);
        assert_eq!(all.trees(), Some(Point { nodes: 8.0, ratio: 3.0 }));
        assert_eq!(all.observing(), Some(Point { nodes: 1.0, ratio: 1.1 }));
        // A machine that gets slower half way.
        let all = rounds([quiet, quiet, quiet, quiet.map(|time| 7.0 * time), quiet.map(|time| 7.0 * time)]);
        assert_eq!(all.trees().unwrap().ratio, 3.0);
        assert_eq!(rounds([quiet; 40]).count(), MOST);
        assert_eq!((rounds([]).trees(), rounds([]).observing()), (None, None));
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
        assert!(curve.learn(5, point(5.0)));
        assert_eq!(known(&curve), [(5, 4.5), (7, 8.0)]);
        assert!(!curve.learn(5, point(2.0)));
        assert_eq!(known(&curve), [(5, 2.0), (7, 8.0)]);
        curve.forget_others(5);
        assert_eq!(known(&curve), [(5, 2.0)]);
    }
}
