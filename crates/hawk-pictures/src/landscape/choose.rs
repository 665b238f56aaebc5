//! Chooses scenes whose attributes go together.

use super::{
    attributes::{
        Flyer, Front, Height, Landmark, Light, Luminary, Phenomenon, Season, Side, Style, Terrain, Time, Weather,
    },
    scene::Scene,
};
use crate::random::Random;

impl Scene {
    /// A scene of attributes that go together.
    pub fn random(random: &mut Random) -> Self {
        scene(random, Front::Filled)
    }

    /// A scene that a thing can stand in: nothing large in front.
    pub fn random_stage(random: &mut Random) -> Self {
        scene(random, Front::Open)
    }
}

fn scene(random: &mut Random, front: Front) -> Scene {
    let terrain = terrain(random, front);
    let time = random.weighted(&[
        (Time::Dawn, 1.0),
        (Time::Day, 1.5),
        (Time::Sunset, 1.1),
        (Time::Dusk, 0.9),
        (Time::Night, 1.2),
    ]);
    let season = season(random, terrain);
    let weather = weather(random, terrain, time, season);
    let phenomenon = phenomenon(random, terrain, time, weather);
    let light = light(random, time, weather, phenomenon);
    Scene {
        terrain,
        time,
        weather,
        phenomenon,
        light,
        season,
        landmark: landmark(random, terrain, season, front),
        flyer: flyer(random, time, weather),
        style: random.weighted(&[(Style::Painterly, 0.6), (Style::PaperCut, 0.4)]),
        front,
    }
}

fn terrain(random: &mut Random, front: Front) -> Terrain {
    let ashore = [Terrain::Islands];
    loop {
        let terrain = random.pick(Terrain::ALL);
        if front == Front::Filled || !ashore.contains(&terrain) {
            return terrain;
        }
    }
}

/// The season, or `None` where nothing in the terrain shows it.
fn season(random: &mut Random, terrain: Terrain) -> Option<Season> {
    use Season::{Autumn, Spring, Summer, Winter};
    let choices: &[(Option<Season>, f32)] = match terrain {
        Terrain::Mountains | Terrain::PineForest => &[(Some(Summer), 0.6), (Some(Winter), 0.4)],
        Terrain::Hills | Terrain::LeafyForest => {
            &[(Some(Spring), 0.2), (Some(Summer), 0.35), (Some(Autumn), 0.25), (Some(Winter), 0.2)]
        }
        Terrain::Lake => &[(Some(Summer), 0.5), (Some(Autumn), 0.25), (Some(Winter), 0.25)],
        Terrain::City => &[(None, 0.8), (Some(Winter), 0.2)],
        Terrain::SnowField => &[(Some(Winter), 1.0)],
        Terrain::Dunes | Terrain::Sea | Terrain::Beach | Terrain::Canyon | Terrain::Islands => &[(None, 1.0)],
    };
    random.weighted(choices)
}

fn weather(random: &mut Random, terrain: Terrain, time: Time, season: Option<Season>) -> Weather {
    let dry = matches!(terrain, Terrain::Dunes | Terrain::Canyon);
    let winter = season == Some(Season::Winter);
    let grey = matches!(time, Time::Day | Time::Dusk | Time::Night);
    let weight = |allowed: bool, weight: f32| if allowed { weight } else { 0.0 };
    random.weighted(&[
        (Weather::Clear, 1.0),
        (Weather::Cloudy, 0.9),
        (Weather::Overcast, weight(grey && !dry, if time == Time::Day { 0.4 } else { 0.15 })),
        (Weather::Fog, weight(!dry, 0.4)),
        (Weather::Rain, weight(grey && !dry && !winter, if time == Time::Day { 0.5 } else { 0.3 })),
        (Weather::Snow, weight(grey && winter, 0.9)),
    ])
}

fn phenomenon(random: &mut Random, terrain: Terrain, time: Time, weather: Weather) -> Option<Phenomenon> {
    let northern = !matches!(terrain, Terrain::Dunes | Terrain::Canyon | Terrain::Beach | Terrain::City);
    match (time, weather) {
        (Time::Night, Weather::Clear) => random.weighted(&[
            (Some(Phenomenon::Stars), 0.5),
            (Some(Phenomenon::Aurora), if northern { 0.4 } else { 0.0 }),
            (None, 0.2),
        ]),
        (Time::Dusk, Weather::Clear) => random.weighted(&[(Some(Phenomenon::Stars), 0.4), (None, 0.6)]),
        (Time::Day, Weather::Clear | Weather::Cloudy | Weather::Rain) => {
            random.weighted(&[(Some(Phenomenon::Rainbow), 0.25), (None, 0.75)])
        }
        _ => None,
    }
}

/// A rainbow has the sun behind whoever looks at it, so it is alone in the sky.
fn light(random: &mut Random, time: Time, weather: Weather, phenomenon: Option<Phenomenon>) -> Option<Light> {
    let hidden = matches!(weather, Weather::Overcast | Weather::Rain | Weather::Snow);
    if hidden || phenomenon == Some(Phenomenon::Rainbow) || random.chance(0.25) {
        return None;
    }
    let luminary = match time {
        Time::Dawn | Time::Day | Time::Sunset => Luminary::Sun,
        Time::Dusk | Time::Night => random.weighted(&[(Luminary::FullMoon, 0.6), (Luminary::CrescentMoon, 0.4)]),
    };
    let high = match time {
        Time::Dawn | Time::Sunset => 0.15,
        Time::Day => 0.75,
        Time::Dusk | Time::Night => 0.6,
    };
    let height = if random.chance(high) { Height::High } else { Height::Low };
    Some(Light { luminary, side: random.pick(Side::ALL), height })
}

/// The landmarks that a terrain can hold.
fn landmarks(terrain: Terrain) -> &'static [Landmark] {
    use Landmark::{Bridge, Cacti, House, Lighthouse, Palms, Sailboat, Trees, Windmill};
    match terrain {
        Terrain::Mountains => &[Trees, House, Bridge],
        Terrain::Hills => &[Trees, House, Windmill],
        Terrain::Dunes => &[Cacti, Palms],
        Terrain::Sea => &[Sailboat, Lighthouse],
        Terrain::Beach => &[Palms, Sailboat, Lighthouse],
        Terrain::Lake => &[Sailboat, House, Trees],
        Terrain::PineForest | Terrain::LeafyForest => &[House],
        Terrain::SnowField => &[Trees, House],
        Terrain::Canyon => &[Cacti, Bridge],
        Terrain::Islands => &[Lighthouse, Sailboat, Palms],
        Terrain::City => &[Bridge, Sailboat],
    }
}

fn landmark(random: &mut Random, terrain: Terrain, season: Option<Season>, front: Front) -> Option<Landmark> {
    if front == Front::Open || random.chance(0.4) {
        return None;
    }
    let landmark = random.pick(landmarks(terrain));
    let frozen = season == Some(Season::Winter) && landmark == Landmark::Sailboat;
    (!frozen).then_some(landmark)
}

fn flyer(random: &mut Random, time: Time, weather: Weather) -> Option<Flyer> {
    let calm = matches!(weather, Weather::Clear | Weather::Cloudy);
    if !calm || time == Time::Night {
        return None;
    }
    let balloon = if time == Time::Dusk { 0.0 } else { 0.16 };
    random.weighted(&[(None, 0.66), (Some(Flyer::Birds), 0.18), (Some(Flyer::Balloon), balloon)])
}
