//! The parts of every terrain: the horizon, what lies behind, the ground in front.

use super::{city, desert, forest, grass, ground::Ground, mountains, water};
use crate::landscape::{attributes::Terrain, painter::Painter};

/// The row of the horizon.
pub(crate) fn horizon(painter: &mut Painter) -> f32 {
    let (low, high) = match painter.scene.terrain {
        Terrain::Mountains => (74.0, 86.0),
        Terrain::Hills | Terrain::SnowField => (58.0, 72.0),
        Terrain::Dunes => (62.0, 76.0),
        Terrain::Sea | Terrain::Islands => (58.0, 74.0),
        Terrain::Beach => (54.0, 66.0),
        Terrain::Lake => (62.0, 74.0),
        Terrain::PineForest | Terrain::LeafyForest => (72.0, 84.0),
        Terrain::Canyon => (74.0, 86.0),
        Terrain::City => (80.0, 92.0),
    };
    painter.random.between(low, high)
}

/// Paints the land behind; the sky will be put behind it.
pub(crate) fn back(painter: &mut Painter) {
    match painter.scene.terrain {
        Terrain::Mountains => mountains::back(painter),
        Terrain::Hills => grass::hills(painter),
        Terrain::SnowField => grass::snow_field(painter),
        Terrain::Dunes => desert::dunes(painter),
        Terrain::Canyon => desert::canyon(painter),
        Terrain::Sea | Terrain::Beach => water::coast(painter),
        Terrain::Islands => water::islands(painter),
        Terrain::Lake => mountains::around_lake(painter),
        Terrain::PineForest | Terrain::LeafyForest => forest::back(painter),
        Terrain::City => city::back(painter),
    }
}

/// Paints the ground in front over land and sky.
pub(crate) fn front(painter: &mut Painter) -> Ground {
    match painter.scene.terrain {
        Terrain::Mountains | Terrain::Hills => grass::meadow(painter),
        Terrain::SnowField => grass::drifts(painter),
        Terrain::Dunes => desert::sand(painter),
        Terrain::Canyon => desert::floor(painter),
        Terrain::Sea | Terrain::Islands => water::open(painter),
        Terrain::Beach => water::beach(painter),
        Terrain::Lake => water::lake(painter),
        Terrain::PineForest | Terrain::LeafyForest => forest::clearing(painter),
        Terrain::City => city::front(painter),
    }
}
