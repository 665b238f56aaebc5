//! Two things beside or above each other, and several of a thing.

use std::collections::BTreeMap;

use super::collection::Things;
use super::cutout::Cutout;
use super::ground::Ground;
use super::shift::{CELL, Shift};
use super::thing::Thing;
use crate::picture::{Picture, SIDE};
use crate::random::Random;
use crate::sample::{HeldOut, Kind, Sample, distinct};
use crate::split;

const COUNTS: [&str; 5] = ["", "one", "two", "three", "four"];
/// Width and height of a thing's place, and where the second place begins: two cells stay free
/// between them.
const WIDE: u32 = 56;
const SECOND: u32 = SIDE as u32 - WIDE;
/// Where the place of a thing in the middle begins.
const MIDDLE: u32 = 32;

/// How two things stand to each other, in words; the first stands left, or above.
struct Relation {
    layout: &'static str,
    forth: [&'static str; 2],
    back: &'static str,
}

const BESIDE: Relation = Relation { layout: "beside", forth: ["to the left of", "left of"], back: "to the right of" };
const ABOVE: Relation = Relation { layout: "above", forth: ["above", "over"], back: "below" };

/// Things of one style that stand together. Nothing where the style has too few or they vanish in
/// every ground tried.
pub fn arranged(things: &Things, shift: Shift, random: &mut Random) -> Option<Sample> {
    let objects = things.objects(random);
    if objects.len() < 2 {
        return None;
    }
    let first = random.below(objects.len());
    let second = (first + 1 + random.below(objects.len() - 1)) % objects.len();
    let kind = random.below(100);
    let shown = if kind < 65 { vec![objects[first], objects[second]] } else { vec![objects[first]] };
    let ground = Ground::behind(&shown.iter().map(|thing| &thing.cutout).collect::<Vec<_>>(), random)?;
    let mut desk = Desk { picture: ground.paint(), shift };
    let told = match (&shown[..], kind) {
        (&[first, second], 0..38) => desk.beside(first, second, random),
        (&[first, second], _) => desk.above(first, second, random),
        _ => desk.several(objects[first], random),
    };
    Some(told.sample(desk.picture, &objects[first].names.style, &ground))
}

/// A picture in the making.
struct Desk {
    picture: Picture,
    shift: Shift,
}

/// What a picture shows, in words.
struct Told {
    /// The fullest first.
    said: Vec<String>,
    parts: String,
    layout: &'static str,
    more: Vec<(&'static str, String)>,
}

/// A part of the picture that a thing stays in, in pixels.
#[derive(Clone, Copy)]
struct Place {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Desk {
    fn side(&self, random: &mut Random) -> u32 {
        self.shift.length(46, WIDE, random)
    }

    /// Puts a cut-out, at most `side` wide and high, anywhere into its place.
    fn put(&mut self, cutout: &Cutout, side: u32, place: Place, random: &mut Random) {
        let x = place.left + self.shift.length(0, place.width - side, random);
        let y = place.top + self.shift.length(0, place.height - side, random);
        let (width, height) = cutout.size();
        cutout.put(&mut self.picture, (x + (side - width) / 2) as i32, (y + (side - height) / 2) as i32);
    }

    fn beside(&mut self, first: &Thing, second: &Thing, random: &mut Random) -> Told {
        let left = Place { left: 0, top: 24, width: WIDE, height: 80 };
        self.pair([first, second], [left, Place { left: SECOND, ..left }], &BESIDE, random)
    }

    fn above(&mut self, first: &Thing, second: &Thing, random: &mut Random) -> Told {
        let top = Place { left: 24, top: 0, width: 80, height: WIDE };
        self.pair([first, second], [top, Place { top: SECOND, ..top }], &ABOVE, random)
    }

    fn pair(&mut self, things: [&Thing; 2], places: [Place; 2], relation: &Relation, random: &mut Random) -> Told {
        for (thing, place) in things.into_iter().zip(places) {
            let side = self.side(random);
            self.put(&thing.cutout.fitted(side), side, place, random);
        }
        let [a, b] = things.map(|thing| thing.names.said());
        let said = [
            format!("{a} {} {b}", relation.forth[0]),
            format!("{b} {} {a}", relation.back),
            format!("{a} {} {b}", relation.forth[1]),
        ];
        let mut phrases = things.map(|thing| thing.names.phrase.as_str());
        let more = vec![("first", phrases[0].to_owned()), ("second", phrases[1].to_owned())];
        // The pair is held out, not its order: else one half would tell the other.
        phrases.sort_unstable();
        Told { said: said.to_vec(), parts: phrases.join(" & "), layout: relation.layout, more }
    }

    fn several(&mut self, thing: &Thing, random: &mut Random) -> Told {
        let number = 2 + random.below(3);
        // A thing in the middle has a cell of room more.
        let room = |from: u32| if from == MIDDLE { WIDE + CELL } else { WIDE };
        let quarter = |left: u32, top: u32| Place { left, top, width: room(left), height: room(top) };
        let (near, far, middle) = (0, SECOND, MIDDLE);
        let places: &[Place] = match number {
            2 => &[quarter(near, middle), quarter(far, middle)],
            3 => &[quarter(middle, near), quarter(near, far), quarter(far, far)],
            _ => &[quarter(near, near), quarter(far, near), quarter(near, far), quarter(far, far)],
        };
        let side = self.side(random);
        let cutout = thing.cutout.fitted(side);
        for place in places {
            self.put(&cutout, side, *place, random);
        }
        let names = &thing.names;
        let several = names.several.as_deref().unwrap_or(&names.phrase);
        Told {
            said: vec![format!("{} {several}", COUNTS[number]), format!("{number} {several}")],
            parts: format!("{number} {}", names.phrase),
            layout: "count",
            more: vec![("thing", names.phrase.clone()), ("number", number.to_string())],
        }
    }
}

impl Told {
    fn sample(self, picture: Picture, style: &str, ground: &Ground) -> Sample {
        let behind = match ground {
            Ground::White => String::new(),
            _ => format!(" {}", ground.phrase()),
        };
        let mut captions: Vec<String> = self.said.iter().map(|said| format!("{said}{behind}, {style} style")).collect();
        captions.push(format!("{}{behind}", self.said[0]));
        let mut attributes = BTreeMap::from([
            ("parts".to_owned(), self.parts.clone()),
            ("layout".to_owned(), self.layout.to_owned()),
            ("ground".to_owned(), ground.name().to_owned()),
        ]);
        attributes.extend(self.more.into_iter().map(|(name, word)| (name.to_owned(), word)));
        Sample {
            picture,
            captions: distinct(captions),
            kind: Kind::Scene,
            style: style.to_owned(),
            attributes,
            held_out: split::is_held_out("scene", &self.parts).then_some(HeldOut::Scene),
            mirror: false,
        }
    }
}
