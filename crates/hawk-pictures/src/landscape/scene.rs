//! What a landscape is made of, before it is painted.

use super::attributes::{Flyer, Front, Landmark, Light, Phenomenon, Season, Style, Terrain, Time, Weather};
use crate::split;
use std::collections::BTreeMap;

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

impl Scene {
    /// Whether its sky shows an aurora.
    #[must_use]
    pub fn has_aurora(&self) -> bool {
        self.phenomenon == Some(Phenomenon::Aurora)
    }

    /// Whether this terrain, time, weather and rendering are kept out of training together.
    #[must_use]
    pub fn is_held_out(&self) -> bool {
        let words = [self.terrain.word(), self.time.word(), self.weather.word(), self.style.word()];
        split::is_held_out("landscape", &words.join(" & "))
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
