//! AVX-512 with VNNI, the same with products of bf16, and with tiles of bytes.

use std::arch::x86_64::*;

use super::amx;
use super::avx2::{eight_lanes, round_eight};
use super::simd::{LANES, SMALLEST_BF16, Simd};
use super::tile_product::{TileProduct, no_tiles};

/// AVX-512 with VNNI: Intel since Ice Lake, AMD since Zen 4. The outputs of a panel are one vector.
/// Sums along lanes have eight lanes, as everywhere.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// AVX-512 with VNNI and products of bf16: Intel since Sapphire Rapids, AMD since Zen 4.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16;

/// [`Avx512Bf16`] with AMX for several rows under int8: Intel since Sapphire Rapids.
#[derive(Clone, Copy)]
pub(super) struct Amx;

/// The vectors of sixteen that all share. SAFETY (all bodies): the contract of the trait gives the
/// CPU features and the valid pointers.
macro_rules! sixteen_lanes {
    () => {
        type F16 = __m512;
        type I16 = __m512i;
        type W16 = __m512i;
        type X16 = __m512i;
        const PARTS: usize = 1;
        const QUAD_BYTES: usize = 4;
        const TILE_ROWS: usize = 12;
        const INT8_TILE_ROWS: usize = 12;
        const MOST_PANELS: usize = 4;
        const MOST_SUMS: usize = 24;
        const FETCHES_ALONE: bool = true;

        #[inline(always)]
        unsafe fn splat16(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load16(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store16(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add16(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma16(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn store_quads(p: *mut u8, v: __m512) {
            unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v))) }
        }
        #[inline(always)]
        unsafe fn largest(v: __m512) -> f32 {
            unsafe { _mm512_reduce_max_ps(v) }
        }
        #[inline(always)]
        unsafe fn exact_sum(v: __m512) -> f32 {
            unsafe { _mm512_reduce_add_ps(v) }
        }
        #[inline(always)]
        unsafe fn sub16(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max16(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul16(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn load_halves(p: *const u16) -> __m512 {
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
        }
        #[inline(always)]
        unsafe fn load_scales(p: *const u16) -> __m512 {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
        #[inline(always)]
        unsafe fn splat_i32(x: i32) -> __m512i {
            unsafe { _mm512_set1_epi32(x) }
        }
        #[inline(always)]
        unsafe fn load_i32(p: *const i32) -> __m512i {
            unsafe { _mm512_loadu_si512(p.cast()) }
        }
        #[inline(always)]
        unsafe fn add_i32(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_add_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn load_u8(p: *const u8, _: usize) -> __m512i {
            unsafe { _mm512_loadu_si512(p.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_quad(p: *const u8, _: usize) -> __m512i {
            unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn dot(acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
            unsafe { _mm512_dpbusd_epi32(acc, w, x) }
        }
        #[inline(always)]
        unsafe fn to_f32(v: __m512i) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(v) }
        }
    };
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
impl Simd for Avx512 {
    eight_lanes!(_MM_HINT_T1);
    sixteen_lanes!();
    type P16 = __m512;
    type Q16 = __m512;
    const PAIR_PARTS: usize = 2;
    const PAIR_BYTES: usize = 8;

    #[inline(always)]
    unsafe fn store_pairs(p: *mut u8, v: __m512) {
        unsafe {
            let [low, high] = [_mm512_castps512_ps256(v), _mm512_castps512_ps256(_mm512_shuffle_f32x4::<0b1110>(v, v))];
            Self::store(p.cast(), round_eight(low));
            Self::store(p.cast::<f32>().add(LANES), round_eight(high));
        }
    }
    /// The second of every pair, or the first.
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8, part: usize) -> __m512 {
        unsafe {
            let pairs = _mm512_loadu_si512(p.cast());
            _mm512_castsi512_ps(match part {
                0 => _mm512_and_si512(pairs, _mm512_set1_epi32(0xffff_0000_u32 as i32)),
                _ => _mm512_slli_epi32::<16>(pairs),
            })
        }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const u8, part: usize) -> __m512 {
        unsafe { _mm512_set1_ps(p.cast::<f32>().add(1 - part).read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: __m512, w: __m512, x: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(w, x, acc) }
    }
    no_tiles!();
}

/// The pairs of bf16 of the sets that multiply them. SAFETY (all bodies): as above.
macro_rules! bf16_pairs {
    () => {
        type P16 = __m512bh;
        type Q16 = __m512bh;
        const PAIR_PARTS: usize = 1;
        const PAIR_BYTES: usize = 4;

        #[inline(always)]
        unsafe fn store_pairs(p: *mut u8, v: __m512) {
            unsafe {
                let large = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(v), _mm512_set1_ps(SMALLEST_BF16));
                let rounded = _mm512_cvtneps_pbh(_mm512_maskz_mov_ps(large, v));
                p.cast::<__m256bh>().write_unaligned(rounded);
            }
        }
        #[inline(always)]
        unsafe fn load_pairs(p: *const u8, _: usize) -> __m512bh {
            unsafe { p.cast::<__m512bh>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn splat_pair(p: *const u8, _: usize) -> __m512bh {
            unsafe { std::mem::transmute(_mm512_set1_epi32(p.cast::<i32>().read_unaligned())) }
        }
        /// The instruction adds the second product of a pair first, and rounds after each.
        #[inline(always)]
        unsafe fn dot_pairs(acc: __m512, w: __m512bh, x: __m512bh) -> __m512 {
            unsafe { _mm512_dpbf16_ps(acc, w, x) }
        }
    };
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
impl Simd for Avx512Bf16 {
    eight_lanes!(_MM_HINT_T1);
    sixteen_lanes!();
    bf16_pairs!();
    no_tiles!();
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
impl Simd for Amx {
    eight_lanes!(_MM_HINT_T1);
    sixteen_lanes!();
    bf16_pairs!();
    const TILES: bool = true;

    #[inline(always)]
    unsafe fn configure_tiles(rows: usize) {
        unsafe { amx::configure(rows) }
    }
    #[inline(always)]
    unsafe fn multiply_tiles(product: TileProduct) {
        unsafe { amx::multiply(product) }
    }
    #[inline(always)]
    unsafe fn release_tiles() {
        unsafe { amx::release() }
    }
}
