//! Mountain ranges.

use crate::{
    landscape::{
        attributes::Season,
        canvas::Profile,
        colour::{Colour, hex, mix, scale, smooth},
        look::Look,
        noise::Noise,
        painter::Painter,
        plants::{Row, leafy_row, pine_row},
    },
    picture::SIDE,
};

/// What a range looks like.
struct Range {
    /// The row that its foot stands on.
    base: f32,
    /// The height of its highest peak in pixels.
    height: f32,
    peaks: usize,
    distance: f32,
    /// Rows from the highest peak down to the snow line.
    snow: f32,
    rock: Colour,
}

#[derive(Clone, Copy)]
struct Peak {
    x: f32,
    height: f32,
    half_width: f32,
    lean: f32,
}

const ROCKS: [u32; 6] = [0x7C7C8C, 0x8A7868, 0x6C7A84, 0x94807C, 0x74708C, 0x9A8264];

pub(super) fn back(painter: &mut Painter) {
    let base = painter.horizon;
    let rock = hex(painter.random.pick(&ROCKS));
    let snow = snow_depth(painter);
    let height = painter.random.between(36.0, 52.0);
    if painter.random.chance(0.8) {
        let (height, peaks) = (height * painter.random.between(0.7, 0.95), 3 + painter.random.below(3));
        range(painter, &Range { base, height, peaks, distance: 0.62, snow: snow * 0.7, rock });
    }
    let peaks = 1 + painter.random.below(4);
    range(painter, &Range { base: base + 2.0, height, peaks, distance: 0.2, snow, rock });
    if painter.random.chance(0.4) {
        let height = painter.random.between(14.0, 22.0);
        range(painter, &Range { base: base + 4.0, height, peaks: 4, distance: 0.1, snow: snow * 0.1, rock });
    }
    foothills(painter, base);
}

pub(super) fn around_lake(painter: &mut Painter) {
    let base = painter.horizon + 1.0;
    let rock = hex(painter.random.pick(&ROCKS));
    let snow = snow_depth(painter);
    let (height, peaks) = (painter.random.between(22.0, 42.0), 1 + painter.random.below(4));
    range(painter, &Range { base, height, peaks, distance: 0.34, snow, rock });
    let meadow = painter.meadow();
    for distance in [0.42, 0.2] {
        let top = painter.gentle(base - 10.0 * distance - 3.0, 7.0, 44.0);
        let [colour, _] = painter.look.ground(scale(meadow, 0.88), distance);
        let look = painter.look;
        painter
            .land(&top, |x, y, depth| scale(colour, look.texture(x, y, 7.0, 0.08) * (1.08 - 0.012 * depth.min(14.0))));
    }
    let line: Profile = [base + 0.5; SIDE];
    let (count, tall) = (16 + painter.random.below(14), painter.random.between(10.0, 17.0));
    let row = Row { line: &line, count, heights: (6.0, tall), spread: 0.5, distance: 0.12 };
    if painter.scene.season == Some(Season::Autumn) || (!painter.snowy() && painter.random.chance(0.35)) {
        leafy_row(painter, &row);
    } else {
        pine_row(painter, &row);
    }
}

fn snow_depth(painter: &mut Painter) -> f32 {
    if painter.snowy() { 90.0 } else { painter.random.pick(&[0.0, 9.0, 14.0, 20.0]) }
}

fn foothills(painter: &mut Painter, base: f32) {
    let ground = painter.meadow();
    let forest = if painter.snowy() { hex(0xD4DEEA) } else { mix(ground, hex(0x3A6448), 0.6) };
    let top = painter.gentle(base - 3.0, 6.0, 30.0);
    let look = painter.look;
    let [colour, _] = look.ground(forest, 0.14);
    painter.land(&top, |x, y, _| scale(colour, look.texture(x, y, 6.0, 0.1)));
    if painter.random.chance(0.75) {
        let count = 14 + painter.random.below(18);
        pine_row(painter, &Row { line: &top, count, heights: (5.0, 11.0), spread: 7.0, distance: 0.12 });
    }
}

