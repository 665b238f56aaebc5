//! Eight lanes of f32 and the sixteen outputs of a panel, once per instruction set, and the run-time choice between them.
//!
//! Every kernel is written once over [`Simd`]. All implementations round alike (a fused multiply-add is one rounding everywhere), and what is
//! added up along lanes has eight of them everywhere, so a kernel gives the same bits on every instruction set; [`Scalar`] is the twin that the
//! others are tested against.

use std::sync::OnceLock;

use crate::{Error, Result};

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
    /// 16 x f32: the outputs of a panel.
    type F16: Copy;
    /// 16 x i32.
    type I16: Copy;
    /// 32 x i16: 16 outputs times 2 steps along k.
    type P16: Copy;
    /// Rows whose sums of one panel fit into the registers.
    const TILE_ROWS: usize;
    /// Most panels that a block of rows goes through together, and most sums of such a block: each sum waits for its last multiply-add, and an
    /// input is loaded once for all panels.
    const MOST_PANELS: usize;
    const MOST_SUMS: usize;
    /// Whether a block of rows alone reads long slices and fetches every line ahead: what measured faster on the processors that have it.
    const FETCHES_ALONE: bool;

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
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
    unsafe fn prefetch(p: *const u8);

    unsafe fn splat16(x: f32) -> Self::F16;
    unsafe fn load16(p: *const f32) -> Self::F16;
    unsafe fn store16(p: *mut f32, v: Self::F16);
    unsafe fn add16(a: Self::F16, b: Self::F16) -> Self::F16;
    /// `a * b + c` with one rounding.
    unsafe fn fma16(a: Self::F16, b: Self::F16, c: Self::F16) -> Self::F16;
    /// 16 bf16 in the order of a packed panel (0 8 1 9 ...), in the order that [`begin_bf16`](Self::begin_bf16) gives sums.
    unsafe fn load_bf16(p: *const u16) -> Self::F16;
    /// Sums for products with bf16, from their own order, and back.
    unsafe fn begin_bf16(p: *const f32) -> Self::F16;
    unsafe fn end_bf16(p: *mut f32, v: Self::F16);
    unsafe fn zero_i16() -> Self::I16;
    unsafe fn load_i8(p: *const i8) -> Self::P16;
    /// The two i16 at `p`, in every pair of lanes.
    unsafe fn splat_pair(p: *const i16) -> Self::P16;
    /// `acc + w[2i] * x[2i] + w[2i+1] * x[2i+1]` per output i, exact.
    unsafe fn madd(acc: Self::I16, w: Self::P16, x: Self::P16) -> Self::I16;
    unsafe fn to_f32(v: Self::I16) -> Self::F16;
}

/// The portable implementation, lane by lane.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

macro_rules! lanes {
    ($i:ident => $e:expr) => {
        std::array::from_fn(|$i| $e)
    };
}

