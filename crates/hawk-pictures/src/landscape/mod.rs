//! Procedural landscapes: a scene is chosen, painted and described.

mod attributes;
mod canvas;
mod caption;
mod choose;
mod clouds;
mod colour;
mod landmarks;
mod look;
mod noise;
mod paint;
mod painter;
mod plants;
mod scene;
mod sky;
mod strokes;
mod terrain;

pub use attributes::{
    Flyer, Front, Height, Landmark, Light, Luminary, Phenomenon, Season, Side, Style, Terrain, Time, Weather,
};
pub use paint::Stage;
pub use scene::Scene;
