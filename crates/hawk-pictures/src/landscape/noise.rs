//! Gradient noise in one and two dimensions.

use std::f32::consts::FRAC_1_SQRT_2;

/// A field of smooth random values that depends on a key alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    key: u32,
}

const DIRECTIONS: [(f32, f32); 8] = [
    (1.0, 0.0),
    (FRAC_1_SQRT_2, FRAC_1_SQRT_2),
    (0.0, 1.0),
    (-FRAC_1_SQRT_2, FRAC_1_SQRT_2),
    (-1.0, 0.0),
    (-FRAC_1_SQRT_2, -FRAC_1_SQRT_2),
    (0.0, -1.0),
    (FRAC_1_SQRT_2, -FRAC_1_SQRT_2),
];

impl Noise {
    pub(super) fn new(key: u64) -> Self {
        Self { key: (key >> 32) as u32 ^ key as u32 }
    }

    /// Another field.
    pub(super) fn other(self, number: u32) -> Self {
        Self { key: self.key.wrapping_add(number.wrapping_mul(0x9E37_79B1)) }
    }

    fn corner(self, column: i32, row: i32, x: f32, y: f32) -> f32 {
        let mut hash = (column as u32).wrapping_mul(0x85EB_CA6B) ^ (row as u32).wrapping_mul(0xC2B2_AE35) ^ self.key;
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0x297A_2D39);
        let (dx, dy) = DIRECTIONS[(hash >> 29) as usize];
        dx * x + dy * y
    }

    /// About -0.7 to 0.7, 0 at every whole point; a feature is about one unit long.
    pub(super) fn at(self, x: f32, y: f32) -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let (fx, fy) = (x - column, y - row);
        let (column, row) = (column as i32, row as i32);
        let (sx, sy) = (fade(fx), fade(fy));
        let top = lerp(self.corner(column, row, fx, fy), self.corner(column + 1, row, fx - 1.0, fy), sx);
        let low =
            lerp(self.corner(column, row + 1, fx, fy - 1.0), self.corner(column + 1, row + 1, fx - 1.0, fy - 1.0), sx);
        lerp(top, low, sy)
    }

    /// A sum of `octaves` fields, each twice as fine and half as strong as the one before; about -1 to 1.
    pub(super) fn fractal(self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut strength, mut size) = (0.0, 1.0, 1.0);
        for octave in 0..octaves {
            sum += strength * self.other(octave + 1).at(x * size, y * size);
            strength *= 0.5;
            size *= 2.03;
        }
        sum
    }

    /// A line of fractal noise at `x`; about -1 to 1.
    pub(super) fn line(self, x: f32, octaves: u32) -> f32 {
        self.fractal(x, 0.37, octaves) * 1.4
    }
}

fn fade(part: f32) -> f32 {
    part * part * part * (part * (part * 6.0 - 15.0) + 10.0)
}

fn lerp(from: f32, to: f32, part: f32) -> f32 {
    from + (to - from) * part
}
