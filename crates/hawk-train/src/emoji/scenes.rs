//! Composed scenes: two things beside or above each other, several of a thing, a thing on a coloured ground.

use std::collections::BTreeMap;

use super::colour;
use super::picture::{Cutout, Picture, SIDE};
use super::recipe::Lists;
use super::split::{self, Split};
use super::words;

/// How often another draw is tried where an object would vanish in its ground.
const TRIES: usize = 50;
pub(crate) const WHITE: [u8; 3] = [255; 3];
const COUNTS: [&str; 5] = ["", "one", "two", "three", "four"];

/// The objects of one style that scenes may show.
pub(crate) struct Stock {
    pub(crate) style: String,
    pub(crate) objects: Vec<(String, Cutout)>,
}

/// A scene with its captions.
pub(crate) struct Scene {
    pub(crate) picture: Picture,
    pub(crate) captions: Vec<String>,
    pub(crate) style: String,
    /// What is combined: two labels, a label and a count, a label and a colour.
    pub(crate) parts: String,
    pub(crate) layout: &'static str,
    pub(crate) split: Split,
}

/// A sequence of numbers that belongs to a scene (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as usize % sides.max(1)
    }

    /// `middle` give or take `by`.
    fn near(&mut self, middle: u32, by: u32) -> u32 {
        middle - by + self.roll(2 * by as usize + 1) as u32
    }
}

/// A colour behind a scene, with its name unless it is white.
type Ground<'a> = (Option<&'a str>, [u8; 3]);

/// Scene number `index`; nothing where the stocks cannot fill one.
pub(crate) fn compose(index: usize, stocks: &[Stock], lists: &Lists) -> Option<Scene> {
    let mut dice = Dice(split::number(&format!("scene number {index}")));
    let stocks: Vec<&Stock> = stocks.iter().filter(|stock| stock.objects.len() > 1).collect();
    (0..TRIES).find_map(|_| {
        let stock = stocks.get(dice.roll(stocks.len()))?;
        let kind = dice.roll(100);
        let colours: Vec<(&String, &[u8; 3])> = lists.backgrounds.iter().collect();
        let coloured = (kind >= 85 || dice.roll(100) < 30).then(|| colours[dice.roll(colours.len())]);
        let ground = coloured.map_or((None, WHITE), |(name, colour)| (Some(name.as_str()), *colour));
        let first = dice.roll(stock.objects.len());
        let second = (first + 1 + dice.roll(stock.objects.len() - 1)) % stock.objects.len();
        let shown = if kind < 60 { vec![first, second] } else { vec![first] };
        let visible = |object: &usize| colour::stands_out(stock.objects[*object].1.solid_colours(), ground.1);
        if !shown.iter().all(visible) {
            return None;
        }
        let scene = match kind {
            0..35 => pair(&mut dice, stock, [first, second], ground, &BESIDE),
            35..60 => pair(&mut dice, stock, [first, second], ground, &ABOVE),
            60..85 => count(&mut dice, stock, first, ground, &lists.irregular_plurals),
            _ => on_ground(&mut dice, stock, first, ground),
        };
        Some(scene)
    })
}

/// How two things stand to each other, in words and places.
struct Relation {
    layout: &'static str,
    /// Of the first to the second, and of the second to the first.
    forth: [&'static str; 2],
    back: &'static str,
    places: [(u32, u32); 2],
}

const BESIDE: Relation = Relation {
    layout: "beside",
    forth: ["to the left of", "left of"],
    back: "to the right of",
    places: [(33, 64), (95, 64)],
};
const ABOVE: Relation =
    Relation { layout: "above", forth: ["above", "over"], back: "below", places: [(64, 33), (64, 95)] };

fn pair(dice: &mut Dice, stock: &Stock, objects: [usize; 2], ground: Ground<'_>, relation: &Relation) -> Scene {
    let mut picture = Picture::ground(ground.1);
    for (object, place) in objects.into_iter().zip(relation.places) {
        let side = dice.near(54, 4);
        let place = (dice.near(place.0, 2), dice.near(place.1, 2));
        picture.put(&stock.objects[object].1.fitted(side), place);
    }
    let labels = objects.map(|object| stock.objects[object].0.as_str());
    let [a, b] = labels.map(words::one);
    let said = [
        format!("{a} {} {b}", relation.forth[0]),
        format!("{b} {} {a}", relation.back),
        format!("{a} {} {b}", relation.forth[1]),
    ];
    // The pair is held out, not its order: else one half would tell the other.
    let mut parts = labels;
    parts.sort_unstable();
    scene(stock, picture, ground, Told { said: said.to_vec(), parts: parts.join(" & "), layout: relation.layout })
}

fn count(
    dice: &mut Dice,
    stock: &Stock,
    object: usize,
    ground: Ground<'_>,
    irregular: &BTreeMap<String, String>,
) -> Scene {
    let number = 2 + dice.roll(3);
    let (places, side): (&[(u32, u32)], u32) = match number {
        2 => (&[(33, 64), (95, 64)], 54),
        3 => (&[(64, 34), (33, 94), (95, 94)], 50),
        _ => (&[(34, 34), (94, 34), (34, 94), (94, 94)], 50),
    };
    let mut picture = Picture::ground(ground.1);
    let (label, cutout) = &stock.objects[object];
    let cutout = cutout.fitted(dice.near(side, 3));
    for place in places {
        picture.put(&cutout, (dice.near(place.0, 2), dice.near(place.1, 2)));
    }
    let several = words::several(label, irregular);
    let said = vec![format!("{} {several}", COUNTS[number]), format!("{number} {several}")];
    scene(stock, picture, ground, Told { said, parts: format!("{number} {label}"), layout: "count" })
}

fn on_ground(dice: &mut Dice, stock: &Stock, object: usize, ground: Ground<'_>) -> Scene {
    let (label, cutout) = &stock.objects[object];
    let mut picture = Picture::ground(ground.1);
    picture.put(&cutout.fitted(dice.near(106, 8)), (SIDE / 2, SIDE / 2));
    let parts = format!("{label} on {}", ground.0.unwrap_or("white"));
    scene(stock, picture, ground, Told { said: vec![label.clone(), words::one(label)], parts, layout: "ground" })
}

struct Told {
    said: Vec<String>,
    parts: String,
    layout: &'static str,
}

fn scene(stock: &Stock, picture: Picture, ground: Ground<'_>, told: Told) -> Scene {
    let style = &stock.style;
    let behind = ground.0.map(|colour| format!(" on {} background", words::one(colour))).unwrap_or_default();
    let mut captions: Vec<String> = told.said.iter().map(|said| format!("{said}{behind}, {style} style")).collect();
    captions.push(format!("{}{behind}", told.said[0]));
    let split = split::of_scene(&told.parts);
    Scene { picture, captions, style: style.clone(), parts: told.parts, layout: told.layout, split }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Recipe;
    use super::*;

    fn stock() -> Stock {
        let object = |label: &str, fill: &str| {
            let svg = format!(
                r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="{fill}"/></svg>"##
            );
            (label.to_owned(), Cutout::of_svg(&svg).unwrap())
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
            let at = |x: u32, y: u32| &scene.picture.0[((y * SIDE + x) * 3) as usize..][..3];
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
