//! Rows of inputs as the products with weights of a precision read them.

use bytemuck::{Pod, Zeroable};

use crate::isa::{Isa, Kernel, ROUND, Simd, dispatch_on};
use crate::matrix::{BLOCK, Line, PANEL, Precision, QUANT_MAX, SMALLEST_BLOCK, WEIGHT_OFFSET};
use crate::threads::{Chunks, Threads};

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

/// Rows of activations, rounded as the products with weights of a precision read them: to bf16, or
/// to 8 bits with a scale per [`BLOCK`] inputs. Allocated once.
pub struct Activations {
    precision: Precision,
    /// Inputs of a row after row, each filled up to whole pairs or blocks.
    rounded: Vec<Line>,
    /// `[rows, blocks]` under int8.
    blocks: Vec<InputBlock>,
}

/// Rows as a product reads them.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// The first row: f32, or rounded.
    pub(crate) inputs: *const u8,
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// The blocks of the first row under int8; those of the next row follow.
    pub(crate) blocks: *const InputBlock,
}

impl Activations {
    /// Room for `rows` rows of up to `k` inputs of products with weights of this precision.
    pub fn new(precision: Precision, rows: usize, k: usize) -> Self {
        let blocks = if precision == Precision::Int8 { rows * k.div_ceil(BLOCK) } else { 0 };
        let bytes = match precision {
            Precision::F32 | Precision::F16 => 0,
            Precision::Bf16 => stride(k, LARGEST_PAIR / 2),
            Precision::Int8 => stride(k, LARGEST_QUAD / 4),
        };
        let lines = rows * (bytes / size_of::<Line>());
        Self { precision, rounded: vec![Line::ZERO; lines], blocks: vec![InputBlock::zeroed(); blocks] }
    }

    /// The rows `x` `[rows, k]` as products read them: rounded, or as they are under f32 and f16.
    ///
    /// # Panics
    /// There is no room for so many rows or inputs.
    pub(crate) fn of(&mut self, threads: &Threads, isa: Isa, x: &[f32], rows: usize, k: usize) -> Input {
        if matches!(self.precision, Precision::F32 | Precision::F16) {
            return Input { inputs: x.as_ptr().cast(), stride: k * size_of::<f32>(), blocks: std::ptr::null() };
        }
        // SAFETY: the instruction set was detected.
        let stride = stride(k, unsafe { dispatch_on(isa, InputBytes(self.precision)) });
        let blocks = if self.precision == Precision::Int8 { k.div_ceil(BLOCK) } else { 0 };
        let out: &mut [u8] = bytemuck::cast_slice_mut(&mut self.rounded);
        assert!(rows * blocks <= self.blocks.len() && rows * stride <= out.len());
        let (outs, out_blocks) = (Chunks::new(out, stride), Chunks::new(&mut self.blocks, blocks));
        let precision = self.precision;
        threads.run_rows(rows, k, &|row| {
            let x = &x[row * k..][..k];
            // SAFETY: a row is rounded once, and the instruction set was detected.
            unsafe {
                let (out, blocks) = (outs.chunk(row), out_blocks.chunk(row));
                match precision {
                    Precision::Int8 => dispatch_on(isa, Round { x, out, blocks }),
                    _ => dispatch_on(isa, RoundPairs { x, out }),
                }
            }
        });
        let out: &[u8] = bytemuck::cast_slice(&self.rounded);
        Input { inputs: out.as_ptr(), stride, blocks: self.blocks.as_ptr() }
    }

    /// The precision of the weights.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }
}

/// Most [`Simd::PAIR_BYTES`] and [`Simd::QUAD_BYTES`].
const LARGEST_PAIR: usize = 8;
const LARGEST_QUAD: usize = 8;

/// Bytes of a row of `k` inputs. A line more than they need, so that the rows of a power of two do
/// not meet in one set of the cache.
fn stride(k: usize, input_bytes: usize) -> usize {
    k.next_multiple_of(BLOCK) * input_bytes + size_of::<Line>()
}

/// Bytes of a rounded input.
struct InputBytes(Precision);

impl Kernel for InputBytes {
    type Output = usize;
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        match self.0 {
            Precision::F32 | Precision::F16 => size_of::<f32>(),
            Precision::Bf16 => S::PAIR_BYTES / 2,
            Precision::Int8 => S::QUAD_BYTES / 4,
        }
    }
}

