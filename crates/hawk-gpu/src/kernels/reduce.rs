//! Reductions over the units of a cube.

use cubecl::prelude::*;

/// Units of a cube that reduces.
pub(crate) const UNITS: u32 = 128;

/// What becomes of the parts of the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reduction {
    /// They are added.
    Sum,
    /// The largest is taken.
    Most,
}

/// The parts of the [`UNITS`] units of a cube reduced in a fixed tree, for all of them.
#[cube]
pub(crate) fn reduced(part: f32, parts: &mut Shared<[f32]>, #[comptime] reduction: Reduction) -> f32 {
    parts[UNIT_POS as usize] = part;
    sync_cube();
    #[unroll]
    for level in 0..7u32 {
        let half = comptime!(UNITS >> (level + 1));
        if UNIT_POS < half {
            let other = parts[(UNIT_POS + half) as usize];
            match comptime!(reduction) {
                Reduction::Sum => parts[UNIT_POS as usize] += other,
                Reduction::Most => parts[UNIT_POS as usize] = max(parts[UNIT_POS as usize], other),
            }
        }
        sync_cube();
    }
    let result = parts[0];
    sync_cube();
    result
}
