//! The colour of each code by itself, for previews without the VQ decoder.

use hawk_nn::Result;
use hawk_spec::{Code, Grid};

use crate::engine::Engine;
use crate::model::no_image_side;

/// Cells of one code side by side and one above the other: the pixels of a cell depend on those around it.
const BLOCK: usize = 2;
/// Samples for each number that is fitted.
const SAMPLES: usize = 16;
/// Most grids that are decoded.
const MOST_GRIDS: usize = 4;
/// Pulls the fit to a constant colour where samples are few.
const RIDGE: f64 = 1e-3;

impl Engine {
    /// A colour of each code, as red, green, blue.
    ///
    /// It is the nearest linear function of the code's vector to the colours of a few grids that are
    /// decoded here. Pictures of such colours are rough, and take no time.
    ///
    /// # Errors
    /// The model has no VQ decoder, or the decoder fails.
    pub fn code_colours(&self) -> Result<Vec<[u8; 3]>> {
        let target = self.model().target();
        let pixels = target.pixels.as_ref().ok_or_else(|| no_image_side(self.source()))?;
        let (width, codes) = (pixels.config().embed_dim, target.codes());
        let vectors = pixels.codebook();
        let features = |code: usize| vectors[code * width..][..width].iter().map(|&x| f64::from(x)).chain([1.0]);
        let grid = self.config().layout.grid();
        let mut fit = Fit::new(width + 1);
        let per_grid = blocks(grid).count();
        let grids = (SAMPLES * (width + 1)).div_ceil(per_grid.max(1)).clamp(1, MOST_GRIDS);
        for number in 0..grids {
            let code = |block: usize| spread(number * per_grid + block, codes);
            let cells = (0..grid.cells() as usize).map(|cell| Code(code(block_of(cell, grid)) as u32));
            let image = self.decode(&cells.collect::<Vec<_>>())?;
            for (block, [row, column]) in blocks(grid).enumerate() {
                let side = [image.height / grid.rows(), image.width / grid.cols()].map(|side| side as usize);
                let mut sum = [0.0; 3];
                // The middle of the block.
                let [top, left] = [row * BLOCK * side[0] + side[0] / 2, column * BLOCK * side[1] + side[1] / 2];
                for y in top..top + side[0] {
                    for x in left..left + side[1] {
                        let pixel = &image.pixels[3 * (y * image.width as usize + x)..][..3];
                        (0..3).for_each(|channel| sum[channel] += f64::from(pixel[channel]));
                    }
                }
                let mean = sum.map(|sum| sum / (side[0] * side[1]) as f64);
                fit.add(&features(code(block)).collect::<Vec<_>>(), mean);
            }
        }
        let weights = fit.solve();
        let colour = |code: usize| {
            let mut colour = [0.0; 3];
            for (feature, weights) in features(code).zip(&weights) {
                (0..3).for_each(|channel| colour[channel] += feature * weights[channel]);
            }
            colour.map(|value| value.round().clamp(0.0, 255.0) as u8)
        };
        Ok((0..codes).map(colour).collect())
    }
}

/// The whole blocks of a grid as [row, column].
fn blocks(grid: Grid) -> impl Iterator<Item = [usize; 2]> {
    let [rows, columns] = [grid.rows(), grid.cols()].map(|side| side as usize / BLOCK);
    (0..rows * columns).map(move |block| [block / columns, block % columns])
}

/// The block of a cell. Cells beyond the last whole block belong to it.
fn block_of(cell: usize, grid: Grid) -> usize {
    let [rows, columns] = [grid.rows(), grid.cols()].map(|side| (side as usize / BLOCK).max(1));
    let [row, column] = [cell / grid.cols() as usize, cell % grid.cols() as usize].map(|at| at / BLOCK);
    row.min(rows - 1) * columns + column.min(columns - 1)
}

/// A code for each number, so that consecutive ones are far apart.
fn spread(number: usize, codes: usize) -> usize {
    (number as u64 * 2_654_435_761 % codes as u64) as usize
}

/// A linear fit of colours.
struct Fit {
    size: usize,
    /// Products of features, `[size, size]`, and of features with colours, `[size]`.
    squares: Vec<f64>,
    colours: Vec<[f64; 3]>,
}

impl Fit {
    fn new(size: usize) -> Self {
        Self { size, squares: vec![0.0; size * size], colours: vec![[0.0; 3]; size] }
    }

    fn add(&mut self, features: &[f64], colour: [f64; 3]) {
        for (row, &a) in features.iter().enumerate() {
            for (column, &b) in features.iter().enumerate() {
                self.squares[row * self.size + column] += a * b;
            }
            (0..3).for_each(|channel| self.colours[row][channel] += a * colour[channel]);
        }
    }

    /// The weights of the features by Gaussian elimination. The ridge keeps every pivot above 0.
    fn solve(mut self) -> Vec<[f64; 3]> {
        let size = self.size;
        let trace: f64 = (0..size).map(|at| self.squares[at * size + at]).sum();
        (0..size).for_each(|at| self.squares[at * size + at] += RIDGE * trace / size as f64 + f64::MIN_POSITIVE);
        for pivot in 0..size {
            for row in pivot + 1..size {
                let factor = self.squares[row * size + pivot] / self.squares[pivot * size + pivot];
                (pivot..size).for_each(|at| self.squares[row * size + at] -= factor * self.squares[pivot * size + at]);
                (0..3).for_each(|channel| self.colours[row][channel] -= factor * self.colours[pivot][channel]);
            }
        }
        for row in (0..size).rev() {
            for channel in 0..3 {
                let known: f64 =
                    (row + 1..size).map(|at| self.squares[row * size + at] * self.colours[at][channel]).sum();
                self.colours[row][channel] = (self.colours[row][channel] - known) / self.squares[row * size + row];
            }
        }
        self.colours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_colour_is_found() {
        let mut fit = Fit::new(3);
        for sample in 0..50 {
            let features = [f64::from(sample % 7) - 3.0, f64::from(sample % 5) - 2.0, 1.0];
            let colour = [10.0 + features[0], 20.0 - 3.0 * features[1], 30.0 + features[0] + features[1]];
            fit.add(&features, colour);
        }
        let weights = fit.solve();
        let want = [[1.0, 0.0, 1.0], [0.0, -3.0, 1.0], [10.0, 20.0, 30.0]];
        for (weights, want) in weights.iter().flatten().zip(want.iter().flatten()) {
            assert!((weights - want).abs() < 0.2, "{weights} {want}");
        }
    }

    #[test]
    fn every_cell_has_a_block() {
        for (rows, columns) in [(16, 16), (5, 3), (1, 1), (1, 4)] {
            let grid = Grid::new(rows, columns).unwrap();
            let most = blocks(grid).count().max(columns as usize);
            assert!((0..grid.cells() as usize).all(|cell| block_of(cell, grid) < most), "{rows} {columns}");
        }
    }
}
