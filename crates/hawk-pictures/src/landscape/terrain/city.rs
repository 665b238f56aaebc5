//! A city's skyline.

use super::{grass, ground::Ground, water};
use crate::{
    landscape::{
        attributes::{Front, Landmark, Time},
        canvas::{Profile, Shape},
        clouds,
        colour::{Colour, hex, mix, scale},
        painter::Painter,
        plants::{Row, leafy_row},
    },
    picture::SIDE,
};

const WALLS: [[u32; 4]; 3] = [
    [0x7A8498, 0x96867C, 0x68748C, 0xA89C90],
    [0x8C6C64, 0xA88470, 0x6C6878, 0xB49C84],
    [0x5C7890, 0x7C94A4, 0x8C8C9C, 0x4C6880],
];

struct Block {
    left: f32,
    width: f32,
    top: f32,
    base: f32,
}

pub(super) fn back(painter: &mut Painter) {
    let base = painter.horizon;
    let walls = painter.random.pick(&WALLS).map(hex);
    let rows = [(0.62, 34.0, 58.0), (0.3, 22.0, 48.0), (0.06, 10.0, 30.0)];
    for (number, (distance, low, high)) in rows.into_iter().enumerate() {
        let mut left = painter.random.between(-8.0, 0.0);
        while left < SIDE as f32 {
            let width = painter.random.between(9.0, 17.0);
            let tall = painter.random.between(low, high) * if painter.random.chance(0.25) { 0.6 } else { 1.0 };
            let block = Block { left, width, top: base - tall, base: base + 2.0 };
            let wall = painter.random.pick(&walls);
            building(painter, &block, wall, distance);
            left +=
                width + if number == 1 { painter.random.between(0.0, 9.0) } else { painter.random.between(-1.0, 3.0) };
        }
        clouds::fog(painter, base - 8.0, 14.0);
    }
}

fn building(painter: &mut Painter, block: &Block, wall: Colour, distance: f32) {
    let look = painter.look;
    let Block { left, width, top, base } = *block;
    let mut shape = Shape::new();
    shape.rectangle(left, top, width, base - top);
    let middle = left + width / 2.0;
    match painter.random.below(7) {
        0 => {
            shape.rectangle(left + width * 0.22, top - 4.0, width * 0.56, 5.0);
            shape.rectangle(middle - 0.6, top - 12.0, 1.2, 9.0);
        }
        1 => {
            shape.polygon(&[(left, top), (left + width, top), (middle, top - width * 0.7)]);
        }
        2 => {
            shape.rectangle(left + width * 0.2, top - 5.0, width * 0.6, 6.0);
        }
        3 => {
            shape.polygon(&[(left, top), (left + width, top), (left + width, top - 5.0)]);
        }
        4 if distance > 0.2 => {
            shape.circle(middle, top, width * 0.48);
            shape.rectangle(middle - 0.5, top - width * 0.48 - 5.0, 1.0, 6.0);
        }
        _ => {}
    }
    let (lit, dark) = (look.tone(scale(wall, 1.08), distance), look.tone(scale(wall, 0.74), distance));
    let split = left + width * if look.light_side > 0.0 { 0.3 } else { 0.7 };
    painter.cut(shape, |x, y| {
        let side = look.edge((x - split) * look.light_side, 0.6);
        scale(mix(dark, lit, side), 1.06 - 0.12 * (y - top) / (base - top))
    });
    if painter.snowy() {
        let mut snow = Shape::new();
        snow.rectangle(left - 0.3, top - 0.6, width + 0.6, 1.9);
        painter.flat(snow, look.snow(hex(0xF4F8FE), distance));
    }
    windows(painter, block, wall, distance);
}

fn windows(painter: &mut Painter, block: &Block, wall: Colour, distance: f32) {
    let look = painter.look;
    let lamps = look.lamps();
    let pitch = 4.0;
    let columns = ((block.width - 2.0) / pitch) as usize;
    let rows = ((block.base - block.top - 5.0) / 5.0).max(0.0) as usize;
    let margin = (block.width - columns as f32 * pitch) / 2.0 + 0.9;
    let share = if lamps { 0.62 } else { 0.9 };
    let (mut lit, mut warm) = (Shape::new(), Shape::new());
    for row in 0..rows {
        for column in 0..columns {
            let (x, y) = (block.left + margin + column as f32 * pitch, block.top + 3.0 + row as f32 * 5.0);
            if painter.random.chance(share) {
                let shape = if painter.random.chance(0.7) { &mut lit } else { &mut warm };
                shape.rectangle(x, y, 2.2, 3.0);
            }
        }
    }
    let (one, two) = match look.time {
        Time::Night | Time::Dusk => (hex(0xFFD878), hex(0xFFF0B8)),
        Time::Sunset => (look.tone(hex(0xFFD890), distance), look.tone(scale(wall, 0.55), distance)),
        Time::Dawn | Time::Day => {
            (look.tone(mix(wall, look.sky[1], 0.6), distance), look.tone(scale(wall, 0.62), distance))
        }
    };
    let (one, two) =
        if lamps { (look.glow(one, distance * 0.75), look.glow(two, distance * 0.75)) } else { (one, two) };
    painter.veil(lit, one, 0.88);
    painter.veil(warm, two, 0.88);
}

pub(super) fn front(painter: &mut Painter) -> Ground {
    let afloat = matches!(painter.scene.landmark, Some(Landmark::Sailboat | Landmark::Bridge));
    let river = afloat || (painter.scene.front == Front::Filled && !painter.snowy() && painter.random.chance(0.5));
    if river {
        return water::river(painter);
    }
    let height = painter.horizon + painter.random.between(1.0, 4.0);
    grass::ground(painter, height);
    let line: Profile = [height + 1.0; SIDE];
    let count = 8 + painter.random.below(6);
    leafy_row(painter, &Row { line: &line, count, heights: (8.0, 13.0), spread: 2.0, distance: 0.0 });
    Ground::land(height)
}
