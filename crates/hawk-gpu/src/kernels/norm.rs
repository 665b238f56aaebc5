//! RMSNorm of rows.

use cubecl::prelude::*;

use super::numbers::{Numbers, rounded};

/// Units of a row.
pub(crate) const UNITS: u32 = 128;

/// What happens to a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NormInto {
    /// It is stored, rounded as products read it.
    Store,
    /// It is added to what is there.
    Add,
}

/// The sum over the units of a cube, in a fixed tree, for all of them.
#[cube]
pub(crate) fn sum_of_units(part: f32, parts: &mut Shared<[f32]>) -> f32 {
    parts[UNIT_POS as usize] = part;
    sync_cube();
    #[unroll]
    for level in 0..7u32 {
        let half = comptime!(UNITS >> (level + 1));
        if UNIT_POS < half {
            parts[UNIT_POS as usize] += parts[(UNIT_POS + half) as usize];
        }
        sync_cube();
    }
    let sum = parts[0];
    sync_cube();
    sum
}

/// The largest over the units of a cube, for all of them.
#[cube]
pub(crate) fn most_of_units(part: f32, parts: &mut Shared<[f32]>) -> f32 {
    parts[UNIT_POS as usize] = part;
    sync_cube();
    #[unroll]
    for level in 0..7u32 {
        let half = comptime!(UNITS >> (level + 1));
        if UNIT_POS < half {
            parts[UNIT_POS as usize] = max(parts[UNIT_POS as usize], parts[(UNIT_POS + half) as usize]);
        }
        sync_cube();
    }
    let most = parts[0];
    sync_cube();
    most
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
    let sum = sum_of_units(part, &mut parts);
    let scale = 1.0f32 / f32::sqrt(sum / f32::cast_from(width) + eps);
    for i in range_stepped(UNIT_POS, width, UNITS) {
        let value = x[(from + i) as usize] * scale * weight[i as usize];
        match comptime!(into) {
            NormInto::Store => out[(to + i) as usize] = rounded(value, numbers),
            NormInto::Add => out[(to + i) as usize] += value,
        }
    }
}
