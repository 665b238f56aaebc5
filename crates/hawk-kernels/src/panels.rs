//! Which kernel multiplies panels with rows.

use crate::isa::{Isa, Kernel, Simd};
use crate::tile::{Numbers, Panels};
use crate::tiles::{LEAST_ROWS, multiply};
use crate::weights::{Bf16Weights, F16Weights, F32Weights, Int8Weights};

impl Kernel for &Panels {
    type Output = ();
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's promise is passed on.
        unsafe {
            match self.numbers {
                Numbers::F32 => self.slices::<S, F32Weights>(),
                Numbers::F16 => self.slices::<S, F16Weights>(),
                Numbers::Bf16 => self.slices::<S, Bf16Weights>(),
                Numbers::Int8 { scales, inputs } if S::TILES && self.rows >= LEAST_ROWS => {
                    multiply::<S>(self, scales, inputs);
                }
                Numbers::Int8 { .. } => self.slices::<S, Int8Weights>(),
            }
        }
    }
}
