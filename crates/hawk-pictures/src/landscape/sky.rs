//! The sky with its lights.

use super::{
    attributes::{Height, Luminary, Phenomenon, Side, Time},
    canvas::{Cover, Profile, Shape, ring},
    clouds,
    colour::{Colour, hex, mix, scale, smooth},
    painter::{Disc, Painter},
};
use crate::picture::SIDE;

pub(super) fn paint(painter: &mut Painter, skyline: &Profile) {
    painter.disc = place_disc(painter, skyline);
    if painter.look.paper() {
        paper_gradient(painter);
    } else {
        gradient(painter);
    }
    match painter.scene.phenomenon {
        Some(Phenomenon::Stars) => {
            if !painter.look.paper() {
                milky_way(painter);
            }
            stars(painter, 1.0);
        }
        Some(Phenomenon::Aurora) => {
            stars(painter, 0.3);
            aurora(painter);
        }
        Some(Phenomenon::Rainbow) | None => {}
    }
    luminary(painter);
    clouds::paint(painter);
}

/// The lowest row that the sky's colours reach.
fn base(painter: &Painter) -> f32 {
    painter.horizon + 4.0
}

fn sky_colour(sky: [Colour; 3], part: f32) -> Colour {
    if part < 0.55 { mix(sky[0], sky[1], part / 0.55) } else { mix(sky[1], sky[2], ((part - 0.55) / 0.45).min(1.0)) }
}

fn gradient(painter: &mut Painter) {
    let (look, base, disc) = (painter.look, base(painter), painter.disc);
    let strokes = look.noise.other(3);
    let glow = glow_colour(painter);
    let reach = if look.time == Time::Night { 2.2 } else { 3.4 };
    painter.canvas.each(0..SIDE, |canvas, x, y| {
        let (fx, fy) = (x as f32, y as f32);
        let brush = strokes.fractal(fx / 30.0, fy / 7.0, 2);
        let mut colour = sky_colour(look.sky, (fy / base + 0.045 * brush).clamp(0.0, 1.0));
        colour = scale(colour, 1.0 + 0.035 * brush);
        if let Some(disc) = disc {
            let distance = ((fx - disc.x).powi(2) + (fy - disc.y).powi(2)).sqrt() / disc.radius;
            colour = mix(colour, glow, 0.62 * (-(distance - 1.0).max(0.0) / reach).exp());
        }
        canvas.blend(x, y, colour, 1.0);
    });
}

/// Steps of flat colour: rings around the light, or waves.
fn paper_gradient(painter: &mut Painter) {
    let (look, base) = (painter.look, base(painter));
    let sky = look.sky;
    painter.canvas.each(0..SIDE, |canvas, x, y| canvas.blend(x, y, sky[0], 1.0));
    let glow = glow_colour(painter);
    let steps = 5;
    match painter.disc {
        Some(disc) if painter.random.chance(0.6) => {
            for step in (0..steps).rev() {
                let mut shape = Shape::new();
                let radius = disc.radius * 1.7 + step as f32 * painter.random.between(13.0, 16.0);
                shape.circle(disc.x, disc.y, radius);
                let part = (step as f32 + 0.6) / steps as f32;
                let colour = mix(mix(glow, sky[2], (part * 1.6).min(1.0)), sky[0], smooth(0.3, 1.05, part));
                painter.cut(shape, |_, _| colour);
            }
        }
        _ => {
            let length = painter.random.between(24.0, 50.0);
            for step in 1..=steps {
                let part = step as f32 / steps as f32;
                let top = painter.gentle(base * (part - 0.12) * 0.95, 5.0, length);
                let colour = sky_colour(sky, part);
                painter.land(&top, |_, _, _| colour);
            }
        }
    }
}

fn glow_colour(painter: &Painter) -> Colour {
    match painter.look.time {
        Time::Dawn => hex(0xFFEECB),
        Time::Day => hex(0xFFFBE0),
        Time::Sunset => hex(0xFFDB84),
        Time::Dusk => mix(painter.look.sky[1], hex(0xF0E0EE), 0.55),
        Time::Night => mix(painter.look.sky[2], hex(0x9AB4DC), 0.5),
    }
}

