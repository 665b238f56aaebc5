//! Things in the air.

use crate::landscape::{
    attributes::{Flyer, Time},
    canvas::Shape,
    colour::{hex, mix, scale},
    painter::Painter,
};

pub(crate) fn fly(painter: &mut Painter) {
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
    painter.flat(ropes, look.close(hex(0x4A3A34)));
    let mut basket = Shape::new();
    basket.rectangle(x - 2.6, low - 0.5, 5.2, 4.2);
    painter.flat(basket, look.close(hex(0x7A5236)));
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
        let colour = look.close(if stripe { one } else { two });
        scale(mix(colour, if stripe { one } else { two }, 0.25), lit)
    });
}
