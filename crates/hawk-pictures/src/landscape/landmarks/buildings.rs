//! Lighthouses, houses, windmills.

use crate::landscape::{
    attributes::Time,
    canvas::Shape,
    colour::{Colour, hex, mix, scale, smooth},
    painter::Painter,
};

pub(super) fn lighthouse(painter: &mut Painter, x: f32, y: f32) {
    let look = painter.look;
    let tall = painter.random.between(38.0, 48.0);
    let (low, high) = (tall * 0.135, tall * 0.085);
    let tower = tall * 0.76;
    let stripes = hex(painter.random.pick(&[0xD8433C, 0xD8433C, 0x3464A4, 0x3A3A44]));
    let lamp = (x, y - tower - tall * 0.07);
    if look.lamps() {
        beam(painter, lamp);
    }
    let mut body = Shape::new();
    body.polygon(&[(x - low, y), (x + low, y), (x + high, y - tower), (x - high, y - tower)]);
    let shade = |colour: Colour, px: f32| {
        let part = look.edge((px - x) * look.light_side + 1.0, 3.5);
        mix(look.close(scale(colour, 0.7)), look.close(colour), part)
    };
    let height = tower / 5.0;
    painter.cut_finely(body, |px, py| {
        let stripe = ((y - py) / height).floor() as i32 % 2 == 1;
        shade(if stripe { stripes } else { hex(0xF6F2EA) }, px)
    });
    let mut gallery = Shape::new();
    gallery.rectangle(x - high * 1.5, y - tower - 1.0, high * 3.0, 2.2);
    painter.flat(gallery, look.close(hex(0x3A3A44)));
    let mut room = Shape::new();
    room.rectangle(x - high * 0.85, y - tower - tall * 0.13, high * 1.7, tall * 0.12);
    painter.flat(room, if look.lamps() { hex(0xFFF2A8) } else { look.close(hex(0xFCE890)) });
    let mut roof = Shape::new();
    roof.polygon(&[
        (x - high * 1.25, lamp.1 - tall * 0.05),
        (x + high * 1.25, lamp.1 - tall * 0.05),
        (x, lamp.1 - tall * 0.15),
    ]);
    painter.cut(roof, |px, _| shade(stripes, px));
}

/// Light to both sides.
fn beam(painter: &mut Painter, lamp: (f32, f32)) {
    for side in [-1.0, 1.0] {
        let mut shape = Shape::new();
        let far = lamp.0 + side * 70.0;
        shape.polygon(&[lamp, (far, lamp.1 - 13.0), (far, lamp.1 + 9.0)]);
        if let Some(cover) = shape.cover() {
            painter.canvas.fill(&cover, |x, _| {
                let part = (x - lamp.0).abs() / 70.0;
                (hex(0xFFF4BC), 0.6 * (1.0 - part).max(0.0))
            });
        }
    }
}

pub(super) fn house(painter: &mut Painter, foot: f32) {
    let look = painter.look;
    let x = painter.spot(26.0);
    let wide = painter.random.between(26.0, 34.0);
    let (tall, left) = (wide * 0.46, x - wide / 2.0);
    let walls: &[u32] = if painter.snowy() {
        &[0xB4543C, 0x8A6246, 0xC89058, 0x6C8CA0]
    } else {
        &[0xF0E4D0, 0xB4543C, 0xD8B078, 0x9CB4C0, 0x8A6246, 0xF4F0E8]
    };
    let wall = hex(painter.random.pick(walls));
    let roof = if painter.snowy() {
        hex(0xF2F6FC)
    } else {
        hex(painter.random.pick(&[0x9C4434, 0x5C4A48, 0x4A5A70, 0x7A4A34]))
    };
    let top = foot - tall;
    let mut chimney = Shape::new();
    let stack = x + look.light_side * wide * 0.24;
    chimney.rectangle(stack - 1.8, top - wide * 0.36, 3.6, wide * 0.3);
    painter.flat(chimney, look.close(hex(0x8C5A4A)));
    let mut body = Shape::new();
    body.rectangle(left, top, wide, tall);
    let (lit, dark) = (look.close(wall), look.close(scale(wall, 0.74)));
    painter.cut(body, |px, py| {
        let side = look.edge((px - x) * look.light_side + wide * 0.18, 1.0);
        scale(mix(dark, lit, side), look.texture(px, py, 4.0, 0.04))
    });
    let mut cover = Shape::new();
    cover.polygon(&[
        (left - 3.0, top + 1.5),
        (left + wide + 3.0, top + 1.5),
        (left + wide * 0.8, top - wide * 0.3),
        (left + wide * 0.2, top - wide * 0.3),
    ]);
    let snow = if look.lamps() { 1.25 } else { 0.94 };
    let tiles = if painter.snowy() { look.snow(scale(roof, snow), 0.0) } else { look.close(roof) };
    if painter.snowy() {
        let mut eave = Shape::new();
        eave.rectangle(left - 2.0, top + 0.6, wide + 4.0, 2.0);
        painter.flat(eave, look.close(hex(0x5A4440)));
    }
    painter.cut(cover, |_, py| scale(tiles, 0.9 + 0.012 * (py - top + wide * 0.3)));
    let mut door = Shape::new();
    door.rectangle(x - 2.4, foot - tall * 0.66, 4.8, tall * 0.66);
    painter.flat(door, look.close(hex(0x5A3A2C)));
    let mut windows = Shape::new();
    for part in [0.2, 0.8] {
        windows.rectangle(left + wide * part - 2.8, foot - tall * 0.74, 5.6, tall * 0.42);
    }
    let lamp = if look.time == Time::Day { hex(0xFFE49A) } else { hex(0xFFD564) };
    if look.lamps() {
        for part in [0.2, 0.8] {
            halo(painter, left + wide * part, foot - tall * 0.5, 11.0);
        }
    }
    painter.flat(windows, lamp);
    let mut bars = Shape::new();
    for part in [0.2, 0.8] {
        bars.rectangle(left + wide * part - 0.4, foot - tall * 0.74, 0.8, tall * 0.42);
    }
    painter.veil(bars, look.close(hex(0x5A4034)), 0.7);
}

