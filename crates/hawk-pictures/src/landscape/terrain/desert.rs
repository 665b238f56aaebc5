//! Dunes and canyons.

use super::{grass::stream, ground::Ground};
use crate::{
    landscape::{
        attributes::Landmark,
        canvas::{Profile, Shape},
        colour::{Colour, hex, mix, scale, smooth},
        look::Look,
        painter::Painter,
    },
    picture::SIDE,
};

const SANDS: [u32; 4] = [0xE0B070, 0xE8C088, 0xD8985C, 0xE4B894];

/// Sand below crests: each crest has a side in the light and one in the shade.
fn dune(painter: &mut Painter, height: f32, swing: f32, distance: f32, sand: Colour) {
    let length = painter.random.between(46.0, 80.0);
    let shift = painter.random.between(0.0, 100.0);
    let steep = painter.random.between(0.22, 0.36);
    let turned = painter.random.chance(0.5);
    let noise = painter.look.noise.other(painter.random.next_u64() as u32);
    let wave = |x: f32| {
        let x = if turned { -x } else { x };
        let place = (x + shift + 10.0 * noise.line(x / 60.0, 1)) / length;
        let part = place - place.floor();
        let tall = 0.65 + 0.5 * noise.at(place.floor() * 1.7, 5.5);
        (part, tall, if part < 1.0 - steep { part / (1.0 - steep) } else { (1.0 - part) / steep })
    };
    let top: Profile = std::array::from_fn(|x| {
        let (_, tall, rise) = wave(x as f32);
        height - swing * tall * rise * rise * (3.0 - 2.0 * rise).min(1.6)
    });
    let look = painter.look;
    let (lit, dark) =
        (look.tone(scale(sand, 1.1), distance), look.tone(mix(scale(sand, 0.62), hex(0x7A5480), 0.16), distance));
    let side = if turned { -1.0 } else { 1.0 } * look.light_side;
    painter.land(&top, |x, y, depth| {
        let bent = x
            + (if turned { 1.0 } else { -1.0 }) * (depth * 0.75 + 7.0 * (depth / 13.0).sin())
            + 2.0 * noise.line(y / 14.0, 2);
        let (part, _, _) = wave(bent);
        let steep_side =
            look.edge((part - (1.0 - steep)) * length / 1.7, 1.0) * look.edge((1.0 - part) * length / 1.7, 4.0);
        let fade = smooth(44.0, 12.0, depth);
        let shade = if side > 0.0 { 0.30 * (1.0 - steep_side) } else { 0.9 * steep_side } * (0.35 + 0.65 * fade);
        let ripples =
            if look.paper() { 0.0 } else { 0.03 * ((y * 1.25 + 5.0 * noise.at(x / 15.0, y / 15.0) + x * 0.12).sin()) };
        scale(mix(lit, dark, shade), (1.0 + ripples) * look.texture(x, y, 9.0, 0.05))
    });
}

pub(super) fn dunes(painter: &mut Painter) {
    let sand = hex(painter.random.pick(&SANDS));
    let base = painter.horizon;
    let layers = 2 + painter.random.below(2);
    for layer in 0..layers {
        let part = layer as f32 / (layers - 1) as f32;
        let swing = painter.random.between(12.0, 18.0) + 8.0 * part;
        dune(painter, base + 18.0 * part, swing, 0.42 * (1.0 - part), sand);
    }
}

pub(super) fn sand(painter: &mut Painter) -> Ground {
    let sand = hex(painter.random.pick(&SANDS));
    let height = painter.random.between(96.0, 102.0);
    dune(painter, height, 7.0, 0.0, sand);
    Ground::land(height)
}

/// The bands of a canyon's rock.
struct Strata {
    colours: [Colour; 5],
    thick: f32,
}

const ROCKS: [[u32; 5]; 3] = [
    [0xC4603C, 0xE08A54, 0xA84A34, 0xEAA870, 0xB8583C],
    [0xB8523C, 0xD87C50, 0x964434, 0xDE9C6C, 0xC06A48],
    [0xD07848, 0xE8A468, 0xB45E3C, 0xF0C08C, 0xC4704A],
];

impl Strata {
    fn new(painter: &mut Painter) -> Self {
        Self { colours: painter.random.pick(&ROCKS).map(hex), thick: painter.random.between(5.0, 8.0) }
    }

    fn colour(&self, look: &Look, x: f32, y: f32) -> Colour {
        let bend = look.noise.other(51).fractal(x / 40.0, y / 30.0, 2);
        let level = y / self.thick + bend * 1.2;
        let band = level.floor();
        let part = look.edge((level - band - 0.5) * self.thick, 1.4);
        let pick = |band: f32| self.colours[(band as i32 + 500).rem_euclid(5) as usize];
        mix(pick(band), pick(band + 1.0), part)
    }
}

/// A flat-topped rock.
struct Butte {
    left: f32,
    right: f32,
    top: f32,
    base: f32,
}