/// Sixteen outputs as two vectors of eight.
macro_rules! pairs {
    ($ints:ty, $pairs:ty) => {
        type F16 = [Self::F; 2];
        type I16 = [$ints; 2];
        type P16 = [$pairs; 2];
        const TILE_ROWS: usize = 6;
        const MOST_PANELS: usize = 2;
        const MOST_SUMS: usize = 4;
        const FETCHES_ALONE: bool = false;

        #[inline(always)]
        unsafe fn splat16(x: f32) -> Self::F16 {
            // SAFETY (all bodies): the caller's promise is passed on.
            unsafe { [Self::splat(x); 2] }
        }
        #[inline(always)]
        unsafe fn load16(p: *const f32) -> Self::F16 {
            unsafe { [Self::load(p), Self::load(p.add(LANES))] }
        }
        #[inline(always)]
        unsafe fn store16(p: *mut f32, v: Self::F16) {
            unsafe {
                Self::store(p, v[0]);
                Self::store(p.add(LANES), v[1]);
            }
        }
        #[inline(always)]
        unsafe fn add16(a: Self::F16, b: Self::F16) -> Self::F16 {
            unsafe { [Self::add(a[0], b[0]), Self::add(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn fma16(a: Self::F16, b: Self::F16, c: Self::F16) -> Self::F16 {
            unsafe { [Self::fma(a[0], b[0], c[0]), Self::fma(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        unsafe fn begin_bf16(p: *const f32) -> Self::F16 {
            unsafe { Self::load16(p) }
        }
        #[inline(always)]
        unsafe fn end_bf16(p: *mut f32, v: Self::F16) {
            unsafe { Self::store16(p, v) }
        }
    };
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "the macro's blocks share one note")]
impl Simd for Scalar {
    type F = [f32; LANES];
    pairs!([i32; LANES], [i16; 2 * LANES]);

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
    unsafe fn prefetch(_: *const u8) {}
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
    unsafe fn zero_i16() -> Self::I16 {
        [[0; LANES]; 2]
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self::P16 {
        // SAFETY: the caller guarantees 32 valid elements.
        let w = unsafe { p.cast::<[[i8; 16]; 2]>().read_unaligned() };
        w.map(|w| w.map(i16::from))
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> Self::P16 {
        // SAFETY: the caller guarantees 2 valid elements.
        let pair = unsafe { p.cast::<[i16; 2]>().read_unaligned() };
        [std::array::from_fn(|i| pair[i % 2]); 2]
    }
    #[inline(always)]
    unsafe fn madd(acc: Self::I16, w: Self::P16, x: Self::P16) -> Self::I16 {
        let product = |h: usize, i: usize| i32::from(w[h][i]) * i32::from(x[h][i]);
        std::array::from_fn(|h| lanes!(i => acc[h][i] + (product(h, 2 * i) + product(h, 2 * i + 1))))
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I16) -> Self::F16 {
        v.map(|v| v.map(|x| x as f32))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Simd};
    use std::arch::x86_64::*;

    /// AVX2 with FMA: Intel since Haswell, AMD since Zen.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    /// What both have: vectors of eight. SAFETY (all bodies): the trait's contract gives the CPU features and the valid pointers.
    macro_rules! eight_lanes {
        () => {
            type F = __m256;

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
        };
    }

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

    /// AVX-512 with VNNI: Intel since Ice Lake, AMD since Zen 4. A panel's outputs are one vector; along lanes it adds up eight, as the others.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    #[allow(clippy::undocumented_unsafe_blocks, reason = "as said at the macro")]
    impl Simd for Avx512 {
        eight_lanes!();
        type F16 = __m512;
        type I16 = __m512i;
        type P16 = __m512i;
        const TILE_ROWS: usize = 12;
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
        unsafe fn load_bf16(p: *const u16) -> __m512 {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
        /// As the panel has them: 0 8 1 9 ...
        #[inline(always)]
        unsafe fn begin_bf16(p: *const f32) -> __m512 {
            unsafe {
                let from = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
                _mm512_permutexvar_ps(from, _mm512_loadu_ps(p))
            }
        }
        #[inline(always)]
        unsafe fn end_bf16(p: *mut f32, v: __m512) {
            unsafe {
                let from = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
                _mm512_storeu_ps(p, _mm512_permutexvar_ps(from, v));
            }
        }
        #[inline(always)]
        unsafe fn zero_i16() -> __m512i {
            unsafe { _mm512_setzero_si512() }
        }
        #[inline(always)]
        unsafe fn load_i8(p: *const i8) -> __m512i {
            unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(p.cast())) }
        }
        #[inline(always)]
        unsafe fn splat_pair(p: *const i16) -> __m512i {
            unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn madd(acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
            unsafe { _mm512_dpwssd_epi32(acc, w, x) }
        }
        #[inline(always)]
        unsafe fn to_f32(v: __m512i) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(v) }
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

/// An instruction set of this build. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code.
    Scalar,
    /// 256-bit x86 with fused multiply-add.
    Avx2,
    /// 512-bit x86 with products of 16-bit integers.
    Avx512,
}

impl Isa {
    /// All, slowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// Whether this CPU has it.
    pub fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let (avx2, avx512) = (
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni"),
        );
        #[cfg(not(target_arch = "x86_64"))]
        let (avx2, avx512) = (false, false);
        match self {
            Self::Scalar => true,
            Self::Avx2 => avx2,
            Self::Avx512 => avx2 && avx512,
        }
    }

    /// The one that kernels run on: [`asked`](Self::asked) for, else the best that this CPU has.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let best = || Self::ALL.into_iter().rfind(|isa| isa.is_here());
            Self::asked().ok().flatten().or_else(best).unwrap_or(Self::Scalar)
        })
    }

    /// The one that `HAWK_ISA` in the environment names (`scalar`, `avx2`, `avx512`): to compare them.
    ///
    /// # Errors
    /// There is no such one, or this CPU lacks it.
    pub fn asked() -> Result<Option<Self>> {
        let Ok(name) = std::env::var("HAWK_ISA") else { return Ok(None) };
        let here = || Self::ALL.into_iter().filter(|isa| isa.is_here());
        match here().find(|isa| isa.name() == name) {
            Some(isa) => Ok(Some(isa)),
            None => Err(Error::input("this machine has no such instruction set")
                .at("HAWK_ISA")
                .expected(here().map(Self::name).collect::<Vec<_>>().join(", "))
                .got(name)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the features of this function are those that `Avx2` needs; the rest is the caller's promise.
    unsafe { kernel.run::<x86::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vnni")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as above.
    unsafe { kernel.run::<x86::Avx512>() }
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
        Isa::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { run_avx2(kernel) },
        // SAFETY: the portable code needs nothing.
        _ => unsafe { kernel.run::<Scalar>() },
    }
}
