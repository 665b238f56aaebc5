//! The ground in front, on which things may stand.

use std::ops::Range;

/// The ground in front.
pub(crate) struct Ground {
    /// Its far edge, in pixels from the top.
    pub(crate) top: f32,
    /// The rows on which feet may stand.
    pub(crate) feet: Range<f32>,
    pub(crate) on_water: bool,
}

impl Ground {
    pub(super) fn land(top: f32) -> Self {
        let first = (top + 8.0).min(116.0);
        Self { top, feet: first..124.0, on_water: false }
    }

    pub(super) fn water(top: f32) -> Self {
        Self { top, feet: (top + 20.0).min(110.0)..122.0, on_water: true }
    }
}
