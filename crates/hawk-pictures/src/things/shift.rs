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
    /// Things alone in the middle, in one size, so that a small model may learn their cells by
    /// heart; other things as under `Cells`.
    Fixed,
}

impl Shift {
    /// Every choice by its name on command lines.
    pub const NAMES: [(&'static str, Self); 3] =
        [("cells", Self::Cells), ("pixels", Self::Pixels), ("fixed", Self::Fixed)];

    /// The choice of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, shift)| *shift)
    }

    /// Places and sizes are multiples of so many pixels.
    pub(crate) fn step(self) -> u32 {
        match self {
            Self::Cells | Self::Fixed => CELL,
            Self::Pixels => 1,
        }
    }

    /// A length between `least` and `most` pixels, both included. Only under `Pixels` it may be other
    /// than a multiple of 8.
    pub(crate) fn length(self, least: u32, most: u32, random: &mut Random) -> u32 {
        let step = self.step();
        let (first, last) = (least.div_ceil(step), (most / step).max(least.div_ceil(step)));
        (first + random.below((last - first + 1) as usize) as u32) * step
    }
}
