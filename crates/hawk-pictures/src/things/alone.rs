//! One thing on a ground.

use std::collections::BTreeMap;

use super::ground::Ground;
use super::shift::{CELL, Shift};
use super::thing::{Drawing, Thing};
use crate::picture::SIDE;
use crate::random::Random;
use crate::sample::{HeldOut, Kind, Sample, distinct};

/// Sizes of the square that a thing is put in the middle of, in pixels.
const LEAST: u32 = 80;
const MOST: u32 = 112;

/// The thing on a ground that it can be told from. Unless `shift` fixes both, in one of a few sizes,
/// anywhere where it has room.
/// Nothing where every ground that was tried hides it.
pub fn alone(thing: &Thing, shift: Shift, random: &mut Random) -> Option<Sample> {
    let ground = Ground::behind(&[&thing.cutout], random)?;
    let side = match shift {
        Shift::Cells => [80, 96, 112][random.below(3)],
        Shift::Pixels => shift.length(LEAST, MOST, random),
        Shift::Fixed => MOST,
    };
    let cutout = thing.cutout.fitted(side);
    let mirrored = thing.names.mirror && random.below(2) == 1;
    let cutout = if mirrored { cutout.mirrored() } else { cutout };
    let room = SIDE as u32 - side;
    let [x, y] = match shift {
        Shift::Cells | Shift::Pixels => [(); 2].map(|()| shift.length(0, room, random)),
        Shift::Fixed => [room / 2; 2],
    };
    let mut picture = ground.paint();
    let (width, height) = cutout.size();
    cutout.put(&mut picture, (x + (side - width) / 2) as i32, (y + (side - height) / 2) as i32);
    Some(Sample {
        picture,
        captions: captions(thing, &ground, random),
        kind: Kind::Thing,
        style: thing.names.style.clone(),
        attributes: BTreeMap::from([
            ("thing".to_owned(), thing.names.phrase.clone()),
            ("ground".to_owned(), ground.name().to_owned()),
            ("side_cells".to_owned(), side.div_ceil(CELL).to_string()),
        ]),
        held_out: match thing.names.split {
            Drawing::Train => None,
            Drawing::NewStyle => Some(HeldOut::Style),
            Drawing::NewConcept => Some(HeldOut::Concept),
        },
        mirror: thing.names.mirror,
    })
}

/// The fullest first. White goes without saying in all but the first. A colour is named in all but
/// one.
fn captions(thing: &Thing, ground: &Ground, random: &mut Random) -> Vec<String> {
    let names = &thing.names;
    let (said, phrase, style, behind) = (names.said(), &names.phrase, &names.style, ground.phrase());
    let in_style = |what: &str| format!("{what}, {style} style");
    let mut captions = vec![in_style(&format!("{said} {behind}"))];
    match (ground, ground.gradient_phrase()) {
        (Ground::White, _) => captions.push(in_style(phrase)),
        (_, Some(gradient)) => captions.push(in_style(&format!("{phrase} {gradient}"))),
        (_, None) => captions.push(in_style(&format!("{phrase} {behind}"))),
    }
    let coloured = names.colour.as_ref().map(|colour| in_style(&format!("{phrase}, mostly {colour}")));
    captions.push(match coloured {
        Some(coloured) if *ground == Ground::White && random.below(3) == 0 => coloured,
        _ => in_style(said),
    });
    captions.push(if *ground == Ground::White { said.to_owned() } else { format!("{said} {behind}") });
    distinct(captions)
}