/// A lamp's light in the air.
fn halo(painter: &mut Painter, x: f32, y: f32, radius: f32) {
    let mut shape = Shape::new();
    shape.circle(x, y, radius);
    if let Some(cover) = shape.cover() {
        painter.canvas.fill(&cover, |px, py| {
            let part = (px - x).hypot(py - y) / radius;
            (hex(0xFFC860), 0.5 * smooth(1.0, 0.0, part))
        });
    }
}

pub(super) fn windmill(painter: &mut Painter, foot: f32) {
    let look = painter.look;
    let x = painter.spot(30.0);
    let tall = painter.random.between(32.0, 40.0);
    let hub = (x, foot - tall * 0.86);
    let mut tower = Shape::new();
    tower.polygon(&[
        (x - tall * 0.19, foot),
        (x + tall * 0.19, foot),
        (x + tall * 0.11, foot - tall * 0.8),
        (x - tall * 0.11, foot - tall * 0.8),
    ]);
    let wall = hex(painter.random.pick(&[0xF2EADA, 0xC8946C, 0xB4BCC4]));
    let shade = |colour: Colour, px: f32| {
        let part = look.edge((px - x) * look.light_side + 1.0, 4.0);
        mix(look.close(scale(colour, 0.7)), look.close(colour), part)
    };
    painter.cut(tower, |px, _| shade(wall, px));
    let mut cap = Shape::new();
    cap.polygon(&[(x - tall * 0.14, foot - tall * 0.79), (x + tall * 0.14, foot - tall * 0.79), (x, foot - tall)]);
    let roof = hex(painter.random.pick(&[0x8C4434, 0x4A5468, 0x6C4A38]));
    painter.cut(cap, |px, _| shade(roof, px));
    let mut inside = Shape::new();
    inside.rectangle(x - 1.8, foot - tall * 0.16, 3.6, tall * 0.16);
    inside.rectangle(x - 1.5, foot - tall * 0.5, 3.0, 3.6);
    painter.flat(inside, if look.lamps() { hex(0xFFD564) } else { look.close(hex(0x5A4434)) });
    let turn = painter.random.between(0.15, 1.4);
    let (mut sails, mut arms) = (Shape::new(), Shape::new());
    for blade in 0..4 {
        let angle = turn + blade as f32 * std::f32::consts::FRAC_PI_2;
        let (dx, dy) = (angle.cos(), angle.sin());
        let at = |along: f32, across: f32| {
            (hub.0 + tall * (dx * along - dy * across), hub.1 + tall * (dy * along + dx * across))
        };
        sails.polygon(&[at(0.1, 0.0), at(0.52, 0.0), at(0.52, 0.13), at(0.1, 0.1)]);
        arms.line(&[hub, at(0.54, 0.0)], 1.3);
    }
    let (cloth, wood) = (look.close(hex(0xFBF4E4)), look.close(hex(0x5A4030)));
    painter.cut(sails, |_, _| cloth);
    painter.flat(arms, wood);
}
