//! Gumbel noise from counters, as `hawk_spec::CellNoise` defines it: the same random words, and
//! logarithms to about 1e-6.

use cubecl::prelude::*;

/// Most that [`gumbel`] differs from the definition. The tests find a quarter of it.
pub(crate) const NOISE_ERROR: f32 = 2e-5;

/// Philox4x32-10: the four words of a block. The key and the rest of the counter stand in `noise`
/// from `at` on: low and high half of the seed, cell, image, purpose.
#[cube]
pub(crate) fn philox(noise: &[u32], at: u32, block: u32, words: &mut Array<u32>) {
    let mut k0 = noise[at as usize];
    let mut k1 = noise[(at + 1) as usize];
    let mut c0 = block;
    let mut c1 = noise[(at + 2) as usize];
    let mut c2 = noise[(at + 3) as usize];
    let mut c3 = noise[(at + 4) as usize];
    #[unroll]
    for _ in 0..10u32 {
        let high0 = u32::mul_hi(c0, 0xD251_1F53u32);
        let low0 = c0 * 0xD251_1F53u32;
        let high1 = u32::mul_hi(c2, 0xCD9E_8D57u32);
        let low1 = c2 * 0xCD9E_8D57u32;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E37_79B9u32;
        k1 += 0xBB67_AE85u32;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/// The natural logarithm of a positive normal number: 2 artanh((f - 1) / (f + 1)) of its fraction f
/// in [sqrt(1/2), sqrt(2)), and its exponent times ln 2.
#[cube]
fn ln(x: f32) -> f32 {
    // Bits of 1 less those of sqrt(1/2): they carry into the exponent from sqrt(1/2) on.
    let bits = u32::reinterpret(x) + 0x004a_fb0du32;
    let exponent = f32::cast_from(bits >> 23) - 127.0f32;
    let fraction = f32::reinterpret((bits & 0x007f_ffff) + 0x3f35_04f3u32);
    let z = (fraction - 1.0f32) / (fraction + 1.0f32);
    let square = z * z;
    let mut sum = f32::new(1.0 / 9.0);
    sum = fma(sum, square, f32::new(1.0 / 7.0));
    sum = fma(sum, square, f32::new(1.0 / 5.0));
    sum = fma(sum, square, f32::new(1.0 / 3.0));
    sum = fma(sum, square, 1.0f32);
    fma(exponent, f32::new(std::f32::consts::LN_2), 2.0f32 * z * sum)
}

/// `-ln(-ln u)` with `u = (word + 0.5) / 2^32`.
#[cube]
pub(crate) fn gumbel(word: u32) -> f32 {
    let unit = f32::new(1.0 / 4_294_967_296.0);
    let mut exponential = -ln((f32::cast_from(word) + 0.5f32) * unit);
    if word >= 0x8000_0000u32 {
        // Near 1, u itself is too coarse. -ln(1 - y) is 2 artanh(y / (2 - y)).
        let y = (f32::cast_from(0xffff_ffffu32 - word) + 0.5f32) * unit;
        let z = y / (2.0f32 - y);
        let square = z * z;
        let mut sum = f32::new(1.0 / 15.0);
        #[unroll]
        for term in 0..7u32 {
            sum = fma(sum, square, f32::new(comptime!(1.0 / (13.0 - 2.0 * term as f32))));
        }
        exponential = 2.0f32 * z * sum;
    }
    -ln(exponential)
}
