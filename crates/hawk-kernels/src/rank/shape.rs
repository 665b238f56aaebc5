//! From logits to scores.

use super::run::{GROUP, largest, on};
use crate::isa::{Isa, Kernel, LANES, Simd, dispatch_on};

/// Guidance: `out = uncond + cfg * (cond - uncond)`, each operation rounded, or `cond` itself.
///
/// The result is the largest score, or none where a score is NaN or +inf.
pub struct Guide<'a> {
    /// Conditional logits, `[V]`.
    pub cond: &'a [f32],
    /// Unconditional logits, `[V]`, and the guidance scale.
    pub uncond: Option<(&'a [f32], f32)>,
    /// The scores, `[V]` padded to whole groups with -inf.
    pub out: &'a mut [f32],
}

impl Guide<'_> {
    on!(pub);

    fn check(&self) {
        assert_eq!(self.out.len(), self.cond.len().next_multiple_of(GROUP));
        assert!(self.uncond.is_none_or(|(uncond, _)| uncond.len() == self.cond.len()));
    }
}

impl Kernel for Guide<'_> {
    type Output = Option<f32>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Option<f32> {
        let Self { cond, uncond, out } = self;
        let (scale, other) = uncond.map_or((1.0, cond), |(uncond, cfg)| (cfg, uncond));
        let whole = cond.len() / LANES * LANES;
        let mut last = [[f32::NEG_INFINITY; LANES]; 2];
        last[0][..cond.len() - whole].copy_from_slice(&cond[whole..]);
        last[1][..cond.len() - whole].copy_from_slice(&other[whole..]);
        out[whole..].fill(f32::NEG_INFINITY);
        // SAFETY: whole vectors of both logits and of the scores, whose length is padded.
        unsafe {
            let guide = |c: S::F, u: S::F| match uncond {
                Some(_) => S::add(u, S::mul(S::splat(scale), S::sub(c, u))),
                None => c,
            };
            let (mut most, mut wrong) = (S::splat(f32::NEG_INFINITY), 0);
            for at in (0..whole).step_by(LANES) {
                let score = guide(S::load(cond.as_ptr().add(at)), S::load(other.as_ptr().add(at)));
                // Neither NaN nor +inf is at most the largest finite number.
                wrong |= !S::at_least(S::splat(f32::MAX), score);
                most = S::max(most, score);
                S::store(out.as_mut_ptr().add(at), score);
            }
            let mut scores = [f32::NEG_INFINITY; LANES];
            S::store(scores.as_mut_ptr(), guide(S::load(last[0].as_ptr()), S::load(last[1].as_ptr())));
            let scores = &scores[..cond.len() - whole];
            out[whole..cond.len()].copy_from_slice(scores);
            if wrong & 0xff != 0 || scores.iter().any(|score| score.is_nan() || *score == f32::INFINITY) {
                return None;
            }
            Some(scores.iter().copied().fold(largest::<S>(most), f32::max))
        }
    }
}

/// Divides the scores by the temperature.
pub struct Divide<'a> {
    /// The scores, padded.
    pub scores: &'a mut [f32],
    /// The temperature.
    pub divisor: f32,
}

impl Divide<'_> {
    on!(pub);

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(GROUP));
    }
}

impl Kernel for Divide<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: each pointer is to a whole vector.
        unsafe {
            for chunk in self.scores.chunks_exact_mut(LANES) {
                S::store(chunk.as_mut_ptr(), S::div(S::load(chunk.as_ptr()), S::splat(self.divisor)));
            }
        }
    }
}
