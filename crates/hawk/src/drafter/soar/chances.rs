//! How often guesses come true, by what they are made of.

use hawk_spec::Code;

use super::laws::{Disagreement, Found, RANKS};
use crate::drafter::calibration::{Calibration, MAX_RANKS, bucket};

/// Of a guess: where it comes from, its rank there, and how certain it looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    table: usize,
    rank: usize,
    bucket: usize,
}

impl Kind {
    /// The guess of a rank of a law. `nats` is the gap to the best other guess.
    pub(super) fn of_law(class: usize, rank: usize, nats: f64) -> Self {
        Self { table: class, rank, bucket: bucket(nats) }
    }

    /// A copied neighbour, number 0 or 1, of a cell with this law, if any.
    pub(super) fn copied(law: Option<Found>, number: usize, both: Both) -> Self {
        let table = Disagreement::CLASSES + usize::from(law.is_some());
        Self { table, rank: number, bucket: both as usize }
    }
}

/// Whether the neighbours of a cell have one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Both {
    Differ,
    Agree,
}

/// The tables of all kinds.
pub(super) struct Chances(Vec<Calibration>);

impl Chances {
    pub(super) fn new() -> Self {
        Self((0..Disagreement::CLASSES + 2).map(|table| Calibration::new(prior(table))).collect())
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

/// Probabilities by rank before any data, as measured on a model of landscapes, see
/// `docs/performance.md`.
fn prior(table: usize) -> [f64; MAX_RANKS] {
    let by_rank: [f64; RANKS] = match table {
        seen if seen < Disagreement::CLASSES && !Disagreement::before(seen) => [0.88, 0.08, 0.02, 0.01],
        seen if seen < Disagreement::CLASSES => [0.45, 0.14, 0.07, 0.05],
        Disagreement::CLASSES => [0.24, 0.12, 0.0, 0.0],
        _ => [0.02, 0.02, 0.0, 0.0],
    };
    std::array::from_fn(|rank| by_rank.get(rank).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_learnt_apart() {
        let mut chances = Chances::new();
        let (sure, unsure) = (Kind::of_law(2, 0, 9.0), Kind::of_law(2, 0, 0.1));
        let copy = Kind::copied(None, 0, Both::Agree);
        for _ in 0..200 {
            chances.learn(sure, Code(1), Code(1));
            chances.learn(unsure, Code(1), Code(2));
        }
        assert!(chances.of(sure) > 0.9 && chances.of(unsure) < 0.1);
        assert!((chances.of(copy) - 0.24).abs() < 1e-9, "nothing was learnt of copies");
        assert!(chances.of(Kind::of_law(0, 0, 1.0)) > chances.of(Kind::of_law(2, 0, 1.0)));
    }
}
