//! Trees, palms, cacti, flowers.

use super::{
    attributes::Season,
    canvas::{Profile, Shape},
    colour::{Colour, hex, mix, scale},
    painter::Painter,
};
use crate::{picture::SIDE, random::Random};

/// A row of trees that stand on a line.
pub(super) struct Row<'a> {
    pub(super) line: &'a Profile,
    pub(super) count: usize,
    /// The heights of the smallest and the largest tree, in pixels.
    pub(super) heights: (f32, f32),
    /// How far below the line a foot may stand.
    pub(super) spread: f32,
    /// 0 (near) to 1 (lost in the haze).
    pub(super) distance: f32,
}

/// One tree's foot and height.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) height: f32,
}

impl Row<'_> {
    fn trees(&self, random: &mut Random) -> Vec<Tree> {
        let gap = SIDE as f32 / self.count as f32;
        let mut trees: Vec<_> = (0..self.count)
            .map(|number| {
                let x = (number as f32 + random.unit()) * gap;
                let y = self.line[(x as usize).min(SIDE - 1)] + random.unit() * self.spread;
                Tree { x, y: y + 1.0, height: random.between(self.heights.0, self.heights.1) }
            })
            .collect();
        trees.sort_by(|a, b| a.y.total_cmp(&b.y));
        trees
    }
}

pub(super) const PINES_NEAR: [u32; 3] = [0x244E3C, 0x2C5A3E, 0x1F4A44];

const PINES: [u32; 4] = [0x2E5E46, 0x2A5440, 0x3A6A48, 0x28584E];

pub(super) fn pine_row(painter: &mut Painter, row: &Row) {
    let trees = row.trees(&mut painter.random);
    let colour = hex(painter.random.pick(&PINES));
    pines(painter, &trees, colour, row.distance);
}

/// Pines of one colour; those that overlap form one dark mass with lit sides.
pub(super) fn pines(painter: &mut Painter, trees: &[Tree], colour: Colour, distance: f32) {
    let side = painter.look.light_side;
    let snowy = painter.snowy();
    for group in trees.chunks(trees.len().div_ceil(3).max(1)) {
        let (mut trunks, mut body, mut lit, mut snow) = (Shape::new(), Shape::new(), Shape::new(), Shape::new());
        for tree in group {
            let Tree { x, y, height } = *tree;
            trunks.rectangle(x - height * 0.035, y - height * 0.2, height * 0.07, height * 0.2);
            let tiers = if height < 12.0 { 3 } else { 4 };
            for tier in 0..tiers {
                let part = tier as f32 / tiers as f32;
                let low = y - height * (0.1 + 0.78 * part);
                let wide = height * 0.26 * (1.0 - 0.78 * part);
                let tip = low - height * (0.5 - 0.2 * part) * 0.8;
                let tall = low - tip;
                body.polygon(&[
                    (x - wide, low + wide * 0.12),
                    (x, low - wide * 0.1),
                    (x + wide, low + wide * 0.12),
                    (x, tip),
                ]);
                lit.polygon(&[(x, low - wide * 0.1), (x + side * wide, low + wide * 0.12), (x, tip)]);
                snow.polygon(&[
                    (x, tip),
                    (x + side * wide * 0.8, low - tall * 0.14),
                    (x + side * wide * 0.25, low - tall * 0.34),
                    (x - side * wide * 0.5, low - tall * 0.4),
                ]);
            }
        }
        let tone = painter.look.tone(scale(colour, painter.random.between(0.88, 1.12)), distance);
        let bright = painter.look.tone(mix(colour, hex(0x9CC07A), 0.3), distance);
        let white = painter.look.snow(hex(0xF2F6FC), distance);
        painter.flat(trunks, painter.look.tone(hex(0x4A3830), distance));
        painter.cut(body, |_, _| tone);
        painter.veil(lit, bright, 0.7);
        if snowy {
            painter.veil(snow, white, 0.85);
        }
    }
}

