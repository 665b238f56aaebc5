//! What holds for every scene, caption and picture.

use hawk_pictures::{
    landscape::{
        Flyer, Front, Height, Landmark, Luminary, Phenomenon, Scene, Season, Side, Stage, Style, Terrain, Time, Weather,
    },
    picture::{Picture, SIDE},
    random::Random,
};
use std::collections::{BTreeSet, HashSet};

fn scenes(count: u64) -> impl Iterator<Item = (Scene, Random)> {
    (0..count).map(|index| {
        let mut random = Random::new(11, index);
        let scene = if index % 4 == 0 { Scene::random_stage(&mut random) } else { Scene::random(&mut random) };
        (scene, random)
    })
}

fn paint(seed: u64, index: u64) -> (Picture, Stage) {
    let mut random = Random::new(seed, index);
    Scene::random(&mut random).paint(&mut random)
}

#[test]
fn pictures_depend_on_seed_and_index_alone() {
    for index in 0..24 {
        assert_eq!(paint(3, index), paint(3, index));
    }
}

#[test]
fn pictures_differ() {
    let mut seen = HashSet::new();
    for seed in 0..3 {
        for index in 0..60 {
            let (picture, _) = paint(seed, index);
            assert_eq!(picture.rgb.len(), SIDE * SIDE * 3);
            assert!(seen.insert(picture.rgb), "seed {seed}, index {index}");
        }
    }
}

#[test]
fn one_scene_is_painted_in_many_ways() {
    let mut random = Random::new(5, 5);
    let scene = Scene::random(&mut random);
    let pictures: HashSet<_> = (0..20).map(|_| scene.paint(&mut random).0.rgb).collect();
    assert_eq!(pictures.len(), 20);
}

#[test]
fn every_attribute_occurs() {
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    missing.extend(Terrain::ALL.iter().map(|value| value.word()));
    missing.extend(Time::ALL.iter().map(|value| value.word()));
    missing.extend(Weather::ALL.iter().map(|value| value.word()));
    missing.extend(Phenomenon::ALL.iter().map(|value| value.word()));
    missing.extend(Luminary::ALL.iter().map(|value| value.word()));
    missing.extend(Side::ALL.iter().map(|value| value.word()));
    missing.extend(Height::ALL.iter().map(|value| value.word()));
    missing.extend(Season::ALL.iter().map(|value| value.word()));
    missing.extend(Landmark::ALL.iter().map(|value| value.word()));
    missing.extend(Flyer::ALL.iter().map(|value| value.word()));
    missing.extend(Style::ALL.iter().map(|value| value.word()));
    for (scene, _) in scenes(20_000) {
        for word in scene.attributes().values() {
            missing.remove(word);
        }
    }
    assert!(missing.is_empty(), "never chosen: {missing:?}");
}

#[test]
fn what_does_not_go_together_is_never_chosen() {
    for (scene, _) in scenes(20_000) {
        let winter = scene.season == Some(Season::Winter);
        let night = scene.time == Time::Night;
        let sun = scene.light.is_some_and(|light| light.luminary == Luminary::Sun);
        assert!(!(sun && matches!(scene.time, Time::Night | Time::Dusk)), "{scene:?}");
        assert!(sun || scene.light.is_none() || matches!(scene.time, Time::Night | Time::Dusk), "{scene:?}");
        assert!(scene.phenomenon != Some(Phenomenon::Rainbow) || (scene.time == Time::Day && !sun), "{scene:?}");
        assert!(
            scene.phenomenon != Some(Phenomenon::Aurora) || (night && scene.weather == Weather::Clear),
            "{scene:?}"
        );
        assert!(scene.phenomenon != Some(Phenomenon::Stars) || scene.weather == Weather::Clear, "{scene:?}");
        assert!(scene.weather != Weather::Snow || winter, "{scene:?}");
        assert!(scene.weather != Weather::Rain || !winter, "{scene:?}");
        assert!(!winter || !matches!(scene.landmark, Some(Landmark::Cacti | Landmark::Palms)), "{scene:?}");
        assert!(scene.landmark.is_none() || scene.front == Front::Filled, "{scene:?}");
        let grey = matches!(scene.weather, Weather::Rain | Weather::Snow | Weather::Overcast);
        assert!(!grey || scene.light.is_none(), "{scene:?}");
        assert!(scene.flyer.is_none() || !(night || grey), "{scene:?}");
    }
}

