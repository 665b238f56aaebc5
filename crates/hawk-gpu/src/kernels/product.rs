//! The product of a few rows with a matrix of weights.

use cubecl::prelude::*;

use super::numbers::{half, high, low};

/// Units that share one output of a row.
pub(crate) const TEAM: u32 = 32;
/// Outputs of a cube.
pub(crate) const TEAMS: u32 = 8;
/// Vectors of a block of int8, whose weights have one scale.
const VECTORS: u32 = hawk_kernels::BLOCK as u32 / 16;
/// Rows whose parts lie in shared memory at once.
const STAGE: usize = 16;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// f32, one in a word.
    F32,
    /// bf16, two in a word, the first in the low half.
    Bf16,
    /// f16, two in a word, the first in the low half.
    F16,
    /// Rounded to 8 bits with a scale for each block of 64, four in a word, each plus 128.
    Int8,
}

/// What happens to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Epilogue {
    /// It is stored.
    Store,
    /// It is added to what is there.
    Add,
}

/// `y[row, n] = sum_k x[row, k] w[n, k]`.
///
/// A cube computes [`TEAMS`] outputs of `block` rows. Unit u of the [`TEAM`] of an output adds the
/// words 4u to 4u + 3 of each 128 of its row of weights, in order; the sums of the units are then
/// added from unit 0 on. So a result depends on its row and its output alone, whatever `block` is.
///
/// `x` has `x_stride` vectors a row, of which row `x_row` is the first; `w` has `words` vectors a
/// row, and `scales` as many words as its blocks of int8 need, two scales in a word. Output `first` is
/// the first one.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn product(
    x: &[Vector<f32, Const<4>>],
    w: &[Vector<u32, Const<4>>],
    scales: &[u32],
    y: &mut [f32],
    rows: u32,
    x_row: u32,
    x_stride: u32,
    words: u32,
    y_stride: u32,
    first: u32,
    outputs: u32,
    #[comptime] block: usize,
    #[comptime] format: Format,
    #[comptime] epilogue: Epilogue,
) {
    let stage = comptime!(if block < STAGE { block } else { STAGE });
    let mut parts = Shared::<[f32]>::new_slice(comptime!(stage * (TEAM * TEAMS) as usize));
    let unit = UNIT_POS;
    let lane = unit % TEAM;
    let team = unit / TEAM;
    let output = CUBE_POS_X * TEAMS + team;
    let row = CUBE_POS_Y * comptime!(block as u32);
    let mut sums = Array::<f32>::new(block);
    #[unroll]
    for r in 0..block {
        sums[r] = 0.0f32;
    }
    if output < outputs {
        let weights = (first + output) * words;
        for at in range_stepped(lane, words, TEAM) {
            let word = w[(weights + at) as usize];
            let mut scale = 1.0f32;
            if comptime!(format == Format::Int8) {
                scale = scale_of(scales, (first + output) * words.div_ceil(2 * VECTORS), at / VECTORS);
            }
            #[unroll]
            for r in 0..block {
                // Rows behind the last repeat it: their sums are not written.
                let from = x_row + min(row + comptime!(r as u32), rows - 1);
                sums[r] = dot(x, word, scale, from * x_stride, at, sums[r], format);
            }
        }
    }
    #[unroll]
    for s in 0..comptime!(block / stage) {
        #[unroll]
        for r in 0..stage {
            parts[(comptime!(r as u32 * TEAM * TEAMS) + unit) as usize] = sums[comptime!(s * stage + r)];
        }
        sync_cube();
        for at in range_stepped(unit, comptime!(stage as u32 * TEAMS), TEAM * TEAMS) {
            let r = at / TEAMS;
            let n = CUBE_POS_X * TEAMS + at % TEAMS;
            let to = row + comptime!((s * stage) as u32) + r;
            if n < outputs && to < rows {
                let start = r * comptime!(TEAM * TEAMS) + at % TEAMS * TEAM;
                let mut sum = parts[start as usize];
                for l in 1..TEAM {
                    sum += parts[(start + l) as usize];
                }
                let place = ((x_row + to) * y_stride + n) as usize;
                match comptime!(epilogue) {
                    Epilogue::Store => y[place] = sum,
                    Epilogue::Add => y[place] += sum,
                }
            }
        }
        sync_cube();
    }
}

/// A number of a word of four, each plus 128.
#[cube]
fn byte(word: u32, #[comptime] number: usize) -> f32 {
    // The byte is the low end of a number of 2^23.
    let bits = 0x4b00_0000u32 | ((word >> comptime!(8 * number as u32)) & 0xff);
    f32::reinterpret(bits) - 8_388_736.0f32
}

/// The scale of a block of a row of weights, whose scales begin at the word `row`.
#[cube]
fn scale_of(scales: &[u32], row: u32, block: u32) -> f32 {
    let word = scales[(row + block / 2) as usize];
    let mut scale = low(word);
    if block % 2 == 1 {
        scale = high(word);
    }
    scale
}

/// Adds the products of vector `at` of a row of weights, number after number; under int8 the sum of
/// the vector's products is scaled.
#[allow(clippy::too_many_arguments, reason = "vectors cannot be fields of a struct here")]
#[cube]
fn dot(
    x: &[Vector<f32, Const<4>>],
    word: Vector<u32, Const<4>>,
    scale: f32,
    row: u32,
    at: u32,
    sum: f32,
    #[comptime] format: Format,
) -> f32 {
    let mut sum = sum;
    match comptime!(format) {
        Format::F32 => {
            let a = x[(row + at) as usize];
            #[unroll]
            for i in 0..4usize {
                sum = fma(a.extract(i), f32::reinterpret(word.extract(i)), sum);
            }
        }
        Format::Bf16 => {
            let a = x[(row + 2 * at) as usize];
            let b = x[(row + 2 * at + 1) as usize];
            #[unroll]
            for i in 0..2usize {
                sum = fma(a.extract(comptime!(2 * i)), low(word.extract(i)), sum);
                sum = fma(a.extract(comptime!(2 * i + 1)), high(word.extract(i)), sum);
            }
            #[unroll]
            for i in 0..2usize {
                sum = fma(b.extract(comptime!(2 * i)), low(word.extract(comptime!(i + 2))), sum);
                sum = fma(b.extract(comptime!(2 * i + 1)), high(word.extract(comptime!(i + 2))), sum);
            }
        }
        Format::F16 =>
        {
            #[unroll]
            for j in 0..2usize {
                let a = x[(row + 2 * at + comptime!(j as u32)) as usize];
                #[unroll]
                for i in 0..2usize {
                    let pair = word.extract(comptime!(2 * j + i));
                    sum = fma(a.extract(comptime!(2 * i)), half(pair & 0xffff), sum);
                    sum = fma(a.extract(comptime!(2 * i + 1)), half(pair >> 16), sum);
                }
            }
        }
        Format::Int8 => {
            let mut part = 0.0f32;
            #[unroll]
            for j in 0..4usize {
                let a = x[(row + 4 * at + comptime!(j as u32)) as usize];
                #[unroll]
                for i in 0..4usize {
                    part = fma(a.extract(i), byte(word.extract(j), i), part);
                }
            }
            sum = fma(part, scale, sum);
        }
    }
    sum
}
