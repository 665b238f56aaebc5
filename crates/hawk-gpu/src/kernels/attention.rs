//! Attention of rows of token trees against their committed tokens and their own ancestors.
//!
//! Positions are logical: committed tokens, ancestors from the oldest, the row itself. Unit u
//! scores the positions u, u + 128 and so on. Values are summed in [`SPLITS`] splits, split s with
//! the positions s, s + 4 and so on, and the splits are added in order. So a row in a tree has the
//! same bits as the same token in a chain.

use cubecl::prelude::*;

use super::cache::{key_place, value_place};
use super::numbers::{Numbers, exp, high, low, rounded};
use super::place::{COMMITTED, PATH_LENGTH, PATH_START, ROW, STREAM};
use super::reduce::{Reduction, UNITS, reduced};

/// Units that sum values together; each has a pair of channels.
const LANES: u32 = 32;
/// Splits of the positions.
const SPLITS: u32 = UNITS / LANES;

/// The slot of a logical position.
#[cube]
fn slot_of(paths: &[u32], committed: u32, path: u32, position: u32) -> u32 {
    let mut slot = position;
    if position >= committed {
        slot = committed + paths[(path + position - committed) as usize];
    }
    slot
}

/// A cube is a head of queries of a row. `scores` are memory of each cube alone, `[rows][H][capacity]`.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn attention(
    qkv: &[f32],
    keys: &[u32],
    values: &[u32],
    rows: &[u32],
    paths: &[u32],
    scores: &mut [f32],
    out: &mut [f32],
    heads: u32,
    kv_heads: u32,
    capacity: u32,
    stride: u32,
    out_stride: u32,
    scale: f32,
    #[comptime] head_dim: u32,
    #[comptime] numbers: Numbers,
) {
    let half = comptime!(head_dim / 2);
    let words = comptime!(match numbers {
        Numbers::F32 => head_dim,
        Numbers::Bf16 => head_dim / 2,
    });
    let mut query = Shared::<[f32]>::new_slice(head_dim as usize);
    let mut parts = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut sums = Shared::<[f32]>::new_slice(comptime!((SPLITS * head_dim) as usize));
    let row = CUBE_POS_X;
    let head = CUBE_POS_Y;
    let about = row * ROW;
    let committed = rows[(about + COMMITTED) as usize];
    let path = rows[(about + PATH_START) as usize];
    let length = committed + rows[(about + PATH_LENGTH) as usize];
    let kv = rows[(about + STREAM) as usize] * kv_heads + head / (heads / kv_heads);
    let memory = (row * heads + head) * capacity;
    for i in range_stepped(UNIT_POS, head_dim, UNITS) {
        query[i as usize] = qkv[(row * stride + head * head_dim + i) as usize];
    }
    sync_cube();

    let mut most = f32::new(-3.0e38);
    for position in range_stepped(UNIT_POS, length, UNITS) {
        let slot = slot_of(paths, committed, path, position);
        let mut sum = 0.0f32;
        for i in 0..words {
            let word = keys[key_place(kv, i, slot, capacity, words) as usize];
            match comptime!(numbers) {
                Numbers::F32 => sum = fma(query[i as usize], f32::reinterpret(word), sum),
                Numbers::Bf16 => {
                    sum = fma(query[(2 * i) as usize], low(word), sum);
                    sum = fma(query[(2 * i + 1) as usize], high(word), sum);
                }
            }
        }
        let score = sum * scale;
        scores[(memory + position) as usize] = score;
        most = max(most, score);
    }
    let most = reduced(most, &mut parts, Reduction::Most);

    let mut part = 0.0f32;
    for position in range_stepped(UNIT_POS, length, UNITS) {
        let power = exp(scores[(memory + position) as usize] - most);
        scores[(memory + position) as usize] = power;
        part += power;
    }
    let total = reduced(part, &mut parts, Reduction::Sum);
    for position in range_stepped(UNIT_POS, length, UNITS) {
        let weight = scores[(memory + position) as usize] / total;
        scores[(memory + position) as usize] = rounded(weight, numbers);
    }
    sync_storage();

    let lane = UNIT_POS % LANES;
    let split = UNIT_POS / LANES;
    for pair in range_stepped(lane, half, LANES) {
        let mut a = 0.0f32;
        let mut b = 0.0f32;
        for position in range_stepped(split, length, SPLITS) {
            let slot = slot_of(paths, committed, path, position);
            let weight = scores[(memory + position) as usize];
            match comptime!(numbers) {
                Numbers::F32 => {
                    let at = value_place(kv, 2 * pair, slot, capacity, words);
                    a = fma(weight, f32::reinterpret(values[at as usize]), a);
                    b = fma(weight, f32::reinterpret(values[(at + 1) as usize]), b);
                }
                Numbers::Bf16 => {
                    let word = values[value_place(kv, pair, slot, capacity, words) as usize];
                    a = fma(weight, low(word), a);
                    b = fma(weight, high(word), b);
                }
            }
        }
        sums[(split * head_dim + 2 * pair) as usize] = a;
        sums[(split * head_dim + 2 * pair + 1) as usize] = b;
    }
    sync_cube();
    for i in range_stepped(UNIT_POS, head_dim, UNITS) {
        let mut sum = sums[i as usize];
        #[unroll]
        for s in 1..SPLITS {
            sum += sums[(s * head_dim + i) as usize];
        }
        out[(row * out_stride + head * head_dim + i) as usize] = rounded(sum, numbers);
    }
}