fn peaks(painter: &mut Painter, range: &Range) -> Vec<Peak> {
    let gap = SIDE as f32 / range.peaks as f32;
    let first = painter.random.below(range.peaks);
    let random = &mut painter.random;
    let mut peaks: Vec<_> = (0..range.peaks)
        .map(|number| {
            let height = range.height * if number == first { 1.0 } else { random.between(0.5, 0.88) };
            let x = (number as f32 + random.between(0.15, 0.85)) * gap;
            let broad = if range.peaks == 1 { 1.3 } else { 0.75 };
            let half_width = height * random.between(broad, broad + 0.45);
            Peak { x, height, half_width, lean: random.between(-0.35, 0.35) }
        })
        .collect();
    for x in [-10.0, 40.0, 90.0, 138.0] {
        let height = range.height * random.between(0.2, 0.45);
        peaks.push(Peak {
            x: x + random.between(-14.0, 14.0),
            height,
            half_width: height * 1.6,
            lean: random.between(-0.3, 0.3),
        });
    }
    peaks
}

fn rise(peak: &Peak, x: f32) -> f32 {
    let away = (x - peak.x).abs() / peak.half_width;
    peak.height * (1.0 - away)
}

fn range(painter: &mut Painter, range: &Range) {
    let peaks = peaks(painter, range);
    let noise = painter.look.noise.other(painter.random.next_u64() as u32);
    let rough = range.height * 0.13;
    let top: Profile = std::array::from_fn(|x| {
        let x = x as f32;
        let best = peaks.iter().map(|peak| rise(peak, x)).fold(2.0, f32::max);
        range.base - best - rough * noise.line(x / 11.0, 3) * smooth(0.0, 16.0, best)
    });
    let summit = top.iter().copied().fold(f32::MAX, f32::min);
    let look = painter.look;
    let stone = Stone::new(&look, range, summit);
    painter.land(&top, |x, y, depth| stone.colour(&look, noise, &peaks, (x, y, depth)));
}

/// The four tones of a range: rock and snow, in the light and out of it.
struct Stone {
    rock: [Colour; 2],
    snow: [Colour; 2],
    snow_line: f32,
    base: f32,
    distance: f32,
    haze: Colour,
}

impl Stone {
    fn new(look: &Look, range: &Range, summit: f32) -> Self {
        let tone = |colour| look.tone(colour, range.distance);
        Self {
            rock: [tone(scale(range.rock, 1.16)), tone(scale(mix(range.rock, hex(0x4A5478), 0.3), 0.64))],
            snow: [look.snow(hex(0xFAFAFC), range.distance), look.snow(hex(0xA4B8E0), range.distance)],
            snow_line: summit + range.snow,
            base: range.base,
            distance: range.distance,
            haze: look.tone(look.haze, 0.85),
        }
    }

    fn colour(&self, look: &Look, noise: Noise, peaks: &[Peak], (x, y, depth): (f32, f32, f32)) -> Colour {
        let relief = noise.other(7).fractal(x / 13.0, y / 17.0, 3);
        let shifted = x + 9.0 * relief;
        let peak = peaks.iter().max_by(|a, b| rise(a, shifted).total_cmp(&rise(b, shifted)));
        let lit = peak.map_or(0.5, |peak| {
            let spine = peak.x + peak.lean * (y - (self.base - peak.height));
            look.edge((shifted - spine) * look.light_side + 5.0 * relief, 2.2)
        });
        let rock = mix(self.rock[1], self.rock[0], lit);
        let snow = mix(self.snow[1], self.snow[0], lit);
        let cover = look.edge(self.snow_line - y + 9.0 * relief + 3.0 * (lit - 0.5), 2.0);
        let bare = if self.snow_line > self.base { look.edge(relief - 0.34, 0.1) * 0.7 } else { 0.0 };
        let colour = mix(rock, snow, cover * (1.0 - bare));
        let colour = scale(colour, look.texture(x, y, 5.0, 0.07));
        mix(colour, self.haze, 0.5 * self.distance * smooth(10.0, 44.0, depth))
    }
}
