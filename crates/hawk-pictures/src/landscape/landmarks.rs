//! Things on the ground, on the water and in the air.

use super::{
    attributes::{Flyer, Landmark, Season, Terrain, Time},
    canvas::Shape,
    colour::{Colour, hex, mix, scale, smooth},
    painter::Painter,
    plants::{Tree, cactus, crown, leafy, palm, pines},
    terrain::Ground,
};

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
    let count = 1 + painter.random.below(3);
    let first = painter.spot(24.0);
    let mut trees: Vec<_> = (0..count)
        .map(|number| Tree {
            x: (first + number as f32 * painter.random.between(22.0, 30.0)) % 128.0,
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
    let (lit, dark) = (look.tone(colour, 0.0), look.tone(scale(colour, 0.66), 0.0));
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

fn lighthouse(painter: &mut Painter, x: f32, y: f32) {
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
        mix(look.tone(scale(colour, 0.7), 0.0), look.tone(colour, 0.0), part)
    };
    let height = tower / 5.0;
    painter.cut_finely(body, |px, py| {
        let stripe = ((y - py) / height).floor() as i32 % 2 == 1;
        shade(if stripe { stripes } else { hex(0xF6F2EA) }, px)
    });
    let mut gallery = Shape::new();
    gallery.rectangle(x - high * 1.5, y - tower - 1.0, high * 3.0, 2.2);
    painter.flat(gallery, look.tone(hex(0x3A3A44), 0.0));
    let mut room = Shape::new();
    room.rectangle(x - high * 0.85, y - tower - tall * 0.13, high * 1.7, tall * 0.12);
    painter.flat(room, if look.lamps() { hex(0xFFF2A8) } else { look.tone(hex(0xFCE890), 0.0) });
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

fn house(painter: &mut Painter, foot: f32) {
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
    painter.flat(chimney, look.tone(hex(0x8C5A4A), 0.0));
    let mut body = Shape::new();
    body.rectangle(left, top, wide, tall);
    let (lit, dark) = (look.tone(wall, 0.0), look.tone(scale(wall, 0.74), 0.0));
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
    let tiles = if painter.snowy() { look.snow(scale(roof, 0.94), 0.0) } else { look.tone(roof, 0.0) };
    if painter.snowy() {
        let mut eave = Shape::new();
        eave.rectangle(left - 2.0, top + 0.6, wide + 4.0, 2.0);
        painter.flat(eave, look.tone(hex(0x5A4440), 0.0));
    }
    painter.cut(cover, |_, py| scale(tiles, 0.9 + 0.012 * (py - top + wide * 0.3)));
    let mut door = Shape::new();
    door.rectangle(x - 2.4, foot - tall * 0.66, 4.8, tall * 0.66);
    painter.flat(door, look.tone(hex(0x5A3A2C), 0.0));
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
    painter.veil(bars, look.tone(hex(0x5A4034), 0.0), 0.7);
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

fn windmill(painter: &mut Painter, foot: f32) {
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
        mix(look.tone(scale(colour, 0.7), 0.0), look.tone(colour, 0.0), part)
    };
    painter.cut(tower, |px, _| shade(wall, px));
    let mut cap = Shape::new();
    cap.polygon(&[(x - tall * 0.14, foot - tall * 0.79), (x + tall * 0.14, foot - tall * 0.79), (x, foot - tall)]);
    let roof = hex(painter.random.pick(&[0x8C4434, 0x4A5468, 0x6C4A38]));
    painter.cut(cap, |px, _| shade(roof, px));
    let mut inside = Shape::new();
    inside.rectangle(x - 1.8, foot - tall * 0.16, 3.6, tall * 0.16);
    inside.rectangle(x - 1.5, foot - tall * 0.5, 3.0, 3.6);
    painter.flat(inside, if look.lamps() { hex(0xFFD564) } else { look.tone(hex(0x5A4434), 0.0) });
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
    let (cloth, wood) = (look.tone(hex(0xFBF4E4), 0.0), look.tone(hex(0x5A4030), 0.0));
    painter.cut(sails, |_, _| cloth);
    painter.flat(arms, wood);
}

fn sailboat(painter: &mut Painter, ground: &Ground) {
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
    let (white, dark) = (look.tone(sail, 0.0), look.tone(scale(sail, 0.78), 0.0));
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
    let wood = look.tone(hull, 0.0);
    painter.cut(body, |_, py| scale(wood, if py > y { 0.75 } else { 1.0 }));
    let mut mast = Shape::new();
    mast.rectangle(x - 0.6, y - tall, 1.2, tall * 0.92);
    painter.flat(mast, look.tone(hex(0x5A4030), 0.0));
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

fn bridge(painter: &mut Painter, ground: &Ground) {
    match painter.scene.terrain {
        Terrain::City => suspension_bridge(painter, ground),
        _ => stone_bridge(painter, ground),
    }
}

fn suspension_bridge(painter: &mut Painter, ground: &Ground) {
    let look = painter.look;
    let deck = ground.top + painter.random.between(9.0, 13.0);
    let colour = hex(painter.random.pick(&[0xC8503C, 0xD87844, 0xD04848, 0xE4D4B4]));
    let tone = mix(look.tone(colour, 0.0), colour, 0.25);
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

pub(super) fn fly(painter: &mut Painter) {
    match painter.scene.flyer {
        Some(Flyer::Birds) => birds(painter),
        Some(Flyer::Balloon) => balloon(painter),
        None => {}
    }
}

fn birds(painter: &mut Painter) {
    let dark = match painter.look.time {
        Time::Dusk => hex(0x1C1830),
        _ => hex(0x2C3040),
    };
    let (x, y) = (painter.spot(30.0), painter.random.between(18.0, painter.horizon * 0.55));
    let mut shape = Shape::new();
    for number in 0..4 + painter.random.below(4) {
        let rank = (number as f32 / 2.0).ceil() * if number % 2 == 0 { 1.0 } else { -1.0 };
        let bx = x + rank * 11.0 + painter.random.between(-3.0, 3.0);
        let by = y + rank.abs() * 5.0 + painter.random.between(-3.0, 3.0);
        let wing = painter.random.between(4.2, 6.0);
        let lift = wing * painter.random.between(0.35, 0.75);
        shape.curve([(bx - wing, by - lift * 0.5), (bx - wing * 0.45, by - lift * 1.5), (bx, by)], 1.35);
        shape.curve([(bx, by), (bx + wing * 0.45, by - lift * 1.5), (bx + wing, by - lift * 0.5)], 1.35);
    }
    painter.flat(shape, dark);
}

const BALLOONS: [[u32; 2]; 5] =
    [[0xE8483C, 0xFCE8C8], [0xF4A430, 0xD84C44], [0x3C84C8, 0xFCE060], [0x8C54B4, 0xF8B0C4], [0x3CA078, 0xFCF0D8]];

fn balloon(painter: &mut Painter) {
    let look = painter.look;
    let radius = painter.random.between(9.5, 13.0);
    let (x, y) = (painter.spot(18.0), painter.random.between(radius + 5.0, radius + 18.0));
    let [one, two] = painter.random.pick(&BALLOONS).map(hex);
    let low = y + radius * 1.75;
    let mut ropes = Shape::new();
    ropes.line(&[(x - radius * 0.45, y + radius * 0.9), (x - 1.8, low)], 0.7);
    ropes.line(&[(x + radius * 0.45, y + radius * 0.9), (x + 1.8, low)], 0.7);
    painter.flat(ropes, look.tone(hex(0x4A3A34), 0.0));
    let mut basket = Shape::new();
    basket.rectangle(x - 2.6, low - 0.5, 5.2, 4.2);
    painter.flat(basket, look.tone(hex(0x7A5236), 0.0));
    let mut skin = Shape::new();
    let mut points: Vec<_> = (0..=24)
        .map(|step| {
            let angle = std::f32::consts::PI * (0.88 + 1.24 * step as f32 / 24.0);
            (x + radius * angle.cos(), y + radius * angle.sin())
        })
        .collect();
    points.extend([(x + radius * 0.3, y + radius * 1.2), (x - radius * 0.3, y + radius * 1.2)]);
    skin.polygon(&points);
    painter.cut_finely(skin, |px, py| {
        let squeeze = (1.0 - ((py - y) / (radius * 1.35)).powi(2)).max(0.05).sqrt();
        let across = ((px - x) / (radius * squeeze)).clamp(-1.0, 1.0).asin() / std::f32::consts::FRAC_PI_2;
        let stripe = ((across + 1.0) * 3.5).floor() as i32 % 2 == 0;
        let lit = if look.paper() { 1.0 } else { 0.86 + 0.24 * across * look.light_side };
        let colour = look.tone(if stripe { one } else { two }, 0.0);
        scale(mix(colour, if stripe { one } else { two }, 0.25), lit)
    });
}