/// Phrases of captions, and the attributes that they claim: any of the words will do.
const CLAIMS: &[(&str, &str, &[&str])] = &[
    ("mountain range", "terrain", &["mountains"]),
    ("mountains", "terrain", &["mountains"]),
    ("hills", "terrain", &["hills"]),
    ("dunes", "terrain", &["dunes"]),
    ("desert", "terrain", &["dunes"]),
    ("sea", "terrain", &["sea", "islands"]),
    ("ocean", "terrain", &["sea"]),
    ("beach", "terrain", &["beach"]),
    ("lake", "terrain", &["lake"]),
    ("pine forest", "terrain", &["pine forest"]),
    ("leafy", "terrain", &["leafy forest"]),
    ("snow field", "terrain", &["snow field"]),
    ("snowy plain", "terrain", &["snow field"]),
    ("canyon", "terrain", &["canyon"]),
    ("islands", "terrain", &["islands"]),
    ("city", "terrain", &["city"]),
    ("dawn", "time", &["dawn"]),
    ("sunrise", "time", &["dawn"]),
    ("day", "time", &["day"]),
    ("daytime", "time", &["day"]),
    ("daylight", "time", &["day"]),
    ("sunset", "time", &["sunset"]),
    ("dusk", "time", &["dusk"]),
    ("twilight", "time", &["dusk"]),
    ("night", "time", &["night"]),
    ("clear", "weather", &["clear"]),
    ("cloudy", "weather", &["cloudy"]),
    ("clouds", "weather", &["cloudy"]),
    ("overcast", "weather", &["overcast"]),
    ("fog", "weather", &["fog"]),
    ("foggy", "weather", &["fog"]),
    ("rain", "weather", &["rain"]),
    ("rainy", "weather", &["rain"]),
    ("falling snow", "weather", &["snow"]),
    ("stars", "phenomenon", &["stars"]),
    ("aurora", "phenomenon", &["aurora"]),
    ("northern lights", "phenomenon", &["aurora"]),
    ("rainbow", "phenomenon", &["rainbow"]),
    ("sun", "luminary", &["sun"]),
    ("moon", "luminary", &["full moon", "crescent moon"]),
    ("full moon", "luminary", &["full moon"]),
    ("crescent moon", "luminary", &["crescent moon"]),
    ("on the left", "side", &["left"]),
    ("in the middle", "side", &["middle"]),
    ("on the right", "side", &["right"]),
    ("low", "height", &["low"]),
    ("high", "height", &["high"]),
    ("spring", "season", &["spring"]),
    ("flowering", "season", &["spring"]),
    ("summer", "season", &["summer"]),
    ("green", "season", &["summer"]),
    ("autumn", "season", &["autumn"]),
    ("winter", "season", &["winter"]),
    ("snowy", "season", &["winter"]),
    ("snow-covered", "season", &["winter"]),
    ("palm trees", "landmark", &["palms"]),
    ("palms", "landmark", &["palms"]),
    ("cacti", "landmark", &["cacti"]),
    ("lighthouse", "landmark", &["lighthouse"]),
    ("house", "landmark", &["house"]),
    ("windmill", "landmark", &["windmill"]),
    ("sailboat", "landmark", &["sailboat"]),
    ("sailing boat", "landmark", &["sailboat"]),
    ("bridge", "landmark", &["bridge"]),
    ("birds", "flyer", &["birds"]),
    ("hot-air balloon", "flyer", &["balloon"]),
    ("painting", "style", &["painterly"]),
    ("painterly", "style", &["painterly"]),
    ("paper-cut", "style", &["paper-cut"]),
];

/// Words that claim nothing by themselves.
const PLAIN: &[&str] = &[
    "a", "an", "the", "of", "at", "by", "in", "on", "over", "under", "with", "and", "style", "sky", "rolling", "sand",
    "sandy", "open", "red", "rock", "forest", "trees", "skyline", "mountain", "lit", "windows", "flock", "many",
    "field", "snow", "front", "plain",
];

fn words(text: &str) -> String {
    format!(" {} ", text.replace(',', ""))
}

