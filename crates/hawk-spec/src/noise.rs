//! Counter-based noise: a random number is a function of (seed, image, cell, purpose, index), never
//! of the order of calls.
//!
//! The generator is Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
//! (SC 2011), as in the Random123 library. Logarithms are libm's: plain Rust arithmetic, with the
//! same bits on every platform.

use std::sync::LazyLock;

use crate::law::{LawError, highest};
use crate::token::{Cell, Code, ImageIndex, Seed};

/// The purpose of a random number. Different purposes never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Gumbel noise of the cells of images, for sampling and for drafting under replay.
    Replay = 0,
    /// Gumbel noise of text. The code is the vocabulary id, the cell is the position after the
    /// prompt.
    Text = 1,
    /// Acceptance tests under rejection.
    Accept = 2,
    /// Recovered and bonus tokens under rejection.
    Recover = 3,
    /// A drafter's own draws under rejection.
    Draft = 4,
}

/// Philox4x32-10: four random words for a key and a counter.
#[must_use]
#[inline]
pub fn philox4x32_10(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    let wide = |multiplier: u32, word: u32| {
        let product = u64::from(multiplier) * u64::from(word);
        ((product >> 32) as u32, product as u32)
    };
    let ([mut k0, mut k1], [mut c0, mut c1, mut c2, mut c3]) = (key, counter);
    for _ in 0..10 {
        let (high0, low0) = wide(MULTIPLIER[0], c0);
        let (high1, low1) = wide(MULTIPLIER[1], c2);
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [c0, c1, c2, c3]
}

/// The counter-based noise of one image, or of one text. Reading it consumes nothing: the same
/// question always has the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Noise {
    /// Key of the generator.
    pub seed: Seed,
    /// Number of the image among those of the seed.
    pub image: ImageIndex,
}

impl Noise {
    /// The noise of one cell for one purpose.
    #[must_use]
    pub const fn at(self, cell: Cell, purpose: Purpose) -> CellNoise {
        CellNoise { seed: self.seed, image: self.image, cell, purpose }
    }
}

/// The noise of one cell for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellNoise {
    /// Key of the generator.
    pub seed: Seed,
    /// Number of the image among those of the seed.
    pub image: ImageIndex,
    /// The cell; of a text, the position after the prompt.
    pub cell: Cell,
    /// What the noise is for.
    pub purpose: Purpose,
}

impl CellNoise {
    /// The four random words of a block: Philox4x32-10 of the counter
    /// `(block, cell, image, purpose)` under the seed as key (low half, high half).
    #[must_use]
    #[inline]
    pub fn words(self, block: u32) -> [u32; 4] {
        let key = [self.seed.0 as u32, (self.seed.0 >> 32) as u32];
        philox4x32_10(key, [block, self.cell.0, self.image.0, self.purpose as u32])
    }

    /// A uniform number in [0, 1): the top 27 and 26 bits of the block's first two
    /// [`words`](Self::words), 53 bits in all.
    ///
    /// Under rejection a drafter draws with [`Purpose::Draft`] and never uses a block twice for a
    /// cell.
    #[must_use]
    pub fn uniform(self, block: u32) -> f64 {
        let [high, low, ..] = self.words(block);
        let bits = (u64::from(high >> 5) << 26) | u64::from(low >> 6);
        bits as f64 / (1u64 << 53) as f64
    }

    /// The Gumbel noise of a code: `-ln(-ln u)` with `u = (word + 0.5) / 2^32`. The word is number
    /// `code mod 4` of block `code div 4`. The purpose is [`Purpose::Replay`] or [`Purpose::Text`];
    /// a drafter may use [`Purpose::Draft`].
    #[must_use]
    pub fn gumbel(self, code: Code) -> f64 {
        gumbel_of_word(self.words(code.0 / 4)[code.index() % 4])
    }

    /// The token that plain AR draws: the code with the highest `score + gumbel` in f64.
    ///
    /// `scores` has one entry per code. Ties go to the lower code, and a code with the score -inf
    /// never wins. The purpose is [`Purpose::Replay`] for images, [`Purpose::Text`] for text.
    /// Logarithms are taken only where a bound of the noise does not already rule the code out.
    ///
    /// # Errors
    /// [`LawError::NotALogit`] for a NaN or +inf score, [`LawError::NothingLeft`] when all scores
    /// are -inf.
    pub fn argmax(self, scores: &[f32]) -> Result<Code, LawError> {
        let (mut best, top_score) = highest(scores)?;
        let mut best_value = f64::from(top_score) + self.gumbel(best);
        let bounds = &*BOUNDS;
        let most = bounds[bounds.len() - 1];
        for (block, scores) in (0..).zip(scores.chunks(4)) {
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if f64::from(top) + most < best_value {
                continue;
            }
            let words = self.words(block);
            for (code, (&score, word)) in (4 * block..).map(Code).zip(scores.iter().zip(words)) {
                let score = f64::from(score);
                if score + bounds[(word >> (32 - BOUND_BITS)) as usize] < best_value {
                    continue;
                }
                let value = score + gumbel_of_word(word);
                if value > best_value || (value == best_value && code < best) {
                    (best, best_value) = (code, value);
                }
            }
        }
        Ok(best)
    }

