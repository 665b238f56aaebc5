//! Elementwise functions and norms with the same bits on every instruction set.
//!
//! `exp` is a polynomial of our own, not the system's. Sums run in eight fixed lanes that are added
//! in a fixed tree.

use crate::isa::{Isa, Kernel, LANES, ROUND, Simd, dispatch_on};

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts: the first has few bits, so that `n` times it is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Taylor coefficients of `e^r` from `r^7` down; `|r| <= ln 2 / 2`.
const EXP: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

/// `e^x` with a relative error of about 1e-7. `x` is clamped to -87..=88, where the result is a
/// normal number; NaN stays NaN.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller gives the instruction set.
    unsafe {
        // The second operand is what comes out of NaN.
        let x = S::min(S::splat(88.0), S::max(S::splat(-87.0), x));
        let shifted = S::fma(x, S::splat(LOG2_E), S::splat(ROUND));
        let n = S::sub(shifted, S::splat(ROUND));
        let r = S::fma(n, S::splat(-LN2_HIGH), x);
        let r = S::fma(n, S::splat(-LN2_LOW), r);
        let mut sum = S::splat(EXP[0]);
        for coefficient in &EXP[1..] {
            sum = S::fma(sum, r, S::splat(*coefficient));
        }
        S::mul(sum, S::pow2(shifted))
    }
}

/// Applies a function to whole vectors; the rest of a slice goes through a padded one.
macro_rules! elementwise {
    ($name:ident, $x:ident, $s:ident => $body:expr) => {
        struct $name<'a>(&'a mut [f32]);
        impl Kernel for $name<'_> {
            type Output = ();
            #[inline(always)]
            unsafe fn run<$s: Simd>(self) {
                let (whole, rest) = self.0.split_at_mut(self.0.len() / LANES * LANES);
                let mut padded = [0.0; LANES];
                padded[..rest.len()].copy_from_slice(rest);
                // SAFETY: each pointer is to a whole vector.
                unsafe {
                    for chunk in whole.chunks_exact_mut(LANES).chain([&mut padded[..]]) {
                        let $x = $s::load(chunk.as_ptr());
                        $s::store(chunk.as_mut_ptr(), $body);
                    }
                }
                rest.copy_from_slice(&padded[..rest.len()]);
            }
        }
    };
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) unsafe fn silu_vector<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller gives the instruction set.
    unsafe { S::div(x, S::add(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), x)))) }
}

elementwise!(Silu, x, S => silu_vector::<S>(x));
elementwise!(Exp, x, S => exp::<S>(x));

/// Sum of `f(x)` in eight lanes by index, added in a fixed tree.
#[inline(always)]
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in whole {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f(*x));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += f(*x));
    lane_tree(lanes)
}

/// The sum of eight lanes.
fn lane_tree([a, b, c, d, e, f, g, h]: [f32; LANES]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// A kernel of plain arithmetic. No compiler may round it in another way, so it has the same bits
/// for every vector width.
macro_rules! plain_kernel {
    ($name:ident) => {
        impl Kernel for $name<'_> {
            type Output = ();
            #[inline(always)]
            unsafe fn run<S: Simd>(self) {
                self.apply();
            }
        }

        impl $name<'_> {
            /// Runs it on an instruction set.
            ///
            /// # Panics
            /// This CPU lacks the instruction set.
            #[inline]
            pub fn on(self, isa: Isa) {
                isa.check();
                // SAFETY: this CPU has the instruction set, and slices carry their lengths.
                unsafe { dispatch_on(isa, self) }
            }
        }
    };
}
plain_kernel!(RmsNorm);
plain_kernel!(LayerNorm);
plain_kernel!(Turn);

/// `out = x / rms(x) * weight`, as transformers' `LlamaRMSNorm`.
pub struct RmsNorm<'a> {
    /// The input.
    pub x: &'a [f32],
    /// A factor per number, as long as `x`.
    pub weight: &'a [f32],
    /// Added to the mean square.
    pub eps: f32,
    /// As long as `x`.
    pub out: &'a mut [f32],
}

impl RmsNorm<'_> {
    #[inline(always)]
    fn apply(self) {
        let scale = 1.0 / (lane_sum(self.x, |x| x * x) / self.x.len() as f32 + self.eps).sqrt();
        for ((out, x), weight) in self.out.iter_mut().zip(self.x).zip(self.weight) {
            *out = x * scale * weight;
        }
    }
}

/// LayerNorm with weight and bias in place, biased variance, as torch's.
pub struct LayerNorm<'a> {
    /// The input, replaced by the result.
    pub x: &'a mut [f32],
    /// A factor per number, as long as `x`.
    pub weight: &'a [f32],
    /// A term per number, as long as `x`.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

