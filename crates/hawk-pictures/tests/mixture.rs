//! The mixture over a few tiny things: the same everywhere, true to its captions, with splits that never move.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hawk_pictures::mixture::{Mixture, Percent, Shares};
use hawk_pictures::picture::SIDE;
use hawk_pictures::sample::{HeldOut, Kind, MOST_CAPTIONS, Sample};
use hawk_pictures::shards;
use hawk_pictures::things::{Shift, Things};
use image::{Rgba, RgbaImage};

/// Things by their colours: squares of 60 pixels.
const THINGS: [(&str, &str, &str, [u8; 3]); 4] = [
    ("fox", "a fox", "foxes", [255, 0, 0]),
    ("ship", "a ship", "ships", [0, 0, 255]),
    ("house", "a house", "houses", [255, 0, 255]),
    ("duck", "a duck", "ducks", [0, 255, 255]),
];

/// A folder as `hawk data emoji` makes it.
fn folder(dir: &Path) -> PathBuf {
    let folder = dir.join("emoji");
    std::fs::create_dir_all(folder.join("objects")).unwrap();
    let mut list = String::new();
    for style in ["noto", "fluent flat"] {
        for (phrase, one, several, [r, g, b]) in THINGS {
            let file = format!("objects/{style}-{phrase}.png");
            RgbaImage::from_pixel(60, 60, Rgba([r, g, b, 255])).save(folder.join(&file)).unwrap();
            let split = if phrase == "house" && style == "noto" { "new_style" } else { "train" };
            list += &format!(
                r#"{{"file":"{file}","style":"{style}","phrase":"{phrase}","one":"{one}","several":"{several}","group":"objects","mirror":true,"split":"{split}"}}"#
            );
            list.push('\n');
        }
        RgbaImage::from_pixel(60, 60, Rgba([255, 220, 0, 255])).save(folder.join("objects/face.png")).unwrap();
        list += &format!(
            r#"{{"file":"objects/face.png","style":"{style}","phrase":"grinning face","colour":"yellow","group":"smileys-emotion","mirror":false,"split":"train"}}"#
        );
        list.push('\n');
    }
    std::fs::write(folder.join("objects.jsonl"), list).unwrap();
    std::fs::write(folder.join("ATTRIBUTION"), "Drawn by a test").unwrap();
    folder
}

fn only(kind: Kind) -> Shares {
    let share = |of: Kind| usize::from(of == kind);
    Shares {
        landscapes: share(Kind::Landscape),
        things: share(Kind::Thing),
        scenes: share(Kind::Scene),
        composites: share(Kind::Composite),
    }
}

fn samples(shares: Shares, shift: Shift, count: u64) -> Vec<Sample> {
    let dir = tempfile::tempdir().unwrap();
    let mixture = Mixture::new(Things::open(&folder(dir.path())).unwrap(), shares, shift, 5).unwrap();
    (0..count).map(|index| mixture.sample(index).unwrap()).collect()
}

/// Middles of the pixels of a colour, by their left-to-right groups in a picture cut into quarters.
fn middle(sample: &Sample, [r, g, b]: [u8; 3]) -> Option<(f64, f64)> {
    let (mut x_sum, mut y_sum, mut count) = (0, 0, 0);
    for (index, pixel) in sample.picture.rgb.chunks_exact(3).enumerate() {
        if pixel == [r, g, b] {
            (x_sum, y_sum, count) = (x_sum + index % SIDE, y_sum + index / SIDE, count + 1);
        }
    }
    (count > 0).then(|| (x_sum as f64 / f64::from(count), y_sum as f64 / f64::from(count)))
}

fn colour(phrase: &str) -> [u8; 3] {
    THINGS.iter().find(|thing| thing.0 == phrase).unwrap().3
}

/// How many separate areas of a colour there are.
fn areas(sample: &Sample, colour: [u8; 3]) -> usize {
    let is = |at: usize| sample.picture.rgb[at * 3..][..3] == colour;
    let mut seen = vec![false; SIDE * SIDE];
    let mut count = 0;
    for start in 0..SIDE * SIDE {
        if seen[start] || !is(start) {
            continue;
        }
        count += 1;
        let mut open = vec![start];
        seen[start] = true;
        while let Some(at) = open.pop() {
            let (x, y) = (at % SIDE, at / SIDE);
            let near = [(x + 1, y), (x.wrapping_sub(1), y), (x, y + 1), (x, y.wrapping_sub(1))];
            for (x, y) in near.into_iter().filter(|(x, y)| *x < SIDE && *y < SIDE) {
                let next = y * SIDE + x;
                if !seen[next] && is(next) {
                    seen[next] = true;
                    open.push(next);
                }
            }
        }
    }
    count
}

