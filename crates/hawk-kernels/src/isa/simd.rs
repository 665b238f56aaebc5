//! The contract of an instruction set, and of the work that is written over any of them.

use super::set::Isa;
use super::tile_product::TileProduct;

/// Lanes of one vector.
pub const LANES: usize = 8;

/// `1.5 * 2^23`: adding it to `|x| < 2^22` leaves `x`, rounded to the nearest integer (ties to
/// even), in the low bits of the sum.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// Magnitudes below it become 0 where inputs and weights are rounded to bf16. The sums of products of
/// larger ones are 0 or normal numbers, so an instruction that flushes subnormal numbers has the
/// bits of one that does not. 2^-50.
pub(crate) const SMALLEST_BF16: f32 = 8.881_784e-16;

/// Rounds (ties to even) to bf16, as products of bf16 need it: magnitudes below 2^-50 become 0.
pub fn round_to_bf16(x: f32) -> half::bf16 {
    half::bf16::from_f32(if x.abs() < SMALLEST_BF16 { 0.0 } else { x })
}

/// One instruction set.
///
/// # Safety
/// Every method requires that the CPU has the instruction set (given inside
/// [`dispatch_on`](super::dispatch_on)) and, where it takes a pointer, that the pointed-to elements
/// are valid; no alignment is required.
#[allow(clippy::missing_safety_doc, reason = "the contract of the trait is that of every method")]
pub trait Simd: Copy {
    /// 8 x f32.
    type F: Copy;
    /// 16 x f32: the outputs of a panel.
    type F16: Copy;
    /// 16 x i32.
    type I16: Copy;
    /// A part of the weights of 16 outputs times 4 steps along k.
    type W16: Copy;
    /// The same part of 4 inputs, for all 16 outputs.
    type X16: Copy;
    /// A part of the bf16 weights of 16 outputs times 2 steps along k.
    type P16: Copy;
    /// The same part of 2 inputs, for all 16 outputs.
    type Q16: Copy;
    /// Parts of a step under bf16.
    const PAIR_PARTS: usize;
    /// Bytes of 2 inputs that are rounded to bf16.
    const PAIR_BYTES: usize;
    /// Parts of a step under int8.
    const PARTS: usize;
    /// Bytes of 4 rounded inputs.
    const QUAD_BYTES: usize;
    /// 8 x u32.
    type W: Copy;
    /// Rows whose sums of one panel fit into the registers.
    const TILE_ROWS: usize;
    /// The same under int8, whose weights take more registers.
    const INT8_TILE_ROWS: usize;
    /// Most panels that a block of rows goes through together: an input is loaded once for all of
    /// them.
    const MOST_PANELS: usize;
    /// Most sums of a block of rows over several panels.
    const MOST_SUMS: usize;
    /// Whether a block of rows alone reads long slices and prefetches every line: what measured
    /// faster on the processors that have the instruction set.
    const FETCHES_ALONE: bool;

    /// `x` in every lane.
    unsafe fn splat(x: f32) -> Self::F;
    /// Reads 8 numbers.
    unsafe fn load(p: *const f32) -> Self::F;
    /// Writes 8 numbers.
    unsafe fn store(p: *mut f32, v: Self::F);
    /// `a * b + c` with one rounding.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a + b`.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// The larger; `b` where either is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// The smaller; `b` where either is NaN.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `2^n` from `n + ROUND`, for n in -126..=127.
    unsafe fn pow2(n_plus_round: Self::F) -> Self::F;
    /// Rounds 16 numbers (ties to even) to bf16, as [`splat_pair`](Self::splat_pair) reads them.
    /// Magnitudes below 2^-50 become 0. It writes 8 times
    /// [`PAIR_BYTES`](Self::PAIR_BYTES).
    unsafe fn store_pairs(p: *mut u8, v: Self::F16);
    /// Rounds 16 numbers (ties to even) to 8 bits, as [`splat_quad`](Self::splat_quad) reads them;
    /// the magnitudes are at most 127. It writes 4 times [`QUAD_BYTES`](Self::QUAD_BYTES).
    unsafe fn store_quads(p: *mut u8, v: Self::F16);
    /// The largest of 16 numbers; any of them where one is NaN.
    unsafe fn largest(v: Self::F16) -> f32;
    /// The sum of 16 numbers, in any order: for sums that are exact.
    unsafe fn exact_sum(v: Self::F16) -> f32;
    /// Starts to read a cache line; the pointer may point anywhere.
    unsafe fn prefetch(p: *const u8);