fn place_disc(painter: &mut Painter, skyline: &Profile) -> Option<Disc> {
    let light = painter.scene.light?;
    let random = &mut painter.random;
    let radius = match (light.luminary, painter.scene.time) {
        (Luminary::Sun, Time::Day) => random.between(7.0, 9.5),
        (Luminary::Sun, _) => random.between(7.5, 11.5),
        (Luminary::FullMoon, _) => random.between(7.0, 9.5),
        (Luminary::CrescentMoon, _) => random.between(8.0, 10.5),
    };
    let (left, right) = match light.side {
        Side::Left => (14.0, 36.0),
        Side::Middle => (54.0, 74.0),
        Side::Right => (92.0, 114.0),
    };
    let open = |x: f32| skyline[x as usize];
    let spots: [f32; 5] = std::array::from_fn(|_| random.between(left, right));
    let x = spots.into_iter().max_by(|a, b| open(*a).total_cmp(&open(*b))).unwrap_or(64.0);
    let land = (-8..=8).map(|step| open((x + step as f32).clamp(0.0, 127.0))).fold(f32::MAX, f32::min);
    let land = land.min(painter.horizon);
    let y = match light.height {
        Height::High => random.between(13.0, 24.0).min(land - radius - 3.0),
        Height::Low => {
            let free = if light.luminary == Luminary::CrescentMoon { 0.9 } else { 0.4 };
            (land - radius * random.between(free, 1.5)).max(34.0).min(land - radius * free)
        }
    };
    Some(Disc { x, y: y.max(radius + 2.0), radius })
}

fn luminary(painter: &mut Painter) {
    let (Some(light), Some(disc)) = (painter.scene.light, painter.disc) else { return };
    let look = painter.look;
    let colour = match (light.luminary, look.time) {
        (Luminary::Sun, Time::Dawn) => hex(0xFFF4D0),
        (Luminary::Sun, Time::Sunset) => hex(0xFFE69A),
        (Luminary::Sun, _) => hex(0xFFF3B0),
        _ => hex(0xF4F2E2),
    };
    match light.luminary {
        Luminary::Sun => {
            let mut shape = Shape::new();
            shape.circle(disc.x, disc.y, disc.radius);
            painter.cut(shape, |_, _| colour);
        }
        Luminary::FullMoon => {
            let mut shape = Shape::new();
            shape.circle(disc.x, disc.y, disc.radius);
            painter.cut(shape, |x, y| {
                let spots = look.noise.other(5).fractal(x / 6.0, y / 6.0, 2);
                let dark = look.edge(spots - 0.12, 0.2) * if look.paper() { 0.1 } else { 0.16 };
                scale(colour, 1.0 - dark)
            });
        }
        Luminary::CrescentMoon => {
            let turn = -look.light_side;
            let (cx, cy, bite) = (disc.x + turn * disc.radius * 0.5, disc.y - disc.radius * 0.22, disc.radius * 0.88);
            let mut shape = Shape::new();
            let points = crescent(disc, (cx, cy, bite));
            shape.polygon(&points);
            painter.cut(shape, |_, _| colour);
        }
    }
}

/// The outline of a disc without another disc that lies over its edge.
fn crescent(disc: Disc, bite: (f32, f32, f32)) -> Vec<(f32, f32)> {
    let (bx, by, radius) = bite;
    let outside = |x: f32, y: f32| (x - bx).powi(2) + (y - by).powi(2) >= radius * radius;
    let inside = |x: f32, y: f32| (x - disc.x).powi(2) + (y - disc.y).powi(2) <= disc.radius * disc.radius;
    let away = (disc.y - by).atan2(disc.x - bx);
    let around = |step: i32| (step as f32) * std::f32::consts::PI / 60.0;
    let mut points = Vec::new();
    for step in -60..=60 {
        let angle = away + around(step);
        let (x, y) = (disc.x + disc.radius * angle.cos(), disc.y + disc.radius * angle.sin());
        if outside(x, y) {
            points.push((x, y));
        }
    }
    for step in (-60..=60).rev() {
        let angle = away + around(step);
        let (x, y) = (bx + radius * angle.cos(), by + radius * angle.sin());
        if inside(x, y) {
            points.push((x, y));
        }
    }
    points
}

fn stars(painter: &mut Painter, share: f32) {
    let paper = painter.look.paper();
    let count = if paper { 34.0 } else { 64.0 } * share;
    let mut small = Shape::new();
    let mut large = Shape::new();
    for number in 0..count as usize {
        let x = painter.random.between(2.0, 126.0);
        let y = painter.random.between(2.0, painter.horizon - 2.0) * painter.random.between(0.6, 1.0);
        if painter.disc.is_some_and(|disc| (x - disc.x).hypot(y - disc.y) < disc.radius + 5.0) {
            continue;
        }
        if number % 7 == 0 {
            let (long, short) = (painter.random.between(2.2, 3.2), 0.6);
            let points: Vec<_> = (0..8)
                .map(|point| {
                    let length = if point % 2 == 0 { long } else { short };
                    let angle = point as f32 * std::f32::consts::FRAC_PI_4;
                    (x + length * angle.cos(), y + length * angle.sin())
                })
                .collect();
            large.polygon(&points);
        } else {
            small.circle(x, y, painter.random.between(0.65, 1.15));
        }
    }
    painter.veil(small, hex(0xF2F2FF), 0.85);
    painter.flat(large, hex(0xFFF8DC));
}

