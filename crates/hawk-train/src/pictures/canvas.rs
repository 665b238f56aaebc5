//! Square RGB pictures: filled, made smaller, read and written as PNG.

use hawk_files::{Error, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};

/// Width and height of every captioned picture, in pixels.
pub(crate) const SIDE: usize = 128;
/// [`SIDE`] in the type that image libraries take.
pub(crate) const SIDE_U32: u32 = SIDE as u32;

/// RGB pixels of a picture that is [`SIDE`] pixels wide and high, row by row.
pub(crate) struct Canvas(pub(crate) Vec<u8>);

impl Canvas {
    /// A picture of one colour.
    pub(crate) fn filled(colour: [u8; 3]) -> Self {
        Self(colour.repeat(SIDE * SIDE))
    }

    /// The picture scaled to `side` x `side` RGB pixels.
    pub(crate) fn thumbnail(&self, side: u32) -> Vec<u8> {
        let whole = RgbImage::from_raw(SIDE_U32, SIDE_U32, self.0.clone()).unwrap_or_default();
        imageops::resize(&whole, side, side, Resampling::Triangle).into_raw()
    }

    /// # Errors
    /// The PNG library fails.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        encode_png(&self.0, SIDE_U32, SIDE_U32, ExtendedColorType::Rgb8)
    }

    /// Reads what [`Canvas::to_png`] wrote; `None` if the file is damaged or has another size.
    pub(crate) fn from_png(bytes: &[u8]) -> Option<Self> {
        let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png).ok()?.to_rgb8();
        (picture.dimensions() == (SIDE_U32, SIDE_U32)).then(|| Self(picture.into_raw()))
    }
}

/// Encodes pixels as a PNG file.
///
/// # Errors
/// The number of bytes does not match the size.
pub(crate) fn encode_png(pixels: &[u8], width: u32, height: u32, colours: ExtendedColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    let written = encoder.write_image(pixels, width, height, colours);
    written.map_err(|e| Error::input(format!("cannot write the PNG: {e}")))?;
    Ok(bytes)
}
