//! Seas, lakes, beaches and islands.

use super::{forest, grass, ground::Ground};
use crate::{
    landscape::{
        attributes::{Front, Terrain, Time, Weather},
        canvas::{Cover, Profile, Shape},
        colour::{Colour, grey, hex, mix, scale, smooth},
        landmarks,
        look::Look,
        painter::Painter,
    },
    picture::SIDE,
};

const WATERS: [u32; 5] = [0x2A7A9C, 0x1E6A8C, 0x2E8E9A, 0x34709E, 0x24849A];

/// A far coast behind the sea, sometimes.
pub(super) fn coast(painter: &mut Painter) {
    if painter.random.chance(0.55) {
        return;
    }
    let base = painter.horizon;
    let left = painter.random.chance(0.5);
    let (reach, tall) = (painter.random.between(40.0, 90.0), painter.random.between(7.0, 16.0));
    let noise = painter.look.noise.other(71);
    let top: Profile = std::array::from_fn(|x| {
        let x = if left { x as f32 } else { (SIDE - x) as f32 };
        base + 1.0 - tall * smooth(reach, reach * 0.3, x) * (0.8 + 0.5 * noise.line(x / 16.0, 3))
    });
    let look = painter.look;
    let land = look.tone(hex(0x5E7A70), 0.45);
    painter.land(&top, |x, y, _| scale(land, look.texture(x, y, 6.0, 0.07)));
}

struct Island {
    x: f32,
    half_width: f32,
    tall: f32,
    /// The row of its shore.
    shore: f32,
    distance: f32,
}

pub(super) fn islands(painter: &mut Painter) {
    let count = 3 + painter.random.below(3);
    let gap = 116.0 / count as f32;
    for number in 0..count {
        let far = number % 2 == 0;
        let half_width = painter.random.between(13.0, 27.0);
        let island = Island {
            x: 6.0 + (number as f32 + painter.random.between(0.2, 0.8)) * gap,
            half_width,
            tall: half_width * painter.random.between(0.55, 1.15),
            shore: painter.horizon + if far { 0.5 } else { 2.0 },
            distance: if far { 0.45 } else { 0.2 },
        };
        rock(painter, &island);
    }
}

/// One island, green above rock.
fn rock(painter: &mut Painter, island: &Island) {
    let noise = painter.look.noise.other(painter.random.next_u64() as u32);
    let top: Profile = std::array::from_fn(|x| {
        let away = (x as f32 - island.x) / island.half_width;
        let rise = (1.0 - away.abs().powf(2.4)).max(-0.3);
        let rough = 1.0 + 0.4 * noise.line(x as f32 / 9.0, 3);
        island.shore + 0.5 - island.tall * rise * rough + if rise < 0.0 { 300.0 } else { 0.0 }
    });
    let points: Vec<_> = (0..SIDE).filter(|&x| top[x] < island.shore).map(|x| (x as f32 + 0.5, top[x])).collect();
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else { return };
    let mut outline = vec![(first.0 - 1.5, island.shore + 0.5)];
    outline.extend(points);
    outline.push((last.0 + 1.5, island.shore + 0.5));
    let mut shape = Shape::new();
    shape.polygon(&outline);
    let look = painter.look;
    let tone = |colour: u32| look.tone(hex(colour), island.distance);
    let (green, leaf, stone, shade) = (tone(0x4E8A4C), tone(0x86B45A), tone(0xA8927C), tone(0x5E5660));
    painter.cut(shape, |x, y| {
        let relief = noise.fractal(x / 8.0, y / 8.0, 2);
        let lit = look.edge((x - island.x) * look.light_side + 8.0 * relief + 2.0, 4.0);
        let depth = island.shore - y - 4.0 + 4.0 * relief;
        let (low, high) = (mix(shade, stone, lit), mix(green, leaf, lit * if look.paper() { 0.5 } else { 0.8 }));
        scale(mix(low, high, look.edge(depth, 1.2)), look.texture(x, y, 4.0, 0.08))
    });
}

/// A sheet of water that mirrors what is above its far shore.
struct Water {
    shore: f32,
    /// The share of the water's own colour.
    body: f32,
    colour: Colour,
    /// The strength of the waves, 0 to 1.
    rough: f32,
}