/// A soft band of light across a starry sky.
fn milky_way(painter: &mut Painter) {
    let noise = painter.look.noise.other(11);
    let (middle, tilt) = (painter.random.between(44.0, 84.0), painter.random.between(-0.8, 0.8));
    let horizon = painter.horizon;
    painter.canvas.each(0..horizon as usize, |canvas, x, y| {
        let (fx, fy) = (x as f32, y as f32);
        let away = (fx - middle - tilt * (fy - horizon / 2.0)) / (13.0 + 5.0 * noise.line(fy / 20.0, 2));
        let strength = (-away * away).exp() * (0.6 + 0.6 * noise.fractal(fx / 10.0, fy / 10.0, 3)).max(0.0);
        canvas.add(x, y, scale(hex(0x8C86C8), 0.26 * strength));
    });
}

const AURORA: [[u32; 3]; 4] = [
    [0x3CF0A0, 0x2AC8B0, 0x7A50E0],
    [0x58F07A, 0x34D0A0, 0xC050D0],
    [0x40E8D0, 0x3AB0E8, 0x8A5AF0],
    [0x7CF08C, 0x48D8C8, 0xE05AA0],
];

fn aurora(painter: &mut Painter) {
    let colours = painter.random.pick(&AURORA).map(hex);
    let curtains = 2 + painter.random.below(2) as u32;
    for curtain in 0..curtains {
        let noise = painter.look.noise.other(20 + curtain);
        let height = painter.horizon * (0.36 + 0.19 * curtain as f32) + painter.random.between(-3.0, 5.0);
        let (swing, length) = (painter.random.between(9.0, 17.0), painter.random.between(34.0, 60.0));
        let tilt = painter.random.between(-0.14, 0.14);
        let lower: Profile =
            std::array::from_fn(|x| height + tilt * (x as f32 - 64.0) + swing * noise.line(x as f32 / length, 2));
        if painter.look.paper() {
            aurora_ribbon(painter, &lower, colours);
            continue;
        }
        let reach = painter.random.between(15.0, 24.0);
        painter.canvas.each(0..SIDE, |canvas, x, y| {
            let up = lower[x] - y as f32;
            let rays = 0.68 + 0.5 * noise.at(x as f32 / 5.0, 3.3) + 0.3 * noise.at(x as f32 / 16.0, 9.1);
            let strength = if up < 0.0 { (-(up / 2.6).powi(2)).exp() } else { (-up / reach).exp() };
            let part = (up.max(0.0) / reach / 1.5).min(1.0);
            let colour = if part < 0.5 {
                mix(colours[0], colours[1], part * 2.0)
            } else {
                mix(colours[1], colours[2], part * 2.0 - 1.0)
            };
            canvas.blend(x, y, colour, (0.85 * strength * rays).clamp(0.0, 0.9));
        });
    }
}

fn aurora_ribbon(painter: &mut Painter, lower: &Profile, colours: [Colour; 3]) {
    let back = painter.look.sky[1];
    for (band, colour) in [(2, colours[2]), (1, colours[1]), (0, colours[0])] {
        let height = [4.0, 9.0, 14.0][band];
        let upper: Vec<_> = (0..SIDE).step_by(3).map(|x| (x as f32 - 1.0, lower[x] - height)).collect();
        let mut points = upper;
        points.push((SIDE as f32 + 1.0, lower[SIDE - 1] - height));
        points.push((SIDE as f32 + 1.0, lower[SIDE - 1]));
        points.extend((0..SIDE).step_by(3).rev().map(|x| (x as f32 - 1.0, lower[x])));
        let mut shape = Shape::new();
        shape.polygon(&points);
        let colour = mix(colour, back, [0.05, 0.15, 0.3][band]);
        painter.cut(shape, |_, _| colour);
    }
}

const BANDS: [u32; 6] = [0xF0484C, 0xF8963C, 0xFCE054, 0x5CC862, 0x4A90E8, 0x9060D8];

pub(super) fn rainbow(painter: &mut Painter) {
    let middle = painter.random.between(38.0, 90.0);
    let base = painter.horizon + painter.random.between(0.0, 8.0);
    let radius = base - painter.random.between(8.0, 20.0);
    let width = painter.random.between(1.8, 2.4);
    let paper = painter.look.paper();
    let opacity = if paper { 1.0 } else { 0.72 };
    if paper && let Some(cover) = ring(middle, base, radius - width * 2.5, width * 6.0) {
        painter.canvas.fill(&cover.shadow(1, 1), |_, _| ([0.1; 3], 0.3));
    }
    for (number, &band) in BANDS.iter().enumerate() {
        let cover: Option<Cover> = ring(middle, base, radius - number as f32 * width, width * 1.12);
        if let Some(cover) = cover {
            painter.canvas.fill(&cover, |_, y| {
                let fading = if paper { 1.0 } else { smooth(base + 4.0, base - 26.0, y) * 0.35 + 0.65 };
                (hex(band), opacity * fading)
            });
        }
    }
}
