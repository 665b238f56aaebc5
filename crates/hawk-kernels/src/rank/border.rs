//! Where in the order of the scores a count or a mass is reached.

use super::run::{BLOCK, lanes, largest, on, total};
use crate::isa::{Isa, Kernel, LANES, Simd, dispatch_on};

/// Keeps the `k` largest scores, ties by the lower code, and makes the others -inf. The scores are
/// padded and have no NaN; `k` is at least 1.
///
/// # Panics
/// As the kernels.
pub fn keep_largest(isa: Isa, scores: &mut [f32], k: usize) {
    let border = Border { scores, weights: None, mass: k as f64 }.on(isa);
    // Fewer finite scores than k: all stay.
    let Some(border) = border else { return };
    let above = scores.iter().filter(|score| **score > border).count();
    let mut ties = k - above;
    for score in scores {
        if *score == border && ties > 0 {
            ties -= 1;
        } else if *score <= border {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// The sums at a score.
struct Split {
    /// Weight of the scores at or above it.
    mass: f64,
    /// The least score at or above it; +inf where there is none.
    least_above: f32,
    /// The largest score below it; -inf where there is none.
    most_below: f32,
}

/// Splits the finite scores at a finite score or +inf. Without weights each counts 1.
#[inline(always)]
unsafe fn split<S: Simd>(scores: &[f32], weights: Option<&[f32]>, at: f32) -> Split {
    // SAFETY: the caller gives the instruction set; whole vectors of slices of the same length.
    unsafe {
        let border = S::splat(at);
        let (high, low) = (S::splat(f32::INFINITY), S::splat(f32::NEG_INFINITY));
        let (mut above, mut below, mut mass) = (high, low, 0.0);
        for start in (0..scores.len()).step_by(BLOCK * LANES) {
            let mut sum = S::splat(0.0);
            for i in (start..scores.len().min(start + BLOCK * LANES)).step_by(LANES) {
                let score = S::load(scores.as_ptr().add(i));
                let weight = weights.map_or(S::splat(1.0), |weights| S::load(weights.as_ptr().add(i)));
                sum = S::add(sum, S::choose(score, border, weight, S::splat(0.0)));
                above = S::min(above, S::choose(score, border, score, high));
                below = S::max(below, S::choose(score, border, low, score));
            }
            mass += total::<S>(sum);
        }
        Split {
            mass,
            least_above: lanes::<S>(above).into_iter().fold(f32::INFINITY, f32::min),
            most_below: largest::<S>(below),
        }
    }
}

/// The largest finite score at or above which the weights reach `mass`; none where all together do
/// not.
///
/// It halves the interval in which the border lies, by turns in the middle of its ends and in the
/// middle of the numbers between them, and jumps to the scores next to the middle.
pub(super) struct Border<'a> {
    /// Whole vectors.
    pub(super) scores: &'a [f32],
    /// As long as the scores; 1 each where there are none.
    pub(super) weights: Option<&'a [f32]>,
    pub(super) mass: f64,
}

impl Border<'_> {
    on!(pub(super));

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(LANES));
        assert!(self.weights.is_none_or(|weights| weights.len() == self.scores.len()));
    }
}

impl Kernel for Border<'_> {
    type Output = Option<f32>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Option<f32> {
        let Self { scores, weights, mass } = self;
        // SAFETY: the caller gives the instruction set, and the lengths were checked.
        let at = |score: f32| unsafe { split::<S>(scores, weights, score) };
        let all = at(f32::MIN);
        if all.mass < mass || all.least_above == f32::INFINITY {
            return None;
        }
        // The mass is reached at `low` and not at `high`.
        let (mut low, mut high) = (all.least_above, at(f32::INFINITY).most_below);
        if at(high).mass >= mass {
            return Some(high);
        }
        for turn in 0.. {
            let middle = if turn % 2 == 0 {
                (f64::midpoint(low.into(), high.into())) as f32
            } else {
                from_order((order(low) + order(high)) / 2)
            };
            if middle <= low || middle >= high {
                break;
            }
            let split = at(middle);
            if split.mass >= mass {
                low = split.least_above;
            } else {
                high = middle;
                if split.most_below <= low {
                    break;
                }
            }
        }
        Some(low)
    }
}

/// A number that rises with `x`.
fn order(x: f32) -> i64 {
    let magnitude = i64::from(x.to_bits() & 0x7fff_ffff);
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

fn from_order(order: i64) -> f32 {
    let magnitude = f32::from_bits(order.unsigned_abs() as u32);
    if order < 0 { -magnitude } else { magnitude }
}

/// The mass of the scores from one on.
pub(super) struct Above<'a> {
    /// Whole vectors.
    pub(super) scores: &'a [f32],
    /// As long as the scores.
    pub(super) weights: &'a [f32],
    pub(super) from: f32,
}

impl Above<'_> {
    on!(pub(super));

    fn check(&self) {
        assert!(self.scores.len().is_multiple_of(LANES) && self.weights.len() == self.scores.len());
    }
}

impl Kernel for Above<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        // SAFETY: the caller gives the instruction set, and the lengths were checked.
        unsafe { split::<S>(self.scores, Some(self.weights), self.from).mass }
    }
}
