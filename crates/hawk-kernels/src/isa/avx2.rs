//! AVX2 with FMA.

use std::arch::x86_64::*;

use super::simd::{LANES, SMALLEST_BF16, Simd, pairs};
use super::tile_product::{TileProduct, no_tiles};

/// AVX2 with FMA: Intel since Haswell, AMD since Zen.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// The vectors of eight that AVX2 and AVX-512 share. SAFETY (all bodies): the contract of the trait
/// gives the CPU features and the valid pointers.
macro_rules! eight_lanes {
    ($hint:ident) => {
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
        unsafe fn prefetch(p: *const u8) {
            unsafe { _mm_prefetch::<$hint>(p.cast()) }
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

/// [`round_to_bf16`](super::round_to_bf16) of eight numbers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn round_eight(x: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let (bits, high) = (_mm256_castps_si256(x), _mm256_set1_epi32(0xffff_0000_u32 as i32));
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
        let rounded = _mm256_and_si256(_mm256_blendv_epi8(rounded, quiet, nan), high);
        let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
        let large = _mm256_cmp_ps::<_CMP_NLT_UQ>(magnitude, _mm256_set1_ps(SMALLEST_BF16));
        _mm256_and_ps(_mm256_castsi256_ps(rounded), large)
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
impl Simd for Avx2 {
    eight_lanes!(_MM_HINT_T0);
    pairs!(__m256i, __m256i);
    no_tiles!();

    /// Each quad in the order 0 2 1 3, in 16 bits each: a part is one pair.
    #[inline(always)]
    unsafe fn store_quads(p: *mut u8, v: [__m256; 2]) {
        unsafe {
            let packed = _mm256_packs_epi32(_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1]));
            let shorts = _mm256_permute4x64_epi64::<0b1101_1000>(packed);
            let quads = _mm256_shufflelo_epi16::<0b1101_1000>(shorts);
            _mm256_storeu_si256(p.cast(), _mm256_shufflehi_epi16::<0b1101_1000>(quads));
        }
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut u8, v: [__m256; 2]) {
        unsafe { Self::store16(p.cast(), [round_eight(v[0]), round_eight(v[1])]) }
    }
    /// The second of every pair, or the first.
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8, part: usize) -> [__m256; 2] {
        unsafe {
            [0, 32].map(|at| {
                // Volatile, so that the parts do not share a load: there is no register to keep it in.
                let pairs = p.add(at).cast::<__m256i>().read_volatile();
                _mm256_castsi256_ps(match part {
                    0 => _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff_0000_u32 as i32)),
                    _ => _mm256_slli_epi32::<16>(pairs),
                })
            })
        }
    }
    #[inline(always)]
    unsafe fn largest(v: [__m256; 2]) -> f32 {
        unsafe {
            let v = _mm256_max_ps(v[0], v[1]);
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn exact_sum(v: [__m256; 2]) -> f32 {
        unsafe {
            let v = _mm256_add_ps(v[0], v[1]);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> [__m256; 2] {
        unsafe { [0, LANES].map(|at| _mm256_cvtph_ps(_mm_loadu_si128(p.add(at).cast()))) }
    }
    #[inline(always)]
    unsafe fn load_scales(p: *const u16) -> [__m256; 2] {
        unsafe {
            [0, LANES].map(|at| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(at).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            })
        }
    }
    #[inline(always)]
    unsafe fn splat_i32(x: i32) -> Self::I16 {
        unsafe { [_mm256_set1_epi32(x); 2] }
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> Self::I16 {
        unsafe { [0, LANES].map(|at| _mm256_loadu_si256(p.add(at).cast())) }
    }
    #[inline(always)]
    unsafe fn add_i32(a: Self::I16, b: Self::I16) -> Self::I16 {
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }
    /// The even bytes, or the odd ones, in 16 bits each.
    #[inline(always)]
    unsafe fn load_u8(p: *const u8, part: usize) -> Self::W16 {
        unsafe {
            [0, 32].map(|at| {
                let bytes = _mm256_loadu_si256(p.add(at).cast());
                if part == 0 { _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)) } else { _mm256_srli_epi16::<8>(bytes) }
            })
        }
    }
    #[inline(always)]
    unsafe fn splat_quad(p: *const u8, part: usize) -> __m256i {
        unsafe { _mm256_set1_epi32(p.cast::<i32>().add(part).read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(acc: Self::I16, w: Self::W16, x: __m256i) -> Self::I16 {
        unsafe {
            let add = |half: usize| _mm256_add_epi32(acc[half], _mm256_madd_epi16(w[half], x));
            [add(0), add(1)]
        }
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I16) -> Self::F16 {
        unsafe { [_mm256_cvtepi32_ps(v[0]), _mm256_cvtepi32_ps(v[1])] }
    }
}
