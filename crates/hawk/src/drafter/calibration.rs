//! How likely a candidate is, learned from those before it: by its rank among the guesses for its cell, and by how sure the guess was.

use hawk_spec::Code;

/// Most guesses for one cell from one law.
pub(super) const MAX_RANKS: usize = 8;
/// Upper ends of the buckets of doubt or gap, in nats; the last bucket is open.
const ENDS: [f64; 6] = [0.25, 0.5, 1.0, 1.75, 3.0, 5.0];
/// Cells that the figures of the head's training weigh as much as.
const PRIOR_CELLS: f64 = 8.0;

/// One guess for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) code: Code,
    /// How sure it is, see [`bucket`].
    pub(super) bucket: usize,
}

/// The bucket of a guess. Where no draft law is read, `nats` is the gap between the guess and the best other one. Where guesses are drawn, it
/// must not depend on what was drawn, or the images would be biased: there it is the law's doubt, -ln of its largest probability.
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
    /// Before anything was seen: `prior` by rank.
    pub(super) fn new(prior: [f64; MAX_RANKS]) -> Self {
        Self { prior, tallies: Default::default() }
    }

    /// Forgets what was seen.
    pub(super) fn clear(&mut self) {
        self.tallies = Default::default();
    }

    /// Learns what a cell's code was, of which `guesses` had been made.
    pub(super) fn learn(&mut self, guesses: &[Guess], code: Code) {
        for (by_bucket, guess) in self.tallies.iter_mut().zip(guesses) {
            let tally = &mut by_bucket[guess.bucket];
            tally.cells += 1.0;
            tally.hits += f64::from(u8::from(guess.code == code));
        }
    }

    /// The chance of the guess of this rank and bucket.
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
        let guesses = |nats| [1, 2].map(|code| Guess { code: Code(code), bucket: bucket(nats) });
        for _ in 0..100 {
            calibration.learn(&guesses(8.0), Code(1));
            calibration.learn(&guesses(0.1), Code(2));
        }
        assert!(calibration.chance(0, bucket(9.0)) > 0.9 && calibration.chance(0, bucket(0.2)) < 0.1);
        assert!(calibration.chance(1, bucket(9.0)) < 0.1 && calibration.chance(1, bucket(0.2)) > 0.9);
        assert_eq!(calibration.chance(0, bucket(1.5)), 0.25, "nothing was seen there");
        calibration.clear();
        assert_eq!(calibration.chance(1, bucket(0.2)), 0.25);
    }
}
