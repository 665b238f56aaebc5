//! RMSNorm of rows.

use cubecl::prelude::*;

use super::numbers::{Numbers, rounded};
use super::reduce::{Reduction, UNITS, reduced};

/// What happens to a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NormInto {
    /// It is stored, rounded as products read it.
    Store,
    /// It is added to what is there.
    Add,
}

/// `out[i] = x[pick[i]] / rms(x[pick[i]]) * weight`, a cube a row.
#[allow(clippy::too_many_arguments, reason = "the parameters of a kernel are its buffers and sizes")]
#[cube(launch_unchecked)]
pub(crate) fn norm(
    x: &[f32],
    weight: &[f32],
    pick: &[u32],
    out: &mut [f32],
    width: u32,
    stride: u32,
    eps: f32,
    #[comptime] into: NormInto,
    #[comptime] numbers: Numbers,
) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS as usize);
    let from = pick[CUBE_POS_X as usize] * stride;
    let to = CUBE_POS_X * stride;
    let mut part = 0.0f32;
    for i in range_stepped(UNIT_POS, width, UNITS) {
        let value = x[(from + i) as usize];
        part = fma(value, value, part);
    }
    let sum = reduced(part, &mut parts, Reduction::Sum);
    let scale = 1.0f32 / f32::sqrt(sum / f32::cast_from(width) + eps);
    for i in range_stepped(UNIT_POS, width, UNITS) {
        let value = x[(from + i) as usize] * scale * weight[i as usize];
        match comptime!(into) {
            NormInto::Store => out[(to + i) as usize] = rounded(value, numbers),
            NormInto::Add => out[(to + i) as usize] += value,
        }
    }
}
