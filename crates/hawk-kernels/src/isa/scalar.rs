//! The portable instruction set, lane by lane.

use super::simd::{LANES, ROUND, Simd, pairs, round_to_bf16};
use super::tile_product::{TILE_QUADS, TileProduct};

/// The portable implementation, lane by lane.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

macro_rules! lanes {
    ($i:ident => $e:expr) => {
        std::array::from_fn(|$i| $e)
    };
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "the macro's blocks share one note")]
impl Simd for Scalar {
    type F = [f32; LANES];
    type W = [u32; LANES];
    pairs!([i32; LANES], [i16; 2 * LANES]);
    const TILES: bool = true;

    #[inline(always)]
    unsafe fn configure_tiles(_: usize) {}
    #[inline(always)]
    unsafe fn release_tiles() {}
    #[inline(always)]
    unsafe fn multiply_tiles(product: TileProduct) {
        for row in 0..product.rows {
            // SAFETY: the caller guarantees a block of each row, of the weights and of the sums.
            unsafe {
                let inputs = product.inputs.add(row * product.stride);
                let mut sums = Self::splat_i32(0);
                for (quad, part) in (0..TILE_QUADS).flat_map(|quad| [(quad, 0), (quad, 1)]) {
                    let weights = Self::load_u8(product.weights.add(quad * 8 * LANES), part);
                    sums = Self::dot(sums, weights, Self::splat_quad(inputs.add(quad * Self::QUAD_BYTES), part));
                }
                product.sums.add(row * 2 * LANES).cast::<Self::I16>().write_unaligned(sums);
            }
        }
    }

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
    /// Each quad in the order 0 2 1 3, in 16 bits each: a part is one pair.
    #[inline(always)]
    unsafe fn store_quads(p: *mut u8, v: [Self::F; 2]) {
        let rounded: [i16; 2 * LANES] = lanes!(i => {
            let from = i / 4 * 4 + [0, 2, 1, 3][i % 4];
            i16::from((v[from / LANES][from % LANES] + ROUND).to_bits() as i8)
        });
        // SAFETY: the caller guarantees 32 valid bytes.
        unsafe { p.cast::<[i16; 2 * LANES]>().write_unaligned(rounded) }
    }
    #[inline(always)]
    unsafe fn store_pairs(p: *mut u8, v: [Self::F; 2]) {
        let round = |x: f32| round_to_bf16(x).to_f32();
        // SAFETY: the caller guarantees 64 valid bytes.
        unsafe { Self::store16(p.cast(), v.map(|v| v.map(round))) }
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8, part: usize) -> [Self::F; 2] {
        // SAFETY: the caller guarantees 16 valid pairs.
        let halves = unsafe { p.cast::<[[[u16; 2]; LANES]; 2]>().read_unaligned() };
        halves.map(|pairs| pairs.map(|pair| f32::from_bits(u32::from(pair[1 - part]) << 16)))
    }
    #[inline(always)]
    unsafe fn largest(v: [Self::F; 2]) -> f32 {
        v.into_iter().flatten().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    unsafe fn exact_sum(v: [Self::F; 2]) -> f32 {
        v.into_iter().flatten().sum()
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    #[inline(always)]
    unsafe fn at_least(a: Self::F, b: Self::F) -> u32 {
        (0..LANES).map(|i| u32::from(a[i] >= b[i]) << i).sum()
    }
    #[inline(always)]
    unsafe fn choose(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        lanes!(i => if a[i] >= b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    unsafe fn splat_word(x: u32) -> Self::W {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> Self::W {
        // SAFETY: the caller guarantees 8 valid elements.
        unsafe { p.cast::<Self::W>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn xor(a: Self::W, b: Self::W) -> Self::W {
        lanes!(i => a[i] ^ b[i])
    }
    #[inline(always)]
    unsafe fn wide_product(a: Self::W, b: Self::W) -> [Self::W; 2] {
        [lanes!(i => ((u64::from(a[i]) * u64::from(b[i])) >> 32) as u32), lanes!(i => a[i].wrapping_mul(b[i]))]
    }
    #[inline(always)]
    unsafe fn weave(v: [Self::W; 4]) -> [Self::W; 4] {
        std::array::from_fn(|to| lanes!(lane => v[lane % 4][to + 4 * (lane / 4)]))
    }
    #[inline(always)]
    unsafe fn look_up(table: *const f32, w: Self::W) -> Self::F {
        // SAFETY: the caller guarantees 1024 valid entries.
        lanes!(i => unsafe { table.add((w[i] >> 22) as usize).read() })
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> [Self::F; 2] {
        // SAFETY: the caller guarantees 16 valid elements.
        let numbers = unsafe { p.cast::<[[half::f16; LANES]; 2]>().read_unaligned() };
        numbers.map(|half| half.map(half::f16::to_f32))
    }
    #[inline(always)]
    unsafe fn load_scales(p: *const u16) -> [Self::F; 2] {
        // SAFETY: the caller guarantees 16 valid elements.
        let scales = unsafe { p.cast::<[[u16; LANES]; 2]>().read_unaligned() };
        scales.map(|half| half.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    unsafe fn splat_i32(x: i32) -> Self::I16 {
        [[x; LANES]; 2]
    }
    #[inline(always)]
    unsafe fn load_i32(p: *const i32) -> Self::I16 {
        // SAFETY: the caller guarantees 16 valid elements.
        unsafe { p.cast::<Self::I16>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add_i32(a: Self::I16, b: Self::I16) -> Self::I16 {
        std::array::from_fn(|half| lanes!(i => a[half][i] + b[half][i]))
    }
    #[inline(always)]
    unsafe fn load_u8(p: *const u8, part: usize) -> Self::W16 {
        // SAFETY: the caller guarantees 64 valid bytes.
        let halves = unsafe { p.cast::<[[u8; 4 * LANES]; 2]>().read_unaligned() };
        halves.map(|bytes| lanes!(i => i16::from(bytes[2 * i + part])))
    }
    #[inline(always)]
    unsafe fn splat_quad(p: *const u8, part: usize) -> Self::X16 {
        // SAFETY: the caller guarantees 4 valid inputs.
        let pair = unsafe { p.cast::<[i16; 2]>().add(part).read_unaligned() };
        lanes!(i => pair[i % 2])
    }
    #[inline(always)]
    unsafe fn dot(acc: Self::I16, w: Self::W16, x: Self::X16) -> Self::I16 {
        let product = |h: usize, i: usize| i32::from(w[h][i]) * i32::from(x[i]);
        std::array::from_fn(|h| lanes!(i => acc[h][i] + (product(h, 2 * i) + product(h, 2 * i + 1))))
    }
    #[inline(always)]
    unsafe fn to_f32(v: Self::I16) -> Self::F16 {
        v.map(|v| v.map(|x| x as f32))
    }
}
