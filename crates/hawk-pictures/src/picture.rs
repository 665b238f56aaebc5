//! The pixels of one picture.

use image::{ExtendedColorType, ImageError};
use std::path::Path;

/// Width and height of every picture, in pixels.
pub const SIDE: usize = 128;

/// A picture of [`SIDE`] x [`SIDE`] pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `SIDE * SIDE * 3` bytes: rows from the top, pixels from the left, red, green, blue.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Writes the picture as a file whose format follows from the ending, `.png` say.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or its ending names no format that was compiled in.
    pub fn save(&self, path: &Path) -> Result<(), ImageError> {
        let side = SIDE as u32;
        image::save_buffer(path, &self.rgb, side, side, ExtendedColorType::Rgb8)
    }
}
