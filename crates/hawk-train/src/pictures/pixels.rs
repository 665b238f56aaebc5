//! Pictures as tensors; crops and mirrored pictures.

use burn::tensor::{Device, Tensor, TensorData};
use hawk_files::Result;
use hawk_nn::Image;

use crate::run::params::read;

/// Converts pictures of one size to a tensor `[B, 3, height, width]` in `-1..=1`.
pub(crate) fn to_tensor(images: &[Image], device: &Device) -> Tensor<4> {
    let (height, width) = images.first().map_or((0, 0), |image| (image.height as usize, image.width as usize));
    let mut values = Vec::with_capacity(images.len() * 3 * height * width);
    for image in images {
        for channel in 0..3 {
            values.extend(image.pixels.iter().skip(channel).step_by(3).map(|&level| f32::from(level) / 127.5 - 1.0));
        }
    }
    Tensor::from_data(TensorData::new(values, [images.len(), 3, height, width]), device)
}

/// Converts a tensor to pictures. Levels are rounded down, as in the inference decoder.
///
/// # Errors
/// The tensor cannot be read from the device.
pub(crate) fn from_tensor(colours: Tensor<4>) -> Result<Vec<Image>> {
    let [_, channels, height, width] = colours.dims();
    let values = read(colours.into_data())?;
    let level = |x: f32| ((x.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0) as u8;
    let image = |planes: &[f32]| {
        let pixels =
            (0..height * width).flat_map(|i| (0..channels).map(move |c| level(planes[c * height * width + i])));
        Image { width: width as u32, height: height as u32, pixels: pixels.collect() }
    };
    Ok(values.chunks(channels * height * width).map(image).collect())
}

/// The square of `side` pixels whose top left corner is at column `left` and row `top`.
pub(crate) fn crop(image: &Image, left: usize, top: usize, side: usize) -> Image {
    let row = |y: usize| {
        let start = 3 * ((top + y) * image.width as usize + left);
        &image.pixels[start..start + 3 * side]
    };
    Image { width: side as u32, height: side as u32, pixels: (0..side).flat_map(|y| row(y).to_vec()).collect() }
}

/// The picture with left and right exchanged.
pub(crate) fn mirrored(image: &Image) -> Image {
    let width = 3 * image.width as usize;
    let rows = image.pixels.chunks_exact(width);
    Image { pixels: rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect(), ..*image }
}

/// The sum of absolute differences between neighbouring pixels in raster order.
pub(crate) fn detail(image: &Image) -> u64 {
    image.pixels.windows(4).map(|w| u64::from(w[0].abs_diff(w[3]))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_survive_a_tensor_and_two_mirrors() {
        let image = Image { width: 3, height: 2, pixels: (0..18).map(|i| i * 13).collect() };
        let back = from_tensor(to_tensor(&[image.clone(), image.clone()], &Device::flex())).unwrap();
        assert_eq!((back.len(), back[1].width, back[1].height), (2, 3, 2));
        // Rounding down may lose a level.
        assert!(back[1].pixels.iter().zip(&image.pixels).all(|(back, level)| level - back <= 1));
        assert_eq!(mirrored(&image).pixels[..3], image.pixels[6..9]);
        assert_eq!(mirrored(&mirrored(&image)), image);
        assert_eq!(crop(&image, 1, 0, 2).pixels, [39, 52, 65, 78, 91, 104, 156, 169, 182, 195, 208, 221]);
    }
}
