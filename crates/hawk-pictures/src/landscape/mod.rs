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
mod painter;
mod plants;
mod sky;
mod strokes;
mod terrain;

pub use attributes::{
    Flyer, Front, Height, Landmark, Light, Luminary, Phenomenon, Season, Side, Style, Terrain, Time, Weather,
};

use crate::{picture::Picture, random::Random};
use canvas::Canvas;
use look::Look;
use painter::Painter;
use std::{collections::BTreeMap, ops::Range};

/// Everything about a landscape that a caption can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The shape of the land.
    pub terrain: Terrain,
    /// The time of day.
    pub time: Time,
    /// The weather.
    pub weather: Weather,
    /// A light in the sky besides sun and moon.
    pub phenomenon: Option<Phenomenon>,
    /// The sun or the moon, where one is seen.
    pub light: Option<Light>,
    /// The season, where the land shows it.
    pub season: Option<Season>,
    /// A thing on the ground or on the water.
    pub landmark: Option<Landmark>,
    /// A thing in the air.
    pub flyer: Option<Flyer>,
    /// How it is rendered.
    pub style: Style,
    /// What the front is left to.
    pub front: Front,
}

/// Where a thing may stand in a painted scene, and in what light.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The far edge of the ground in front, in pixels from the top.
    pub ground_top: f32,
    /// The rows, in pixels from the top, on which the feet of a thing may stand.
    pub feet: Range<f32>,
    /// The colour of the light: what the red, green and blue of a thing are multiplied by, each in 0 to 1.
    pub shade: [f32; 3],
    /// Whether the light comes from the left, so that shadows fall to the right.
    pub light_from_left: bool,
    /// Whether the ground in front is water.
    pub on_water: bool,
}

impl Scene {
    /// A scene of attributes that go together.
    pub fn random(random: &mut Random) -> Self {
        choose::scene(random, Front::Filled)
    }

    /// A scene that a thing can stand in: nothing large in front.
    pub fn random_stage(random: &mut Random) -> Self {
        choose::scene(random, Front::Open)
    }

    /// The picture, and where a thing may stand in it. What no caption names is random: ridges, textures, colours.
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

    /// A caption in one of several wordings that names a random subset of the attributes.
    pub fn caption(&self, random: &mut Random) -> String {
        caption::caption(self, random)
    }

    /// The words for "in ..." behind a thing: "in a snowy pine forest", "on a beach at sunset".
    pub fn place_phrase(&self, random: &mut Random) -> String {
        caption::place_phrase(self, random)
    }

    /// The words of all attributes by their names, for records.
    pub fn attributes(&self) -> BTreeMap<&'static str, &'static str> {
        let mut words = BTreeMap::from([
            ("terrain", self.terrain.word()),
            ("time", self.time.word()),
            ("weather", self.weather.word()),
            ("style", self.style.word()),
        ]);
        let optional = [
            ("phenomenon", self.phenomenon.map(Phenomenon::word)),
            ("luminary", self.light.map(|light| light.luminary.word())),
            ("side", self.light.map(|light| light.side.word())),
            ("height", self.light.map(|light| light.height.word())),
            ("season", self.season.map(Season::word)),
            ("landmark", self.landmark.map(Landmark::word)),
            ("flyer", self.flyer.map(Flyer::word)),
        ];
        words.extend(optional.into_iter().filter_map(|(name, word)| Some((name, word?))));
        words
    }
}
