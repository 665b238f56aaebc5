//! Keys and values of streams in words: `[streams K][words][capacity]` keys, so that neighbouring
//! units read neighbouring positions, and `[streams K][capacity][words]` values. A word is a
//! channel in f32, two in bf16.

use cubecl::prelude::*;

/// Units of a cube.
pub(crate) const UNITS: u32 = 64;

/// Numbers of a move.
pub(crate) const MOVE: u32 = 3;

/// The place of a word of a key.
#[cube]
pub(crate) fn key_place(kv: u32, word: u32, slot: u32, capacity: u32, words: u32) -> u32 {
    (kv * words + word) * capacity + slot
}

/// The place of a word of a value.
#[cube]
pub(crate) fn value_place(kv: u32, word: u32, slot: u32, capacity: u32, words: u32) -> u32 {
    (kv * capacity + slot) * words + word
}

/// Moves keys and values between the slots of streams, move after move: `moves` `[count][stream,
/// from, to]`. A unit has a word of a kv head.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn move_slots(
    keys: &mut [u32],
    values: &mut [u32],
    moves: &[u32],
    count: u32,
    kv_heads: u32,
    capacity: u32,
    words: u32,
) {
    let unit = CUBE_POS_X * UNITS + UNIT_POS;
    if unit < kv_heads * words {
        let word = unit % words;
        for i in 0..count {
            let kv = moves[(i * MOVE) as usize] * kv_heads + unit / words;
            let from = moves[(i * MOVE + 1) as usize];
            let to = moves[(i * MOVE + 2) as usize];
            keys[key_place(kv, word, to, capacity, words) as usize] =
                keys[key_place(kv, word, from, capacity, words) as usize];
            values[value_place(kv, word, to, capacity, words) as usize] =
                values[value_place(kv, word, from, capacity, words) as usize];
        }
    }
}

/// Copies the first slots of a stream to another. A cube of units has some slots of a word of a kv
/// head.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn copy_slots(
    keys: &mut [u32],
    values: &mut [u32],
    from: u32,
    to: u32,
    slots: u32,
    kv_heads: u32,
    capacity: u32,
    words: u32,
) {
    let slot = CUBE_POS_X * UNITS + UNIT_POS;
    let word = CUBE_POS_Y % words;
    let head = CUBE_POS_Y / words;
    if slot < slots {
        let source = from * kv_heads + head;
        let target = to * kv_heads + head;
        keys[key_place(target, word, slot, capacity, words) as usize] =
            keys[key_place(source, word, slot, capacity, words) as usize];
        values[value_place(target, word, slot, capacity, words) as usize] =
            values[value_place(source, word, slot, capacity, words) as usize];
    }
}
