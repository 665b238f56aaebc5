//! The estimated chance of a candidate, learned from earlier ones: by its rank among the candidates
//! of its cell, and by confidence.

use hawk_spec::Code;

/// Most candidates for one cell from one law.
pub(super) const MAX_RANKS: usize = 8;
/// Upper ends of the confidence buckets, in nats; the last bucket is open.
const ENDS: [f64; 6] = [0.25, 0.5, 1.0, 1.75, 3.0, 5.0];
/// Weight of the head's validation figures, in cells.
const PRIOR_CELLS: f64 = 8.0;

/// One candidate for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) code: Code,
    /// Its confidence, see [`bucket`].
    pub(super) bucket: usize,
}

/// The confidence bucket of a candidate. Where no draft law is read, `nats` is the gap to the best
/// other candidate. Where candidates are drawn, it must not depend on what was drawn, or the images
/// would be biased: there it is -ln of the law's largest probability.
pub(super) fn bucket(nats: f64) -> usize {
    ENDS.iter().position(|end| nats < *end).unwrap_or(ENDS.len())
}

/// Hits and cells by rank and bucket.
#[derive(Clone, Debug)]
pub(super) struct Calibration {
    prior: [f64; MAX_RANKS],
    tallies: [[Tally; ENDS.len() + 1]; MAX_RANKS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    hits: f64,
    cells: f64,
}

impl Calibration {
    /// Without data: `prior` by rank.
    pub(super) fn new(prior: [f64; MAX_RANKS]) -> Self {
        Self { prior, tallies: Default::default() }
    }

    /// Forgets the data.
    pub(super) fn clear(&mut self) {
        self.tallies = Default::default();
    }

    /// Learns the code of a cell for which `ranked` had been made.
    pub(super) fn learn(&mut self, ranked: &[Ranked], code: Code) {
        for (by_bucket, candidate) in self.tallies.iter_mut().zip(ranked) {
            let tally = &mut by_bucket[candidate.bucket];
            tally.cells += 1.0;
            tally.hits += f64::from(u8::from(candidate.code == code));
        }
    }

    /// The chance of a candidate of this rank and bucket.
    pub(super) fn chance(&self, rank: usize, bucket: usize) -> f64 {
        let Tally { hits, cells } = self.tallies[rank][bucket];
        (hits + PRIOR_CELLS * self.prior[rank]) / (cells + PRIOR_CELLS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_follow_what_was_seen_in_the_same_bucket() {
        let mut calibration = Calibration::new([0.25; MAX_RANKS]);
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
