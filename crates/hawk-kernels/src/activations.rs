//! Rows of inputs as the products with int8 weights read them.

use bytemuck::{Pod, Zeroable};

use crate::isa::{Isa, Kernel, ROUND, Simd, dispatch_on};
use crate::matrix::{BLOCK, Line, PANEL, Precision, QUANT_MAX, SMALLEST_BLOCK, WEIGHT_OFFSET};

/// What a product needs of a block of rounded inputs besides them.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct InputBlock {
    /// Factor of the rounded inputs: NaN where an input is not finite, because the rounded ones
    /// cannot tell.
    pub(crate) scale: f32,
    /// The sum of the rounded inputs, times what is added to every weight, subtracted from 0.
    pub(crate) offset: i32,
}

/// Rows of activations, rounded to 8 bits with a scale per [`BLOCK`] inputs where the weights are
/// int8. Allocated once.
pub struct Activations {
    /// Inputs of a row after row, each filled up to whole blocks.
    rounded: Vec<Line>,
    /// `[rows, blocks]`.
    blocks: Vec<InputBlock>,
}

/// Rows as a product reads them.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// The first row: f32, or rounded.
    pub(crate) inputs: *const u8,
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// The blocks of the first row, where it is rounded; those of the next row follow.
    pub(crate) blocks: *const InputBlock,
}

impl Activations {
    /// Room for `rows` rows of up to `k` inputs.
    pub fn new(precision: Precision, rows: usize, k: usize) -> Self {
        match precision {
            Precision::Int8 => Self {
                rounded: vec![Line::ZERO; rows * (stride(k, LARGEST_QUAD) / size_of::<Line>())],
                blocks: vec![InputBlock::zeroed(); rows * k.div_ceil(BLOCK)],
            },
            Precision::F32 | Precision::Bf16 => Self { rounded: Vec::new(), blocks: Vec::new() },
        }
    }

    /// Rounds `x` `[rows, k]`.
    ///
    /// # Panics
    /// There is no room for so many rows or inputs.
    pub(crate) fn round(&mut self, isa: Isa, x: &[f32], rows: usize, k: usize) -> Input {
        // SAFETY: the instruction set was detected.
        let stride = stride(k, unsafe { dispatch_on(isa, QuadBytes) });
        let blocks = k.div_ceil(BLOCK);
        let out: &mut [u8] = bytemuck::cast_slice_mut(&mut self.rounded);
        assert!(rows * blocks <= self.blocks.len() && rows * stride <= out.len());
        for (row, x) in x.chunks_exact(k.max(1)).take(rows).enumerate() {
            let out = &mut out[row * stride..][..stride];
            let blocks = &mut self.blocks[row * blocks..][..blocks];
            // SAFETY: as above; the slices carry their lengths.
            unsafe { dispatch_on(isa, Round { x, out, blocks }) };
        }
        Input { inputs: out.as_ptr(), stride, blocks: self.blocks.as_ptr() }
    }
}

/// Most [`Simd::QUAD_BYTES`].
const LARGEST_QUAD: usize = 8;

/// Bytes of a row of `k` inputs. A line more than they need, so that the rows of a power of two do
/// not meet in one set of the cache.
fn stride(k: usize, quad_bytes: usize) -> usize {
    k.next_multiple_of(BLOCK) / 4 * quad_bytes + size_of::<Line>()
}

struct QuadBytes;

impl Kernel for QuadBytes {
    type Output = usize;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        S::QUAD_BYTES
    }
}

/// Rounds a row.
struct Round<'a> {
    x: &'a [f32],
    out: &'a mut [u8],
    blocks: &'a mut [InputBlock],
}

impl Kernel for Round<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (whole, rest) = self.x.as_chunks::<BLOCK>();
        let mut last = [0.0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        let outs = self.out.chunks_exact_mut(BLOCK / 4 * S::QUAD_BYTES);
        for ((x, out), block) in whole.iter().chain([&last]).zip(outs).zip(self.blocks) {
            // SAFETY: the caller gives the instruction set.
            *block = unsafe { round_block::<S>(x, out) };
        }
    }
}

/// Rounds a block into `out`, which has room for its quads.
#[inline(always)]
unsafe fn round_block<S: Simd>(x: &[f32; BLOCK], out: &mut [u8]) -> InputBlock {
    let (vectors, _) = x.as_chunks::<PANEL>();
    // SAFETY: all pointers are to arrays of 16 numbers, or to the quads of as many.
    unsafe {
        let zero = S::splat16(0.0);
        let (mut most, mut fault) = (zero, zero);
        for x in vectors {
            let x = S::load16(x.as_ptr());
            most = S::max16(S::max16(x, S::sub16(zero, x)), most);
            // 0 times anything finite is 0.
            fault = S::fma16(x, zero, fault);
        }
        let most = S::largest(most);
        let (scale, inverse) = match most {
            SMALLEST_BLOCK.. => (most * (1.0 / QUANT_MAX), QUANT_MAX / most),
            _ => (0.0, 0.0),
        };
        let (factor, round, mut sum) = (S::splat16(inverse), S::splat16(ROUND), fault);
        for (x, out) in vectors.iter().zip(out.chunks_exact_mut(4 * S::QUAD_BYTES)) {
            let scaled = S::mul16(S::load16(x.as_ptr()), factor);
            S::store_quads(out.as_mut_ptr(), scaled);
            sum = S::add16(sum, S::sub16(S::add16(scaled, round), round));
        }
        let sum = S::exact_sum(sum);
        // After a fault the sum is NaN, of bits that depend on the order of addition.
        let scale = if sum.is_nan() { f32::NAN } else { scale };
        InputBlock { scale, offset: -i32::from(WEIGHT_OFFSET) * sum as i32 }
    }
}
