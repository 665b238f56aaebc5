//! The product of a few rows with a matrix of weights.

use cubecl::prelude::*;

use super::numbers::{Numbers, high, low};

/// Units that share one output of a row.
pub(crate) const TEAM: u32 = 32;
/// Outputs of a cube.
pub(crate) const TEAMS: u32 = 8;
/// Rows whose parts lie in shared memory at once.
const STAGE: usize = 16;

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
/// row. Output `first` is the first one.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn product(
    x: &[Vector<f32, Const<4>>],
    w: &[Vector<u32, Const<4>>],
    y: &mut [f32],
    rows: u32,
    x_row: u32,
    x_stride: u32,
    words: u32,
    y_stride: u32,
    first: u32,
    outputs: u32,
    #[comptime] block: usize,
    #[comptime] numbers: Numbers,
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
            #[unroll]
            for r in 0..block {
                // Rows behind the last repeat it: their sums are not written.
                let from = x_row + min(row + comptime!(r as u32), rows - 1);
                sums[r] = dot(x, word, from * x_stride, at, sums[r], numbers);
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

/// Adds the products of a vector of words, number after number.
#[cube]
fn dot(
    x: &[Vector<f32, Const<4>>],
    word: Vector<u32, Const<4>>,
    row: u32,
    at: u32,
    sum: f32,
    #[comptime] numbers: Numbers,
) -> f32 {
    let mut sum = sum;
    match comptime!(numbers) {
        Numbers::F32 => {
            let a = x[(row + at) as usize];
            #[unroll]
            for i in 0..4usize {
                sum = fma(a.extract(i), f32::reinterpret(word.extract(i)), sum);
            }
        }
        Numbers::Bf16 => {
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
    }
    sum
}