/// The colours of leafy crowns in a season: each with its dark, middle and light tone.
pub(super) fn crown(season: Option<Season>, random: &mut Random) -> [Colour; 3] {
    let colours: &[[u32; 3]] = match season {
        Some(Season::Spring) => {
            &[[0xB8688C, 0xE894B4, 0xFAC6D6], [0xC08CA0, 0xF0BCCC, 0xFFE6EC], [0x5C8C3C, 0x88B850, 0xB4D878]]
        }
        Some(Season::Autumn) => &[
            [0x9C3A20, 0xD0582A, 0xEE8A42],
            [0xA8641C, 0xE09A2C, 0xF8C858],
            [0x842C26, 0xB8402E, 0xDC6A44],
            [0x8C7420, 0xC8A834, 0xE8D068],
        ],
        Some(Season::Winter) => &[[0x9AA8BE, 0xC8D4E4, 0xF2F6FC], [0xA4AEC4, 0xD2DAEA, 0xF6F8FE]],
        Some(Season::Summer) | None => {
            &[[0x2E6034, 0x4C8A42, 0x7CB45A], [0x3A6A2E, 0x5E983C, 0x94BE58], [0x265A40, 0x40805A, 0x6CA874]]
        }
    };
    random.pick(colours).map(hex)
}

pub(super) fn leafy_row(painter: &mut Painter, row: &Row) {
    let trees = row.trees(&mut painter.random);
    for group in trees.chunks(trees.len().div_ceil(4).max(1)) {
        let colours = crown(painter.scene.season, &mut painter.random);
        leafy(painter, group, colours, row.distance);
    }
}

/// Leafy trees whose crowns have one colour.
pub(super) fn leafy(painter: &mut Painter, trees: &[Tree], colours: [Colour; 3], distance: f32) {
    let side = painter.look.light_side;
    let (mut trunks, mut dark, mut middle, mut bright) = (Shape::new(), Shape::new(), Shape::new(), Shape::new());
    for tree in trees {
        let Tree { x, y, height } = *tree;
        let random = &mut painter.random;
        let trunk = height * 0.09;
        trunks.polygon(&[
            (x - trunk * 0.7, y),
            (x + trunk * 0.7, y),
            (x + trunk * 0.35, y - height * 0.6),
            (x - trunk * 0.35, y - height * 0.6),
        ]);
        if height > 24.0 {
            trunks.line(&[(x, y - height * 0.35), (x + height * 0.16, y - height * 0.55)], trunk * 0.45);
            trunks.line(&[(x, y - height * 0.32), (x - height * 0.15, y - height * 0.5)], trunk * 0.45);
        }
        let (cx, cy) = (x, y - height * 0.66);
        let puffs = if height < 14.0 { 4 } else { 8 };
        for puff in 0..puffs {
            let angle = puff as f32 / puffs as f32 * std::f32::consts::TAU + random.unit();
            let reach = height * random.between(0.1, 0.21);
            let (px, py) = (cx + reach * 1.15 * angle.cos(), cy + reach * 0.9 * angle.sin());
            let radius = height * random.between(0.12, 0.17);
            dark.circle(px, py, radius);
            middle.circle(px + side * radius * 0.25, py - radius * 0.3, radius * 0.78);
            if height > 14.0 || puff % 2 == 0 {
                bright.circle(px + side * radius * 0.42, py - radius * 0.5, radius * 0.42);
            }
        }
        dark.circle(cx, cy, height * 0.18);
        middle.circle(cx, cy - height * 0.04, height * 0.16);
    }
    let look = painter.look;
    painter.flat(trunks, look.tone(hex(0x5A4234), distance));
    let winter = painter.snowy();
    let tone = |colour| if winter { look.snow(colour, distance) } else { look.tone(colour, distance) };
    let [low, mid, high] = colours.map(tone);
    painter.cut(dark, |_, _| low);
    painter.veil(middle, mid, 0.85);
    painter.veil(bright, high, 0.8);
}