fn water(painter: &mut Painter, sheet: &Water) {
    let look = painter.look;
    let calm = painter.scene.terrain == Terrain::Lake;
    let mirror = painter.mirror.take().filter(|_| !calm).unwrap_or_else(|| painter.canvas.clone());
    let noise = look.noise.other(81);
    let colour = body_colour(&look, sheet.colour);
    let deep = mix(colour, scale(look.sky[0], 0.8), 0.3);
    let (shore, rough) = (sheet.shore, sheet.rough);
    let disc = painter.disc;
    let glint = glint(&look);
    let paper = look.paper();
    painter.canvas.each(shore as usize..SIDE, |canvas, x, y| {
        let (fx, fy) = (x as f32, y as f32);
        let near = (fy + 0.5 - shore) / (SIDE as f32 - shore);
        let cover = (fy + 1.0 - shore).clamp(0.0, 1.0);
        let length = 2.2 + 9.0 * near;
        let flat = 5.0 + 26.0 * near;
        let wave = noise.at(fx / flat, (fy - shore) / (length * 0.62) + 3.0)
            + 0.5 * noise.at(fx / flat * 1.9 + 7.0, (fy - shore) / (length * 0.36));
        let shift = wave * (1.0 + 9.0 * near) * (0.4 + rough);
        let image =
            mirror.sample(fx + shift * 0.9, (2.0 * shore - fy - 1.0 - shift.abs() * 1.2).clamp(0.0, shore - 1.0));
        let own = mix(colour, deep, near);
        let crest = if paper { 0.0 } else { wave * (0.10 + 0.22 * rough) };
        let mut tone = mix(image, own, (sheet.body + 0.25 * near * sheet.body).min(0.92));
        tone = scale(tone, 1.0 + crest);
        if !paper {
            tone = mix(tone, glint, smooth(0.42, 0.85, wave) * 0.3 * rough);
        }
        if let Some(disc) = disc.filter(|_| !paper) {
            let spread = disc.radius * (0.75 + 1.1 * near) + 1.5;
            let across = (fx + shift - disc.x) / spread;
            let broken = smooth(-0.25, 0.3, wave + 0.22 - 0.25 * near);
            let strength = (-across * across).exp() * broken * (0.85 - 0.35 * near);
            tone = mix(tone, glint, strength);
        }
        canvas.blend(x, y, tone, cover);
    });
    if paper {
        paper_waves(painter, sheet, near_tone(colour, deep));
    }
}

fn near_tone(colour: Colour, deep: Colour) -> [Colour; 2] {
    [scale(mix(colour, [1.0; 3], 0.12), 1.0), deep]
}

/// The colour of water in this light: at sunset and dusk much of it is the sky's.
fn body_colour(look: &Look, colour: Colour) -> Colour {
    match look.time {
        Time::Day | Time::Night => look.tone(colour, 0.0),
        Time::Dawn => mix(look.tone(colour, 0.0), look.sky[0], 0.45),
        Time::Sunset => mix(mix(hex(0x34507E), look.sky[0], 0.35), look.sky[1], 0.22),
        Time::Dusk => mix(look.tone(colour, 0.0), look.sky[0], 0.5),
    }
}

fn glint(look: &Look) -> Colour {
    match look.time {
        Time::Dawn => hex(0xFFE8C4),
        Time::Day => hex(0xFFFCEC),
        Time::Sunset => hex(0xFFD070),
        Time::Dusk => hex(0xEEDCEC),
        Time::Night => hex(0xC4D4F0),
    }
}

/// Flat wave crests, longer when nearer.
fn paper_waves(painter: &mut Painter, sheet: &Water, tones: [Colour; 2]) {
    if let Some(disc) = painter.disc {
        let mut strips = Shape::new();
        let rows = ((124.0 - sheet.shore) / 5.0) as usize;
        for row in 0..rows {
            let part = row as f32 / rows as f32;
            let half = (disc.radius * (0.9 + 0.5 * part) + 1.0) * painter.random.between(0.55, 1.0);
            let (x, y) = (disc.x + painter.random.between(-3.0, 3.0), sheet.shore + 3.0 + 5.0 * row as f32);
            strips.line(&[(x - half, y), (x + half, y)], 1.6 + 0.8 * part);
        }
        let glint = glint(&painter.look);
        painter.veil(strips, glint, 0.8);
    }
    for _ in 0..16 {
        let part = painter.random.unit();
        let y = sheet.shore + 4.0 + (124.0 - sheet.shore) * part;
        let (x, half) = (painter.random.between(0.0, 128.0), 3.0 + 11.0 * part);
        let mut shape = Shape::new();
        shape.line(&[(x - half, y), (x + half, y)], 0.9 + 0.9 * part);
        painter.veil(shape, tones[0], 0.55);
    }
    if sheet.rough < 0.4 {
        return;
    }
    for step in 0..3 {
        let part = (step as f32 + 0.7) / 3.3;
        let (y, length) = (sheet.shore + (128.0 - sheet.shore) * part, 7.0 + 7.0 * part);
        let shift = painter.random.between(0.0, 20.0);
        let top: Profile = std::array::from_fn(|x| {
            let place = ((x as f32 + shift) / length).fract() * 2.0 - 1.0;
            y + (1.0 - place * place) * length * 0.22
        });
        let tone = mix(tones[0], tones[1], 0.2 + 0.7 * part);
        painter.land(&top, |_, _, _| tone);
    }
}

fn sea_sheet(painter: &mut Painter, shore: f32) -> Water {
    let rough = match painter.scene.weather {
        Weather::Rain | Weather::Overcast => 0.9,
        _ => painter.random.between(0.4, 0.8),
    };
    Water { shore, body: painter.random.between(0.5, 0.66), colour: hex(painter.random.pick(&WATERS)), rough }
}