    /// The `count` codes with the highest `score + gumbel`, written to `ranked` (cleared before).
    ///
    /// The best comes first, and ties go to the lower code. Fewer codes come out where fewer scores
    /// are above -inf, and none for a `count` of 0. The first code is that of [`argmax`](Self::argmax). Under replay a drafter
    /// ranks its candidates so, because the target's own draw will have the same noise.
    pub fn rank(self, scores: &[f32], count: usize, ranked: &mut Vec<(f64, Code)>) {
        let bounds = &*BOUNDS;
        ranked.clear();
        if count == 0 {
            return;
        }
        let mut worst = f64::NEG_INFINITY;
        for (block, scores) in (0..).zip(scores.chunks(4)) {
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if top == f32::NEG_INFINITY || f64::from(top) + bounds[bounds.len() - 1] < worst {
                continue;
            }
            let words = self.words(block);
            for (code, (&score, word)) in (4 * block..).map(Code).zip(scores.iter().zip(words)) {
                let score = f64::from(score);
                if score == f64::NEG_INFINITY || score + bounds[(word >> (32 - BOUND_BITS)) as usize] < worst {
                    continue;
                }
                let value = score + gumbel_of_word(word);
                let place = ranked.partition_point(|&(better, _)| better >= value);
                if place < count {
                    ranked.truncate(count - 1);
                    ranked.insert(place, (value, code));
                }
                if ranked.len() == count {
                    worst = ranked[count - 1].0;
                }
            }
        }
    }
}

fn gumbel_of_word(word: u32) -> f64 {
    let u = (f64::from(word) + 0.5) / (1u64 << 32) as f64;
    -libm::log(-libm::log(u))
}

/// Bits of a word that index the bounds.
const BOUND_BITS: u32 = 10;

/// Bounds of Gumbel noise in f32, for a search that leaves out the logarithms where it can.
#[derive(Clone, Copy, Debug)]
pub struct NoiseBounds {
    /// No noise is below it.
    pub least: f32,
    /// No noise of a word with these top ten bits is above it. It rises.
    pub most: [f32; 1 << BOUND_BITS],
}

impl NoiseBounds {
    /// The bounds, computed once.
    #[must_use]
    pub fn get() -> &'static NoiseBounds {
        static NOISE_BOUNDS: LazyLock<NoiseBounds> = LazyLock::new(|| NoiseBounds {
            least: (gumbel_of_word(0) as f32).next_down(),
            // Rounding to f32 may lower a bound by half the distance of two numbers.
            most: BOUNDS.map(|bound| (bound as f32).next_up()),
        });
        &NOISE_BOUNDS
    }
}

/// For each value of a word's top bits, an upper bound of the noise of all words that have them.
///
/// The noise grows with the word: its value at the bucket's last word bounds it. The margin is far
/// above the rounding of two logarithms, and far too small to cost further evaluations.
static BOUNDS: LazyLock<[f64; 1 << BOUND_BITS]> = LazyLock::new(|| {
    std::array::from_fn(|top| gumbel_of_word((top as u32) << (32 - BOUND_BITS) | (u32::MAX >> BOUND_BITS)) + 1e-9)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_a_full_sort() {
        let noise = Noise { seed: Seed(3), image: ImageIndex(1) };
        let mut ranked = Vec::new();
        for cell in (0..200).map(Cell) {
            let noise = noise.at(cell, if cell.0 % 2 == 0 { Purpose::Replay } else { Purpose::Text });
            let score =
                |code: u32| if code % 7 == 3 { f32::NEG_INFINITY } else { ((code * cell.0) as f32).sin() * 6.0 };
            let scores: Vec<f32> = (0..53).map(score).collect();
            let mut all: Vec<(f64, Code)> = (0..)
                .map(Code)
                .zip(&scores)
                .filter(|(_, score)| **score > f32::NEG_INFINITY)
                .map(|(code, &score)| (f64::from(score) + noise.gumbel(code), code))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for count in [0, 1, 4, 100] {
                noise.rank(&scores, count, &mut ranked);
                assert_eq!(ranked, all[..count.min(all.len())]);
            }
            assert_eq!(noise.argmax(&scores), Ok(all[0].1));
        }
    }

    #[test]
    fn no_noise_exceeds_its_bound() {
        let spread = (0..1 << 20).map(|i: u32| i.wrapping_mul(0x9E37_79B9));
        let borders = (0..1u32 << BOUND_BITS).flat_map(|top| {
            let first = top << (32 - BOUND_BITS);
            [first, first | (u32::MAX >> BOUND_BITS), (first | (u32::MAX >> BOUND_BITS)) - 1]
        });
        let most = BOUNDS[BOUNDS.len() - 1];
        for word in spread.chain(borders) {
            let (noise, bound) = (gumbel_of_word(word), BOUNDS[(word >> (32 - BOUND_BITS)) as usize]);
            assert!(noise <= bound && bound <= most, "noise {noise} of word {word:#x}, bound {bound}");
            let NoiseBounds { least, most } = NoiseBounds::get();
            assert!(f64::from(*least) <= noise && bound <= f64::from(most[(word >> (32 - BOUND_BITS)) as usize]));
        }
    }
}
