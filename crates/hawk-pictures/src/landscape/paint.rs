//! Paints scenes, part after part.

use super::{
    attributes::{Phenomenon, Style, Terrain},
    canvas::Canvas,
    clouds, landmarks,
    look::Look,
    painter::Painter,
    scene::Scene,
    sky, strokes, terrain,
};
use crate::{picture::Picture, random::Random};
use std::ops::Range;

/// Where a thing may stand in a painted scene, and in what light.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The far edge of the ground in front, in pixels from the top.
    pub ground_top: f32,
    /// The rows, in pixels from the top, on which the feet of a thing may stand.
    pub feet: Range<f32>,
    /// The colour of the light: the factors of a thing's red, green and blue, each in 0 to 1.
    pub shade: [f32; 3],
    /// Whether the light comes from the left, so that shadows fall to the right.
    pub light_from_left: bool,
    /// Whether the ground in front is water.
    pub on_water: bool,
}

impl Scene {
    /// The picture, and where a thing may stand in it. What no caption names is random: ridges,
    /// textures, colours.
    pub fn paint(&self, random: &mut Random) -> (Picture, Stage) {
        let mut random = random.fork();
        let look = Look::new(self, &mut random);
        let canvas = Canvas::clear();
        let mut painter = Painter { scene: self, look, random, canvas, mirror: None, horizon: 64.0, disc: None };
        painter.horizon = terrain::horizon(&mut painter);
        terrain::back(&mut painter);
        let land = std::mem::replace(&mut painter.canvas, Canvas::clear());
        sky::paint(&mut painter, &land.skyline());
        if self.phenomenon == Some(Phenomenon::Rainbow) {
            painter.mirror = Some(land.clone().over(painter.canvas.clone()));
            sky::rainbow(&mut painter);
        }
        painter.canvas = land.over(painter.canvas);
        let horizon = painter.horizon;
        clouds::fog(&mut painter, horizon - 6.0, 20.0);
        let ground = terrain::front(&mut painter);
        if ground.on_water || self.terrain == Terrain::Beach {
            clouds::fog(&mut painter, horizon + 2.0, 13.0);
        }
        if self.style == Style::Painterly {
            strokes::brush(&mut painter.canvas);
        }
        landmarks::paint(&mut painter, &ground);
        landmarks::fly(&mut painter);
        clouds::fall(&mut painter);
        let stage = Stage {
            ground_top: ground.top,
            feet: ground.feet,
            shade: look.light,
            light_from_left: look.light_side < 0.0,
            on_water: ground.on_water,
        };
        (painter.canvas.picture(), stage)
    }
}