impl LayerNorm<'_> {
    #[inline(always)]
    fn apply(self) {
        let n = self.x.len() as f32;
        let mean = lane_sum(self.x, |x| x) / n;
        let variance = lane_sum(self.x, |x| (x - mean) * (x - mean)) / n;
        let scale = 1.0 / (variance + self.eps).sqrt();
        for ((x, weight), bias) in self.x.iter_mut().zip(self.weight).zip(self.bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// Turns pairs `(x[i], x[i + E/2])` by their angles.
pub struct Turn<'a> {
    /// The numbers of a head, `[E]`.
    pub x: &'a mut [f32],
    /// Cosines, `[E/2]`.
    pub cos: &'a [f32],
    /// Sines, `[E/2]`.
    pub sin: &'a [f32],
}

impl Turn<'_> {
    #[inline(always)]
    fn apply(self) {
        let (first, second) = self.x.split_at_mut(self.cos.len());
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(self.cos).zip(self.sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// The softmax of scaled scores, in place.
pub struct Softmax<'a> {
    /// The scores, replaced by the result.
    pub scores: &'a mut [f32],
    /// Multiplied with every score first.
    pub scale: f32,
}

impl Softmax<'_> {
    /// Runs it on an instruction set.
    ///
    /// # Panics
    /// This CPU lacks the instruction set.
    #[inline]
    pub fn on(self, isa: Isa) {
        isa.check();
        // SAFETY: this CPU has the instruction set, and the slice carries its length.
        unsafe { dispatch_on(isa, self) }
    }
}

impl Kernel for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { scores, scale } = self;
        let (whole, rest) = scores.as_chunks_mut::<LANES>();
        let (mut lanes, mut padded) = ([f32::NEG_INFINITY; LANES], [0.0; LANES]);
        // SAFETY: the caller gives the instruction set; all pointers are to arrays of one vector.
        unsafe {
            // The largest and the sum stay in registers: left to the compiler, they go through memory for
            // each chunk.
            let (factor, mut most) = (S::splat(scale), S::load(lanes.as_ptr()));
            for chunk in &mut *whole {
                let scaled = S::mul(S::load(chunk.as_ptr()), factor);
                S::store(chunk.as_mut_ptr(), scaled);
                most = S::max(scaled, most);
            }
            rest.iter_mut().for_each(|score| *score *= scale);
            S::store(lanes.as_mut_ptr(), most);
            let largest = lanes.iter().chain(&*rest).copied().fold(f32::NEG_INFINITY, f32::max);
            let (shift, mut sum) = (S::splat(largest), S::splat(0.0));
            for chunk in &mut *whole {
                let power = exp::<S>(S::sub(S::load(chunk.as_ptr()), shift));
                S::store(chunk.as_mut_ptr(), power);
                sum = S::add(sum, power);
            }
            padded[..rest.len()].copy_from_slice(rest);
            S::store(padded.as_mut_ptr(), exp::<S>(S::sub(S::load(padded.as_ptr()), shift)));
            rest.copy_from_slice(&padded[..rest.len()]);
            S::store(lanes.as_mut_ptr(), sum);
            lanes.iter_mut().zip(&*rest).for_each(|(lane, power)| *lane += power);
            let total = lane_tree(lanes);
            let divisor = S::splat(total);
            for chunk in &mut *whole {
                S::store(chunk.as_mut_ptr(), S::div(S::load(chunk.as_ptr()), divisor));
            }
            rest.iter_mut().for_each(|power| *power /= total);
        }
    }
}

/// `x / (1 + e^-x)` in place.
pub fn silu(x: &mut [f32]) {
    // SAFETY: the instruction set was detected; the slice carries its length.
    unsafe { dispatch_on(Isa::detect(), Silu(x)) }
}

/// `e^x` in place with a relative error of about 1e-7; `x` is clamped to -87..=88.
pub fn exp_slice(x: &mut [f32]) {
    // SAFETY: the instruction set was detected; the slice carries its length.
    unsafe { dispatch_on(Isa::detect(), Exp(x)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_and_the_same_on_every_instruction_set() {
        let x: Vec<f32> = (-8700..=8800).map(|i| i as f32 / 100.0).collect();
        let (mut fast, mut twin) = (x.clone(), x.clone());
        exp_slice(&mut fast);
        // SAFETY: the portable code runs anywhere.
        unsafe { dispatch_on(Isa::Scalar, Exp(&mut twin)) };
        assert_eq!(fast, twin);
        for (x, y) in x.iter().zip(fast) {
            let exact = f64::from(*x).exp();
            assert!((f64::from(y) / exact - 1.0).abs() < 2.5e-7, "exp({x}) = {y}, {exact}");
        }
    }

    /// The results of a kernel on `n` numbers, and of its twin.
    fn check_twin(n: usize, run: impl Fn(Isa, &mut [f32])) {
        let x: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let (mut fast, mut twin) = (x.clone(), x);
        run(Isa::detect(), &mut fast);
        run(Isa::Scalar, &mut twin);
        assert_eq!(fast, twin, "{n}");
    }

    #[test]
    fn norms_rotations_and_softmax_are_the_same_on_every_instruction_set() {
        let weight: Vec<f32> = (0..100).map(|i| i as f32 / 70.0 - 0.5).collect();
        for n in (2..100).step_by(2) {
            let (weight, bias, eps) = (&weight[..n], &weight[100 - n..], 1e-5);
            check_twin(n, |isa, x| RmsNorm { x: bias, weight, eps, out: x }.on(isa));
            check_twin(n, |isa, x| LayerNorm { x, weight, bias, eps }.on(isa));
            check_twin(n, |isa, x| Turn { x, cos: &weight[..n / 2], sin: &bias[..n / 2] }.on(isa));
            check_twin(n, |isa, x| Softmax { scores: x, scale: 3.0 }.on(isa));
        }
    }

    #[test]
    fn a_softmax_is_a_law_and_keeps_failures() {
        let mut x = [1.0, 2.0, 3.0];
        Softmax { scores: &mut x, scale: 1.0 }.on(Isa::detect());
        assert!((x[2] / x[1] - std::f32::consts::E).abs() < 1e-5 && (x.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let mut x = [1.0, f32::NAN];
        Softmax { scores: &mut x, scale: 1.0 }.on(Isa::detect());
        assert!(x[1].is_nan());
    }

    #[test]
    fn silu_is_close_at_every_length() {
        for n in 0..20 {
            let x: Vec<f32> = (0..n).map(|i| i as f32 - 9.5).collect();
            let mut y = x.clone();
            silu(&mut y);
            assert!(x.iter().zip(y).all(|(x, y)| (y - x / (1.0 + (-x).exp())).abs() < 1e-6));
        }
    }
}
