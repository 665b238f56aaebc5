//! Queries and keys: norms of heads, rotation by position; keys and values into the cache.

use cubecl::prelude::*;

use super::cache::{key_place, value_place};
use super::numbers::{Numbers, rounded, word_of};

/// Units of a head.
pub(crate) const UNITS: u32 = 64;

/// Numbers that describe a row of a pass.
pub(crate) const ROW: u32 = 6;
pub(crate) const STREAM: u32 = 0;
pub(crate) const POSITION: u32 = 1;
pub(crate) const SLOT: u32 = 2;
pub(crate) const COMMITTED: u32 = 3;
pub(crate) const PATH_START: u32 = 4;
pub(crate) const PATH_LENGTH: u32 = 5;

/// A cube is a head of queries, or of keys and values, of a row: heads of queries first.
///
/// Queries are turned in place. `norms` are weights and biases, `[2][H + K][E]`; `tables` cosines
/// and sines, `[2][positions][E/2]`.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn place(
    qkv: &mut [f32],
    norms: &[f32],
    tables: &[f32],
    rows: &[u32],
    keys: &mut [u32],
    values: &mut [u32],
    heads: u32,
    kv_heads: u32,
    capacity: u32,
    stride: u32,
    positions: u32,
    eps: f32,
    #[comptime] head_dim: u32,
    #[comptime] normed: bool,
    #[comptime] numbers: Numbers,
) {
    let half = comptime!(head_dim / 2);
    let mut x = Shared::<[f32]>::new_slice(head_dim as usize);
    let mut turned = Shared::<[f32]>::new_slice(head_dim as usize);
    let row = CUBE_POS_X;
    let head = CUBE_POS_Y;
    let start = row * stride + head * head_dim;
    for i in range_stepped(UNIT_POS, head_dim, UNITS) {
        x[i as usize] = qkv[(start + i) as usize];
    }
    sync_cube();
    let mut mean = 0.0f32;
    let mut scale = 1.0f32;
    if comptime!(normed) {
        // Every unit adds all: a head is short.
        for i in 0..head_dim {
            mean += x[i as usize];
        }
        mean /= f32::cast_from(head_dim);
        let mut variance = 0.0f32;
        for i in 0..head_dim {
            let off = x[i as usize] - mean;
            variance = fma(off, off, variance);
        }
        scale = 1.0f32 / f32::sqrt(variance / f32::cast_from(head_dim) + eps);
    }
    let position = rows[(row * ROW + POSITION) as usize];
    for i in range_stepped(UNIT_POS, half, UNITS) {
        let mut a = x[i as usize];
        let mut b = x[(i + half) as usize];
        if comptime!(normed) {
            let weight = head * head_dim + i;
            let bias = (heads + kv_heads) * head_dim + weight;
            a = fma((a - mean) * scale, norms[weight as usize], norms[bias as usize]);
            b = fma((b - mean) * scale, norms[(weight + half) as usize], norms[(bias + half) as usize]);
        }
        let cos = tables[(position * half + i) as usize];
        let sin = tables[((positions + position) * half + i) as usize];
        turned[i as usize] = fma(a, cos, -(b * sin));
        turned[(i + half) as usize] = fma(b, cos, a * sin);
    }
    sync_cube();
    if head < heads {
        for i in range_stepped(UNIT_POS, head_dim, UNITS) {
            qkv[(start + i) as usize] = rounded(turned[i as usize], numbers);
        }
    } else {
        let kv = rows[(row * ROW + STREAM) as usize] * kv_heads + head - heads;
        let slot = rows[(row * ROW + SLOT) as usize];
        let value = start + kv_heads * head_dim;
        match comptime!(numbers) {
            Numbers::F32 => {
                for i in range_stepped(UNIT_POS, head_dim, UNITS) {
                    keys[key_place(kv, i, slot, capacity, head_dim) as usize] = u32::reinterpret(turned[i as usize]);
                    let number = u32::reinterpret(qkv[(value + i) as usize]);
                    values[value_place(kv, i, slot, capacity, head_dim) as usize] = number;
                }
            }
            Numbers::Bf16 => {
                for i in range_stepped(UNIT_POS, half, UNITS) {
                    let key = word_of(turned[(2 * i) as usize], turned[(2 * i + 1) as usize]);
                    keys[key_place(kv, i, slot, capacity, half) as usize] = key;
                    let word = word_of(qkv[(value + 2 * i) as usize], qkv[(value + 2 * i + 1) as usize]);
                    values[value_place(kv, i, slot, capacity, half) as usize] = word;
                }
            }
        }
    }
}
