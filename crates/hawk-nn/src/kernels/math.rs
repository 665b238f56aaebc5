//! Elementwise functions and norms, with the same bits on every instruction set: polynomials of our own instead of the system's `exp`,
//! and sums in eight fixed lanes that are added in a fixed tree.

use super::simd::{Isa, Kernel, LANES, ROUND, Simd, dispatch_on};

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts: the first has few bits, so that `n` times it is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Taylor coefficients of `e^r` from `r^7` down; `|r| <= ln 2 / 2`.
const EXP: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

/// `e^x`, to about 1e-7 relative; x is held inside -87..=88, where the result is a normal number.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller gives the instruction set.
    unsafe {
        let x = S::min(S::max(x, S::splat(-87.0)), S::splat(88.0));
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

elementwise!(Silu, x, S => S::div(x, S::add(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), x)))));
elementwise!(Exp, x, S => exp::<S>(x));

pub(crate) fn silu_on(isa: Isa, x: &mut [f32]) {
    // SAFETY: the slice carries its length; `isa` was detected.
    unsafe { dispatch_on(isa, Silu(x)) }
}

pub(crate) fn exp_on(isa: Isa, x: &mut [f32]) {
    // SAFETY: the slice carries its length; `isa` was detected.
    unsafe { dispatch_on(isa, Exp(x)) }
}

/// Sum of `f(x)` in eight lanes by index, added in a fixed tree.
pub(crate) fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for chunk in x.chunks(LANES) {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f(*x));
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// `x / rms(x) * weight`, as transformers' `LlamaRMSNorm`.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (lane_sum(x, |x| x * x) / x.len() as f32 + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

/// LayerNorm with weight and bias in place, biased variance, as torch's.
pub(crate) fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let mean = lane_sum(x, |x| x) / x.len() as f32;
    let variance = lane_sum(x, |x| (x - mean) * (x - mean)) / x.len() as f32;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
        *x = (*x - mean) * scale * weight + bias;
    }
}

/// `x / (1 + e^-x)` in place.
pub fn silu(x: &mut [f32]) {
    silu_on(Isa::detect(), x);
}

/// `e^x` in place, to about 1e-7 relative; x is held inside -87..=88.
pub fn exp_slice(x: &mut [f32]) {
    exp_on(Isa::detect(), x);
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
