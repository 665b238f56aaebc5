//! Numbers that describe a picture: colours and differences by place, and the round lights.

use hawk_nn::Image;

use crate::evaluate::painted::discs::discs;
use crate::evaluate::painted::plane::Plane;

/// The features of a picture of 128 x 128 pixels; every picture has as many. The second
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
    fn every_picture_has_as_many_finite_features() {
        let plain = features(&scene(&[], 1, [10, 20, 30], [0; 3]));
        let other = features(&scene(&[(40, 30), (90, 90)], 9, [200, 200, 255], [255, 250, 200]));
        assert_eq!(plain.each_ref().map(Vec::len), other.each_ref().map(Vec::len));
        assert!(plain.iter().chain(&other).flatten().all(|value| value.is_finite()));
        assert_ne!(plain, other);
    }
}
