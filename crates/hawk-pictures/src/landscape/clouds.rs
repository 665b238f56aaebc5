//! Clouds, and what falls from them.

use super::{
    attributes::{Time, Weather},
    canvas::Shape,
    colour::{Colour, hex, mix, scale, smooth},
    painter::Painter,
};
use crate::picture::SIDE;

pub(super) fn paint(painter: &mut Painter) {
    match (painter.scene.weather, painter.look.paper()) {
        (Weather::Cloudy, false) if painter.random.chance(0.4) => heaps(painter),
        (Weather::Cloudy, false) => drifting(painter),
        (Weather::Cloudy, true) => paper_clouds(painter),
        (Weather::Overcast | Weather::Rain | Weather::Snow, false) => blanket(painter),
        (Weather::Overcast | Weather::Rain | Weather::Snow, true) => paper_blanket(painter),
        (Weather::Clear | Weather::Fog, _) => {}
    }
}

fn drifting(painter: &mut Painter) {
    let (look, disc, horizon) = (painter.look, painter.disc, painter.horizon);
    let noise = look.noise.other(31);
    let [lit, dark] = look.clouds;
    let length = painter.random.between(30.0, 46.0);
    let flatness = painter.random.between(1.2, 2.3);
    let threshold = painter.random.between(-0.06, 0.06);
    let density = |x: f32, y: f32| {
        let deep = 1.0 + 1.1 * (y / horizon).min(1.2);
        noise.fractal(x / length * deep.sqrt(), y * deep / length * flatness * 0.8, 3)
    };
    painter.canvas.each(0..SIDE, |canvas, x, y| {
        let (fx, fy) = (x as f32, y as f32);
        let here = density(fx, fy);
        let mut opacity = smooth(threshold - 0.02, threshold + 0.3, here) * 0.94;
        if opacity <= 0.0 {
            return;
        }
        let towards = density(fx + look.light_side * 3.0, fy - 4.0);
        let shine = smooth(-0.22, 0.22, here - towards + 0.04) * (1.0 - 0.5 * smooth(0.2, 0.7, here));
        if let Some(disc) = disc {
            opacity *= smooth(disc.radius, disc.radius * 2.2, (fx - disc.x).hypot(fy - disc.y));
        }
        canvas.blend(x, y, mix(dark, lit, shine), opacity * (1.0 - 0.45 * smooth(0.6, 1.1, fy / horizon)));
    });
}

/// Heaps of cloud, lit from above.
fn heaps(painter: &mut Painter) {
    let look = painter.look;
    let [lit, dark] = look.clouds;
    let noise = look.noise.other(33);
    for _ in 0..4 + painter.random.below(4) {
        let (x, y) = (painter.random.between(0.0, 128.0), painter.random.between(16.0, painter.horizon * 0.8));
        let width = painter.random.between(26.0, 58.0) * (1.15 - 0.5 * y / painter.horizon);
        if hides(painter, x, y, width) {
            continue;
        }
        let mut shape = cloud(painter, x, y, width);
        for _ in 0..6 {
            let across = painter.random.between(-0.36, 0.36) * width;
            let radius = width * painter.random.between(0.08, 0.16);
            shape.circle(x + across, y - radius * painter.random.between(0.7, 1.6), radius);
        }
        let tall = width * 0.34;
        painter.cut(shape, |px, py| {
            let relief = noise.fractal(px / 8.0, py / 6.0, 2);
            let high = (y - py) / tall + 0.45 * relief + 0.25 * look.light_side * (px - x) / width;
            mix(mix(dark, lit, 0.2), lit, smooth(0.0, 0.7, high))
        });
    }
}

/// Whether a cloud would lie over the sun or the moon.
fn hides(painter: &Painter, x: f32, y: f32, width: f32) -> bool {
    painter.disc.is_some_and(|disc| {
        let (across, down) = ((x - disc.x).abs(), (y - width * 0.15 - disc.y).abs());
        across < width * 0.5 + disc.radius * 0.6 && down < disc.radius + width * 0.2
    })
}

fn blanket(painter: &mut Painter) {
    let (look, horizon) = (painter.look, painter.horizon);
    let noise = look.noise.other(31);
    let [lit, dark] = look.clouds;
    let length = painter.random.between(26.0, 40.0);
    painter.canvas.each(0..SIDE, |canvas, x, y| {
        let (fx, fy) = (x as f32, y as f32);
        let deep = 1.0 + 1.4 * (fy / horizon).min(1.2);
        let here = noise.fractal(fx / length, fy * deep / length * 1.5, 3);
        let above = noise.fractal(fx / length, (fy - 5.0) * deep / length * 1.5, 3);
        let shine = smooth(-0.35, 0.4, here - above * 0.6);
        let opacity = 0.85 * (1.0 - 0.7 * smooth(0.5, 1.0, fy / horizon));
        canvas.blend(x, y, mix(dark, mix(dark, lit, 0.8), shine), opacity);
    });
}

/// A cloud of circles on a flat base, `width` wide.
fn cloud(painter: &mut Painter, x: f32, y: f32, width: f32) -> Shape {
    let mut shape = Shape::new();
    let height = width * painter.random.between(0.3, 0.42);
    let bumps = 3 + painter.random.below(3);
    for bump in 0..bumps {
        let part = (bump as f32 + 0.5) / bumps as f32 * 2.0 - 1.0;
        let radius = height * (0.5 - 0.22 * part.abs()) * painter.random.between(0.85, 1.25) + 1.0;
        shape.circle(x + part * width * 0.36, y - radius * 0.9, radius);
    }
    let low = height * 0.34;
    shape.rectangle(x - width * 0.4, y - low, width * 0.8, low);
    shape.circle(x - width * 0.4, y - low / 2.0, low / 2.0);
    shape.circle(x + width * 0.4, y - low / 2.0, low / 2.0);
    shape
}

