//! Puts scenes into words.

use super::{
    attributes::{Flyer, Height, Landmark, Light, Luminary, Phenomenon, Season, Side, Style, Terrain, Time, Weather},
    scene::Scene,
};
use crate::random::Random;

impl Scene {
    /// A caption in one of several wordings that names a random subset of the attributes.
    pub fn caption(&self, random: &mut Random) -> String {
        let body = match random.below(10) {
            0..6 => described(self, random),
            6..8 => timed(self, random),
            _ => listed(self, random),
        };
        if random.chance(0.35) {
            return body;
        }
        match (self.style, random.below(4)) {
            (Style::Painterly, 0) => format!("a painting of {body}"),
            (Style::Painterly, 1) => format!("{body}, painting"),
            (Style::Painterly, _) => format!("{body}, painterly style"),
            (Style::PaperCut, 0) => format!("a paper-cut of {body}"),
            (Style::PaperCut, 1) => format!("{body}, paper-cut"),
            (Style::PaperCut, _) => format!("{body}, paper-cut style"),
        }
    }

    /// The words for "in ..." behind a thing: "in a snowy pine forest", "on a beach at sunset".
    pub fn place_phrase(&self, random: &mut Random) -> String {
        let preposition = match self.terrain {
            Terrain::Mountains => "in front of",
            Terrain::Lake => "by",
            Terrain::Hills | Terrain::Beach | Terrain::SnowField | Terrain::Sea => "on",
            Terrain::City => "in front of",
            _ => "in",
        };
        let mut phrase = format!("{preposition} {}", land(self, random, 0.6));
        if random.chance(0.6) {
            phrase = format!("{phrase} {}", at_time(self.time, random));
        }
        if random.chance(0.2) {
            if let Some(weather) = in_weather(self.weather) {
                phrase = format!("{phrase} {weather}");
            }
        } else if random.chance(0.3)
            && let Some(item) = items(self, random, 0.6).first()
        {
            phrase = format!("{phrase} with {item}");
        }
        phrase
    }
}

/// "a snowy mountain range at dusk under a cloudy sky with a full moon on the left and a house"
fn described(scene: &Scene, random: &mut Random) -> String {
    let mut text = land(scene, random, 0.6);
    if random.chance(0.65) {
        text = format!("{text} {}", at_time(scene.time, random));
    }
    if random.chance(0.5)
        && let Some(weather) = in_weather(scene.weather)
    {
        text = format!("{text} {weather}");
    }
    with_items(text, scene, random)
}

/// "sunset over a canyon with birds"
fn timed(scene: &Scene, random: &mut Random) -> String {
    let time = match scene.time {
        Time::Day => random.pick(&["a day", "daytime"]),
        Time::Night => random.pick(&["night", "a night"]),
        time => time.word(),
    };
    let sky = match (scene.weather, random.chance(0.4)) {
        (Weather::Clear, true) => "clear ",
        (Weather::Cloudy, true) => "cloudy ",
        (Weather::Overcast, true) => "overcast ",
        (Weather::Fog, true) => "foggy ",
        (Weather::Rain, true) => "rainy ",
        _ => "",
    };
    let time = match (time.strip_prefix("a "), sky) {
        (Some(noun), _) => with_article(&format!("{sky}{noun}")),
        (None, _) => format!("{sky}{time}"),
    };
    let text = format!("{time} over {}", land(scene, random, 0.4));
    with_items(text, scene, random)
}

/// "hills, autumn, sunset, birds"
fn listed(scene: &Scene, random: &mut Random) -> String {
    let mut words = vec![noun(scene.terrain, random).1.to_string()];
    if let Some(season) = scene.season.filter(|_| random.chance(0.5)) {
        words.push(season.word().to_string());
    }
    if random.chance(0.7) {
        words.push(scene.time.word().to_string());
    }
    if random.chance(0.4) {
        let word = match scene.weather {
            Weather::Clear => "clear sky",
            Weather::Cloudy => "clouds",
            Weather::Overcast => "overcast sky",
            Weather::Fog => "fog",
            Weather::Rain => "rain",
            Weather::Snow => "falling snow",
        };
        words.push(word.to_string());
    }
    words.extend(items(scene, random, 0.6));
    words.join(", ")
}

fn with_items(text: String, scene: &Scene, random: &mut Random) -> String {
    match items(scene, random, 0.65).as_slice() {
        [] => text,
        [one] => format!("{text} with {one}"),
        [first @ .., last] => format!("{text} with {} and {last}", first.join(", ")),
    }
}

/// The terrain with its article; each adjective that holds is named with probability `often`.
fn land(scene: &Scene, random: &mut Random, often: f32) -> String {
    let (article, noun) = noun(scene.terrain, random);
    let mut adjectives = Vec::new();
    if let Some(season) = scene.season.filter(|_| scene.terrain != Terrain::SnowField && random.chance(often)) {
        match season {
            Season::Spring => adjectives.push(random.pick(&["spring", "flowering"])),
            Season::Summer => adjectives.push(random.pick(&["summer", "green"])),
            Season::Autumn => adjectives.push("autumn"),
            Season::Winter => adjectives.push(random.pick(&["snowy", "winter", "snow-covered"])),
        }
    }
    let phrase = adjectives.iter().map(|word| format!("{word} ")).collect::<String>() + noun;
    match article {
        Article::A => with_article(&phrase),
        Article::The if adjectives.is_empty() => format!("the {phrase}"),
        Article::The | Article::Bare => phrase,
    }
}