/// Rounds a row to bf16, and fills it up with 0 to whole vectors.
struct RoundPairs<'a> {
    x: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for RoundPairs<'_> {
    type Output = ();
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (whole, rest) = self.x.as_chunks::<PANEL>();
        let mut last = [0.0; PANEL];
        last[..rest.len()].copy_from_slice(rest);
        let outs = self.out.chunks_exact_mut(PANEL / 2 * S::PAIR_BYTES);
        for (x, out) in whole.iter().chain([&last]).zip(outs) {
            // SAFETY: the caller gives the instruction set; both are one vector.
            unsafe { S::store_pairs(out.as_mut_ptr(), S::load16(x.as_ptr())) };
        }
    }
}

/// Bytes of a number in the rows of a product with panels of [`Numbers::Bf16`](crate::Numbers::Bf16).
///
/// # Panics
/// This CPU lacks the instruction set.
pub fn rounded_bf16_bytes(isa: Isa) -> usize {
    isa.check();
    // SAFETY: this CPU has the instruction set.
    unsafe { dispatch_on(isa, InputBytes(Precision::Bf16)) }
}

/// Rounds numbers to bf16 where they lie: behind each other from the first byte on. The rest of the
/// bytes has no meaning.
///
/// # Panics
/// This CPU lacks the instruction set, or the numbers are not whole pairs.
pub fn round_in_place(isa: Isa, x: &mut [f32]) {
    isa.check();
    assert!(x.len().is_multiple_of(2), "pairs of numbers");
    // SAFETY: this CPU has the instruction set; the slice carries its length.
    unsafe { dispatch_on(isa, RoundInPlace(x)) }
}

/// The bits of numbers rounded to bf16.
///
/// # Panics
/// This CPU lacks the instruction set, or the slices differ in length.
pub fn bf16_bits(isa: Isa, x: &[f32], bits: &mut [u16]) {
    isa.check();
    assert!(x.len() == bits.len(), "as many bits as numbers");
    // SAFETY: this CPU has the instruction set; slices carry their lengths.
    unsafe { dispatch_on(isa, Bf16Bits { x, bits }) }
}

struct Bf16Bits<'a> {
    x: &'a [f32],
    bits: &'a mut [u16],
}

impl Kernel for Bf16Bits<'_> {
    type Output = ();
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (x, bits) in self.x.chunks(PANEL).zip(self.bits.chunks_mut(PANEL)) {
            let (mut all, mut rounded) = ([0.0; PANEL], [0_u32; PANEL]);
            all[..x.len()].copy_from_slice(x);
            // SAFETY: the caller gives the instruction set; the pairs of a vector take as many bytes as
            // it, or half.
            unsafe { S::store_pairs(rounded.as_mut_ptr().cast(), S::load16(all.as_ptr())) };
            if S::PAIR_BYTES == size_of::<[u16; 2]>() {
                bits.copy_from_slice(&bytemuck::cast_slice(&rounded)[..x.len()]);
            } else {
                bits.iter_mut().zip(rounded).for_each(|(bits, x)| *bits = (x >> 16) as u16);
            }
        }
    }
}

struct RoundInPlace<'a>(&'a mut [f32]);

impl Kernel for RoundInPlace<'_> {
    type Output = ();
    const BEST: Isa = Isa::Avx512Bf16;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (whole, rest) = (self.0.len() / PANEL, self.0.len() % PANEL);
        let x = self.0.as_mut_ptr();
        let out = |vector: usize| x.cast::<u8>().wrapping_add(vector * (PANEL / 2 * S::PAIR_BYTES));
        // SAFETY: all reads and writes are inside the slice. A number takes at most the bytes of an
        // f32, so that nothing is overwritten before it is read.
        unsafe {
            for vector in 0..whole {
                S::store_pairs(out(vector), S::load16(x.add(vector * PANEL)));
            }
            let (mut last, mut pairs) = ([0.0; PANEL], [0_u8; PANEL * size_of::<f32>()]);
            last[..rest].copy_from_slice(&self.0[whole * PANEL..]);
            S::store_pairs(pairs.as_mut_ptr(), S::load16(last.as_ptr()));
            std::ptr::copy_nonoverlapping(pairs.as_ptr(), out(whole), rest / 2 * S::PAIR_BYTES);
        }
    }
}

/// Rounds a row to 8 bits.
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
