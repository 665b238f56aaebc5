//! A thing that stands in a landscape, with a shadow where it touches the ground and in the light of the hour.

use std::collections::BTreeMap;

use crate::habitat::{self, Place, Size};
use crate::landscape::{Scene, Stage, Style};
use crate::picture::{Picture, SIDE};
use crate::random::Random;
use crate::sample::{HeldOut, Kind, Sample, distinct};
use crate::split;
use crate::things::{Cutout, Shift, Thing, Things};

/// How much of the light's colour a thing takes on: it must keep its own colours.
const TINT: f32 = 0.7;
/// Darkness of the shadow in the light of day, and without light.
const SHADOW: [f32; 2] = [0.5, 0.3];
/// How much of itself a thing on water shows in it.
const REFLECTION: f32 = 0.35;
/// Share of a floating thing that is under water.
const SUNKEN: f32 = 0.08;
/// How often another thing is tried in a landscape in which one can hardly be seen.
const TRIES: usize = 6;
/// Least mean difference between a thing and what it hides, of 255 a colour.
const LEAST_CONTRAST: f32 = 24.0;
/// Smallest side of a thing: below it, a small model does not draw what it is.
const LEAST: u32 = 40;

/// A thing in a landscape that suits it; nothing where the things of a style suit no landscape drawn.
pub fn composite(things: &Things, shift: Shift, random: &mut Random) -> Option<Sample> {
    let scene = Scene::random_stage(random);
    let (mut picture, stage) = scene.paint(&mut random.fork());
    let place = if stage.on_water { Place::Water } else { Place::Land };
    let objects = things.objects(random);
    let suited: Vec<(&Thing, Size)> = objects
        .into_iter()
        .filter_map(|thing| habitat::size(&thing.names.phrase, place).map(|size| (thing, size)))
        .collect();
    if suited.is_empty() {
        return None;
    }
    let (thing, standing) = (0..TRIES).find_map(|_| {
        let (thing, size) = suited[random.below(suited.len())];
        let standing = Standing::choose(thing, size, &stage, shift, random)?;
        (standing.contrast(&picture) >= LEAST_CONTRAST).then_some((thing, standing))
    })?;
    standing.put(&mut picture, &stage);
    let terrain = scene.terrain.word();
    let held_out = if scene.is_held_out() {
        Some(HeldOut::Landscape)
    } else {
        split::is_held_out("pair", &format!("{} in {terrain}", thing.names.phrase)).then_some(HeldOut::Pair)
    };
    Some(Sample {
        picture,
        captions: captions(thing, &scene, random),
        kind: Kind::Composite,
        style: thing.names.style.clone(),
        attributes: attributes(&scene).into_iter().chain([("thing".to_owned(), thing.names.phrase.clone())]).collect(),
        held_out,
        mirror: false,
    })
}

/// What a landscape shows, by names; its rendering is `rendering`.
pub(crate) fn attributes(scene: &Scene) -> BTreeMap<String, String> {
    let name = |name: &str| if name == "style" { "rendering".to_owned() } else { name.to_owned() };
    scene.attributes().into_iter().map(|(of, word)| (name(of), word.to_owned())).collect()
}

/// The fullest first.
fn captions(thing: &Thing, scene: &Scene, random: &mut Random) -> Vec<String> {
    let said = thing.names.said();
    let style = &thing.names.style;
    let rendering = match scene.style {
        Style::Painterly => "painted landscape",
        Style::PaperCut => "paper-cut landscape",
    };
    // The longest of a few wordings says most.
    let mut places: Vec<String> = (0..3).map(|_| scene.place_phrase(random)).collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.len()));
    distinct([
        format!("{said} {}, {style} style, {rendering}", places[0]),
        format!("{said} {}, {style} style", places[1]),
        format!("{said} {}, {style} style", places[2]),
        format!("{said} {}", places[2]),
    ])
}

/// Where a thing stands, in the light of the hour.
struct Standing {
    cutout: Cutout,
    left: i32,
    top: i32,
}