/// Palms with bent trunks.
pub(super) fn palm(painter: &mut Painter, tree: Tree) {
    let Tree { x, y, height } = tree;
    let look = painter.look;
    let bend = height * painter.random.between(0.12, 0.3) * if painter.random.chance(0.5) { 1.0 } else { -1.0 };
    let (tx, ty) = (x + bend, y - height * 0.78);
    let mut trunk = Shape::new();
    trunk.curve([(x, y), (x + bend * 0.15, y - height * 0.5), (tx, ty)], height * 0.055);
    let bark = look.tone(hex(0x8A6442), 0.0);
    painter.cut(trunk, |_, _| bark);
    let (mut back, mut front) = (Shape::new(), Shape::new());
    let fronds = 9;
    for frond in 0..fronds {
        let part = frond as f32 / (fronds - 1) as f32 * 2.0 - 1.0;
        let reach = height * painter.random.between(0.32, 0.4);
        let angle = part * 1.75;
        let (dx, dy) = (reach * angle.sin(), -reach * angle.cos() * 0.55 + reach * 0.22 * part.abs());
        let control = (tx + dx * 0.55, ty + dy * 0.75 - reach * 0.32);
        let end = (tx + dx, ty + dy + reach * 0.22);
        let leaf = if frond % 2 == 0 { &mut back } else { &mut front };
        let mut edge = Vec::new();
        for step in 0..=6 {
            let along = step as f32 / 6.0;
            let (a, b, c) = ((1.0 - along) * (1.0 - along), 2.0 * along * (1.0 - along), along * along);
            let (mx, my) = (a * tx + b * control.0 + c * end.0, a * ty + b * control.1 + c * end.1);
            edge.push((mx, my, height * 0.075 * (along * 3.0).min(1.0) * (1.0 - along * along)));
        }
        let upper = edge.iter().map(|&(mx, my, wide)| (mx, my - wide * 0.4));
        let lower = edge.iter().rev().map(|&(mx, my, wide)| (mx, my + wide * 0.8));
        leaf.polygon(&upper.chain(lower).collect::<Vec<_>>());
    }
    let (dark, light) = (look.tone(hex(0x2F6B3C), 0.0), look.tone(hex(0x5C9C48), 0.0));
    painter.cut(back, |_, _| dark);
    painter.flat(front, light);
}

pub(super) fn cactus(painter: &mut Painter, tree: Tree) {
    let Tree { x, y, height } = tree;
    let look = painter.look;
    let wide = height * 0.17;
    let mut body = Shape::new();
    body.line(&[(x, y), (x, y - height + wide / 2.0)], wide);
    let mut arms = vec![1.0, -1.0];
    if height < 15.0 {
        arms.truncate(1);
    }
    for (number, arm) in arms.into_iter().enumerate() {
        let low = y - height * (0.36 + 0.12 * number as f32);
        let out = x + arm * height * 0.26;
        let top = low - height * painter.random.between(0.2, 0.34);
        body.line(&[(x, low), (out, low), (out, top)], wide * 0.72);
    }
    let mut ribs = Shape::new();
    ribs.line(
        &[(x + look.light_side * wide * 0.2, y - 1.0), (x + look.light_side * wide * 0.2, y - height * 0.92)],
        wide * 0.24,
    );
    let (green, pale) = (look.tone(hex(0x4A7C4A), 0.0), look.tone(hex(0x86B070), 0.0));
    painter.cut(body, |_, _| green);
    painter.veil(ribs, pale, 0.8);
}

const FLOWERS: [[u32; 3]; 4] = [
    [0xF4D84C, 0xFFFFFF, 0xF08CB0],
    [0xE0506C, 0xF8B8C8, 0xFFF0C0],
    [0x9A78E0, 0xF0E4FF, 0xF4D84C],
    [0xF07848, 0xF8D060, 0xFFFFFF],
];

/// Flowers on the rows from `top` to `bottom`, larger when nearer.
pub(super) fn flowers(painter: &mut Painter, top: f32, bottom: f32, count: usize) {
    let colours = painter.random.pick(&FLOWERS).map(hex);
    for colour in colours {
        let mut shape = Shape::new();
        for _ in 0..count / 3 {
            let part = painter.random.unit();
            let y = top + (bottom - top) * part;
            let x = painter.random.between(0.0, SIDE as f32);
            shape.oval(x, y, 1.0 + 1.3 * part, 0.8 + 0.9 * part);
        }
        let tone = painter.look.tone(colour, 0.0);
        painter.veil(shape, tone, 0.92);
    }
}
