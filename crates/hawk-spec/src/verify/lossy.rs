//! Rules that change the law of the images, for comparison with the exact ones.
//!
//! `typical`: Medusa (arXiv 2401.10774, section 2.3.1) accepts a draft whose probability under the
//! target exceeds a threshold. `lantern`: LANTERN++ (arXiv 2502.06352) tests a draft with the mass
//! of its nearest codes added.

use std::sync::Arc;

use super::rejection::Scratch;
use super::verdict::{Decision, Outcome, Step, Tested};
use crate::chooser::Chooser;
use crate::law::{LawError, probabilities};
use crate::token::Code;

/// The `k` nearest other codes of every code, by the distance of their vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    k: usize,
    nearest: Vec<Code>,
}

impl Neighbours {
    /// The neighbours in a codebook `[codes, width]`, ties to the lower code. The time is quadratic
    /// in the number of codes.
    ///
    /// # Panics
    /// `width` is 0 or does not divide the codebook.
    #[must_use]
    pub fn of_codebook(codebook: &[f32], width: usize, k: usize) -> Self {
        assert!(width > 0 && codebook.len().is_multiple_of(width), "a codebook has whole vectors");
        let vectors: Vec<&[f32]> = codebook.chunks_exact(width).collect();
        let k = k.min(vectors.len() - 1);
        let mut nearest = Vec::with_capacity(vectors.len() * k);
        let mut others: Vec<(f32, u32)> = Vec::with_capacity(vectors.len());
        for (code, vector) in vectors.iter().enumerate() {
            let distance = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
            others.clear();
            others.extend(
                (0..).zip(&vectors).filter(|(other, _)| *other as usize != code).map(|(o, v)| (distance(v), o)),
            );
            let nearer = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if k < others.len() {
                others.select_nth_unstable_by(k, nearer);
            }
            others[..k].sort_unstable_by(nearer);
            nearest.extend(others[..k].iter().map(|&(_, other)| Code(other)));
        }
        Self { k, nearest }
    }

    /// The nearest codes, nearest first.
    #[must_use]
    pub fn of(&self, code: Code) -> &[Code] {
        &self.nearest[code.index() * self.k..][..self.k]
    }
}

/// A rule that changes the law.
#[derive(Clone, Debug, PartialEq)]
pub enum LossyRule {
    /// Accepts the first candidate with `p(x) > min(epsilon, delta * exp(-H(p)))`, else draws from
    /// p.
    Typical {
        /// A probability above this always suffices.
        epsilon: f64,
        /// Share of `exp(-H(p))`, H in nats, that suffices where the law is flat.
        delta: f64,
    },
    /// Tests as rejection does, with p(x) replaced by the mass of x and its neighbours, at most
    /// `lambda` times p(x).
    Lantern {
        /// Largest factor of p(x).
        lambda: f64,
        /// The nearest codes of every code.
        neighbours: Arc<Neighbours>,
    },
}

impl LossyRule {
    /// Medusa's own thresholds.
    pub const TYPICAL: LossyRule = LossyRule::Typical { epsilon: 0.09, delta: 0.3 };

    pub(super) fn decide(
        &self,
        scratch: &mut Scratch,
        tested: Tested<'_>,
        chooser: &mut dyn Chooser,
    ) -> Result<Decision, LawError> {
        match self {
            Self::Typical { epsilon, delta } => {
                typical(scratch, tested, chooser, Thresholds { epsilon: *epsilon, delta: *delta })
            }
            Self::Lantern { lambda, neighbours } => {
                scratch.decide(tested, chooser, &|p, x| lend(p, x, *lambda, neighbours.of(x)))
            }
        }
    }
}

/// The thresholds of typical acceptance.
struct Thresholds {
    epsilon: f64,
    delta: f64,
}

fn typical(
    scratch: &mut Scratch,
    Tested { tree, node, scores }: Tested<'_>,
    chooser: &mut dyn Chooser,
    Thresholds { epsilon, delta }: Thresholds,
) -> Result<Decision, LawError> {
    let p = &mut scratch.p;
    probabilities(scores, p)?;
    let entropy: f64 = p.iter().filter(|&&p| p > 0.0).map(|&p| -p * libm::log(p)).sum();
    let threshold = epsilon.min(delta * libm::exp(-entropy));
    let mut tested = 0;
    for candidate in tree.candidates(node) {
        tested += 1;
        if p[candidate.code.index()] > threshold {
            let step = Step { node, tested, accepted: Some(tested - 1) };
            return Ok(Decision { step, outcome: Outcome::Accepted(candidate.child) });
        }
    }
    let code = chooser.draw(tree.open_cell_below(node), p);
    Ok(Decision { step: Step { node, tested, accepted: None }, outcome: Outcome::Drawn(code) })
}

/// Moves mass from a code's neighbours to the code, the same share of each, until they have none or
/// the code has `lambda` times its own.
fn lend(p: &mut [f64], code: Code, lambda: f64, neighbours: &[Code]) {
    let (own, theirs) = (p[code.index()], neighbours.iter().map(|other| p[other.index()]).sum::<f64>());
    let loan = theirs.min((lambda - 1.0).max(0.0) * own);
    if loan > 0.0 {
        p[code.index()] = own + loan;
        neighbours.iter().for_each(|other| p[other.index()] *= 1.0 - loan / theirs);
    }
}
