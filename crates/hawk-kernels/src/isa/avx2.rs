//! AVX2 with FMA.

use std::arch::x86_64::*;

use super::simd::{LANES, Simd, pairs};

/// AVX2 with FMA: Intel since Haswell, AMD since Zen.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// The vectors of eight that AVX2 and AVX-512 share. SAFETY (all bodies): the contract of the trait
/// gives the CPU features and the valid pointers.
macro_rules! eight_lanes {
    () => {
        type F = __m256;
        type W = __m256i;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn pow2(n_plus_round: __m256) -> __m256 {
            unsafe {
                let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(n_plus_round));
                _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(0x3f80_0000)))
            }
        }
        #[inline(always)]
        unsafe fn store_i16(p: *mut i16, v: __m256) {
            unsafe {
                let wide = _mm256_cvtps_epi32(v);
                let packed = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
                _mm_storeu_si128(p.cast(), packed);
            }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn at_least(a: __m256, b: __m256) -> u32 {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(a, b)) as u32 }
        }
        #[inline(always)]
        unsafe fn choose(a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
            unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_GE_OQ>(a, b)) }
        }
        #[inline(always)]
        unsafe fn splat_word(x: u32) -> __m256i {
            unsafe { _mm256_set1_epi32(x as i32) }
        }
        #[inline(always)]
        unsafe fn load_words(p: *const u32) -> __m256i {
            unsafe { _mm256_loadu_si256(p.cast()) }
        }
        #[inline(always)]
        unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_xor_si256(a, b) }
        }
        #[inline(always)]
        unsafe fn wide_product(a: __m256i, b: __m256i) -> [__m256i; 2] {
            unsafe {
                let even = _mm256_mul_epu32(a, b);
                let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
                [
                    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd),
                    _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd)),
                ]
            }
        }
        #[inline(always)]
        unsafe fn weave(v: [__m256i; 4]) -> [__m256i; 4] {
            unsafe {
                let (a, b) = (_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpacklo_epi32(v[2], v[3]));
                let (c, d) = (_mm256_unpackhi_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[2], v[3]));
                [
                    _mm256_unpacklo_epi64(a, b),
                    _mm256_unpackhi_epi64(a, b),
                    _mm256_unpacklo_epi64(c, d),
                    _mm256_unpackhi_epi64(c, d),
                ]
            }
        }
        #[inline(always)]
        unsafe fn look_up(table: *const f32, w: __m256i) -> __m256 {
            unsafe { _mm256_i32gather_ps::<4>(table, _mm256_srli_epi32::<22>(w)) }
        }
    };
}
pub(super) use eight_lanes;

#[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
impl Simd for Avx2 {
    eight_lanes!();
    pairs!(__m256i, __m256i);

    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> [__m256; 2] {
        unsafe {
            let v = _mm256_loadu_si256(p.cast());
            let high = _mm256_and_si256(v, _mm256_set1_epi32(0xffff_0000_u32 as i32));
            [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(v)), _mm256_castsi256_ps(high)]
        }
    }
    #[inline(always)]
    unsafe fn zero_i16() -> Self::I16 {
        unsafe { [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self::P16 {
        unsafe { [0, 16].map(|at| _mm256_cvtepi8_epi16(_mm_loadu_si128(p.add(at).cast()))) }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> Self::P16 {
        unsafe { [_mm256_set1_epi32(p.cast::<i32>().read_unaligned()); 2] }
    }
    #[inline(always)]
    unsafe fn madd(acc: Self::I16, w: Self::P16, x: Self::P16) -> Self::I16 {
        unsafe {
            let add = |h: usize| _mm256_add_epi32(acc[h], _mm256_madd_epi16(w[h], x[h]));
            [add(0), add(1)]
        }
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I16) -> Self::F16 {
        unsafe { [_mm256_cvtepi32_ps(v[0]), _mm256_cvtepi32_ps(v[1])] }
    }
}
