//! Features of pictures that are compared.

use hawk_nn::Image;

use crate::pictures::canvas::SIDE;

/// Side of the small pictures that are compared.
pub(super) const SMALL: usize = 32;
/// Width in pixels of the border that shows only the background.
const BORDER: usize = 4;
/// Sum of channel differences, of 765, above which a pixel belongs to the foreground.
const FOREGROUND: f32 = 60.0;

/// The foreground of a picture, `[SMALL * SMALL]`, scaled to unit length.
pub(super) fn foreground(image: &Image) -> Vec<f32> {
    let background = border_colour(image);
    let small = small(image);
    let differs = |pixel: &[f32]| pixel.iter().zip(background).map(|(a, b)| (a - b).abs()).sum::<f32>() > FOREGROUND;
    let mut mask: Vec<f32> = small.chunks(3).map(|pixel| f32::from(u8::from(differs(pixel)))).collect();
    normalise(&mut mask);
    mask
}

/// Scales a vector to unit length.
pub(super) fn normalise(values: &mut [f32]) {
    let length = values.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
    values.iter_mut().for_each(|x| *x /= length);
}

/// The median colour along the border.
pub(super) fn border_colour(image: &Image) -> [f32; 3] {
    let inner = BORDER..SIDE - BORDER;
    let on_border = |at: usize| !(inner.contains(&(at % SIDE)) && inner.contains(&(at / SIDE)));
    std::array::from_fn(|channel| {
        let mut levels: Vec<u8> =
            (0..SIDE * SIDE).filter(|&at| on_border(at)).map(|at| image.pixels[3 * at + channel]).collect();
        let middle = levels.len() / 2;
        f32::from(*levels.select_nth_unstable(middle).1)
    })
}

/// The picture scaled down by averaging, `[SMALL, SMALL, 3]` in `0..=255`.
pub(super) fn small(image: &Image) -> Vec<f32> {
    let square = SIDE / SMALL;
    let mut sums = vec![0.0; SMALL * SMALL * 3];
    for (at, pixel) in image.pixels.chunks_exact(3).enumerate() {
        let to = at / SIDE / square * SMALL + at % SIDE / square;
        sums[3 * to..].iter_mut().zip(pixel).for_each(|(sum, level)| *sum += f32::from(*level));
    }
    sums.iter_mut().for_each(|sum| *sum /= (square * square) as f32);
    sums
}

/// The squared distance.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Squares of one colour at these places on a background.
    pub(crate) fn scene(places: &[(usize, usize)], half: usize, ground: [u8; 3], colour: [u8; 3]) -> Image {
        let inside =
            |at: usize| places.iter().any(|p| p.0.abs_diff(at % SIDE) < half && p.1.abs_diff(at / SIDE) < half);
        let pixels = (0..SIDE * SIDE).flat_map(|at| if inside(at) { colour } else { ground }).collect();
        Image { width: SIDE as u32, height: SIDE as u32, pixels }
    }

    #[test]
    fn the_border_shows_the_background_even_where_things_touch_it() {
        let image = scene(&[(64, 64), (10, 64)], 20, [170, 215, 245], [200, 30, 30]);
        assert_eq!(border_colour(&image), [170.0, 215.0, 245.0]);
    }

    #[test]
    fn small_pictures_are_means() {
        let image = scene(&[(2, 2)], 3, [0; 3], [160; 3]);
        let small = small(&image);
        // Squares of 4 x 4: the first is covered, of the second one column of 4, of the one across
        // one pixel.
        assert_eq!((small[0], small[3], small[3 * (SMALL + 1)]), (160.0, 40.0, 10.0));
        assert_eq!(distance(&[1.0, 2.0], &[4.0, 6.0]), 25.0);
    }
}
