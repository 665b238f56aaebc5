//! Similarity of two pictures.

use hawk_nn::Image;

/// PSNR of identical pictures, in dB.
const LARGEST_PSNR: f64 = 60.0;
/// The window of SSIM (Wang et al. 2004): 11 x 11 pixels, a Gaussian with sigma 1.5.
const RADIUS: usize = 5;
const SIGMA: f64 = 1.5;

/// The mean squared error of two pictures of the same size, `0..=1`.
pub(crate) fn squared_error(a: &Image, b: &Image) -> f64 {
    let squares = a.pixels.iter().zip(&b.pixels).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / a.pixels.len() as f64 / (255.0 * 255.0)
}

/// Peak signal-to-noise ratio in dB.
pub(crate) fn psnr(squared_error: f64) -> f64 {
    (-10.0 * squared_error.log10()).min(LARGEST_PSNR)
}

/// Structural similarity of the luma (Wang et al. 2004), averaged over all windows inside the
/// picture.
pub(crate) fn ssim(a: &Image, b: &Image) -> f64 {
    let (width, height) = (a.width as usize, a.height as usize);
    let (a, b) = (luma(a), luma(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
    let smooth = |x: &[f64]| smoothed(x, width, height);
    let (mean_a, mean_b) = (smooth(&a), smooth(&b));
    let (aa, bb, ab) = (smooth(&product(&a, &a)), smooth(&product(&b, &b)), smooth(&product(&a, &b)));
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let window = |i: usize| {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
        (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    };
    (0..mean_a.len()).map(window).sum::<f64>() / mean_a.len() as f64
}

/// Luma of each pixel by Rec. 601, `0..=1`.
fn luma(image: &Image) -> Vec<f64> {
    let of = |rgb: &[u8]| (0.299 * f64::from(rgb[0]) + 0.587 * f64::from(rgb[1]) + 0.114 * f64::from(rgb[2])) / 255.0;
    image.pixels.chunks_exact(3).map(of).collect()
}

/// Gaussian means of all windows inside a picture, row by row.
fn smoothed(x: &[f64], width: usize, height: usize) -> Vec<f64> {
    let weight = |d: usize| (-(d as f64 - RADIUS as f64).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let weights: Vec<f64> = (0..=2 * RADIUS).map(weight).collect();
    let all: f64 = weights.iter().sum();
    let inside = |side: usize| side.saturating_sub(2 * RADIUS);
    let mut across = Vec::with_capacity(inside(width) * height);
    for row in x.chunks_exact(width) {
        across
            .extend(row.windows(weights.len()).map(|w| w.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() / all));
    }
    let columns = inside(width);
    let mut both = Vec::with_capacity(columns * inside(height));
    for top in 0..inside(height) {
        for column in 0..columns {
            let sum: f64 = weights.iter().enumerate().map(|(d, w)| w * across[(top + d) * columns + column]).sum();
            both.push(sum / all);
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(of: impl Fn(u32, u32) -> u8) -> Image {
        let pixels = (0..32 * 32).flat_map(|i| [of(i % 32, i / 32); 3]).collect();
        Image { width: 32, height: 32, pixels }
    }

    #[test]
    fn known_values() {
        let (grey, lighter) = (image(|_, _| 100), image(|_, _| 110));
        assert_eq!((psnr(squared_error(&grey, &grey)), ssim(&grey, &grey)), (60.0, 1.0));
        // 20 log10(255 / 10).
        assert!((psnr(squared_error(&grey, &lighter)) - 28.1308).abs() < 1e-4);
        // Without structure only the means matter.
        let (a, b) = (100.0 / 255.0, 110.0 / 255.0);
        assert!((ssim(&grey, &lighter) - (2.0 * a * b + 1e-4) / (a * a + b * b + 1e-4)).abs() < 1e-9);
        let (stripes, inverse) = (image(|x, _| (x % 2 * 255) as u8), image(|x, _| (255 - x % 2 * 255) as u8));
        assert!(ssim(&stripes, &inverse) < -0.9);
    }
}
