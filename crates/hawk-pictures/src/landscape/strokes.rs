//! Turns soft texture into strokes of a brush.

use super::{canvas::Canvas, colour::Colour, colour::mix, colour::smooth};
use crate::picture::SIDE;

/// Sums of red, green, blue and of their squares over all pixels above and to the left.
type Sums = Vec<[f32; 4]>;

const WIDTH: usize = SIDE + 1;
/// A stroke's length in pixels.
const STROKE: usize = 3;

fn sums(canvas: &Canvas) -> Sums {
    let mut sums = vec![[0.0; 4]; WIDTH * WIDTH];
    for y in 0..SIDE {
        let mut row = [0.0; 4];
        for x in 0..SIDE {
            let [red, green, blue] = canvas.colour(x, y);
            let above = sums[y * WIDTH + x + 1];
            let squares = red * red + green * green + blue * blue;
            for (c, value) in [red, green, blue, squares].into_iter().enumerate() {
                row[c] += value;
                sums[(y + 1) * WIDTH + x + 1][c] = row[c] + above[c];
            }
        }
    }
    sums
}

/// The mean colour of a square, and how much the colours in it vary.
fn square(sums: &Sums, left: isize, top: isize) -> (Colour, f32) {
    let last = SIDE as isize;
    let (x0, x1) = (left.clamp(0, last) as usize, (left + STROKE as isize).clamp(0, last) as usize);
    let (y0, y1) = (top.clamp(0, last) as usize, (top + STROKE as isize).clamp(0, last) as usize);
    let count = ((x1 - x0) * (y1 - y0)) as f32;
    let at = |x: usize, y: usize| sums[y * WIDTH + x];
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    let mean: [f32; 4] = std::array::from_fn(|n| (d[n] - b[n] - c[n] + a[n]) / count.max(1.0));
    let [red, green, blue, squares] = mean;
    ([red, green, blue], (squares - red * red - green * green - blue * blue).max(0.0))
}

/// Gives a pixel the mean of the calmest of the four squares that it is a corner of (Kuwahara's filter). Where none is
/// calm, as in a small tree, the pixel stays as it is.
pub(super) fn brush(canvas: &mut Canvas) {
    let sums = sums(canvas);
    let back = STROKE as isize - 1;
    canvas.each(0..SIDE, |canvas, x, y| {
        let (column, row) = (x as isize, y as isize);
        let corners = [(-back, -back), (0, -back), (-back, 0), (0, 0)];
        let (mut total, mut colour, mut least) = (0.0, [0.0; 3], f32::MAX);
        for (right, down) in corners {
            let (mean, spread) = square(&sums, column + right, row + down);
            let weight = 1.0 / (spread + 6e-5).powi(2);
            total += weight;
            least = least.min(spread);
            for c in 0..3 {
                colour[c] += mean[c] * weight;
            }
        }
        let part = 1.0 - smooth(5e-4, 4e-3, least);
        let old = canvas.colour(x, y);
        canvas.blend(x, y, mix(old, colour.map(|value| value / total), part), 1.0);
    });
}
