//! One channel of a picture, in several sizes.

use hawk_nn::Image;

use crate::pictures::canvas::SIDE;

/// Levels of a plane, rows from the top, one channel.
pub(super) struct Plane {
    pub(super) side: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// The mean of the three channels, `0..=1`.
    pub(super) fn brightness(image: &Image) -> Self {
        let mean = |pixel: &[u8]| pixel.iter().map(|&level| f32::from(level)).sum::<f32>() / 765.0;
        Self { side: SIDE, values: image.pixels.chunks_exact(3).map(mean).collect() }
    }

    /// One channel, `0..=1`.
    pub(super) fn channel(image: &Image, channel: usize) -> Self {
        let levels = image.pixels.iter().skip(channel).step_by(3);
        Self { side: SIDE, values: levels.map(|&level| f32::from(level) / 255.0).collect() }
    }

    /// The means of squares of `square` x `square` values.
    pub(super) fn reduced(&self, square: usize) -> Self {
        let side = self.side / square;
        let mut values = vec![0.0; side * side];
        for (row, line) in self.values.chunks_exact(self.side).enumerate() {
            for (column, values_of_square) in line.chunks_exact(square).enumerate() {
                values[row / square * side + column] += values_of_square.iter().sum::<f32>();
            }
        }
        values.iter_mut().for_each(|value| *value /= (square * square) as f32);
        Self { side, values }
    }

    /// Absolute differences to the value one row below, and to the value one column to the right.
    pub(super) fn differences(&self) -> [Self; 2] {
        let side = self.side;
        let [mut down, mut right] = [(); 2].map(|()| Self { side, values: vec![0.0; side * side] });
        for at in 0..side * side {
            if at / side + 1 < side {
                down.values[at] = (self.values[at + side] - self.values[at]).abs();
            }
            if at % side + 1 < side {
                right.values[at] = (self.values[at + 1] - self.values[at]).abs();
            }
        }
        [down, right]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_reduced_to_means_and_differences() {
        let plane = Plane { side: 4, values: (0..16u8).map(f32::from).collect() };
        assert_eq!(plane.reduced(2).values, [2.5, 4.5, 10.5, 12.5]);
        let [down, right] = plane.differences();
        assert_eq!((down.values[0], down.values[12], right.values[0], right.values[3]), (4.0, 0.0, 1.0, 0.0));
    }
}
