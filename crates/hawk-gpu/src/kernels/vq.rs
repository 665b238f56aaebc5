//! The layers of a VQ decoder on feature maps `[pixels][channels]`. Sums run in an order that the
//! shape fixes.

use cubecl::prelude::*;

use super::numbers::{exp, silu};
use super::reduce::{self, Reduction, reduced};

/// Units of a convolution.
pub(crate) const UNITS: u32 = 256;
/// Pixels and outputs of a cube of a convolution.
pub(crate) const TILE: u32 = 64;
/// Steps of a window that lie in shared memory at once.
const DEPTH: u32 = 16;
/// Pixels and outputs of a unit.
const OWN: u32 = 4;
/// Units along the outputs of a cube.
const COLUMNS: u32 = TILE / OWN;
/// Pixels whose statistics a cube takes.
pub(crate) const STATISTICS_PART: u32 = 1024;

/// A convolution with a window of `side` pixels on a map that is zoomed by `zoom`, or a product of
/// matrices where `side` is 1: `out[pixel][o] = bias[o] + sum_k x[pixel][k] w[o][k]`, k along the
/// window, then along the inputs.
///
/// Weights of an output are `output_stride` apart, those of a step `step_stride`. Cubes stand in rows
/// of `row` tiles of pixels.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn convolve(
    input: &[f32],
    weights: &[f32],
    bias: &[f32],
    out: &mut [f32],
    height: u32,
    width: u32,
    inputs: u32,
    outputs: u32,
    output_stride: u32,
    step_stride: u32,
    row: u32,
    #[comptime] side: u32,
    #[comptime] zoom: u32,
) {
    let mut x = Shared::<[f32]>::new_slice(comptime!((TILE * DEPTH) as usize));
    let mut w = Shared::<[f32]>::new_slice(comptime!((TILE * DEPTH) as usize));
    let half = comptime!(side / 2);
    let out_width = width * zoom;
    let pixels = height * zoom * out_width;
    let steps = comptime!(side * side) * inputs;
    let first_pixel = (CUBE_POS_Y * row + CUBE_POS_X) * TILE;
    let first_output = CUBE_POS_Z * TILE;
    let mut sums = Array::<f32>::new(comptime!((OWN * OWN) as usize));
    #[unroll]
    for i in 0..comptime!((OWN * OWN) as usize) {
        sums[i] = 0.0f32;
    }
    for start in range_stepped(0u32, steps, DEPTH) {
        #[unroll]
        for part in 0..comptime!(TILE * DEPTH / UNITS) {
            let at = UNIT_POS + comptime!(part * UNITS);
            let step = start + at % DEPTH;
            let line = at / DEPTH;
            let pixel = first_pixel + line;
            let output = first_output + line;
            let mut number = 0.0f32;
            let mut weight = 0.0f32;
            if step < steps {
                if pixel < pixels {
                    let tap = step / inputs;
                    // Both are `half` too large, so that they are not negative.
                    let down = pixel / out_width + tap / side;
                    let right = pixel % out_width + tap % side;
                    let y = (down - min(down, half)) / zoom;
                    let across = (right - min(right, half)) / zoom;
                    if down >= half && right >= half && y < height && across < width {
                        number = input[((y * width + across) * inputs + step % inputs) as usize];
                    }
                }
                if output < outputs {
                    weight = weights[(output * output_stride + step * step_stride) as usize];
                }
            }
            let to = (at % DEPTH * TILE + line) as usize;
            x[to] = number;
            w[to] = weight;
        }
        sync_cube();
        for k in 0..DEPTH {
            let pixel = k * TILE + UNIT_POS / COLUMNS * OWN;
            let output = k * TILE + UNIT_POS % COLUMNS * OWN;
            #[unroll]
            for i in 0..OWN {
                #[unroll]
                for j in 0..OWN {
                    let sum = comptime!((i * OWN + j) as usize);
                    sums[sum] = fma(x[(pixel + i) as usize], w[(output + j) as usize], sums[sum]);
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for i in 0..OWN {
        #[unroll]
        for j in 0..OWN {
            let pixel = first_pixel + UNIT_POS / COLUMNS * OWN + i;
            let output = first_output + UNIT_POS % COLUMNS * OWN + j;
            if pixel < pixels && output < outputs {
                out[(pixel * outputs + output) as usize] =
                    sums[comptime!((i * OWN + j) as usize)] + bias[output as usize];
            }
        }
    }
}

/// Mean and sum of squared differences from it, of a part of the pixels of a group of channels:
/// `[groups][parts][2]`. A cube is a part of a group.
#[cube(launch_unchecked)]
pub(crate) fn statistics(input: &[f32], out: &mut [f32], pixels: u32, channels: u32, members: u32, parts: u32) {
    let mut shared = Shared::<[f32]>::new_slice(reduce::UNITS as usize);
    let first = CUBE_POS_X * STATISTICS_PART;
    let group = CUBE_POS_Y;
    let count = min(STATISTICS_PART, pixels - first) * members;
    let start = first * channels + group * members;
    let mut sum = 0.0f32;
    for i in range_stepped(UNIT_POS, count, reduce::UNITS) {
        sum += input[(start + i / members * channels + i % members) as usize];
    }
    let mean = reduced(sum, &mut shared, Reduction::Sum) / f32::cast_from(count);
    let mut squares = 0.0f32;
    for i in range_stepped(UNIT_POS, count, reduce::UNITS) {
        let off = input[(start + i / members * channels + i % members) as usize] - mean;
        squares = fma(off, off, squares);
    }
    let squares = reduced(squares, &mut shared, Reduction::Sum);
    if UNIT_POS == 0 {
        let at = (group * parts + CUBE_POS_X) * 2;
        out[at as usize] = mean;
        out[(at + 1) as usize] = squares;
    }
}

/// The factor and the summand that a GroupNorm comes to, `[2][channels]`. A unit is a channel, and
/// joins the parts of its group in order.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn scale_and_shift(
    statistics: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
    pixels: u32,
    channels: u32,
    members: u32,
    parts: u32,
    eps: f32,
) {
    let channel = CUBE_POS_X * reduce::UNITS + UNIT_POS;
    if channel < channels {
        let group = channel / members;
        let mut count = 0.0f32;
        let mut mean = 0.0f32;
        let mut squares = 0.0f32;
        for part in 0..parts {
            let at = (group * parts + part) * 2;
            let own = f32::cast_from(min(STATISTICS_PART, pixels - part * STATISTICS_PART) * members);
            let off = statistics[at as usize] - mean;
            let all = count + own;
            mean += off * (own / all);
            squares += statistics[(at + 1) as usize] + off * off * (count * (own / all));
            count = all;
        }
        let factor = weight[channel as usize] / f32::sqrt(squares / count + eps);
        out[channel as usize] = factor;
        out[(channels + channel) as usize] = bias[channel as usize] - mean * factor;
    }
}

/// `x scale + shift` by channel, then SiLU where it follows. A cube has numbers of a row of pixels.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn normalize(
    input: &[f32],
    scale_and_shift: &[f32],
    out: &mut [f32],
    row: u32,
    channels: u32,
    #[comptime] with_silu: bool,
) {
    let i = CUBE_POS_X * reduce::UNITS + UNIT_POS;
    if i < row {
        let at = (CUBE_POS_Y * row + i) as usize;
        let channel = i % channels;
        let value = fma(input[at], scale_and_shift[channel as usize], scale_and_shift[(channels + channel) as usize]);
        if comptime!(with_silu) {
            out[at] = silu(value);
        } else {
            out[at] = value;
        }
    }
}

/// The softmax of `scale x` of a row of `width` numbers in place. A cube is a row.
#[cube(launch_unchecked)]
pub(crate) fn softmax(x: &mut [f32], width: u32, scale: f32) {
    let mut shared = Shared::<[f32]>::new_slice(reduce::UNITS as usize);
    let start = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * width;
    let mut most = f32::new(-3.0e38);
    for i in range_stepped(UNIT_POS, width, reduce::UNITS) {
        most = max(most, x[(start + i) as usize]);
    }
    let most = reduced(most, &mut shared, Reduction::Most);
    let mut part = 0.0f32;
    for i in range_stepped(UNIT_POS, width, reduce::UNITS) {
        let power = exp((x[(start + i) as usize] - most) * scale);
        x[(start + i) as usize] = power;
        part += power;
    }
    let inverse = 1.0f32 / reduced(part, &mut shared, Reduction::Sum);
    for i in range_stepped(UNIT_POS, width, reduce::UNITS) {
        x[(start + i) as usize] *= inverse;
    }
}

/// `sum += x`. A cube has numbers of a row of pixels.
#[cube(launch_unchecked)]
pub(crate) fn add(sum: &mut [f32], x: &[f32], row: u32) {
    let i = CUBE_POS_X * reduce::UNITS + UNIT_POS;
    if i < row {
        let at = (CUBE_POS_Y * row + i) as usize;
        sum[at] += x[at];
    }
}
