//! Vectors of eight f32 and the sixteen outputs of a panel, one file per instruction set, and the
//! choice between them at run time.
//!
//! Every kernel is written once over [`Simd`]. All implementations round alike: a fused
//! multiply-add is one rounding everywhere, and sums along lanes have eight lanes everywhere. So a
//! kernel gives the same bits on every instruction set; [`scalar::Scalar`] is the reference that
//! the others are tested against.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
mod set;
mod simd;
#[cfg(test)]
mod tests;
mod tile_product;

pub use set::Isa;
pub(crate) use simd::ROUND;
pub use simd::{Kernel, LANES, Simd, round_to_bf16};
pub(crate) use tile_product::TileProduct;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the features of this function are those that `Avx2` needs; the rest is the caller's
    // promise.
    unsafe { kernel.run::<avx2::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as above.
    unsafe { kernel.run::<avx512::Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni,avx512bf16")]
unsafe fn run_avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as above.
    unsafe { kernel.run::<avx512::Avx512Bf16>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni,avx512bf16")]
unsafe fn run_amx<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as above.
    unsafe { kernel.run::<avx512::Amx>() }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon,dotprod")]
unsafe fn run_neon<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as above.
    unsafe { kernel.run::<neon::Neon>() }
}

/// Runs a kernel on an instruction set.
///
/// # Safety
/// The CPU has `isa`, and what the kernel's fields promise (pointers, lengths) holds.
#[inline]
pub unsafe fn dispatch_on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.min(K::BEST) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller promises the instruction set, and a better one has what this needs.
        Isa::Amx => unsafe { run_amx(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx512Bf16 => unsafe { run_avx512_bf16(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Isa::Neon => unsafe { run_neon(kernel) },
        // SAFETY: the portable code needs nothing.
        _ => unsafe { kernel.run::<scalar::Scalar>() },
    }
}
