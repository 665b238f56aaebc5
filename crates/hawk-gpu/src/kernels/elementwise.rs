//! What is computed number by number.

use cubecl::prelude::*;

use super::numbers::{Numbers, exp, high, low, rounded, silu};

/// Units of a cube.
pub(crate) const UNITS: u32 = 64;
/// Outputs of gate and up projections that lie together.
const PANEL: u32 = hawk_kernels::PANEL as u32;

/// `out = silu(gate) * up`; panels of gate and up alternate in `x`.
#[cube(launch_unchecked)]
pub(crate) fn swiglu(
    x: &[f32],
    out: &mut [f32],
    inner: u32,
    x_stride: u32,
    out_stride: u32,
    #[comptime] numbers: Numbers,
) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < inner {
        let at = CUBE_POS_Y * x_stride + i / PANEL * (2 * PANEL) + i % PANEL;
        let value = silu(x[at as usize]) * x[(at + PANEL) as usize];
        out[(CUBE_POS_Y * out_stride + i) as usize] = rounded(value, numbers);
    }
}

/// The inputs of tokens, a row each. `table` has the inputs of ids below `ids`, `words` words a row;
/// those from `ids` on are rows of `own`.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn embed(
    table: &[u32],
    own: &[f32],
    tokens: &[u32],
    out: &mut [f32],
    ids: u32,
    words: u32,
    width: u32,
    stride: u32,
    #[comptime] numbers: Numbers,
) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < width {
        let token = tokens[CUBE_POS_Y as usize];
        let to = (CUBE_POS_Y * stride + i) as usize;
        if token >= ids {
            out[to] = own[((token - ids) * width + i) as usize];
        } else {
            match comptime!(numbers) {
                Numbers::F32 => out[to] = f32::reinterpret(table[(token * words + i) as usize]),
                Numbers::Bf16 => {
                    let word = table[(token * words + i / 2) as usize];
                    let mut value = low(word);
                    if i % 2 == 1 {
                        value = high(word);
                    }
                    out[to] = value;
                }
            }
        }
    }
}

/// Rows `pick` of `x`, rounded as products read them.
#[cube(launch_unchecked)]
pub(crate) fn gather(x: &[f32], pick: &[u32], out: &mut [f32], width: u32, stride: u32, #[comptime] numbers: Numbers) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < width {
        let value = x[(pick[CUBE_POS_Y as usize] * stride + i) as usize];
        out[(CUBE_POS_Y * stride + i) as usize] = rounded(value, numbers);
    }
}

/// The residual block of draft heads: `out = x[pick] + silu(y + bias[head])`, rounded as products
/// read it.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn head_block(
    x: &[f32],
    pick: &[u32],
    y: &[f32],
    bias: &[f32],
    head: &[u32],
    out: &mut [f32],
    width: u32,
    stride: u32,
    #[comptime] numbers: Numbers,
) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < width {
        let at = (CUBE_POS_Y * stride + i) as usize;
        let inner = silu(y[at] + bias[(head[CUBE_POS_Y as usize] * width + i) as usize]);
        out[at] = rounded(inner + x[(pick[CUBE_POS_Y as usize] * stride + i) as usize], numbers);
    }
}

/// `x + bias` in place.
#[cube(launch_unchecked)]
pub(crate) fn add_bias(x: &mut [f32], bias: &[f32], first: u32, width: u32, stride: u32) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < width {
        x[(CUBE_POS_Y * stride + i) as usize] += bias[(first + i) as usize];
    }
}

/// `gelu(x + bias)` in place, rounded as products read it.
#[cube(launch_unchecked)]
pub(crate) fn gelu_bias(x: &mut [f32], bias: &[f32], width: u32, stride: u32, #[comptime] numbers: Numbers) {
    let i = CUBE_POS_X * UNITS + UNIT_POS;
    if i < width {
        let at = (CUBE_POS_Y * stride + i) as usize;
        let value = x[at] + bias[i as usize];
        x[at] = rounded(0.5f32 * value * (1.0f32 + erf(value * f32::new(std::f32::consts::FRAC_1_SQRT_2))), numbers);
    }
}

/// The error function to 2e-7: formula 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical
/// Functions.
#[cube]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0f32 / fma(0.327_591_1_f32, size, 1.0f32);
    let mut sum = 1.061_405_4_f32;
    sum = fma(sum, t, -1.453_152_f32);
    sum = fma(sum, t, 1.421_413_8_f32);
    sum = fma(sum, t, -0.284_496_74_f32);
    sum = fma(sum, t, 0.254_829_6_f32);
    let tail = 1.0f32 - sum * t * exp(-(size * size));
    let mut result = tail;
    if x < 0.0f32 {
        result = -tail;
    }
    result
}
