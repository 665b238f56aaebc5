//! Maximal coupling: a draft of one law becomes a draft of another.

use crate::chooser::Chooser;
use crate::token::{Cell, Code};

/// p <- normalise(max(0, p - q)); false, and no law, where no mass is left.
pub(crate) fn take_residual(p: &mut [f64], q: &[f64]) -> bool {
    p.iter_mut().zip(q).for_each(|(p, q)| *p = (*p - q).max(0.0));
    normalise(p)
}

/// Scales to sum 1. False, and no change, where there is no mass.
pub(crate) fn normalise(law: &mut [f64]) -> bool {
    let sum: f64 = law.iter().sum();
    if sum > 0.0 {
        law.iter_mut().for_each(|probability| *probability /= sum);
    }
    sum > 0.0
}

/// A draft, and the law that it was drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Its cell.
    pub cell: Cell,
    /// Its code.
    pub code: Code,
    /// q, one probability per code; that of the draft is above 0.
    pub law: &'a [f64],
}

/// Redraws a draft from the law `p`. It stays the same with probability 1 - TV(p, q), as often as any
/// coupling of both laws allows: it is kept with probability min(1, p/q), else it is drawn from the
/// residual of p. The result has the law p, if the chooser's draws are independent of the draft.
///
/// `residual` is memory, one entry per code. None where rounding alone has left no residual.
pub fn recouple(draft: Draft<'_>, p: &[f64], residual: &mut [f64], chooser: &mut dyn Chooser) -> Option<Code> {
    let Draft { cell, code, law } = draft;
    let keep = p[code.index()] / law[code.index()];
    if keep >= 1.0 || (keep > 0.0 && chooser.accept(cell, 0, keep)) {
        return Some(code);
    }
    residual.copy_from_slice(p);
    take_residual(residual, law).then(|| chooser.draw(cell, residual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enumerate::Enumerator;

    /// The law of the new draft, and how often it is the old one, over all branches.
    fn recoupled(q: [f64; 3], p: [f64; 3]) -> ([f64; 3], f64) {
        let (mut law, mut same, mut e) = ([0.0; 3], 0.0, Enumerator::new());
        while e.next_branch() {
            let code = Code(e.pick(&q) as u32);
            let new = recouple(Draft { cell: Cell(0), code, law: &q }, &p, &mut [0.0; 3], &mut e).unwrap();
            law[new.index()] += e.weight();
            same += if new == code { e.weight() } else { 0.0 };
        }
        (law, same)
    }

    #[test]
    fn a_recoupled_draft_has_the_new_law_and_stays_as_often_as_it_can() {
        for (q, p) in [
            ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]),
            ([1.0, 0.0, 0.0], [0.0, 0.25, 0.75]),
            ([0.0, 1.0, 0.0], [0.5, 0.25, 0.25]),
            ([0.1, 0.2, 0.7], [0.1, 0.2, 0.7]),
        ] {
            let (law, same) = recoupled(q, p);
            assert!(law.iter().zip(p).all(|(a, b)| (a - b).abs() < 1e-12), "{law:?} instead of {p:?}");
            let overlap: f64 = p.iter().zip(q).map(|(p, q)| p.min(q)).sum();
            assert!((same - overlap).abs() < 1e-12, "{same} instead of {overlap}");
        }
    }
}
