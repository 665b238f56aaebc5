//! Things on the ground, on the water and in the air.

mod buildings;
mod crossings;
mod flyers;

pub(super) use flyers::fly;

use super::{
    attributes::{Landmark, Terrain},
    canvas::Shape,
    colour::{Colour, hex, mix, scale},
    painter::Painter,
    plants::{Tree, cactus, crown, leafy, palm, pines},
    terrain::ground::Ground,
};
use buildings::{house, lighthouse, windmill};
use crossings::{bridge, sailboat};

/// Whether a landmark needs ground to stand on, also in front of a lake.
pub(super) fn on_land(landmark: Landmark) -> bool {
    matches!(landmark, Landmark::House | Landmark::Trees | Landmark::Windmill)
}

pub(super) fn paint(painter: &mut Painter, ground: &Ground) {
    let Some(landmark) = painter.scene.landmark else { return };
    let last = (ground.top + 18.0).clamp(110.0, 117.0);
    let woods = matches!(painter.scene.terrain, Terrain::PineForest | Terrain::LeafyForest);
    let first = if woods { 108.0 } else { ground.top + 6.0 };
    let foot = painter.random.between(first.min(last - 1.0), last);
    match landmark {
        Landmark::Trees => trees(painter, foot),
        Landmark::Palms => palms(painter, ground, foot),
        Landmark::Cacti => cacti(painter, foot),
        Landmark::Lighthouse => lighthouse_on_rock(painter, ground, foot),
        Landmark::House => house(painter, foot),
        Landmark::Windmill => windmill(painter, foot),
        Landmark::Sailboat => sailboat(painter, ground),
        Landmark::Bridge => bridge(painter, ground),
    }
}

fn trees(painter: &mut Painter, foot: f32) {
    let count = 2 + painter.random.below(2);
    let first = painter.spot(24.0);
    let mut trees: Vec<_> = (0..count)
        .map(|number| Tree {
            x: 14.0 + (first - 14.0 + number as f32 * painter.random.between(24.0, 32.0)) % 100.0,
            y: foot + painter.random.between(0.0, 6.0),
            height: painter.random.between(36.0, 52.0),
        })
        .collect();
    trees.sort_by(|a, b| a.y.total_cmp(&b.y));
    if painter.scene.terrain == Terrain::SnowField || painter.random.chance(0.25) {
        return pines(painter, &trees, hex(0x2A5A44), 0.0);
    }
    for tree in trees {
        let colours = crown(painter.scene.season, &mut painter.random);
        leafy(painter, &[tree], colours, 0.0);
    }
}

fn palms(painter: &mut Painter, ground: &Ground, foot: f32) {
    let x = painter.spot(26.0);
    let foot = if ground.on_water {
        let foot = painter.random.between(92.0, 104.0);
        islet(painter, x, foot, 26.0, hex(0xE8CE98));
        foot - 1.0
    } else {
        foot
    };
    for number in 0..2 + painter.random.below(2) {
        let shift = (number as f32 - 0.8) * painter.random.between(9.0, 15.0);
        let height = painter.random.between(36.0, 50.0);
        palm(painter, Tree { x: x + shift, y: foot + number as f32, height });
    }
}

fn cacti(painter: &mut Painter, foot: f32) {
    let first = painter.spot(20.0);
    for number in 0..2 + painter.random.below(2) {
        let x = (first + number as f32 * painter.random.between(22.0, 36.0)) % 120.0 + 4.0;
        let height = if number == 0 { painter.random.between(26.0, 36.0) } else { painter.random.between(13.0, 24.0) };
        let y = foot + painter.random.between(-3.0, 7.0);
        cactus(painter, Tree { x, y, height });
    }
}

/// A mound in the water, of earth or of rock.
fn islet(painter: &mut Painter, x: f32, y: f32, half_width: f32, colour: Colour) {
    let look = painter.look;
    let mut mirror = Shape::new();
    mirror.oval(x, y + 2.0, half_width, 3.4);
    painter.veil(mirror, look.tone(scale(colour, 0.45), 0.1), 0.5);
    let points: Vec<_> = (0..=20)
        .map(|step| {
            let part = step as f32 / 10.0 - 1.0;
            let rough = 1.0 + 0.3 * look.noise.other(97).line(part * 3.0 + x, 2);
            (x + part * half_width, y + 2.5 - (1.0 - part * part).max(0.0).sqrt() * half_width * 0.3 * rough)
        })
        .collect();
    let mut shape = Shape::new();
    shape.polygon(&points);
    let (lit, dark) = (look.close(colour), look.close(scale(colour, 0.66)));
    painter.cut(shape, |px, py| {
        let lit_part = look.edge((px - x) * look.light_side + (y - py) * 1.5 + 3.0, 7.0);
        scale(mix(dark, lit, lit_part), look.texture(px, py, 4.0, 0.1))
    });
}

fn lighthouse_on_rock(painter: &mut Painter, ground: &Ground, foot: f32) {
    let x = painter.spot(22.0);
    let foot = if ground.on_water { painter.random.between(88.0, 102.0) } else { foot.max(100.0) };
    let stone = hex(painter.random.pick(&[0x7C7470, 0x8A7C6C, 0x6C7078]));
    islet(painter, x, foot + 2.0, 20.0, stone);
    lighthouse(painter, x, foot - 1.0);
}