fn paper_clouds(painter: &mut Painter) {
    let [lit, dark] = painter.look.clouds;
    let mut left = 3 + painter.random.below(3);
    for _ in 0..14 {
        let (x, y) = (painter.random.between(4.0, 124.0), painter.random.between(12.0, painter.horizon * 0.75));
        let width = painter.random.between(24.0, 46.0);
        if hides(painter, x, y, width) {
            continue;
        }
        let colour = mix(lit, dark, painter.random.between(0.0, 0.45));
        let shape = cloud(painter, x, y, width);
        painter.cut(shape, |_, _| colour);
        left -= 1;
        if left == 0 {
            break;
        }
    }
}

/// Rows of grey scallops from the top.
fn paper_blanket(painter: &mut Painter) {
    let [lit, dark] = painter.look.clouds;
    let rows = 4;
    for row in (0..rows).rev() {
        let y = painter.horizon * (0.16 + 0.2 * row as f32) + painter.random.between(-3.0, 3.0);
        let mut shape = Shape::new();
        shape.rectangle(-2.0, -2.0, 132.0, y + 2.0);
        let mut x = painter.random.between(-8.0, 0.0);
        while x < 134.0 {
            let radius = painter.random.between(6.0, 11.0);
            shape.circle(x, y, radius);
            x += radius * 1.5;
        }
        let colour = mix(dark, lit, 0.15 + 0.75 * row as f32 / rows as f32);
        painter.cut(shape, |_, _| colour);
    }
}

/// Fog, rain or snow in front of the land, where the weather has it.
pub(super) fn fall(painter: &mut Painter) {
    match painter.scene.weather {
        Weather::Rain => rain(painter),
        Weather::Snow => flakes(painter),
        Weather::Clear | Weather::Cloudy | Weather::Overcast | Weather::Fog => {}
    }
}

fn rain(painter: &mut Painter) {
    let colour = match painter.look.time {
        Time::Night => hex(0x92A8CC),
        Time::Dusk => hex(0xC4BEDC),
        _ => hex(0xEEF4FA),
    };
    let slant = painter.random.between(0.15, 0.45) * if painter.random.chance(0.5) { 1.0 } else { -1.0 };
    let mut shape = Shape::new();
    for _ in 0..46 {
        let (x, y) = (painter.random.between(-6.0, 134.0), painter.random.between(-6.0, 122.0));
        let length = painter.random.between(8.0, 14.0);
        shape.line(&[(x, y), (x + slant * length, y + length)], 1.15);
    }
    let opacity = if painter.look.paper() { 0.8 } else { 0.55 };
    painter.veil(shape, colour, opacity);
}

fn flakes(painter: &mut Painter) {
    let colour: Colour = match painter.look.time {
        Time::Night => hex(0xDCE4F6),
        Time::Dusk => hex(0xEDE4F6),
        _ => hex(0xFFFFFF),
    };
    let paper = painter.look.paper();
    let (mut near, mut far) = (Shape::new(), Shape::new());
    for _ in 0..if paper { 34 } else { 44 } {
        let (x, y) = (painter.random.between(0.0, 128.0), painter.random.between(0.0, 128.0));
        near.circle(x, y, painter.random.between(1.3, 2.1));
        let (x, y) = (painter.random.between(0.0, 128.0), painter.random.between(0.0, 128.0));
        far.circle(x, y, painter.random.between(0.8, 1.2));
    }
    painter.veil(far, colour, 0.6);
    if paper {
        painter.cut(near, |_, _| colour);
    } else {
        painter.veil(near, colour, 0.92);
    }
}

/// A veil that is thickest at row `y`, `height` rows to half.
pub(super) fn fog(painter: &mut Painter, y: f32, height: f32) {
    if painter.scene.weather != Weather::Fog {
        return;
    }
    let look = painter.look;
    let part = if look.lamps() { 0.8 } else { 0.45 };
    let white = mix(look.haze, scale(look.clouds[0], 0.95), part);
    if look.paper() {
        let mut shape = Shape::new();
        let mut left = 5;
        for _ in 0..30 {
            let (x, row) = (painter.random.between(10.0, 118.0), y + painter.random.between(-0.9, 0.9) * height);
            let (width, thick) = (painter.random.between(50.0, 110.0), painter.random.between(5.0, 9.0));
            let veils = painter.disc.is_some_and(|disc| {
                (x - disc.x).abs() < width / 2.0 + disc.radius && (row - disc.y).abs() < disc.radius + thick / 2.0
            });
            if !veils && left > 0 {
                left -= 1;
                shape.line(&[(x - width / 2.0, row), (x + width / 2.0, row)], thick);
            }
        }
        painter.veil(shape, white, 0.8);
        return;
    }
    let noise = look.noise.other(painter.random.next_u64() as u32);
    let disc = painter.disc;
    painter.canvas.each(0..SIDE, |canvas, x, y_pixel| {
        let (fx, fy) = (x as f32, y_pixel as f32);
        let away = (fy - y + 8.0 * noise.at(fx / 40.0, 0.5)) / height;
        let mut strength = (-away * away).exp() * (0.82 + 0.4 * noise.fractal(fx / 32.0, fy / 11.0, 2));
        if let Some(disc) = disc {
            let away = (fx - disc.x).hypot(fy - disc.y);
            strength *= 0.3 + 0.7 * smooth(disc.radius * 0.9, disc.radius * 1.8, away);
        }
        canvas.blend(x, y_pixel, white, strength.clamp(0.0, 0.92));
    });
}
