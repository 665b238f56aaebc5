//! The kinds of weights: how a step of a panel is read and added to sums.

use crate::activations::InputBlock;
use crate::isa::Simd;
use crate::matrix::{BLOCK, PANEL};

/// Multiply-adds between two prefetches.
pub(crate) const GROUP: usize = 8;

/// The sums of a row with a panel, and what scales their integers under int8.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) sums: *mut f32,
    pub(crate) inputs: *const InputBlock,
    pub(crate) scales: *const u16,
}

/// A kind of weights: how a step is read and added.
pub(crate) trait Weights {
    type Loaded<S: Simd>: Copy;
    type Input<S: Simd>: Copy;
    type Sum<S: Simd>: Copy;
    /// The scales of a panel.
    type Scale<S: Simd>: Copy;
    /// Steps whose sums are scaled together.
    const BLOCK_STEPS: usize;
    const STEP_BYTES: usize;
    /// Bytes of a panel that are used before the next panel's turn, for one block of rows and for
    /// several. Short slices keep all places busy where memory is the limit. Long slices store and
    /// load the sums less often. Under int8 they are whole blocks of inputs.
    const SLICE_BYTES: [usize; 2];
    /// Lines of every group that a single block of rows prefetches. For f32 the hardware prefetcher
    /// is faster.
    const FETCHED_ALONE: usize;
    /// Most rows of a tile.
    fn tile_rows<S: Simd>() -> usize;
    /// Parts of a step that are loaded one after another.
    fn parts<S: Simd>() -> usize;
    /// Bytes of a row's inputs of one step.
    fn input_bytes<S: Simd>() -> usize;
    /// The sums of a panel for one row.
    unsafe fn begin<S: Simd>(place: Place) -> Self::Sum<S>;
    /// A part of one step of a panel.
    unsafe fn load<S: Simd>(w: *const u8, part: usize) -> Self::Loaded<S>;
    /// A part of one step of a row.
    unsafe fn input<S: Simd>(x: *const u8, part: usize) -> Self::Input<S>;
    unsafe fn add<S: Simd>(sum: Self::Sum<S>, w: Self::Loaded<S>, x: Self::Input<S>) -> Self::Sum<S>;
    unsafe fn scale<S: Simd>(place: Place) -> Self::Scale<S>;
    unsafe fn end<S: Simd>(sums: Self::Sum<S>, scale: Self::Scale<S>, place: Place);
}

pub(crate) struct F32Weights;
pub(crate) struct F16Weights;
pub(crate) struct Bf16Weights;
pub(crate) struct Int8Weights;

/// Sums in f32, which need no scales. SAFETY (all bodies): as said where it is used.
macro_rules! sums_in_f32 {
    ($step_bytes:expr) => {
        type Sum<S: Simd> = S::F16;
        type Scale<S: Simd> = ();
        const BLOCK_STEPS: usize = usize::MAX;
        const STEP_BYTES: usize = $step_bytes;

        #[inline(always)]
        fn tile_rows<S: Simd>() -> usize {
            S::TILE_ROWS
        }
        #[inline(always)]
        unsafe fn begin<S: Simd>(place: Place) -> S::F16 {
            unsafe { S::load16(place.sums) }
        }
        #[inline(always)]
        unsafe fn scale<S: Simd>(_: Place) {}
        #[inline(always)]
        unsafe fn end<S: Simd>(sums: S::F16, (): (), place: Place) {
            unsafe { S::store16(place.sums, sums) }
        }
    };
}

