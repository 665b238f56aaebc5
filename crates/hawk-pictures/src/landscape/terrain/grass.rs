//! Hills, meadows and plains under snow.

use super::ground::Ground;
use crate::landscape::{
    attributes::{Front, Season, Terrain},
    canvas::{Profile, Shape},
    colour::{Colour, hex, mix, scale},
    painter::Painter,
    plants::{Row, flowers, leafy_row, pine_row},
};

pub(super) fn hills(painter: &mut Painter) {
    let layers = 3 + painter.random.below(3);
    let first = painter.horizon - 6.0;
    for layer in 0..layers {
        let part = layer as f32 / (layers - 1) as f32;
        let swing = painter.random.between(9.0, 15.0) * (1.0 - 0.35 * part);
        let length = painter.random.between(44.0, 74.0);
        let top = painter.gentle(first + 32.0 * part, swing, length);
        let distance = 0.6 * (1.0 - part);
        hill(painter, &top, distance);
        if painter.random.chance(0.65) {
            let count = 3 + painter.random.below(7);
            let tall = 8.0 + 8.0 * part;
            let row = Row { line: &top, count, heights: (tall * 0.6, tall), spread: 8.0, distance };
            if painter.random.chance(0.7) { leafy_row(painter, &row) } else { pine_row(painter, &row) }
        }
    }
}

fn hill(painter: &mut Painter, top: &Profile, distance: f32) {
    let meadow = painter.meadow();
    let look = painter.look;
    let ploughed = painter.random.chance(0.3) && !painter.snowy();
    let stripes = if ploughed { 0.07 } else { 0.0 };
    let noise = look.noise.other(painter.random.next_u64() as u32);
    let [sunny, shady] = look.ground(meadow, distance);
    let field = look.ground(painter.meadow(), distance)[0];
    let fields = painter.random.chance(0.4) && !painter.snowy();
    painter.land(top, |x, y, depth| {
        let column = x as usize;
        let slope = (top[(column + 4).min(127)] - top[column.saturating_sub(4)]) / 8.0;
        let lit = 0.72 - 0.9 * slope * look.light_side - 0.012 * depth + 0.22 * noise.fractal(x / 24.0, y / 11.0, 2);
        let lit = if look.paper() { 0.75 } else { lit.clamp(0.0, 1.0) };
        let row = 1.0 + stripes * ((depth + x * 0.35) * 0.9).sin() * f32::from(u8::from(!look.paper()));
        let part = if fields { look.edge(9.0 * noise.other(3).at(x / 17.0, depth / 8.0) - 1.0, 1.0) } else { 0.0 };
        let sunny = mix(sunny, mix(field, shady, 0.2), part);
        scale(mix(shady, sunny, lit), row * look.texture(x, y, 4.5, 0.045))
    });
}

pub(super) fn snow_field(painter: &mut Painter) {
    let base = painter.horizon;
    let look = painter.look;
    let far = painter.gentle(base - 12.0, 12.0, 26.0);
    let pale = look.tone(hex(0xB8C8E2), 0.55);
    painter.land(&far, |x, y, _| scale(pale, look.texture(x, y, 7.0, 0.05)));
    for part in [0.0, 0.5, 1.0] {
        let top = painter.gentle(base + 14.0 * part, 4.0, 44.0);
        let distance = 0.35 * (1.0 - part);
        hill(painter, &top, distance);
        if painter.random.chance(0.6) {
            let count = 3 + painter.random.below(7);
            let tall = 11.0 + 6.0 * part;
            pine_row(painter, &Row { line: &top, count, heights: (tall * 0.6, tall), spread: 4.0, distance });
        }
    }
}

/// The meadow in front of mountains and hills.
pub(super) fn meadow(painter: &mut Painter) -> Ground {
    let open = painter.scene.front == Front::Open;
    let height = if painter.scene.terrain == Terrain::Mountains {
        painter.horizon + painter.random.between(6.0, 14.0)
    } else {
        painter.random.between(94.0, 106.0)
    };
    let height = if open { height.min(98.0) } else { height };
    ground(painter, height);
    if !open && painter.random.chance(0.5) && painter.scene.landmark.is_none() {
        side_trees(painter, height);
    }
    if !painter.snowy() {
        if painter.random.chance(0.22) {
            path(painter, height);
        } else if painter.scene.terrain == Terrain::Mountains && painter.random.chance(0.3) {
            stream(painter, height);
        }
    }
    Ground::land(height)
}

/// A path of sand.
pub(super) fn path(painter: &mut Painter, height: f32) {
    let sand = painter.look.tone(hex(0xCBB088), 0.0);
    winding(painter, height, sand);
}

