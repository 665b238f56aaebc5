//! What the kernels of ranking share.

use crate::isa::{LANES, Simd};

/// Codes that [`Search`](super::search::Search) looks at together: eight blocks of four random
/// words. Scores are padded with -inf to whole groups.
pub const GROUP: usize = 4 * LANES;
/// Vectors that are added in f32 before the sum goes on in f64.
pub(super) const BLOCK: usize = 32;

/// Runs a kernel whose fields are slices.
macro_rules! on {
    ($visibility:vis) => {
        /// Runs it on an instruction set.
        ///
        /// # Panics
        /// This CPU lacks the instruction set, or the lengths do not fit.
        $visibility fn on(self, isa: Isa) -> <Self as Kernel>::Output {
            isa.check();
            self.check();
            // SAFETY: this CPU has the instruction set, and the lengths were checked.
            unsafe { dispatch_on(isa, self) }
        }
    };
}
pub(super) use on;

/// The lanes of a vector.
#[inline(always)]
pub(super) unsafe fn lanes<S: Simd>(v: S::F) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: the caller gives the instruction set.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes
}

/// The largest lane.
#[inline(always)]
pub(super) unsafe fn largest<S: Simd>(v: S::F) -> f32 {
    // SAFETY: as above.
    unsafe { lanes::<S>(v) }.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the lanes.
#[inline(always)]
pub(super) unsafe fn total<S: Simd>(v: S::F) -> f64 {
    // SAFETY: as above.
    unsafe { lanes::<S>(v) }.into_iter().map(f64::from).sum()
}