/// Weights that become f32 as they are read, one step of k after another; inputs are f32. SAFETY (all
/// bodies): as said where it is used.
macro_rules! products_in_f32 {
    () => {
        type Loaded<S: Simd> = S::F16;
        type Input<S: Simd> = S::F16;
        const SLICE_BYTES: [usize; 2] = [512, 4096];
        const FETCHED_ALONE: usize = 0;

        #[inline(always)]
        fn parts<S: Simd>() -> usize {
            1
        }
        #[inline(always)]
        fn input_bytes<S: Simd>() -> usize {
            size_of::<f32>()
        }
        #[inline(always)]
        unsafe fn input<S: Simd>(x: *const u8, _: usize) -> S::F16 {
            unsafe { S::splat16(x.cast::<f32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn add<S: Simd>(sum: S::F16, w: S::F16, x: S::F16) -> S::F16 {
            unsafe { S::fma16(w, x, sum) }
        }
    };
}

// SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Weights for F32Weights {
    sums_in_f32!(4 * PANEL);
    products_in_f32!();
    #[inline(always)]
    unsafe fn load<S: Simd>(w: *const u8, _: usize) -> S::F16 {
        unsafe { S::load16(w.cast()) }
    }
}

// SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Weights for F16Weights {
    sums_in_f32!(2 * PANEL);
    products_in_f32!();
    #[inline(always)]
    unsafe fn load<S: Simd>(w: *const u8, _: usize) -> S::F16 {
        unsafe { S::load_halves(w.cast()) }
    }
}

// SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Weights for Bf16Weights {
    type Loaded<S: Simd> = S::P16;
    type Input<S: Simd> = S::Q16;
    sums_in_f32!(4 * PANEL);
    const SLICE_BYTES: [usize; 2] = [1024, 4096];
    const FETCHED_ALONE: usize = GROUP;
    #[inline(always)]
    fn parts<S: Simd>() -> usize {
        S::PAIR_PARTS
    }
    #[inline(always)]
    fn input_bytes<S: Simd>() -> usize {
        S::PAIR_BYTES
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(w: *const u8, part: usize) -> S::P16 {
        unsafe { S::load_pairs(w, part) }
    }
    #[inline(always)]
    unsafe fn input<S: Simd>(x: *const u8, part: usize) -> S::Q16 {
        unsafe { S::splat_pair(x, part) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::F16, w: S::P16, x: S::Q16) -> S::F16 {
        unsafe { S::dot_pairs(sum, w, x) }
    }
}

// SAFETY (all bodies): the caller of the tile gives valid pointers and the instruction set.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Weights for Int8Weights {
    type Loaded<S: Simd> = S::W16;
    type Input<S: Simd> = S::X16;
    type Sum<S: Simd> = S::I16;
    type Scale<S: Simd> = S::F16;
    const BLOCK_STEPS: usize = BLOCK / 4;
    const STEP_BYTES: usize = 4 * PANEL;
    const SLICE_BYTES: [usize; 2] = [BLOCK * PANEL, 4 * BLOCK * PANEL];
    const FETCHED_ALONE: usize = GROUP;
    #[inline(always)]
    fn tile_rows<S: Simd>() -> usize {
        S::INT8_TILE_ROWS
    }
    #[inline(always)]
    fn parts<S: Simd>() -> usize {
        S::PARTS
    }
    #[inline(always)]
    fn input_bytes<S: Simd>() -> usize {
        S::QUAD_BYTES
    }
    #[inline(always)]
    unsafe fn begin<S: Simd>(place: Place) -> S::I16 {
        unsafe { S::first_sums((*place.inputs).offset) }
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(w: *const u8, part: usize) -> S::W16 {
        unsafe { S::load_u8(w, part) }
    }
    #[inline(always)]
    unsafe fn input<S: Simd>(x: *const u8, part: usize) -> S::X16 {
        unsafe { S::splat_quad(x, part) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::I16, w: S::W16, x: S::X16) -> S::I16 {
        unsafe { S::dot(sum, w, x) }
    }
    #[inline(always)]
    unsafe fn scale<S: Simd>(place: Place) -> S::F16 {
        unsafe { S::load_scales(place.scales) }
    }
    #[inline(always)]
    unsafe fn end<S: Simd>(sums: S::I16, scale: S::F16, place: Place) {
        unsafe {
            let scale = S::mul16(scale, S::splat16((*place.inputs).scale));
            S::store16(place.sums, S::fma16(S::to_f32(sums), scale, S::load16(place.sums)));
        }
    }
}

/// Elements between the places of two rows and of two panels.
#[derive(Clone, Copy)]
pub(crate) struct Pitches {
    pub(crate) row_sums: usize,
    pub(crate) panel_sums: usize,
    /// Blocks of a row, or of a panel.
    pub(crate) blocks: usize,
}

impl Place {
    /// The place of a row and a panel further on.
    #[inline(always)]
    pub(crate) fn at(self, pitches: Pitches, row: usize, panel: usize) -> Self {
        Self {
            sums: self.sums.wrapping_add(row * pitches.row_sums + panel * pitches.panel_sums),
            inputs: self.inputs.wrapping_add(row * pitches.blocks),
            scales: self.scales.wrapping_add(panel * pitches.blocks * PANEL),
        }
    }
}