/// A stream that mirrors the sky.
pub(super) fn stream(painter: &mut Painter, height: f32) {
    let look = painter.look;
    let water = mix(mix(look.sky[1], look.sky[2], 0.4), look.tone(hex(0x3A88AC), 0.0), 0.4);
    winding(painter, height, water);
}

/// Grass or snow below a gentle line.
pub(super) fn ground(painter: &mut Painter, height: f32) {
    let top = painter.gentle(height, 3.0, 50.0);
    let meadow = painter.meadow();
    let look = painter.look;
    let noise = look.noise.other(painter.random.next_u64() as u32);
    let [sunny, shady] = look.ground(meadow, 0.0);
    let grain = if painter.snowy() { 0.025 } else { 0.075 };
    painter.land(&top, |x, y, depth| {
        let drift = noise.fractal(x / 30.0, y / 9.0, 2);
        let lit = 0.82 - 0.009 * depth + 0.4 * drift;
        let lit = if look.paper() { 0.8 } else { lit.clamp(0.0, 1.0) };
        scale(mix(shady, sunny, lit), look.texture(x, y, 4.5, grain))
    });
    if look.paper() {
        let next = painter.gentle(height + (128.0 - height) * 0.5, 4.0, 40.0);
        let near = mix(sunny, shady, 0.4);
        painter.land(&next, |_, _, _| near);
    }
    if !painter.snowy() {
        tufts(painter, height, [shady, sunny]);
    }
    match painter.scene.season {
        Some(Season::Spring) => flowers(painter, height + 5.0, 127.0, 54),
        Some(Season::Summer) if painter.random.chance(0.25) => flowers(painter, height + 5.0, 127.0, 24),
        _ => {}
    }
}

/// Tufts of grass, larger when nearer.
fn tufts(painter: &mut Painter, height: f32, tones: [Colour; 2]) {
    let (mut dark, mut light) = (Shape::new(), Shape::new());
    for number in 0..painter.random.below(26) {
        let part = painter.random.unit();
        let (x, y) = (painter.random.between(0.0, 128.0), height + 4.0 + (124.0 - height) * part);
        let size = 2.0 + 3.0 * part;
        let tuft = if number % 3 == 0 { &mut light } else { &mut dark };
        for lean in [-0.55, 0.0, 0.55] {
            let wide = size * 0.2;
            tuft.polygon(&[(x - wide + lean * 1.5, y), (x + wide + lean * 1.5, y), (x + lean * size, y - size)]);
        }
    }
    painter.veil(dark, scale(tones[0], 0.9), 0.75);
    painter.veil(light, scale(tones[1], 1.1), 0.75);
}

/// A few trees at one side.
fn side_trees(painter: &mut Painter, height: f32) {
    let left = painter.random.chance(0.5);
    let tall = painter.random.between(20.0, 34.0);
    let (from, to) = if left { (0.0, 34.0) } else { (94.0, 128.0) };
    if painter.hides_light(from, to, height - tall) {
        return;
    }
    let line: Profile = std::array::from_fn(|x| {
        let inside = (from..to).contains(&(x as f32));
        if inside { height + 4.0 } else { 240.0 }
    });
    let row = Row { line: &line, count: 18, heights: (tall * 0.65, tall), spread: 7.0, distance: 0.0 };
    if painter.scene.terrain != Terrain::Hills || painter.random.chance(0.4) {
        pine_row(painter, &row);
    } else {
        leafy_row(painter, &row);
    }
}

/// Something that winds to the horizon.
fn winding(painter: &mut Painter, height: f32, colour: Colour) {
    let (end, start) = (painter.random.between(40.0, 88.0), painter.random.between(30.0, 98.0));
    let noise = painter.look.noise.other(painter.random.next_u64() as u32);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for step in 0..=16 {
        let part = step as f32 / 16.0;
        let y = height + 2.0 + (129.0 - height) * part;
        let middle = end + (start - end) * part + 16.0 * noise.line(part * 1.7, 1) * (1.2 - part);
        let half = 0.8 + 9.0 * part * part;
        left.push((middle - half, y));
        right.push((middle + half, y));
    }
    right.reverse();
    left.extend(right);
    let mut shape = Shape::new();
    shape.polygon(&left);
    let look = painter.look;
    painter.cut(shape, |x, y| scale(colour, look.texture(x, y, 5.0, 0.06)));
}

/// Snow in front.
pub(super) fn drifts(painter: &mut Painter) -> Ground {
    let height = painter.random.between(88.0, 98.0);
    ground(painter, height);
    if painter.scene.front == Front::Filled && painter.scene.landmark.is_none() && painter.random.chance(0.5) {
        side_trees(painter, height);
    }
    Ground::land(height)
}
