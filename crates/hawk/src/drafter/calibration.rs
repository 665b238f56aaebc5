//! The estimated probability that a candidate is accepted, by its rank and its confidence, learned
//! from earlier candidates.

use hawk_spec::Code;

/// Most candidates for one cell from one law.
pub(super) const MAX_RANKS: usize = 8;
/// Upper ends of the confidence buckets, in nats; the last bucket is open.
const ENDS: [f64; 6] = [0.25, 0.5, 1.0, 1.75, 3.0, 5.0];
/// Weight of the prior, in cells.
const PRIOR_CELLS: f64 = 8.0;

/// One candidate for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) code: Code,
    /// Bucket of its confidence, see [`bucket`].
    pub(super) bucket: usize,
}

/// The confidence bucket of a candidate.
///
/// Where the rule reads no draft law, `nats` is the gap to the best other candidate. Where
/// candidates are drawn, `nats` is -ln of the law's largest probability: a confidence that depends
/// on the drawn codes would bias the images.
pub(super) fn bucket(nats: f64) -> usize {
    ENDS.iter().position(|end| nats < *end).unwrap_or(ENDS.len())
}

/// Number of confidence buckets.
pub(super) const BUCKETS: usize = ENDS.len() + 1;

/// Accepted candidates and cells by rank and bucket.
#[derive(Clone, Debug)]
pub(super) struct Calibration {
    prior: [[f64; BUCKETS]; MAX_RANKS],
    tallies: [[Tally; BUCKETS]; MAX_RANKS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    hits: f64,
    cells: f64,
}

impl Calibration {
    /// A calibration without data. `prior` has the probability of each rank and bucket.
    pub(super) fn new(prior: [[f64; BUCKETS]; MAX_RANKS]) -> Self {
        Self { prior, tallies: Default::default() }
    }

    /// Removes the data.
    pub(super) fn clear(&mut self) {
        self.tallies = Default::default();
    }

    /// Learns the committed code of a cell that had the candidates `ranked`.
    pub(super) fn learn(&mut self, ranked: &[Ranked], code: Code) {
        for (rank, candidate) in ranked.iter().enumerate() {
            self.learn_one(rank, candidate.bucket, candidate.code == code);
        }
    }

    /// Learns whether a candidate of a rank below [`MAX_RANKS`] was the committed code.
    pub(super) fn learn_one(&mut self, rank: usize, bucket: usize, hit: bool) {
        let tally = &mut self.tallies[rank][bucket];
        tally.cells += 1.0;
        tally.hits += f64::from(u8::from(hit));
    }

    /// The estimated probability of a candidate of this rank and bucket.
    pub(super) fn chance(&self, rank: usize, bucket: usize) -> f64 {
        let Tally { hits, cells } = self.tallies[rank][bucket];
        (hits + PRIOR_CELLS * self.prior[rank][bucket]) / (cells + PRIOR_CELLS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_follow_what_was_seen_in_the_same_bucket() {
        let mut calibration = Calibration::new([[0.25; BUCKETS]; MAX_RANKS]);
        let ranked = |nats| [1, 2].map(|code| Ranked { code: Code(code), bucket: bucket(nats) });
        for _ in 0..100 {
            calibration.learn(&ranked(8.0), Code(1));
            calibration.learn(&ranked(0.1), Code(2));
        }
        assert!(calibration.chance(0, bucket(9.0)) > 0.9 && calibration.chance(0, bucket(0.2)) < 0.1);
        assert!(calibration.chance(1, bucket(9.0)) < 0.1 && calibration.chance(1, bucket(0.2)) > 0.9);
        assert_eq!(calibration.chance(0, bucket(1.5)), 0.25, "nothing was seen there");
        calibration.clear();
        assert_eq!(calibration.chance(1, bucket(0.2)), 0.25);
    }
}