#[derive(Clone, Copy)]
enum Article {
    A,
    The,
    Bare,
}

fn noun(terrain: Terrain, random: &mut Random) -> (Article, &'static str) {
    use Article::{A, Bare, The};
    let nouns: &[(Article, &'static str)] = match terrain {
        Terrain::Mountains => &[(A, "mountain range"), (Bare, "mountains")],
        Terrain::Hills => &[(Bare, "rolling hills"), (Bare, "hills")],
        Terrain::Dunes => &[(Bare, "sand dunes"), (A, "desert"), (Bare, "desert dunes")],
        Terrain::Sea => &[(The, "sea"), (The, "ocean")],
        Terrain::Beach => &[(A, "beach"), (A, "sandy beach")],
        Terrain::Lake => &[(A, "lake"), (A, "mountain lake")],
        Terrain::PineForest => &[(A, "pine forest")],
        Terrain::LeafyForest => &[(A, "leafy forest"), (A, "forest of leafy trees")],
        Terrain::SnowField => &[(A, "snow field"), (A, "snowy plain")],
        Terrain::Canyon => &[(A, "canyon"), (A, "red rock canyon")],
        Terrain::Islands => &[(Bare, "islands"), (Bare, "islands in the sea")],
        Terrain::City => &[(A, "city skyline"), (A, "city")],
    };
    random.pick(nouns)
}

fn with_article(phrase: &str) -> String {
    let article = if phrase.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {phrase}")
}

fn at_time(time: Time, random: &mut Random) -> &'static str {
    match time {
        Time::Dawn => random.pick(&["at dawn", "at sunrise"]),
        Time::Day => random.pick(&["by day", "in daylight"]),
        Time::Sunset => "at sunset",
        Time::Dusk => random.pick(&["at dusk", "at twilight"]),
        Time::Night => random.pick(&["at night", "by night"]),
    }
}

fn in_weather(weather: Weather) -> Option<&'static str> {
    Some(match weather {
        Weather::Clear => "under a clear sky",
        Weather::Cloudy => "under a cloudy sky",
        Weather::Overcast => "under an overcast sky",
        Weather::Fog => "in fog",
        Weather::Rain => "in the rain",
        Weather::Snow => "in falling snow",
    })
}

/// Noun phrases of what can be counted in the scene, each with probability `often`.
fn items(scene: &Scene, random: &mut Random, often: f32) -> Vec<String> {
    let mut items = Vec::new();
    if let Some(phenomenon) = scene.phenomenon.filter(|_| random.chance(often + 0.1)) {
        let word = match phenomenon {
            Phenomenon::Stars => random.pick(&["stars", "many stars"]),
            Phenomenon::Aurora => random.pick(&["aurora", "northern lights"]),
            Phenomenon::Rainbow => "a rainbow",
        };
        items.push(word.to_string());
    }
    if let Some(light) = scene.light.filter(|_| random.chance(often)) {
        items.push(light_words(light, random));
    }
    if let Some(landmark) = scene.landmark.filter(|_| random.chance(often + 0.15)) {
        let word = match landmark {
            Landmark::Trees => "trees",
            Landmark::Palms => random.pick(&["palm trees", "palms"]),
            Landmark::Cacti => "cacti",
            Landmark::Lighthouse => "a lighthouse",
            Landmark::House => random.pick(&["a house", "a house with lit windows"]),
            Landmark::Windmill => "a windmill",
            Landmark::Sailboat => random.pick(&["a sailboat", "a sailing boat"]),
            Landmark::Bridge => "a bridge",
        };
        items.push(word.to_string());
    }
    if let Some(flyer) = scene.flyer.filter(|_| random.chance(often + 0.15)) {
        let word = match flyer {
            Flyer::Birds => random.pick(&["birds", "a flock of birds"]),
            Flyer::Balloon => "a hot-air balloon",
        };
        items.push(word.to_string());
    }
    items
}

fn light_words(light: Light, random: &mut Random) -> String {
    let kind = match light.luminary {
        Luminary::Sun => "sun",
        Luminary::FullMoon => random.pick(&["moon", "full moon"]),
        Luminary::CrescentMoon => random.pick(&["moon", "crescent moon"]),
    };
    let height = match (light.height, random.chance(0.3)) {
        (Height::Low, true) => "low ",
        (Height::High, true) => "high ",
        _ => "",
    };
    let side = match (light.side, random.chance(0.4)) {
        (Side::Left, true) => " on the left",
        (Side::Middle, true) => " in the middle",
        (Side::Right, true) => " on the right",
        _ => "",
    };
    let article = if height.is_empty() && kind == "sun" { "the" } else { "a" };
    format!("{article} {height}{kind}{side}")
}
