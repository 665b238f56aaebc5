//! Bridges and boats.

use crate::landscape::{
    attributes::{Season, Terrain},
    canvas::Shape,
    colour::{hex, mix, scale},
    painter::Painter,
    terrain::ground::Ground,
};

pub(super) fn sailboat(painter: &mut Painter, ground: &Ground) {
    let look = painter.look;
    let x = painter.spot(26.0);
    let y = if ground.on_water {
        painter.random.between(ground.top + 16.0, (ground.top + 32.0).min(112.0))
    } else {
        painter.random.between(painter.horizon + 8.0, (painter.horizon + 18.0).min(ground.top - 12.0))
    };
    let tall = painter.random.between(24.0, 34.0);
    let side = if painter.random.chance(0.5) { 1.0 } else { -1.0 };
    let sail = hex(painter.random.pick(&[0xFFFAF0, 0xFFFAF0, 0xE8604C, 0xF0B848, 0xF4E4C8]));
    let hull = hex(painter.random.pick(&[0x8A4A34, 0x2E4A6C, 0xB03C38, 0xF0ECE4]));
    let (white, dark) = (look.close(sail), look.close(scale(sail, 0.78)));
    let mut mirror = Shape::new();
    mirror.polygon(&[
        (x - side * tall * 0.03, y + 3.0),
        (x - side * tall * 0.46, y + 4.0),
        (x - side * tall * 0.05, y + tall * 0.6),
    ]);
    mirror.polygon(&[
        (x + side * tall * 0.05, y + 3.0),
        (x + side * tall * 0.3, y + 4.0),
        (x + side * tall * 0.05, y + tall * 0.5),
    ]);
    painter.veil(mirror, white, 0.3);
    let mut body = Shape::new();
    body.polygon(&[
        (x - tall * 0.46, y - tall * 0.1),
        (x + tall * 0.46, y - tall * 0.1),
        (x + tall * 0.32, y + tall * 0.07),
        (x - tall * 0.32, y + tall * 0.07),
    ]);
    let wood = look.close(hull);
    painter.cut(body, |_, py| scale(wood, if py > y { 0.75 } else { 1.0 }));
    let mut mast = Shape::new();
    mast.rectangle(x - 0.6, y - tall, 1.2, tall * 0.92);
    painter.flat(mast, look.close(hex(0x5A4030)));
    let mut main = Shape::new();
    main.polygon(&[
        (x - side * 1.2, y - tall * 0.97),
        (x - side * 1.2, y - tall * 0.16),
        (x - side * tall * 0.48, y - tall * 0.16),
    ]);
    painter.cut(main, |_, _| white);
    let mut jib = Shape::new();
    jib.polygon(&[
        (x + side * 1.2, y - tall * 0.86),
        (x + side * 1.2, y - tall * 0.18),
        (x + side * tall * 0.34, y - tall * 0.16),
    ]);
    painter.cut(jib, |_, _| dark);
}

pub(super) fn bridge(painter: &mut Painter, ground: &Ground) {
    match painter.scene.terrain {
        Terrain::City => suspension_bridge(painter, ground),
        _ => stone_bridge(painter, ground),
    }
}

fn suspension_bridge(painter: &mut Painter, ground: &Ground) {
    let look = painter.look;
    let deck = ground.top + painter.random.between(9.0, 13.0);
    let colour = hex(painter.random.pick(&[0xC8503C, 0xD87844, 0xD04848, 0xE4D4B4]));
    let tone = mix(look.close(colour), colour, 0.25);
    let shift = painter.random.between(-10.0, 10.0);
    let towers = [34.0 + shift, 96.0 + shift];
    let top = deck - painter.random.between(26.0, 32.0);
    let mut frame = Shape::new();
    frame.rectangle(-2.0, deck, 132.0, 3.0);
    for tower in towers {
        frame.rectangle(tower - 2.0, top, 4.0, deck - top + 14.0);
    }
    painter.cut(frame, |_, _| tone);
    let mut cables = Shape::new();
    let gap = towers[1] - towers[0];
    for (from, to) in [(towers[0] - gap, towers[0]), (towers[0], towers[1]), (towers[1], towers[1] + gap)] {
        let middle = (from + to) / 2.0;
        cables.curve([(from, top + 1.0), (middle, 2.0 * deck - top - 7.0), (to, top + 1.0)], 1.3);
        for step in 1..8 {
            let part = step as f32 / 8.0;
            let sag = 4.0 * part * (1.0 - part) * (deck - top - 4.0);
            cables.rectangle(from + gap * part - 0.4, top + sag, 0.8, deck - top - sag);
        }
    }
    painter.veil(cables, tone, 0.9);
    if look.lamps() {
        let mut lamps = Shape::new();
        for number in 0..11 {
            lamps.circle(4.0 + 12.0 * number as f32, deck - 0.5, 1.2);
        }
        painter.flat(lamps, hex(0xFFE8A0));
    }
}

/// Arches of stone across the picture.
fn stone_bridge(painter: &mut Painter, ground: &Ground) {
    let look = painter.look;
    let deck = (ground.top - painter.random.between(2.0, 8.0)).max(painter.horizon - 6.0);
    let foot = (deck + painter.random.between(22.0, 28.0)).min(124.0);
    let arches = 3 + painter.random.below(2);
    let stone = hex(painter.random.pick(&[0xB4A48C, 0x9C948C, 0xC09878]));
    let span = 136.0 / arches as f32;
    let shift = painter.random.between(-14.0, 0.0);
    let mut points = vec![(-4.0, foot), (-4.0, deck), (132.0, deck), (132.0, foot)];
    for arch in (0..=arches).rev() {
        let middle = shift + (arch as f32 + 0.5) * span;
        let half = span * 0.36;
        let spring = deck + 5.0 + half;
        points.push((middle + half, foot));
        for step in 0..=12 {
            let angle = step as f32 / 12.0 * std::f32::consts::PI;
            points.push((middle + half * angle.cos(), (spring - half * angle.sin()).min(foot)));
        }
        points.push((middle - half, foot));
    }
    let mut shape = Shape::new();
    shape.polygon(&points);
    let tone = look.tone(stone, 0.04);
    painter.cut(shape, |x, y| scale(tone, (1.04 - 0.01 * (y - deck)) * look.texture(x, y, 3.5, 0.08)));
    let mut rail = Shape::new();
    rail.rectangle(-2.0, deck - 2.0, 132.0, 3.0);
    painter.cut(rail, |_, _| scale(tone, 1.16));
    if painter.scene.season == Some(Season::Winter) {
        let mut snow = Shape::new();
        snow.rectangle(-2.0, deck - 3.2, 132.0, 1.8);
        painter.flat(snow, look.snow(hex(0xF4F8FE), 0.0));
    }
}
