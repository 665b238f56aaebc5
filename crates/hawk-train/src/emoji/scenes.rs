//! Composed scenes: two things beside or above each other, several of a thing, or a thing on a
//! coloured background.

use std::collections::BTreeMap;

use hawk_files::Result;

use crate::emoji::colour;
use crate::emoji::cutout::Cutout;
use crate::emoji::recipe::{Lists, Recipe};
use crate::emoji::split;
use crate::emoji::words;
use crate::pictures::canvas::{Canvas, SIDE_U32};
use hawk_pictures::Split;

/// Attempts to find a scene whose things stand out from their background.
const TRIES: usize = 50;
pub(crate) const WHITE: [u8; 3] = [255; 3];
const COUNTS: [&str; 5] = ["", "one", "two", "three", "four"];

/// The background colours of scenes, including white.
///
/// # Errors
/// The built-in recipe is invalid.
pub(crate) fn backgrounds() -> Result<Vec<[u8; 3]>> {
    let named = Recipe::built_in()?.lists.backgrounds;
    Ok(named.into_values().chain([WHITE]).collect())
}

/// The things of one style that scenes may show.
pub(crate) struct Stock {
    pub(crate) style: String,
    /// Names and cut-outs.
    pub(crate) objects: Vec<(String, Cutout)>,
}

/// A scene with its captions.
pub(crate) struct Scene {
    pub(crate) picture: Canvas,
    pub(crate) captions: Vec<String>,
    pub(crate) style: String,
    /// What is combined: two things, a thing and a count, or a thing and a colour.
    pub(crate) parts: String,
    pub(crate) layout: &'static str,
    pub(crate) split: Split,
}

/// The random numbers of a scene (splitmix64).
struct SceneRandom(u64);

impl SceneRandom {
    /// Uniform in `0..n`; 0 if `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as usize % n.max(1)
    }

    /// Uniform in `middle - by..=middle + by`.
    fn near(&mut self, middle: u32, by: u32) -> u32 {
        middle - by + self.below(2 * by as usize + 1) as u32
    }
}

/// The background of a scene.
#[derive(Clone, Copy)]
struct Background<'a> {
    /// `None` for white.
    name: Option<&'a str>,
    colour: [u8; 3],
}

/// The centre of a thing in pixels.
#[derive(Clone, Copy)]
struct Place {
    x: u32,
    y: u32,
}

/// How two things are arranged, in words and places.
struct Relation {
    layout: &'static str,
    /// Phrases that put the first thing first.
    forth: [&'static str; 2],
    /// A phrase that puts the second thing first.
    back: &'static str,
    places: [Place; 2],
}

const BESIDE: Relation = Relation {
    layout: "beside",
    forth: ["to the left of", "left of"],
    back: "to the right of",
    places: [Place { x: 33, y: 64 }, Place { x: 95, y: 64 }],
};
const ABOVE: Relation = Relation {
    layout: "above",
    forth: ["above", "over"],
    back: "below",
    places: [Place { x: 64, y: 33 }, Place { x: 64, y: 95 }],
};

/// The places of two, three and four equal things.
const TWO: [Place; 2] = BESIDE.places;
const THREE: [Place; 3] = [Place { x: 64, y: 34 }, Place { x: 33, y: 94 }, Place { x: 95, y: 94 }];
const FOUR: [Place; 4] =
    [Place { x: 34, y: 34 }, Place { x: 94, y: 34 }, Place { x: 34, y: 94 }, Place { x: 94, y: 94 }];

/// Composes scene number `index`. Returns `None` if `stocks` have too few things.
pub(crate) fn compose(index: usize, stocks: &[Stock], lists: &Lists) -> Option<Scene> {
    let mut random = SceneRandom(split::number(&format!("scene number {index}")));
    let stocks: Vec<&Stock> = stocks.iter().filter(|stock| stock.objects.len() > 1).collect();
    (0..TRIES).find_map(|_| {
        let stock = *stocks.get(random.below(stocks.len()))?;
        let kind = random.below(100);
        let colours: Vec<(&String, &[u8; 3])> = lists.backgrounds.iter().collect();
        let coloured = (kind >= 85 || random.below(100) < 30).then(|| colours[random.below(colours.len())]);
        let background = match coloured {
            Some((name, colour)) => Background { name: Some(name), colour: *colour },
            None => Background { name: None, colour: WHITE },
        };
        let first = random.below(stock.objects.len());
        let second = (first + 1 + random.below(stock.objects.len() - 1)) % stock.objects.len();
        let shown = if kind < 60 { vec![first, second] } else { vec![first] };
        let visible = |object: &usize| colour::stands_out(stock.objects[*object].1.solid_colours(), background.colour);
        if !shown.iter().all(visible) {
            return None;
        }
        let composer = Composer { stock, background, random: &mut random };
        Some(match kind {
            0..35 => composer.pair(first, second, &BESIDE),
            35..60 => composer.pair(first, second, &ABOVE),
            60..85 => composer.count(first, &lists.irregular_plurals),
            _ => composer.on_background(first),
        })
    })
}

/// A scene in the making.
struct Composer<'a> {
    stock: &'a Stock,
    background: Background<'a>,
    random: &'a mut SceneRandom,
}

/// What a scene shows, in words.
struct SceneWords {
    /// Descriptions without style and background, the most common first.
    descriptions: Vec<String>,
    parts: String,
    layout: &'static str,
}

