//! Numbers: bf16 and f16 in words of two, and the exponential.

use cubecl::prelude::*;

/// The number formats of inputs of products and of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Numbers {
    /// f32, one in a word.
    F32,
    /// bf16, two in a word, the first in the low half. Inputs of products are rounded to it.
    Bf16,
}

/// The first number of a word of two.
#[cube]
pub(crate) fn low(word: u32) -> f32 {
    f32::reinterpret(word << 16)
}

/// The second number of a word of two.
#[cube]
pub(crate) fn high(word: u32) -> f32 {
    f32::reinterpret(word & 0xffff_0000)
}

/// The f16 of 16 bits, which is finite. It is exact on devices that flush subnormal numbers to zero, too.
#[cube]
pub(crate) fn half(bits: u32) -> f32 {
    let magnitude = bits & 0x7fff;
    let mut number = f32::reinterpret((magnitude << 13) + 0x3800_0000);
    // Without the leading bit that only normal numbers have: twice the shifted one, less 2^-14.
    if magnitude < 0x400 {
        number = f32::reinterpret((magnitude << 13) + 0x3880_0000) - 6.103_515_6e-5f32;
    }
    if bits >= 0x8000 {
        number = -number;
    }
    number
}

/// The number rounded to bf16, to nearest even: its upper 16 bits.
#[cube]
pub(crate) fn rounded_bits(x: f32) -> u32 {
    let bits = u32::reinterpret(x);
    (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
}

/// Two numbers in a word.
#[cube]
pub(crate) fn word_of(first: f32, second: f32) -> u32 {
    rounded_bits(first) | (rounded_bits(second) << 16)
}

/// The number as products read it.
#[cube]
pub(crate) fn rounded(x: f32, #[comptime] numbers: Numbers) -> f32 {
    match comptime!(numbers) {
        Numbers::F32 => x,
        Numbers::Bf16 => f32::reinterpret(rounded_bits(x) << 16),
    }
}

/// `e^x` with a relative error of about 1e-7, by the same polynomial on every device. `x` is
/// clamped to -87..=88.
#[cube]
pub(crate) fn exp(x: f32) -> f32 {
    let x = clamp(x, -87.0f32, 88.0f32);
    let n = f32::floor(fma(x, f32::new(std::f32::consts::LOG2_E), 0.5f32));
    // ln 2 in two parts: the first has few bits, so that n times it is exact.
    let r = fma(n, -0.693_359_4_f32, x);
    let r = fma(n, 2.121_944_4e-4_f32, r);
    let mut sum = f32::new(1.0 / 5040.0);
    sum = fma(sum, r, 1.0f32 / 720.0f32);
    sum = fma(sum, r, 1.0f32 / 120.0f32);
    sum = fma(sum, r, 1.0f32 / 24.0f32);
    sum = fma(sum, r, 1.0f32 / 6.0f32);
    sum = fma(sum, r, 0.5f32);
    sum = fma(sum, r, 1.0f32);
    sum = fma(sum, r, 1.0f32);
    let power = u32::cast_from(i32::cast_from(n) + 127i32) << 23;
    sum * f32::reinterpret(power)
}

/// `x / (1 + e^-x)`.
#[cube]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0f32 + exp(-x))
}