impl Standing {
    /// Somewhere on the stage; the nearer, the larger. Nothing where the stage has no room.
    fn choose(thing: &Thing, size: Size, stage: &Stage, shift: Shift, random: &mut Random) -> Option<Self> {
        let step = shift.step();
        let last = (SIDE as u32 - 2).min(stage.feet.end as u32);
        let rows: Vec<u32> =
            (stage.feet.start.ceil().max(LEAST as f32) as u32..=last).filter(|row| row % step == 0).collect();
        if rows.is_empty() {
            return None;
        }
        let row = rows[random.below(rows.len())];
        let depth = (row as f32 - stage.feet.start) / (stage.feet.end - stage.feet.start).max(1.0);
        let near = match size {
            Size::Small => 44.0,
            Size::Medium => 58.0,
            Size::Large => 76.0,
        };
        let wanted = near * (0.7 + 0.3 * depth) * [0.92, 1.0, 1.08][random.below(3)];
        let side = (((wanted / step as f32).round() as u32) * step).clamp(LEAST, row);
        let cutout = thing.cutout.fitted(side);
        let cutout = if stage.on_water { cutout.without_bottom(SUNKEN) } else { cutout };
        let cutout = if thing.names.mirror && random.below(2) == 1 { cutout.mirrored() } else { cutout };
        let cutout = cutout.lit(stage.shade.map(|shade| 1.0 - TINT * (1.0 - shade)));
        let (width, height) = cutout.size();
        let left = shift.length(0, SIDE as u32 - side, random) + (side - width) / 2;
        Some(Self { cutout, left: left as i32, top: (row - height) as i32 })
    }

    fn put(&self, picture: &mut Picture, stage: &Stage) {
        if stage.on_water {
            self.reflect(picture);
        } else {
            self.shade(picture, stage);
        }
        self.cutout.put(picture, self.left, self.top);
    }

    /// Mean difference of a colour between the thing and what it hides.
    fn contrast(&self, picture: &Picture) -> f32 {
        let mut with = picture.clone();
        self.cutout.put(&mut with, self.left, self.top);
        let solid = self.cutout.solid_colours().count().max(1);
        let sum: u64 = with.rgb.iter().zip(&picture.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f32 / (3 * solid) as f32
    }

    /// The row below the thing.
    fn bottom(&self) -> i32 {
        self.top + self.cutout.size().1 as i32
    }

    /// Darkens the ground: most at the feet, and softly away from the light.
    fn shade(&self, picture: &mut Picture, stage: &Stage) {
        let foot = self.cutout.foot();
        let brightness = stage.shade.iter().sum::<f32>() / 3.0;
        let darkness = SHADOW[1] + (SHADOW[0] - SHADOW[1]) * brightness;
        let away = if stage.light_from_left { 1.0 } else { -1.0 };
        let (feet, y) = (self.left as f32 + foot.middle, self.bottom() as f32 - 1.0);
        let contact = Ellipse { x: feet, y, wide: foot.width * 0.5 + 3.0, high: 2.5 + foot.width * 0.05 };
        let reach = self.cutout.size().0 as f32 * 0.5;
        let cast = Ellipse { x: feet + away * reach * 0.45, y: y + 0.5, wide: reach + 3.0, high: 2.5 + reach * 0.14 };
        for row in 0..SIDE {
            for column in 0..SIDE {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let shadow = (contact.inside(x, y) * 1.2).max(cast.inside(x, y) * 0.9).min(1.0) * darkness;
                // Nothing above the ground's far edge is ground.
                if shadow > 0.0 && y > stage.ground_top {
                    let at = (row * SIDE + column) * 3;
                    for colour in &mut picture.rgb[at..at + 3] {
                        *colour = (f32::from(*colour) * (1.0 - shadow)).round() as u8;
                    }
                }
            }
        }
    }

    /// Shows the lower part of the thing upside down in the water, weaker the deeper.
    fn reflect(&self, picture: &mut Picture) {
        let (width, height) = self.cutout.size();
        let bottom = self.bottom();
        for depth in 0..(height / 2) as i32 {
            let row = bottom + depth;
            if row >= SIDE as i32 {
                break;
            }
            let strength = REFLECTION * (1.0 - 2.0 * depth as f32 / height as f32);
            // Ripples move every other pair of rows.
            let ripple = [0, 0, 1, 1][depth as usize % 4];
            for column in 0..width as i32 {
                let x = self.left + column + ripple;
                if !(0..SIDE as i32).contains(&x) {
                    continue;
                }
                let [r, g, b, a] = self.cutout.pixel(column as u32, height - 1 - depth as u32);
                let at = (row as usize * SIDE + x as usize) * 3;
                let alpha = f32::from(a) / 255.0 * strength;
                for (water, colour) in picture.rgb[at..at + 3].iter_mut().zip([r, g, b]) {
                    *water =
                        (f32::from(*water) * (1.0 - alpha) + f32::from(colour) * strength).round().min(255.0) as u8;
                }
            }
        }
    }
}

/// A soft spot.
struct Ellipse {
    x: f32,
    y: f32,
    wide: f32,
    high: f32,
}

impl Ellipse {
    /// 1 in the middle, 0 at the edge and outside.
    fn inside(&self, x: f32, y: f32) -> f32 {
        let far = ((x - self.x) / self.wide).powi(2) + ((y - self.y) / self.high).powi(2);
        (1.0 - far).max(0.0).sqrt()
    }
}
