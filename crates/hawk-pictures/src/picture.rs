//! The pixels of one picture.

/// Width and height of every picture, in pixels.
pub const SIDE: usize = 128;

/// A picture of [`SIDE`] x [`SIDE`] pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `SIDE * SIDE * 3` bytes: rows from the top, pixels from the left, red, green, blue.
    pub rgb: Vec<u8>,
}
