//! How far a reconstruction is from its picture.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};

/// Levels of the pyramid; the coarsest carries the colours of areas.
const LEVELS: usize = 4;
const SQUARES: f64 = 4.0;
const PYRAMID: f64 = 0.5;
const GRADIENTS: f64 = 0.5;

/// Squared errors, which PSNR counts; absolute errors on a Laplacian pyramid, where an edge that is a little off costs less than a blurred
/// one and an area that drifts costs at the coarsest level; absolute errors of the differences between neighbours. `[B, 3, H, W]` in -1..=1.
pub(crate) fn reconstruction(made: Tensor<4>, wanted: Tensor<4>) -> Tensor<1> {
    let error = made - wanted;
    let squares = error.clone().square().mean();
    squares * SQUARES + pyramid(error.clone()) * PYRAMID + gradients(error) * GRADIENTS
}

/// The pyramid is linear, so that of the difference is the difference of the two.
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
