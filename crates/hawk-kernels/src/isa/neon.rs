//! NEON with products of 8-bit integers.

use std::arch::aarch64::*;
use std::arch::asm;

use super::simd::{LANES, SMALLEST_BF16, Simd};
use super::tile_product::{TileProduct, no_tiles};

/// NEON with dot products of bytes: Arm since Cortex-A75 and Neoverse N1, Apple since M1.
#[derive(Clone, Copy)]
pub(super) struct Neon;

/// Lanes of one register.
const QUARTER: usize = 4;

/// 2^112.
const OF_SHIFTED_F16: f32 = f32::from_bits((127 + 112) << 23);

/// An array by its elements. A register holds four lanes, so that a vector is an array of them.
macro_rules! each {
    ($i:ident => $e:expr) => {
        std::array::from_fn(
            #[inline(always)]
            |$i| $e,
        )
    };
}

/// [`round_to_bf16`](super::round_to_bf16) of four numbers.
#[inline(always)]
fn round_four(x: float32x4_t) -> float32x4_t {
    // SAFETY: every AArch64 processor that the standard library is built for has NEON.
    unsafe {
        let bits = vreinterpretq_u32_f32(x);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
        let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
        let rounded = vandq_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet), vdupq_n_u32(0xffff_0000));
        let small = vcltq_f32(vabsq_f32(x), vdupq_n_f32(SMALLEST_BF16));
        vreinterpretq_f32_u32(vbicq_u32(rounded, small))
    }
}

/// `acc` plus the products of four signed bytes each. The intrinsic is not stable in Rust 1.95.
///
/// # Safety
/// The CPU has dot products of bytes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot(mut acc: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes registers only; the CPU has it.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b",
            acc = inout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
}

