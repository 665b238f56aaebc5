//! Numbers that describe a picture: colours and differences by place, and the round lights.

use hawk_nn::Image;

use crate::evaluate::painted::discs::discs;
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
    fn differences(&self) -> [Self; 2] {
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

/// The features of a picture of [`SIDE`] x [`SIDE`] pixels; every picture has as many. The second
/// part tells of discs alone.
pub(super) fn features(image: &Image) -> [Vec<f32>; 2] {
    let channels = [0, 1, 2].map(|channel| Plane::channel(image, channel).reduced(2));
    let whole = Plane::brightness(image);
    let half = whole.reduced(2);
    let quarter = whole.reduced(4);
    let mut features = Vec::new();
    for channel in &channels {
        features.extend(channel.reduced(4).values);
        features.extend(channel.reduced(16).values.iter().map(|level| (level + 1e-6).sqrt()));
    }
    for (plane, square) in [(&whole, 16), (&half, 8), (&quarter, 4)] {
        for differences in plane.differences() {
            features.extend(differences.reduced(square).values.iter().map(|mean| (mean + 0.01).ln()));
        }
    }
    for row in quarter.values.chunks_exact(quarter.side) {
        features.extend(Extent::of(row.iter().copied()).features());
    }
    for block in 0..64 {
        let (top, left) = (block / 8 * 8, block % 8 * 8);
        let values = (0..64).map(|at| half.values[(top + at / 8) * half.side + left + at % 8]);
        let Extent { least, most, mean, .. } = Extent::of(values);
        features.extend([most - mean, mean - least]);
    }
    [features, discs(&channels)]
}

/// How far some levels lie apart.
struct Extent {
    least: f32,
    most: f32,
    mean: f32,
    deviation: f32,
}

impl Extent {
    fn of(values: impl Iterator<Item = f32> + Clone) -> Self {
        let count = values.clone().count() as f32;
        let mean = values.clone().sum::<f32>() / count;
        let variance = values.clone().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        let least = values.clone().fold(f32::INFINITY, f32::min);
        Self { least, most: values.fold(f32::NEG_INFINITY, f32::max), mean, deviation: variance.sqrt() }
    }

    fn features(&self) -> [f32; 3] {
        [self.most, self.least, self.deviation]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::features::tests::scene;

    #[test]
    fn planes_are_reduced_to_means_and_differences() {
        let plane = Plane { side: 4, values: (0..16u8).map(f32::from).collect() };
        assert_eq!(plane.reduced(2).values, [2.5, 4.5, 10.5, 12.5]);
        let [down, right] = plane.differences();
        assert_eq!((down.values[0], down.values[12], right.values[0], right.values[3]), (4.0, 0.0, 1.0, 0.0));
    }

    #[test]
    fn every_picture_has_as_many_finite_features() {
        let plain = features(&scene(&[], 1, [10, 20, 30], [0; 3]));
        let other = features(&scene(&[(40, 30), (90, 90)], 9, [200, 200, 255], [255, 250, 200]));
        assert_eq!(plain.each_ref().map(Vec::len), other.each_ref().map(Vec::len));
        assert!(plain.iter().chain(&other).flatten().all(|value| value.is_finite()));
        assert_ne!(plain, other);
    }
}