fn butte(painter: &mut Painter, butte: &Butte, strata: &Strata, distance: f32) {
    let look = painter.look;
    let noise = look.noise.other(painter.random.next_u64() as u32);
    let (wide, tall) = (butte.right - butte.left, butte.base - butte.top);
    let foot = tall * 0.45;
    let mut points = vec![(butte.left - foot * 0.7, butte.base + 3.0), (butte.left - foot * 0.12, butte.base - foot)];
    let steps = 8;
    for step in 0..=steps {
        let part = step as f32 / steps as f32;
        let edge = (part - 0.5).abs() * 2.0;
        let drop = if edge > 0.85 { tall * 0.16 } else { 0.0 };
        points.push((butte.left + wide * part, butte.top + drop + 1.6 * noise.line(part * 5.0, 2)));
    }
    points.extend([(butte.right + foot * 0.12, butte.base - foot), (butte.right + foot * 0.7, butte.base + 3.0)]);
    let mut shape = Shape::new();
    shape.polygon(&points);
    let middle = (butte.left + butte.right) / 2.0;
    painter.cut(shape, |x, y| {
        let rock = strata.colour(&look, x, y);
        let cracks = noise.fractal(x / 5.0, y / 26.0, 2);
        let lit = look.edge((x - middle) * look.light_side + 7.0 * cracks + wide * 0.12, wide * 0.2);
        let colour = mix(
            look.tone(scale(mix(rock, hex(0x50406C), 0.22), 0.64), distance),
            look.tone(scale(rock, 1.08), distance),
            lit,
        );
        let crack = if look.paper() { 1.0 } else { 1.0 + 0.14 * cracks };
        scale(colour, crack)
    });
}

pub(super) fn canyon(painter: &mut Painter) {
    let strata = Strata::new(painter);
    let base = painter.horizon;
    let look = painter.look;
    let far = painter.gentle(base - 9.0, 5.0, 12.0);
    let pale = look.tone(strata.colours[1], 0.6);
    painter.land(&far, |_, _, _| pale);
    for _ in 0..2 + painter.random.below(2) {
        let (middle, wide) = (painter.random.between(20.0, 108.0), painter.random.between(12.0, 30.0));
        let top = base - painter.random.between(20.0, 36.0);
        butte(painter, &Butte { left: middle - wide / 2.0, right: middle + wide / 2.0, top, base }, &strata, 0.34);
    }
    let floor: Profile = [base; SIDE];
    let ground = look.tone(mix(strata.colours[1], hex(0xD8A070), 0.5), 0.16);
    painter.land(&floor, |x, y, _| scale(ground, look.texture(x, y, 8.0, 0.06)));
    let walls = painter.random.below(4);
    let tall = painter.random.between(40.0, 54.0);
    for (number, (left, right)) in
        [(-30.0, painter.random.between(14.0, 30.0)), (painter.random.between(98.0, 114.0), 158.0)]
            .into_iter()
            .enumerate()
    {
        if walls == 3 || walls == number {
            continue;
        }
        let step = painter.random.between(8.0, 14.0);
        let (inner_left, inner_right) = if number == 0 { (left, right + step) } else { (left - step, right) };
        let half = base + 4.0 - tall * 0.55;
        butte(painter, &Butte { left: inner_left, right: inner_right, top: half, base: base + 8.0 }, &strata, 0.14);
        butte(painter, &Butte { left, right, top: base - tall, base: base + 12.0 }, &strata, 0.06);
    }
}

pub(super) fn floor(painter: &mut Painter) -> Ground {
    let height = painter.horizon + painter.random.between(8.0, 14.0);
    let top = painter.gentle(height, 2.0, 30.0);
    let look = painter.look;
    let earth = hex(painter.random.pick(&[0xC8744C, 0xD08858, 0xB8644A]));
    let (light, dark) = (look.tone(scale(earth, 1.08), 0.0), look.tone(scale(earth, 0.76), 0.0));
    let noise = look.noise.other(61);
    painter.land(&top, |x, y, depth| {
        let drift = if look.paper() {
            0.2
        } else {
            (0.35 + 0.012 * depth + 0.7 * noise.fractal(x / 24.0, y / 8.0, 2)).clamp(0.0, 1.0)
        };
        scale(mix(light, dark, drift), look.texture(x, y, 4.5, 0.06))
    });
    let bridged = painter.scene.landmark == Some(Landmark::Bridge);
    if bridged || painter.random.chance(0.3) {
        stream(painter, height);
    }
    if painter.random.chance(0.5) {
        let mut bushes = Shape::new();
        for _ in 0..7 {
            let y = painter.random.between(height + 3.0, 112.0);
            let x = painter.random.between(4.0, 124.0);
            let radius = 1.4 + (y - height) * 0.06;
            bushes.oval(x, y - radius * 0.6, radius * 1.5, radius);
        }
        let green = look.tone(hex(0x6E7A48), 0.0);
        painter.cut(bushes, |_, _| green);
    }
    Ground::land(height)
}