/// SAFETY (all bodies): the contract of the trait gives the CPU features and the valid pointers.
#[allow(clippy::undocumented_unsafe_blocks, reason = "as said here")]
impl Simd for Neon {
    no_tiles!();
    type F = [float32x4_t; 2];
    type F16 = [float32x4_t; 4];
    type I16 = [int32x4_t; 4];
    type W16 = [int8x16_t; 4];
    type X16 = int8x16_t;
    type P16 = Self::F16;
    type Q16 = float32x4_t;
    type W = [uint32x4_t; 2];
    const PAIR_PARTS: usize = 2;
    const PAIR_BYTES: usize = 8;
    const PARTS: usize = 1;
    const QUAD_BYTES: usize = 4;
    // A row's sums take 4 of the 32 registers, a step's weights of a panel 4 more. The compiler keeps
    // sums in memory for 6 rows in f32, and for 3 rows of two panels.
    const TILE_ROWS: usize = 5;
    const INT8_TILE_ROWS: usize = 6;
    const MOST_PANELS: usize = 2;
    const MOST_SUMS: usize = 4;
    // As on AVX2. No processor with this instruction set was measured.
    const FETCHES_ALONE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        unsafe { [vdupq_n_f32(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        unsafe { each!(i => vld1q_f32(p.add(i * QUARTER))) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        unsafe {
            vst1q_f32(p, v[0]);
            vst1q_f32(p.add(QUARTER), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { each!(i => vfmaq_f32(c[i], a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vaddq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vsubq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vmulq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vdivq_f32(a[i], b[i])) }
    }
    /// A comparison and a choice: the instruction for the maximum returns NaN where either is NaN.
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        unsafe { each!(i => vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn pow2(n_plus_round: Self::F) -> Self::F {
        unsafe {
            each!(i => {
                let n = vshlq_n_u32::<23>(vreinterpretq_u32_f32(n_plus_round[i]));
                vreinterpretq_f32_u32(vaddq_u32(n, vdupq_n_u32(0x3f80_0000)))
            })
        }
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut u8, v: Self::F16) {
        unsafe { Self::store16(p.cast(), each!(i => round_four(v[i]))) }
    }
    #[inline(always)]
    unsafe fn store_quads(p: *mut u8, v: Self::F16) {
        unsafe {
            let words: [int32x4_t; 4] = each!(i => vcvtnq_s32_f32(v[i]));
            let low = vqmovn_high_s32(vqmovn_s32(words[0]), words[1]);
            let high = vqmovn_high_s32(vqmovn_s32(words[2]), words[3]);
            vst1q_s8(p.cast(), vqmovn_high_s16(vqmovn_s16(low), high));
        }
    }
    #[inline(always)]
    unsafe fn largest(v: Self::F16) -> f32 {
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(v[0], v[1]), vmaxq_f32(v[2], v[3]))) }
    }
    #[inline(always)]
    unsafe fn exact_sum(v: Self::F16) -> f32 {
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(v[0], v[1]), vaddq_f32(v[2], v[3]))) }
    }
    #[allow(clippy::pointers_in_nomem_asm_block, reason = "the program sees nothing of what a prefetch reads")]
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        unsafe { asm!("prfm pldl2keep, [{p}]", p = in(reg) p, options(nomem, nostack, preserves_flags)) }
    }

    #[inline(always)]
    unsafe fn at_least(a: Self::F, b: Self::F) -> u32 {
        unsafe {
            let bits: [uint32x4_t; 2] = each!(i => {
                let lanes = vshlq_u32(vdupq_n_u32(1 << (i * QUARTER)), vld1q_s32([0, 1, 2, 3].as_ptr()));
                vandq_u32(vcgeq_f32(a[i], b[i]), lanes)
            });
            vaddvq_u32(vorrq_u32(bits[0], bits[1]))
        }
    }
    #[inline(always)]
    unsafe fn choose(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        unsafe { each!(i => vbslq_f32(vcgeq_f32(a[i], b[i]), x[i], y[i])) }
    }
    #[inline(always)]
    unsafe fn splat_word(x: u32) -> Self::W {
        unsafe { [vdupq_n_u32(x); 2] }
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> Self::W {
        unsafe { each!(i => vld1q_u32(p.add(i * QUARTER))) }
    }
    #[inline(always)]
    unsafe fn xor(a: Self::W, b: Self::W) -> Self::W {
        unsafe { each!(i => veorq_u32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn wide_product(a: Self::W, b: Self::W) -> [Self::W; 2] {
        unsafe {
            let high = each!(i => {
                let first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a[i]), vget_low_u32(b[i])));
                vuzp2q_u32(first, vreinterpretq_u32_u64(vmull_high_u32(a[i], b[i])))
            });
            [high, each!(i => vmulq_u32(a[i], b[i]))]
        }
    }
    #[inline(always)]
    unsafe fn weave(v: [Self::W; 4]) -> [Self::W; 4] {
        unsafe {
            let halves: [[uint32x4_t; 4]; 2] = each!(half => {
                let [v0, v1, v2, v3] = [v[0][half], v[1][half], v[2][half], v[3][half]];
                let [a, b] = [vtrn1q_u32(v0, v1), vtrn1q_u32(v2, v3)].map(|v| vreinterpretq_u64_u32(v));
                let [c, d] = [vtrn2q_u32(v0, v1), vtrn2q_u32(v2, v3)].map(|v| vreinterpretq_u64_u32(v));
                [vtrn1q_u64(a, b), vtrn1q_u64(c, d), vtrn2q_u64(a, b), vtrn2q_u64(c, d)].map(|v| vreinterpretq_u32_u64(v))
            });
            each!(to => [halves[0][to], halves[1][to]])
        }
    }
    #[inline(always)]
    unsafe fn look_up(table: *const f32, w: Self::W) -> Self::F {
        unsafe {
            let mut at = [0_u32; LANES];
            vst1q_u32(at.as_mut_ptr(), vshrq_n_u32::<22>(w[0]));
            vst1q_u32(at.as_mut_ptr().add(QUARTER), vshrq_n_u32::<22>(w[1]));
            Self::load(at.map(|at| table.add(at as usize).read()).as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn splat16(x: f32) -> Self::F16 {
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    unsafe fn load16(p: *const f32) -> Self::F16 {
        unsafe { each!(i => vld1q_f32(p.add(i * QUARTER))) }
    }
    #[inline(always)]
    unsafe fn store16(p: *mut f32, v: Self::F16) {
        unsafe {
            Self::store(p, [v[0], v[1]]);
            Self::store(p.add(LANES), [v[2], v[3]]);
        }
    }
    #[inline(always)]
    unsafe fn add16(a: Self::F16, b: Self::F16) -> Self::F16 {
        unsafe { each!(i => vaddq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn sub16(a: Self::F16, b: Self::F16) -> Self::F16 {
        unsafe { each!(i => vsubq_f32(a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn max16(a: Self::F16, b: Self::F16) -> Self::F16 {
        unsafe { each!(i => vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn fma16(a: Self::F16, b: Self::F16, c: Self::F16) -> Self::F16 {
        unsafe { each!(i => vfmaq_f32(c[i], a[i], b[i])) }
    }
    #[inline(always)]
    unsafe fn mul16(a: Self::F16, b: Self::F16) -> Self::F16 {
        unsafe { each!(i => vmulq_f32(a[i], b[i])) }
    }
    /// Exponent and mantissa, shifted into their places in an f32, stand for the number times 2^-112.
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> Self::F16 {
        unsafe {
            each!(i => {
                let bits = vmovl_u16(vld1_u16(p.add(i * QUARTER)));
                let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
                let magnitude = vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7fff)));
                let scaled = vmulq_n_f32(vreinterpretq_f32_u32(magnitude), OF_SHIFTED_F16);
                // What is beyond the largest f16 is infinite.
                let infinite = vandq_u32(vcgeq_f32(scaled, vdupq_n_f32(65_536.0)), vdupq_n_u32(0x7f80_0000));
                vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(scaled), vorrq_u32(sign, infinite)))
            })
        }
    }
    #[inline(always)]
    unsafe fn load_scales(p: *const u16) -> Self::F16 {
        unsafe { each!(i => vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p.add(i * QUARTER))))) }
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> Self::I16 {
        each!(i => unsafe { vld1q_s32(p.add(QUARTER * i)) })
    }
    #[inline(always)]
    unsafe fn add_i32(a: Self::I16, b: Self::I16) -> Self::I16 {
        each!(i => unsafe { vaddq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    unsafe fn splat_i32(x: i32) -> Self::I16 {
        unsafe { [vdupq_n_s32(x); 4] }
    }
    /// The weights are signed here: see [`load_u8`](Simd::load_u8).
    #[inline(always)]
    unsafe fn first_sums(_: i32) -> Self::I16 {
        unsafe { Self::splat_i32(0) }
    }
    /// Less 128, as signed bytes: the instruction multiplies no others.
    #[inline(always)]
    unsafe fn load_u8(p: *const u8, _: usize) -> Self::W16 {
        unsafe { each!(i => vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p.add(i * 16)), vdupq_n_u8(0x80)))) }
    }
    #[inline(always)]
    unsafe fn splat_quad(p: *const u8, _: usize) -> int8x16_t {
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(p.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Self::I16, w: Self::W16, x: int8x16_t) -> Self::I16 {
        unsafe { [sdot(acc[0], w[0], x), sdot(acc[1], w[1], x), sdot(acc[2], w[2], x), sdot(acc[3], w[3], x)] }
    }
    /// The second of every pair, or the first.
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8, part: usize) -> Self::P16 {
        unsafe {
            each!(i => {
                let pairs = vld1q_u32(p.add(i * 16).cast());
                vreinterpretq_f32_u32(match part {
                    0 => vandq_u32(pairs, vdupq_n_u32(0xffff_0000)),
                    _ => vshlq_n_u32::<16>(pairs),
                })
            })
        }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const u8, part: usize) -> float32x4_t {
        unsafe { vdupq_n_f32(p.cast::<f32>().add(1 - part).read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Self::F16, w: Self::P16, x: float32x4_t) -> Self::F16 {
        unsafe { each!(i => vfmaq_f32(acc[i], w[i], x)) }
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I16) -> Self::F16 {
        unsafe { each!(i => vcvtq_f32_s32(v[i])) }
    }
}
