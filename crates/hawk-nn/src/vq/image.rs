//! Images.

/// Most pixels of an image, 4096 x 4096: its widest feature maps must fit into memory.
pub(super) const MAX_PIXELS: usize = 1 << 24;

/// An image, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// `[height, width, 3]`, red green blue, row by row from the top.
    pub pixels: Vec<u8>,
}
