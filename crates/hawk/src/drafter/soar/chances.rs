//! How often guesses come true, by what they are made of.

use hawk_spec::Code;

use super::laws::Before;
use crate::drafter::calibration::{BUCKETS, Calibration, bucket};

/// Of a guess: where it comes from, its rank there, and how certain it looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    table: usize,
    rank: usize,
    bucket: usize,
}

impl Kind {
    /// A random code.
    pub(super) const RANDOM: Self = Self { table: 6, rank: 0, bucket: 0 };

    /// The guess of a rank of a law. `nats` is the gap to the best other guess.
    pub(super) fn of_law(before: Before, rank: usize, nats: f64) -> Self {
        Self { table: before as usize, rank, bucket: bucket(nats) }
    }

    /// The guess of a rank of spatial heads. `nats` is the gap to the best other guess.
    pub(super) fn of_spatial(rank: usize, nats: f64) -> Self {
        Self { table: 4, rank, bucket: bucket(nats) }
    }

    /// A copied neighbour, number 0 or 1, of a cell.
    pub(super) fn copied(beside: Beside, number: usize, both: Both) -> Self {
        let table = match beside {
            Beside::Nothing => 2,
            Beside::Law => 3,
            Beside::Spatial => 5,
        };
        Self { table, rank: number, bucket: both as usize }
    }
}

/// The guesses that stand before copies of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    Nothing,
    Law,
    Spatial,
}

/// Whether the neighbours of a cell have one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Both {
    Differ,
    Agree,
}

/// The tables of all kinds.
pub(super) struct Chances([Calibration; PRIORS.len()]);

impl Chances {
    pub(super) fn new() -> Self {
        Self(PRIORS.map(|prior| {
            Calibration::new(std::array::from_fn(|rank| prior.get(rank).copied().unwrap_or([0.0; BUCKETS])))
        }))
    }

    /// The estimated probability that a guess of this kind is the target's code.
    pub(super) fn of(&self, kind: Kind) -> f64 {
        self.0[kind.table].chance(kind.rank, kind.bucket)
    }

    /// Learns the code of the guess's cell.
    pub(super) fn learn(&mut self, kind: Kind, guess: Code, code: Code) {
        self.0[kind.table].learn_one(kind.rank, kind.bucket, guess == code);
    }
}

/// Probabilities before any data, by table, rank and bucket, as measured on a model of landscapes (see
/// `docs/performance.md`). Guesses of laws are the more certain the larger the gap, copies where both
/// neighbours agree.
const PRIORS: [[[f64; BUCKETS]; 4]; 7] = [
    [
        [0.57, 0.76, 0.86, 0.94, 0.96, 0.98, 0.99],
        [0.34, 0.15, 0.08, 0.02, 0.01, 0.01, 0.01],
        [0.15, 0.10, 0.05, 0.02, 0.01, 0.01, 0.01],
        [0.10, 0.05, 0.03, 0.01, 0.01, 0.01, 0.01],
    ],
    [
        [0.20, 0.28, 0.33, 0.44, 0.57, 0.68, 0.82],
        [0.18, 0.17, 0.13, 0.13, 0.06, 0.05, 0.01],
        [0.14, 0.11, 0.10, 0.08, 0.06, 0.04, 0.01],
        [0.10, 0.10, 0.07, 0.07, 0.03, 0.03, 0.01],
    ],
    [[0.20, 0.80, 0.0, 0.0, 0.0, 0.0, 0.0], [0.09, 0.09, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0; BUCKETS], [0.0; BUCKETS]],
    [[0.02, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0], [0.01, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0; BUCKETS], [0.0; BUCKETS]],
    [
        [0.12, 0.15, 0.20, 0.28, 0.40, 0.60, 0.80],
        [0.10, 0.10, 0.10, 0.09, 0.07, 0.05, 0.02],
        [0.08, 0.08, 0.07, 0.06, 0.04, 0.03, 0.01],
        [0.06, 0.06, 0.05, 0.05, 0.03, 0.02, 0.01],
    ],
    [[0.06, 0.08, 0.0, 0.0, 0.0, 0.0, 0.0], [0.04, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0; BUCKETS], [0.0; BUCKETS]],
    [[0.001; BUCKETS]; 4],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_learnt_apart() {
        let mut chances = Chances::new();
        let (sure, unsure) = (Kind::of_law(Before::Changed, 0, 9.0), Kind::of_law(Before::Changed, 0, 0.1));
        let copy = Kind::copied(Beside::Nothing, 0, Both::Agree);
        for _ in 0..200 {
            chances.learn(sure, Code(1), Code(1));
            chances.learn(unsure, Code(1), Code(2));
        }
        assert!(chances.of(sure) > 0.9 && chances.of(unsure) < 0.1);
        assert!((chances.of(copy) - 0.80).abs() < 1e-9, "nothing was learnt of copies");
        let at = |before| chances.of(Kind::of_law(before, 0, 1.0));
        assert!(at(Before::Kept) > at(Before::Changed));
    }
}
