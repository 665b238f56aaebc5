//! The cells of the token grid, and whether things keep to them.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Side of a cell of the token grid, in pixels.
pub const CELL: u32 = 8;

/// Where things may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// At whole cells, in sizes of whole cells: the same drawing cuts into the same cells wherever
    /// it stands.
    #[default]
    Cells,
    /// At any pixel, in any size.
    Pixels,
}

impl Shift {
    /// A length between `least` and `most` pixels, both included. Under `Cells` it is a
    /// multiple of 8.
    pub(crate) fn length(self, least: u32, most: u32, random: &mut Random) -> u32 {
        let step = match self {
            Self::Cells => CELL,
            Self::Pixels => 1,
        };
        let (first, last) = (least.div_ceil(step), (most / step).max(least.div_ceil(step)));
        (first + random.below((last - first + 1) as usize) as u32) * step
    }
}
