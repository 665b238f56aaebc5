//! The blocks of one resolution.

use hawk_kernels::Threads;

use super::layers::{Attention, Conv, ResBlock, Zoom};
use super::plane::Plane;

/// The blocks of one resolution, each with the attention that follows it.
pub(super) struct Level {
    pub(super) blocks: Vec<(ResBlock, Option<Attention>)>,
    /// To the next level's resolution; there on all but the last.
    pub(super) resample: Option<Conv>,
}

impl Level {
    pub(super) fn apply(&self, pool: &Threads, mut plane: Plane, zoom: Zoom) -> Plane {
        for (block, attention) in &self.blocks {
            plane = block.apply(pool, plane);
            if let Some(attention) = attention {
                plane = attention.apply(pool, plane);
            }
        }
        match &self.resample {
            Some(resample) => resample.apply_zoomed(pool, &plane, zoom),
            None => plane,
        }
    }
}

/// The blocks at the coarsest resolution.
pub(super) struct Mid {
    pub(super) block_1: ResBlock,
    pub(super) attention: Attention,
    pub(super) block_2: ResBlock,
}

impl Mid {
    pub(super) fn apply(&self, pool: &Threads, plane: Plane) -> Plane {
        self.block_2.apply(pool, self.attention.apply(pool, self.block_1.apply(pool, plane)))
    }
}