pub(super) fn open(painter: &mut Painter) -> Ground {
    let shore = painter.horizon + if painter.scene.terrain == Terrain::Islands { 1.5 } else { 0.0 };
    let mut sheet = sea_sheet(painter, shore);
    if painter.scene.terrain == Terrain::Islands {
        sheet.body *= 0.75;
        sheet.rough *= 0.6;
    }
    water(painter, &sheet);
    Ground::water(shore)
}

pub(super) fn beach(painter: &mut Painter) -> Ground {
    let shore = painter.horizon;
    let sheet = sea_sheet(painter, shore);
    water(painter, &Water { rough: sheet.rough * 0.8, ..sheet });
    let look = painter.look;
    let open = painter.scene.front == Front::Open;
    let (low, high, slant) = if open { (82.0, 89.0, 0.1) } else { (88.0, 97.0, 0.2) };
    let (middle, tilt) = (painter.random.between(low, high), painter.random.between(-slant, slant));
    let bay = painter.gentle(0.0, 4.0, 40.0);
    let line: Profile = std::array::from_fn(|x| middle + tilt * (x as f32 - 64.0) + bay[x]);
    let foam: Profile = std::array::from_fn(|x| line[x] - 5.5 + 1.8 * look.noise.other(91).line(x as f32 / 13.0, 2));
    let white = look.tone(hex(0xF4FAF8), 0.0);
    let shallow = look.tone(hex(0x7CC4BC), 0.0);
    let second: Profile = std::array::from_fn(|x| foam[x] - 7.0);
    if look.paper() {
        painter.land(&second, |_, _, _| shallow);
        painter.land(&foam, |_, _, _| white);
    } else {
        painter.canvas.fill(&Cover::below(&second), |x, y| {
            let part = smooth(0.0, 7.0, y - second[x as usize]);
            (shallow, 0.6 * part)
        });
        painter.canvas.fill(&Cover::below(&foam), |x, y| {
            let lace = look.noise.other(92).fractal(x / 6.0, y / 3.5, 2);
            (white, (0.85 + 0.6 * lace).clamp(0.35, 0.95))
        });
    }
    let sand = hex(painter.random.pick(&[0xEBD3A0, 0xE4C48E, 0xF0DCB6]));
    let (wet, dry) = (look.tone(scale(sand, 0.72), 0.0), look.tone(sand, 0.0));
    painter.land(&line, |x, y, depth| {
        let part = if look.paper() { 1.0 } else { smooth(1.0, 9.0, depth) };
        let drift = look.noise.other(93).fractal(x / 22.0, y / 7.0, 2);
        scale(
            mix(wet, dry, part),
            (1.0 + if look.paper() { 0.0 } else { 0.07 * drift }) * look.texture(x, y, 4.0, 0.04),
        )
    });
    Ground::land(line.iter().copied().fold(0.0, f32::max))
}

pub(super) fn lake(painter: &mut Painter) -> Ground {
    let shore = painter.horizon + 1.5;
    let colour = hex(painter.random.pick(&WATERS));
    let body = painter.random.between(0.16, 0.32);
    let rough = painter.random.between(0.0, 0.3);
    let edge = scale(painter.look.haze, 0.9);
    water(painter, &Water { shore, body, colour, rough });
    let mut line = Shape::new();
    line.rectangle(0.0, shore - 0.4, 128.0, 1.1);
    painter.veil(line, edge, 0.35 + 0.2 * grey(edge));
    if painter.scene.front == Front::Open || painter.scene.landmark.is_some_and(landmarks::on_land) {
        let height = painter.random.between(94.0, 100.0);
        grass::ground(painter, height);
        return Ground::land(height);
    }
    if painter.random.chance(0.3) {
        near_trees(painter);
    }
    Ground::water(shore)
}

/// A headland of pines at one side of a lake.
fn near_trees(painter: &mut Painter) {
    let left = painter.random.chance(0.5);
    let noise = painter.look.noise.other(95);
    let line: Profile = std::array::from_fn(|x| {
        let x = if left { x as f32 } else { (SIDE - x) as f32 };
        101.0 + x * 0.75 + 2.0 * noise.line(x / 12.0, 2)
    });
    let tall = painter.random.between(22.0, 34.0);
    let (from, to) = if left { (0.0, 36.0) } else { (92.0, 128.0) };
    if !painter.hides_light(from, to, 98.0 - tall) {
        let meadow = painter.meadow();
        let look = painter.look;
        let tone = look.tone(scale(meadow, 0.8), 0.0);
        painter.land(&line, |x, y, _| scale(tone, look.texture(x, y, 5.0, 0.08)));
        forest::shore(painter, &line, tall);
    }
}

/// A river in front of a city.
pub(super) fn river(painter: &mut Painter) -> Ground {
    let shore = painter.horizon + 2.0;
    let look = painter.look;
    let mut quay = Shape::new();
    quay.rectangle(-1.0, shore - 2.5, 130.0, 3.5);
    let stone = look.tone(hex(0x6C6A70), 0.0);
    painter.cut(quay, |_, _| stone);
    let rough = painter.random.between(0.1, 0.4);
    water(painter, &Water { shore, body: 0.34, colour: hex(0x2E5C7C), rough });
    Ground::water(shore)
}