#[test]
fn a_seed_and_a_number_are_a_picture() {
    let (first, again) = (samples(Shares::default(), Shift::Cells, 60), samples(Shares::default(), Shift::Cells, 60));
    assert_eq!(first, again);
    // A thing on white may come again in the same place; a landscape never does.
    let painted: Vec<&Sample> =
        first.iter().filter(|sample| [Kind::Landscape, Kind::Composite].contains(&sample.kind)).collect();
    assert!(painted.iter().enumerate().all(|(i, a)| painted[..i].iter().all(|b| a.picture != b.picture)));
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for sample in &first {
        *kinds.entry(sample.kind).or_default() += 1;
        assert!((1..=MOST_CAPTIONS).contains(&sample.captions.len()), "{:?}", sample.captions);
        assert_eq!(sample.picture.rgb.len(), SIDE * SIDE * 3);
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

#[test]
fn auroras_come_as_often_as_is_asked_for() {
    let auroras = |percent: u8| {
        let mixture = Mixture::landscapes(5).with_auroras(Percent::new(percent).unwrap());
        let shown =
            |index: &u64| mixture.sample(*index).unwrap().attributes.get("phenomenon").is_some_and(|of| of == "aurora");
        (0..40).filter(shown).count()
    };
    assert!(auroras(0) <= 4);
    assert!((12..=28).contains(&auroras(50)));
    assert_eq!(auroras(100), 40);
    // Pictures of other kinds stay what they are.
    let dir = tempfile::tempdir().unwrap();
    let plain = Mixture::new(Things::open(&folder(dir.path())).unwrap(), Shares::default(), Shift::Cells, 5).unwrap();
    let many = plain.clone().with_auroras(Percent::new(100).unwrap());
    for index in (0..40).filter(|index| plain.kind(*index) != Kind::Landscape) {
        assert_eq!(many.sample(index).unwrap(), plain.sample(index).unwrap());
    }
    assert!(Percent::new(101).is_none());
}

#[test]
fn numbers_and_orders_are_as_said() {
    let mut layouts: BTreeMap<String, usize> = BTreeMap::new();
    for shift in [Shift::Cells, Shift::Pixels] {
        for sample in samples(only(Kind::Scene), shift, 120) {
            let word = |name: &str| sample.attributes[name].as_str();
            *layouts.entry(word("layout").to_owned()).or_default() += 1;
            if word("layout") == "count" {
                let number = areas(&sample, colour(word("thing")));
                assert_eq!(number.to_string(), word("number"), "{:?}", sample.captions);
                let said = ["two", "three", "four"][number - 2];
                assert!(sample.captions[0].starts_with(said), "{:?}", sample.captions);
                continue;
            }
            let [a, b] = ["first", "second"].map(|name| middle(&sample, colour(word(name))).unwrap());
            let relation = if word("layout") == "beside" { "to the left of" } else { "above" };
            let is_so = if word("layout") == "beside" { a.0 + 20.0 < b.0 } else { a.1 + 20.0 < b.1 };
            assert!(is_so, "{a:?} {b:?} {:?}", sample.captions);
            assert!(sample.captions[0].contains(&format!("{} {relation} a {}", word("first"), word("second"))));
            assert_eq!(areas(&sample, colour(word("first"))), 1);
        }
    }
    assert_eq!(layouts.len(), 3, "{layouts:?}");
}

#[test]
fn things_alone_stand_at_whole_cells_and_in_their_style() {
    for sample in samples(only(Kind::Thing), Shift::Cells, 150) {
        let thing = &sample.attributes["thing"];
        let shown = if thing == "grinning face" { [255, 220, 0] } else { colour(thing) };
        let pixels: Vec<usize> = (0..SIDE * SIDE).filter(|at| sample.picture.rgb[at * 3..][..3] == shown).collect();
        let (left, top) = (pixels.iter().map(|at| at % SIDE).min().unwrap(), pixels[0] / SIDE);
        assert_eq!((left % 8, top % 8), (0, 0), "{:?}", sample.captions);
        let ground = &sample.attributes["ground"];
        assert!(sample.captions[0].contains(&format!("{ground} background, {} style", sample.style)));
        let corners = [0, SIDE - 1, SIDE * (SIDE - 1)].map(|at| &sample.picture.rgb[at * 3..][..3]);
        // A large thing may lie over one of them.
        let white = corners.iter().filter(|pixel| **pixel == [255; 3]).count();
        assert_eq!(white >= 2, ground == "white", "{:?}", sample.captions);
        let is_kept_out = thing == "house" && sample.style == "noto";
        assert_eq!(sample.held_out == Some(HeldOut::Style), is_kept_out);
    }
}

#[test]
fn fixed_things_alone_always_fill_the_middle() {
    for sample in samples(only(Kind::Thing), Shift::Fixed, 100) {
        let thing = &sample.attributes["thing"];
        let shown = if thing == "grinning face" { [255, 220, 0] } else { colour(thing) };
        let middle = middle(&sample, shown).unwrap();
        assert!((middle.0 - 63.5).abs() < 1.0 && (middle.1 - 63.5).abs() < 1.0, "{middle:?} {:?}", sample.captions);
        assert_eq!(sample.attributes["side_cells"], "14");
    }
}

#[test]
fn what_stands_in_a_landscape_is_seen_and_named() {
    for sample in samples(only(Kind::Composite), Shift::Cells, 40) {
        let thing = &sample.attributes["thing"];
        assert!(["fox", "ship", "house", "duck"].contains(&thing.as_str()));
        assert!(!(thing == "house" && sample.style == "noto"), "training must not see it");
        for caption in &sample.captions {
            assert!(caption.starts_with(&format!("a {thing} ")), "{caption}");
        }
        assert!(sample.captions[0].contains(&format!(", {} style, ", sample.style)));
        assert!(sample.captions[0].ends_with("landscape"));
    }
}

#[test]
fn splits_depend_on_names_alone() {
    let mut landscapes: BTreeMap<Vec<String>, bool> = BTreeMap::new();
    for sample in samples(Shares::default(), Shift::Cells, 400) {
        if sample.kind == Kind::Landscape {
            let names = ["terrain", "time", "weather", "rendering"].map(|name| sample.attributes[name].clone());
            let held_out = sample.held_out.is_some();
            assert_eq!(*landscapes.entry(names.to_vec()).or_insert(held_out), held_out);
        }
    }
    let held_out = landscapes.values().filter(|held_out| **held_out).count();
    assert!(held_out > 0 && held_out * 8 < landscapes.len(), "{held_out} of {}", landscapes.len());
}

#[test]
fn shards_are_whole_and_do_not_depend_on_their_size() {
    let dir = tempfile::tempdir().unwrap();
    let things = Things::open(&folder(dir.path())).unwrap();
    let pack = dir.path().join("things.pack");
    things.write_pack(&pack, 60).unwrap();
    assert_eq!(Things::open(&pack).unwrap().attribution(), "Drawn by a test");
    let mixtures = [things, Things::open(&pack).unwrap()]
        .map(|things| Mixture::new(things, Shares::default(), Shift::Cells, 9).unwrap());
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    std::fs::create_dir_all(&one).unwrap();
    std::fs::create_dir_all(&two).unwrap();
    shards::write(&mixtures[0], 0, 0..12, &one).unwrap();
    shards::write(&mixtures[1], 0, 0..5, &two).unwrap();
    shards::write(&mixtures[1], 1, 5..12, &two).unwrap();
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    for ending in ["rgb", "jsonl"] {
        let parts = [0, 1].map(|number| read(two.join(format!("shard-0000{number}.{ending}"))));
        assert!(read(one.join(format!("shard-00000.{ending}"))) == parts.concat(), "{ending}");
    }
    assert_eq!(read(one.join("shard-00000.rgb")).len(), 12 * SIDE * SIDE * 3);
    let list = String::from_utf8(read(one.join("shard-00000.jsonl"))).unwrap();
    for (index, line) in list.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let sample = mixtures[0].sample(index as u64).unwrap();
        assert_eq!(line["captions"][0], sample.captions[0].as_str());
        assert_eq!(line["split"] == "validation", sample.held_out.is_some());
        assert_eq!(line["style"], sample.style.as_str());
    }
    assert_eq!(list.lines().count(), 12);
    let left: Vec<String> =
        std::fs::read_dir(&one).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_is_no_pack_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("no.pack");
    assert!(Things::open(&pack).unwrap_err().to_string().contains("no.pack"));
    std::fs::write(&pack, b"no archive at all, only some words").unwrap();
    assert!(Things::open(&pack).unwrap_err().to_string().contains("no.pack"));
    let folder = folder(dir.path());
    let list = std::fs::read_to_string(folder.join("objects.jsonl")).unwrap();
    std::fs::write(folder.join("objects.jsonl"), format!("{list}{}", list.lines().next().unwrap())).unwrap();
    let error = Things::open(&folder).unwrap_err().to_string();
    assert!(error.contains("twice") && error.contains("fox, noto style"), "{error}");
}
