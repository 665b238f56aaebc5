//! The reconstruction loss.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};

/// Levels of the Laplacian pyramid. The coarsest level carries the colours of areas.
const LEVELS: usize = 4;
/// Weights of the three terms.
const SQUARED_ERROR: f64 = 4.0;
const PYRAMID: f64 = 0.5;
const GRADIENTS: f64 = 0.5;

/// The loss of reconstructions against pictures, both `[B, 3, H, W]` in `-1..=1`. It has three
/// terms:
///
/// - the squared error, which PSNR measures;
/// - the absolute error of a Laplacian pyramid: a shifted edge costs less than a blurred edge, and
///   a colour shift of an area costs at the coarsest level;
/// - the absolute error of the differences between neighbouring pixels.
pub(crate) fn reconstruction_loss(decoded: Tensor<4>, pictures: Tensor<4>) -> Tensor<1> {
    let error = decoded - pictures;
    let squares = error.clone().square().mean();
    squares * SQUARED_ERROR + pyramid(error.clone()) * PYRAMID + gradients(error) * GRADIENTS
}

/// The pyramid is linear, so the pyramid of the error is the error of the pyramids.
fn pyramid(mut error: Tensor<4>) -> Tensor<1> {
    let mut bands = Vec::new();
    for _ in 1..LEVELS {
        let coarse = avg_pool2d(error.clone(), AvgPoolOptions::new([2, 2]));
        let twice = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
        bands.push((error - interpolate(coarse.clone(), twice)).abs().mean());
        error = coarse;
    }
    bands.into_iter().fold(error.abs().mean() * 2.0, |sum, band| sum + band)
}

fn gradients(error: Tensor<4>) -> Tensor<1> {
    let [_, _, height, width] = error.dims();
    let across = error.clone().narrow(3, 1, width - 1) - error.clone().narrow(3, 0, width - 1);
    let down = error.clone().narrow(2, 1, height - 1) - error.narrow(2, 0, height - 1);
    across.abs().mean() + down.abs().mean()
}