    /// One bit per lane, lane 0 lowest: whether `a >= b`. False where either is NaN.
    unsafe fn at_least(a: Self::F, b: Self::F) -> u32;
    /// Per lane `x` where `a >= b`, else `y`.
    unsafe fn choose(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;
    /// `x` in every lane.
    unsafe fn splat_word(x: u32) -> Self::W;
    /// Reads 8 words.
    unsafe fn load_words(p: *const u32) -> Self::W;
    /// `a ^ b`.
    unsafe fn xor(a: Self::W, b: Self::W) -> Self::W;
    /// The high and the low halves of `a * b`.
    unsafe fn wide_product(a: Self::W, b: Self::W) -> [Self::W; 2];
    /// Lane l of vector v of the result is lane `v + 4 * (l / 4)` of vector `l % 4`.
    unsafe fn weave(v: [Self::W; 4]) -> [Self::W; 4];
    /// Entry `w >> 22` of a table of 1024, for every lane w.
    unsafe fn look_up(table: *const f32, w: Self::W) -> Self::F;

    /// `x` for all 16 outputs.
    unsafe fn splat16(x: f32) -> Self::F16;
    /// Reads 16 numbers.
    unsafe fn load16(p: *const f32) -> Self::F16;
    /// Writes 16 numbers.
    unsafe fn store16(p: *mut f32, v: Self::F16);
    /// `a + b`.
    unsafe fn add16(a: Self::F16, b: Self::F16) -> Self::F16;
    /// `a - b`.
    unsafe fn sub16(a: Self::F16, b: Self::F16) -> Self::F16;
    /// The larger; `b` where either is NaN.
    unsafe fn max16(a: Self::F16, b: Self::F16) -> Self::F16;
    /// `a * b + c` with one rounding.
    unsafe fn fma16(a: Self::F16, b: Self::F16, c: Self::F16) -> Self::F16;
    /// `a * b`.
    unsafe fn mul16(a: Self::F16, b: Self::F16) -> Self::F16;
    /// Reads 16 f16 in their own order.
    unsafe fn load_halves(p: *const u16) -> Self::F16;
    /// Reads 16 bf16 in their own order.
    unsafe fn load_scales(p: *const u16) -> Self::F16;
    /// `x` for all 16 outputs.
    unsafe fn splat_i32(x: i32) -> Self::I16;
    /// The sums of a row under int8 before its first product. `offset` makes up for 128 being added
    /// to every weight; it is 0 where [`load_u8`](Self::load_u8) subtracts that.
    #[inline(always)]
    unsafe fn first_sums(offset: i32) -> Self::I16 {
        // SAFETY: the caller's promise is passed on.
        unsafe { Self::splat_i32(offset) }
    }
    /// Reads 16 integers.
    unsafe fn load_i32(p: *const i32) -> Self::I16;
    /// `a + b`.
    unsafe fn add_i32(a: Self::I16, b: Self::I16) -> Self::I16;
    /// Reads part `part` of 64 unsigned bytes.
    unsafe fn load_u8(p: *const u8, part: usize) -> Self::W16;
    /// Reads part `part` of 4 rounded inputs.
    unsafe fn splat_quad(p: *const u8, part: usize) -> Self::X16;
    /// `acc` plus the products of a part, per output, exact.
    unsafe fn dot(acc: Self::I16, w: Self::W16, x: Self::X16) -> Self::I16;
    /// Reads part `part` of 16 pairs of bf16, which must be aligned to 64 bytes.
    unsafe fn load_pairs(p: *const u8, part: usize) -> Self::P16;
    /// Reads part `part` of 2 rounded inputs.
    unsafe fn splat_pair(p: *const u8, part: usize) -> Self::Q16;
    /// `acc` plus the products of a part, per output: after all parts the second of each pair is
    /// added before the first, each with one rounding.
    unsafe fn dot_pairs(acc: Self::F16, w: Self::P16, x: Self::Q16) -> Self::F16;
    /// Whether blocks of several rows go through tiles under int8. The portable code has tiles, too, so
    /// that they are compared with the other way on every machine.
    const TILES: bool;
    /// Gives the tiles of this thread their shapes, for up to 16 rows; only where there are
    /// [`TILES`](Self::TILES), as the next two.
    unsafe fn configure_tiles(rows: usize);
    /// Multiplies tiles.
    unsafe fn multiply_tiles(product: TileProduct);
    /// The end of the work with tiles.
    unsafe fn release_tiles();
    /// Converts, rounded to the nearest f32.
    unsafe fn to_f32(v: Self::I16) -> Self::F16;
}

/// A piece of work that is written over any instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;

    /// The best set that it has code of its own for; on a better one it runs on this. Work with pairs of
    /// bf16 needs [`Isa::Avx512Bf16`], which lays them out in a way of its own, and work with tiles
    /// [`Isa::Amx`].
    const BEST: Isa = Isa::Avx512;

    /// Does the work. It must be `#[inline(always)]`, so that its body is compiled for `S`.
    ///
    /// # Safety
    /// The CPU has the instruction set `S`, and whatever the kernel's fields promise holds.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Sixteen outputs as two vectors of eight.
macro_rules! pairs {
    ($ints:ty, $shorts:ty) => {
        type F16 = [Self::F; 2];
        type I16 = [$ints; 2];
        type W16 = [$shorts; 2];
        type X16 = $shorts;
        type P16 = [Self::F; 2];
        type Q16 = Self::F;
        const PAIR_PARTS: usize = 2;
        const PAIR_BYTES: usize = 8;
        const PARTS: usize = 2;
        const QUAD_BYTES: usize = 8;
        const TILE_ROWS: usize = 6;
        const INT8_TILE_ROWS: usize = 4;
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
        unsafe fn sub16(a: Self::F16, b: Self::F16) -> Self::F16 {
            unsafe { [Self::sub(a[0], b[0]), Self::sub(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn max16(a: Self::F16, b: Self::F16) -> Self::F16 {
            unsafe { [Self::max(a[0], b[0]), Self::max(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn mul16(a: Self::F16, b: Self::F16) -> Self::F16 {
            unsafe { [Self::mul(a[0], b[0]), Self::mul(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn fma16(a: Self::F16, b: Self::F16, c: Self::F16) -> Self::F16 {
            unsafe { [Self::fma(a[0], b[0], c[0]), Self::fma(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        unsafe fn splat_pair(p: *const u8, part: usize) -> Self::F {
            unsafe { Self::splat(p.cast::<f32>().add(1 - part).read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn dot_pairs(acc: Self::F16, w: Self::P16, x: Self::F) -> Self::F16 {
            unsafe { [Self::fma(w[0], x, acc[0]), Self::fma(w[1], x, acc[1])] }
        }
    };
}
pub(super) use pairs;
