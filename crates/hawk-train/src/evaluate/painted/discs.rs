//! Looks for a bright disc on a darker surrounding: the sun or the moon.

use std::array;

use crate::evaluate::painted::plane::Plane;

/// Rows of the upper part of a plane of 64 rows that are searched.
const ROWS: usize = 44;
/// Distance of the ring's points from the middle of the disc, in values of that plane.
const RING: f32 = 6.5;
/// Points of the ring.
const POINTS: usize = 12;
/// Square of the distance from the best disc beyond which the second one is searched.
const FAR: usize = 64;

/// A place, its disc and the ring around it.
#[derive(Clone, Copy)]
struct Disc {
    row: usize,
    column: usize,
    /// Mean red, green and blue of the disc.
    colour: [f32; 3],
    mean: f32,
    least: f32,
    /// Brightness of the ring's points, the darkest first.
    ring: [f32; POINTS],
}

impl Disc {
    /// By how much the disc is brighter than its ring, in four ways.
    fn contrasts(&self) -> [f32; 4] {
        let ring = &self.ring;
        [
            self.mean - ring[POINTS - 1],
            self.mean - ring[POINTS - 3],
            self.mean - ring[POINTS / 2],
            self.least - ring[POINTS - 2],
        ]
    }
}

/// What is known of the best disc by each contrast, and of the second best one that is far from it.
/// The channels have 64 x 64 values.
pub(super) fn discs(channels: &[Plane; 3]) -> Vec<f32> {
    let side = channels[0].side;
    let brightness: Vec<f32> =
        (0..side * side).map(|at| channels.iter().map(|channel| channel.values[at]).sum::<f32>() / 3.0).collect();
    let all: Vec<Disc> = (0..ROWS * side).map(|at| disc(channels, &brightness, at / side, at % side)).collect();
    let mut features = Vec::new();
    for way in 0..4 {
        let score = |disc: &&Disc| disc.contrasts()[way];
        let Some(best) = all.iter().reduce(|a, b| if score(&b) > score(&a) { b } else { a }) else { continue };
        features.push(score(&best));
        features.extend(best.colour);
        features.extend([best.mean, best.least, best.ring[POINTS - 1], best.ring[POINTS / 2], best.ring[0]]);
        features.push(best.row as f32 / ROWS as f32);
        let is_far = |disc: &&Disc| disc.row.abs_diff(best.row).pow(2) + disc.column.abs_diff(best.column).pow(2) > FAR;
        let second = all.iter().filter(is_far).reduce(|a, b| if score(&b) > score(&a) { b } else { a });
        let second = second.unwrap_or(best);
        features.push(score(&second));
        features.extend(second.colour);
    }
    features
}

fn disc(channels: &[Plane; 3], brightness: &[f32], row: usize, column: usize) -> Disc {
    let side = channels[0].side;
    // What lies beyond the edge is as the edge.
    let at = |down: i32, right: i32| {
        let inside = |place: usize, step: i32| (place as i32 + step).clamp(0, side as i32 - 1) as usize;
        inside(row, down) * side + inside(column, right)
    };
    let (mut colour, mut least, mut count) = ([0.0; 3], f32::INFINITY, 0.0);
    for (down, right) in (-2..=2).flat_map(|down| (-2..=2).map(move |right| (down, right))) {
        if down * down + right * right <= 5 {
            let at = at(down, right);
            colour.iter_mut().zip(channels).for_each(|(sum, channel)| *sum += channel.values[at]);
            least = least.min(brightness[at]);
            count += 1.0;
        }
    }
    let colour = colour.map(|sum: f32| sum / count);
    let mut ring = array::from_fn(|point| {
        let angle = point as f32 * std::f32::consts::TAU / POINTS as f32;
        brightness[at((RING * angle.sin()).round() as i32, (RING * angle.cos()).round() as i32)]
    });
    ring.sort_by(f32::total_cmp);
    Disc { row, column, colour, mean: colour.iter().sum::<f32>() / 3.0, least, ring }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::features::tests::scene;

    #[test]
    fn the_brightest_spot_of_a_disc_s_size_is_found() {
        let image = scene(&[(40, 30)], 7, [60; 3], [250, 240, 150]);
        let found = discs(&[0, 1, 2].map(|channel| Plane::channel(&image, channel).reduced(2)));
        let [contrast, red, green, blue] = found[..4] else { panic!("{found:?}") };
        assert!(contrast > 0.5 && red > green && green > blue, "{found:?}");
        assert!((found[9] - 15.0 / ROWS as f32).abs() < 0.06, "{found:?}");
        // A bright area is no disc: its ring is as bright.
        let area = scene(&[(64, 30)], 40, [60; 3], [250, 240, 150]);
        let found = discs(&[0, 1, 2].map(|channel| Plane::channel(&area, channel).reduced(2)));
        assert!(found[0] < 0.1, "{found:?}");
    }
}
