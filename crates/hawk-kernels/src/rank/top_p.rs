//! Top-p without sorting and without exact exponentials.

use super::border::{Above, Border};
use super::run::{BLOCK, GROUP, lanes, on, total};
use crate::isa::{Isa, Kernel, LANES, Simd, dispatch_on};
use crate::math::exp;

/// A bound of the relative error of a sum of weights `e^(score - highest)`: 3.8e-6 from rounding
/// the difference (it is at most 87), 1e-6 from `exp`, 2.4e-6 from adding in blocks.
const ERROR: f64 = 1e-5;
/// A sum `a` is below a sum `b` for certain where the computed `a` is below `b * (1 - MARGIN)`:
/// both may be wrong by [`ERROR`].
const MARGIN: f64 = 3.0 * ERROR;

/// Top-p: the smallest set of largest probabilities whose mass reaches p, as far as approximate
/// masses decide it. Memory is kept between nodes.
#[derive(Clone, Debug)]
pub struct TopP {
    /// Scores that may be in the set, padded to whole vectors with -inf.
    scores: Vec<f32>,
    weights: Vec<f32>,
    /// A code is in the set for certain where the mass before it is below this.
    limit: f64,
}

impl TopP {
    /// Memory for `codes` codes.
    #[must_use]
    pub fn new(codes: usize) -> Self {
        let room = || Vec::with_capacity(codes.next_multiple_of(GROUP) + LANES);
        Self { scores: room(), weights: room(), limit: 0.0 }
    }

    /// A score below which no code is in the set. None where the errors are too large for `p`.
    ///
    /// `scores` are padded, `highest` is the largest of them and finite, and `p` is below 1.
    ///
    /// # Panics
    /// As the kernels.
    pub fn floor(&mut self, isa: Isa, scores: &[f32], highest: f32, p: f64) -> Option<f32> {
        // Below 10 * ERROR the cut and the margin overlap.
        if 1.0 - p < 1e-4 {
            return None;
        }
        let mass = Mass { scores, highest }.on(isa);
        // All codes below the cut together have less than half of the mass that may be missing.
        let cut = f64::from(highest) + (mass * (1.0 - p) / (2 * scores.len()) as f64).ln();
        // Far more than the rounding of either.
        let cut = (cut - 1e-3 - cut.abs() / f64::from(1 << 22)) as f32;
        Collect { scores, highest, cut: cut.max(f32::MIN), kept: self }.on(isa);
        self.limit = p * mass * (1.0 - MARGIN);
        Border { scores: &self.scores, weights: Some(&self.weights), mass: p * mass * (1.0 + MARGIN) }.on(isa)
    }

    /// Whether a code of this score, at or above the floor of the last call of
    /// [`floor`](Self::floor), is in the set for certain.
    ///
    /// # Panics
    /// As the kernels.
    #[must_use]
    pub fn surely_keeps(&self, isa: Isa, score: f32) -> bool {
        // Codes of the same score count, for they may be lower codes.
        let alone = self.scores.iter().filter(|other| **other == score).count() == 1;
        let from = if alone { score.next_up() } else { score };
        Above { scores: &self.scores, weights: &self.weights, from }.on(isa) < self.limit
    }
}

/// `e^(score - highest)`, and 0 of -inf.
#[inline(always)]
unsafe fn weight<S: Simd>(score: S::F, highest: S::F) -> S::F {
    // SAFETY: the caller gives the instruction set.
    unsafe { S::choose(score, S::splat(f32::MIN), exp::<S>(S::sub(score, highest)), S::splat(0.0)) }
}

/// The sum of all weights.
struct Mass<'a> {
    scores: &'a [f32],
    highest: f32,
}

impl Mass<'_> {
    on!(pub(self));

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(LANES));
    }
}

impl Kernel for Mass<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let mut mass = 0.0;
        for block in self.scores.chunks(BLOCK * LANES) {
            // SAFETY: the caller gives the instruction set; whole vectors.
            unsafe {
                let mut sum = S::splat(0.0);
                for chunk in block.chunks_exact(LANES) {
                    sum = S::add(sum, weight::<S>(S::load(chunk.as_ptr()), S::splat(self.highest)));
                }
                mass += total::<S>(sum);
            }
        }
        mass
    }
}

/// Collects the scores from a finite one on, with their weights.
struct Collect<'a> {
    scores: &'a [f32],
    highest: f32,
    cut: f32,
    kept: &'a mut TopP,
}

impl Collect<'_> {
    on!(pub(self));

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(LANES));
    }
}

impl Kernel for Collect<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let TopP { scores: kept, weights, .. } = self.kept;
        kept.clear();
        weights.clear();
        for chunk in self.scores.chunks_exact(LANES) {
            // SAFETY: the caller gives the instruction set; whole vectors.
            unsafe {
                let score = S::load(chunk.as_ptr());
                let mut left = S::at_least(score, S::splat(self.cut));
                if left == 0 {
                    continue;
                }
                let lanes = lanes::<S>(weight::<S>(score, S::splat(self.highest)));
                while left != 0 {
                    let lane = left.trailing_zeros() as usize;
                    left &= left - 1;
                    kept.push(chunk[lane]);
                    weights.push(lanes[lane]);
                }
            }
        }
        let padded = kept.len().next_multiple_of(LANES);
        kept.resize(padded, f32::NEG_INFINITY);
        weights.resize(padded, 0.0);
    }
}