fn check(text: &str, scene: &Scene) {
    let attributes = scene.attributes();
    let spaced = words(text);
    for (phrase, name, allowed) in CLAIMS {
        if spaced.contains(&format!(" {phrase} ")) {
            let word = attributes.get(name).copied().unwrap_or("none");
            assert!(allowed.contains(&word), "{text:?} says {phrase:?}, but {name} is {word}");
        }
    }
    for word in spaced.split_whitespace() {
        let known = CLAIMS.iter().any(|(phrase, ..)| phrase.split(' ').any(|part| part == word));
        assert!(known || PLAIN.contains(&word), "{text:?} has {word:?}, which no claim accounts for");
    }
}

#[test]
fn captions_and_places_are_true() {
    for (scene, mut random) in scenes(20_000) {
        check(&scene.caption(&mut random), &scene);
        check(&scene.place_phrase(&mut random), &scene);
    }
}

#[test]
fn trees_are_named_only_where_they_stand() {
    for (scene, mut random) in scenes(20_000) {
        let caption = words(&scene.caption(&mut random)).replace("leafy trees", "").replace("palm trees", "");
        if caption.contains(" trees ") {
            assert_eq!(scene.landmark, Some(Landmark::Trees), "{caption:?}");
        }
    }
}

#[test]
fn captions_leave_attributes_open() {
    let (mut named, mut silent) = (0, 0);
    for (scene, mut random) in scenes(4_000) {
        let caption = scene.caption(&mut random);
        match caption.contains(scene.style.word()) || caption.contains("painting") {
            true => named += 1,
            false => silent += 1,
        }
    }
    assert!(named > 1_000 && silent > 1_000, "{named} {silent}");
}

#[test]
fn stages_have_room_for_feet() {
    for index in 0..200 {
        let mut random = Random::new(13, index);
        let scene = Scene::random_stage(&mut random);
        let (_, stage) = scene.paint(&mut random);
        assert!(stage.ground_top < 104.0, "{scene:?} {stage:?}");
        assert!(stage.feet.start > stage.ground_top && stage.feet.end <= SIDE as f32, "{scene:?} {stage:?}");
        assert!(stage.feet.end - stage.feet.start >= 8.0, "{scene:?} {stage:?}");
        assert!(stage.shade.iter().all(|part| (0.2..=1.0).contains(part)), "{scene:?} {stage:?}");
        assert_eq!(stage.on_water, scene.terrain == Terrain::Sea);
    }
}

/// Mean lightness of a picture, 0 to 255.
fn lightness(picture: &Picture) -> f32 {
    picture.rgb.iter().map(|&value| f32::from(value)).sum::<f32>() / picture.rgb.len() as f32
}

#[test]
fn nights_are_darker_than_days() {
    let mut means = [Vec::new(), Vec::new()];
    for index in 0..200 {
        let mut random = Random::new(17, index);
        let scene = Scene::random(&mut random);
        let place = match scene.time {
            Time::Day => 0,
            Time::Night => 1,
            _ => continue,
        };
        means[place].push(lightness(&scene.paint(&mut random).0));
    }
    let darkest = means[0].iter().copied().fold(f32::MAX, f32::min);
    let lightest = means[1].iter().copied().fold(0.0, f32::max);
    assert!(darkest > lightest, "day {darkest}, night {lightest}");
}

#[test]
fn sun_and_moon_stand_where_the_scene_says() {
    for index in 0..400 {
        let mut random = Random::new(19, index);
        let scene = Scene::random(&mut random);
        let calm = matches!(scene.weather, Weather::Clear | Weather::Fog) && scene.phenomenon.is_none();
        let Some(light) = scene.light.filter(|light| calm && light.luminary != Luminary::CrescentMoon) else {
            continue;
        };
        let (picture, _) = scene.paint(&mut random);
        let columns = match light.side {
            Side::Left => 10..40,
            Side::Middle => 50..78,
            Side::Right => 88..118,
        };
        let bright = |x: usize, y: usize| {
            let at = (y * SIDE + x) * 3;
            picture.rgb[at..at + 3].iter().map(|&value| u32::from(value)).sum::<u32>() > 510
        };
        let count = columns.map(|x| (0..90).filter(|&y| bright(x, y)).count()).sum::<usize>();
        assert!(count >= 50, "{scene:?}: {count} bright pixels");
    }
}
