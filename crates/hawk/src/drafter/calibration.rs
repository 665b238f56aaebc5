//! How likely a candidate is, learned from those before it: by its rank among what its head said of the cell, and by how far it stands
//! from the best.
//!
//! Only for rules that read no draft law. Under rejection such chances would depend on drawn codes and bias the images.

use hawk_spec::Code;

use super::heads::MAX_RANKS;

/// Upper ends of the buckets of gaps, in nats; the last bucket is open.
const GAPS: [f64; 6] = [0.25, 0.5, 1.0, 1.75, 3.0, 5.0];
/// Cells that the figures of the head's training weigh as much as.
const PRIOR_CELLS: f64 = 8.0;

/// Hits and cells by rank and gap of one head.
#[derive(Clone, Debug)]
pub(super) struct Calibration {
    prior: [f64; MAX_RANKS],
    tallies: [[Tally; GAPS.len() + 1]; MAX_RANKS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    hits: f64,
    cells: f64,
}

impl Calibration {
    /// Before anything was seen: `prior` by rank.
    pub(super) fn new(prior: [f64; MAX_RANKS]) -> Self {
        Self { prior, tallies: [[Tally::default(); GAPS.len() + 1]; MAX_RANKS] }
    }

    /// Learns what a cell's code was, of which the head had said `ranked`.
    pub(super) fn learn(&mut self, ranked: &[(f64, Code)], code: Code) {
        for rank in 0..ranked.len() {
            let tally = &mut self.tallies[rank][bucket(ranked, rank)];
            tally.cells += 1.0;
            tally.hits += f64::from(u8::from(ranked[rank].1 == code));
        }
    }

    /// The chance of the candidate of this rank.
    pub(super) fn chance(&self, ranked: &[(f64, Code)], rank: usize) -> f64 {
        let Tally { hits, cells } = self.tallies[rank][bucket(ranked, rank)];
        (hits + PRIOR_CELLS * self.prior[rank]) / (cells + PRIOR_CELLS)
    }

    /// The chance by rank alone, as training measured it.
    pub(super) fn prior(&self) -> &[f64; MAX_RANKS] {
        &self.prior
    }
}

/// The bucket of a candidate's gap to the best; of the best's own to the second.
fn bucket(ranked: &[(f64, Code)], rank: usize) -> usize {
    let other = if rank == 0 { ranked.get(1) } else { ranked.first() };
    let gap = other.map_or(f64::INFINITY, |other| (other.0 - ranked[rank].0).abs());
    GAPS.iter().position(|end| gap < *end).unwrap_or(GAPS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_follow_what_was_seen_in_the_same_bucket() {
        let mut calibration = Calibration::new([0.25; MAX_RANKS]);
        let (sure, unsure) = ([(9.0, Code(1)), (1.0, Code(2))], [(9.0, Code(1)), (8.9, Code(2))]);
        for _ in 0..100 {
            calibration.learn(&sure, Code(1));
            calibration.learn(&unsure, Code(2));
        }
        assert!(calibration.chance(&sure, 0) > 0.9 && calibration.chance(&unsure, 0) < 0.1);
        assert!(calibration.chance(&sure, 1) < 0.1 && calibration.chance(&unsure, 1) > 0.9);
        assert_eq!(calibration.chance(&[(9.0, Code(1)), (7.5, Code(2))], 0), 0.25);
        assert_eq!(calibration.chance(&[(9.0, Code(1))], 0), calibration.chance(&sure, 0));
    }
}
