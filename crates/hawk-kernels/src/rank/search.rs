//! The search for the best codes under counter-based noise.

use super::run::{GROUP, lanes, on};
use crate::isa::{Isa, Kernel, LANES, Simd, dispatch_on};

/// Entries of the table of noise bounds, by the top bits of a random word.
pub const BOUNDS: usize = 1024;

/// Visits the codes that may be best under noise, in rising order.
///
/// The noise of code v belongs to word `v mod 4` of Philox4x32-10 with counter
/// `(v div 4, counter...)`. A code is visited where its score is at least `floor` and score plus
/// the bound of its noise is at least `least`.
pub struct Search<'a> {
    /// The scores, padded, without NaN.
    pub scores: &'a [f32],
    /// Codes below it are not visited.
    pub floor: f32,
    /// Key of the generator.
    pub key: [u32; 2],
    /// The last three words of its counter.
    pub counter: [u32; 3],
    /// For the top ten bits of a word an upper bound of its noise; it rises.
    pub bounds: &'a [f32; BOUNDS],
    /// Least sum of a score and its bound, before the first visit.
    pub least: f32,
    /// Receives a code and its score and returns the new least sum.
    pub visit: &'a mut dyn FnMut(usize, f32) -> f32,
}

impl Search<'_> {
    on!(pub);

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(GROUP));
    }
}

impl Kernel for Search<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { scores, floor, key, counter, bounds, mut least, visit } = self;
        let most = bounds[BOUNDS - 1];
        for (group, chunk) in scores.chunks_exact(GROUP).enumerate() {
            // SAFETY: the caller gives the instruction set; a group has four whole vectors.
            unsafe {
                let score: [S::F; 4] = std::array::from_fn(|v| S::load(chunk.as_ptr().add(v * LANES)));
                let open =
                    |v: usize, sum: S::F| S::at_least(score[v], S::splat(floor)) & S::at_least(sum, S::splat(least));
                let any = (0..4).fold(0, |any, v| any | open(v, S::add(score[v], S::splat(most))));
                if any == 0 {
                    continue;
                }
                let words = words::<S>(key, counter, (group * LANES) as u32);
                for v in 0..4 {
                    let sum = S::add(score[v], S::look_up(bounds.as_ptr(), words[v]));
                    let mut left = S::at_least(score[v], S::splat(floor)) & S::at_least(sum, S::splat(least));
                    if left == 0 {
                        continue;
                    }
                    let sums = lanes::<S>(sum);
                    while left != 0 {
                        let lane = left.trailing_zeros() as usize;
                        left &= left - 1;
                        if sums[lane] >= least {
                            let code = group * GROUP + v * LANES + lane;
                            least = visit(code, scores[code]);
                        }
                    }
                }
            }
        }
    }
}

/// The words of eight blocks from one on, in the order of codes.
#[inline(always)]
unsafe fn words<S: Simd>(key: [u32; 2], counter: [u32; 3], first: u32) -> [S::W; 4] {
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    // The blocks of the lanes, such that weaving puts the words into order.
    let blocks = [0, 2, 4, 6, 1, 3, 5, 7].map(|block| first + block);
    // SAFETY: the caller gives the instruction set.
    unsafe {
        let mut c0 = S::load_words(blocks.as_ptr());
        let [mut c1, mut c2, mut c3] = counter.map(|word| S::splat_word(word));
        let [mut k0, mut k1] = key;
        for _ in 0..10 {
            let [high0, low0] = S::wide_product(c0, S::splat_word(MULTIPLIER[0]));
            let [high1, low1] = S::wide_product(c2, S::splat_word(MULTIPLIER[1]));
            c0 = S::xor(S::xor(high1, c1), S::splat_word(k0));
            c2 = S::xor(S::xor(high0, c3), S::splat_word(k1));
            (c1, c3) = (low1, low0);
            (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
        }
        S::weave([c0, c1, c2, c3])
    }
}
