//! Procedural landscapes: a scene is chosen, painted and described.

mod attributes;
mod caption;
mod choose;

pub use attributes::{
    Flyer, Front, Height, Landmark, Light, Luminary, Phenomenon, Season, Side, Style, Terrain, Time, Weather,
};

use crate::{
    picture::{Picture, SIDE},
    random::Random,
};
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
        let (top, low) = match self.time {
            Time::Dawn => ([150., 170., 215.], [250., 200., 185.]),
            Time::Day => ([70., 140., 220.], [200., 228., 245.]),
            Time::Sunset => ([90., 50., 110.], [255., 150., 70.]),
            Time::Dusk => ([40., 36., 90.], [180., 110., 160.]),
            Time::Night => ([8., 12., 36.], [36., 54., 100.]),
        };
        let horizon = random.between(56.0, 76.0);
        let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
        for y in 0..SIDE {
            let part = (y as f32 / horizon).min(1.0);
            let shade = if y as f32 > horizon { 0.5 } else { 1.0 };
            for _ in 0..SIDE {
                rgb.extend((0..3).map(|c: usize| ((top[c] + (low[c] - top[c]) * part) * shade) as u8));
            }
        }
        let stage =
            Stage { ground_top: horizon, feet: 100.0..124.0, shade: [1.0; 3], light_from_left: true, on_water: false };
        (Picture { rgb }, stage)
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
