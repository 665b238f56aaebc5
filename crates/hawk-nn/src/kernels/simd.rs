//! Eight lanes of f32, once per instruction set, and the run-time choice between them.
//!
//! Every kernel is written once over [`Simd`]. All implementations round alike (a fused multiply-add is one rounding everywhere), so a
//! kernel gives the same bits on every instruction set; [`Scalar`] is the twin that the others are tested against.

/// Lanes of one vector.
pub(crate) const LANES: usize = 8;

/// `1.5 * 2^23`: adding it to `|x| < 2^22` leaves `x` rounded to the nearest integer (ties to even) in the low bits of the sum.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// One instruction set.
///
/// # Safety
/// Every method requires that the CPU has the instruction set (given inside [`dispatch_on`]) and, where it takes a pointer, that the
/// pointed-to elements are valid; no alignment is required.
pub(crate) trait Simd: Copy {
    /// 8 x f32.
    type F: Copy;
    /// 8 x i32.
    type I: Copy;
    /// 16 x i16: 8 outputs times 2 steps along k.
    type P: Copy;

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
    /// 16 bf16 in the order of a packed panel (0 8 1 9 ...): outputs 0..8 and 8..16.
    unsafe fn load_bf16(p: *const u16) -> [Self::F; 2];
    /// `a * b + c` with one rounding.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// The larger; `b` where either is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `2^n` from `n + ROUND`, for n in -126..=127.
    unsafe fn pow2(n_plus_round: Self::F) -> Self::F;
    /// Rounds (ties to even) into 8 i16; the values are in the range of i16.
    unsafe fn store_i16(p: *mut i16, v: Self::F);
    unsafe fn zero_i() -> Self::I;
    unsafe fn load_i8(p: *const i8) -> Self::P;
    /// The two i16 at `p`, in every pair of lanes.
    unsafe fn splat_pair(p: *const i16) -> Self::P;
    /// `acc + w[2i] * x[2i] + w[2i+1] * x[2i+1]` per output i, exact.
    unsafe fn madd(acc: Self::I, w: Self::P, x: Self::P) -> Self::I;
    unsafe fn to_f32(v: Self::I) -> Self::F;
    unsafe fn prefetch(p: *const u8);
}

/// The portable implementation, lane by lane.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

macro_rules! lanes {
    ($i:ident => $e:expr) => {
        std::array::from_fn(|$i| $e)
    };
}

impl Simd for Scalar {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type P = [i16; 2 * LANES];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: the caller guarantees 8 valid elements.
        unsafe { p.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        // SAFETY: the caller guarantees 8 valid elements.
        unsafe { p.cast::<Self::F>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> [Self::F; 2] {
        // SAFETY: the caller guarantees 16 valid elements.
        let w = unsafe { p.cast::<[u16; 16]>().read_unaligned() };
        [
            lanes!(i => f32::from_bits(u32::from(w[2 * i]) << 16)),
            lanes!(i => f32::from_bits(u32::from(w[2 * i + 1]) << 16)),
        ]
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lanes!(i => a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        lanes!(i => if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn pow2(n_plus_round: Self::F) -> Self::F {
        lanes!(i => f32::from_bits((n_plus_round[i].to_bits() << 23).wrapping_add(0x3f80_0000)))
    }
    #[inline(always)]
    unsafe fn store_i16(p: *mut i16, v: Self::F) {
        let rounded: [i16; LANES] = lanes!(i => (v[i] + ROUND).to_bits() as i16);
        // SAFETY: the caller guarantees 8 valid elements.
        unsafe { p.cast::<[i16; LANES]>().write_unaligned(rounded) }
    }
    #[inline(always)]
    unsafe fn zero_i() -> Self::I {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self::P {
        // SAFETY: the caller guarantees 16 valid elements.
        let w = unsafe { p.cast::<[i8; 16]>().read_unaligned() };
        lanes!(i => i16::from(w[i]))
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> Self::P {
        // SAFETY: the caller guarantees 2 valid elements.
        let pair = unsafe { p.cast::<[i16; 2]>().read_unaligned() };
        lanes!(i => pair[i % 2])
    }
    #[inline(always)]
    unsafe fn madd(acc: Self::I, w: Self::P, x: Self::P) -> Self::I {
        let product = |i: usize| i32::from(w[i]) * i32::from(x[i]);
        lanes!(i => acc[i] + (product(2 * i) + product(2 * i + 1)))
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I) -> Self::F {
        lanes!(i => v[i] as f32)
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// AVX2 with FMA: Intel since Haswell, AMD since Zen.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    // SAFETY (all bodies): the trait's contract gives the CPU features and the valid pointers.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx2 {
        type F = __m256;
        type I = __m256i;
        type P = __m256i;

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
        unsafe fn load_bf16(p: *const u16) -> [__m256; 2] {
            unsafe {
                let v = _mm256_loadu_si256(p.cast());
                let high = _mm256_and_si256(v, _mm256_set1_epi32(0xffff_0000_u32 as i32));
                [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(v)), _mm256_castsi256_ps(high)]
            }
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
        unsafe fn zero_i() -> __m256i {
            unsafe { _mm256_setzero_si256() }
        }
        #[inline(always)]
        unsafe fn load_i8(p: *const i8) -> __m256i {
            unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())) }
        }
        #[inline(always)]
        unsafe fn splat_pair(p: *const i16) -> __m256i {
            unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn madd(acc: __m256i, w: __m256i, x: __m256i) -> __m256i {
            unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(w, x)) }
        }
        #[inline(always)]
        unsafe fn to_f32(v: __m256i) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(v) }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
    }
}

/// A piece of work that is written over any instruction set. `run` must be `#[inline(always)]`, so that its body is compiled for it.
pub(crate) trait Kernel {
    type Output;
    /// # Safety
    /// The CPU has the instruction set `S`, and whatever the kernel's fields promise holds.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Portable code.
    Scalar,
    /// 256-bit x86 with fused multiply-add.
    Avx2,
}

impl Isa {
    /// The best one that this CPU has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Avx2;
        }
        Self::Scalar
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
        })
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the features of this function are those that `Avx2` needs; the rest is the caller's promise.
    unsafe { kernel.run::<x86::Avx2>() }
}

/// Runs a kernel on an instruction set: [`Isa::detect`]'s, or in tests each in turn.
///
/// # Safety
/// The CPU has `isa`, and what the kernel's fields promise (pointers, lengths) holds.
#[inline]
pub(crate) unsafe fn dispatch_on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller promises the instruction set.
        Isa::Avx2 => unsafe { run_avx2(kernel) },
        // SAFETY: the portable code needs nothing.
        _ => unsafe { kernel.run::<Scalar>() },
    }
}