impl Composer<'_> {
    fn pair(self, first: usize, second: usize, relation: &Relation) -> Scene {
        let mut picture = Canvas::filled(self.background.colour);
        for (object, place) in [first, second].into_iter().zip(relation.places) {
            let cutout = self.stock.objects[object].1.fitted(self.random.near(54, 4));
            cutout.paint(&mut picture, self.random.near(place.x, 2), self.random.near(place.y, 2));
        }
        let names = [first, second].map(|object| self.stock.objects[object].0.as_str());
        let [a, b] = names.map(words::one);
        let descriptions = vec![
            format!("{a} {} {b}", relation.forth[0]),
            format!("{b} {} {a}", relation.back),
            format!("{a} {} {b}", relation.forth[1]),
        ];
        // Both orders of a pair are held out together. Otherwise one order would reveal the other.
        let mut parts = names;
        parts.sort_unstable();
        let parts = parts.join(" & ");
        self.finish(picture, SceneWords { descriptions, parts, layout: relation.layout })
    }

    fn count(self, object: usize, irregular: &BTreeMap<String, String>) -> Scene {
        let number = 2 + self.random.below(3);
        let (places, side): (&[Place], u32) = match number {
            2 => (&TWO, 54),
            3 => (&THREE, 50),
            _ => (&FOUR, 50),
        };
        let mut picture = Canvas::filled(self.background.colour);
        let (name, cutout) = &self.stock.objects[object];
        let cutout = cutout.fitted(self.random.near(side, 3));
        for place in places {
            cutout.paint(&mut picture, self.random.near(place.x, 2), self.random.near(place.y, 2));
        }
        let several = words::several(name, irregular);
        let descriptions = vec![format!("{} {several}", COUNTS[number]), format!("{number} {several}")];
        let parts = format!("{number} {name}");
        self.finish(picture, SceneWords { descriptions, parts, layout: "count" })
    }

    fn on_background(self, object: usize) -> Scene {
        let (name, cutout) = &self.stock.objects[object];
        let mut picture = Canvas::filled(self.background.colour);
        cutout.fitted(self.random.near(106, 8)).paint(&mut picture, SIDE_U32 / 2, SIDE_U32 / 2);
        let parts = format!("{name} on {}", self.background.name.unwrap_or("white"));
        let descriptions = vec![name.clone(), words::one(name)];
        self.finish(picture, SceneWords { descriptions, parts, layout: "ground" })
    }

    fn finish(self, picture: Canvas, told: SceneWords) -> Scene {
        let style = &self.stock.style;
        let behind = self.background.name.map(|name| format!(" on {} background", words::one(name)));
        let behind = behind.unwrap_or_default();
        let mut captions: Vec<String> =
            told.descriptions.iter().map(|words| format!("{words}{behind}, {style} style")).collect();
        captions.push(format!("{}{behind}", told.descriptions[0]));
        let split = split::of_scene(&told.parts);
        Scene { picture, captions, style: style.clone(), parts: told.parts, layout: told.layout, split }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock() -> Stock {
        let object = |label: &str, fill: &str| {
            let svg = format!(
                r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="{fill}"/></svg>"##
            );
            (label.to_owned(), Cutout::from_svg(&svg).unwrap())
        };
        Stock {
            style: "noto".into(),
            objects: vec![object("fox", "#0000ff"), object("apple", "#00ff00"), object("white rose", "#fefefe")],
        }
    }

    #[test]
    fn scenes_say_what_they_show() {
        let (stocks, lists) = ([stock()], Recipe::built_in().unwrap().lists);
        let mut layouts: BTreeMap<&str, usize> = BTreeMap::new();
        for index in 0..200 {
            let scene = compose(index, &stocks, &lists).unwrap();
            *layouts.entry(scene.layout).or_default() += 1;
            let caption = &scene.captions[0];
            assert!(caption.ends_with(", noto style"), "{caption}");
            let at = |x: u32, y: u32| &scene.picture.0[((y * SIDE_U32 + x) * 3) as usize..][..3];
            let fox: &[u8] = &[0, 0, 255];
            if caption.starts_with("a fox to the left of") || caption.starts_with("two foxes") {
                assert_eq!(at(33, 64), fox, "{caption}");
            } else if caption.starts_with("a fox above") {
                assert_eq!(at(64, 33), fox, "{caption}");
            } else if caption.starts_with("four foxes") {
                assert!([(34, 34), (94, 34), (34, 94), (94, 94)].iter().all(|(x, y)| at(*x, *y) == fox), "{caption}");
            }
            match caption.split_once(" on a ").or_else(|| caption.split_once(" on an ")) {
                Some((_, behind)) => {
                    let colour = behind.trim_end_matches(" background, noto style");
                    assert_eq!(at(1, 1), lists.backgrounds[colour], "{caption}");
                }
                None => {
                    assert_eq!(at(1, 1), WHITE, "{caption}");
                    assert!(!caption.contains("white rose"), "{caption}");
                }
            }
        }
        assert_eq!(layouts.len(), 4, "{layouts:?}");
    }

    #[test]
    fn a_number_is_a_scene() {
        let (stocks, lists) = ([stock()], Recipe::built_in().unwrap().lists);
        let [a, b] = [5, 5].map(|index| compose(index, &stocks, &lists).unwrap());
        assert_eq!((a.captions, a.picture.0), (b.captions, b.picture.0));
        assert!(compose(0, &[Stock { style: "noto".into(), objects: vec![] }], &lists).is_none());
    }

    #[test]
    fn a_pair_is_held_out_in_both_orders() {
        let (stocks, lists) = ([stock()], Recipe::built_in().unwrap().lists);
        let mut splits: BTreeMap<String, Split> = BTreeMap::new();
        for scene in (0..300).filter_map(|index| compose(index, &stocks, &lists)) {
            assert_eq!(*splits.entry(scene.parts.clone()).or_insert(scene.split), scene.split, "{}", scene.parts);
        }
        assert!(splits.contains_key("apple & fox") && !splits.contains_key("fox & apple"));
    }
}
