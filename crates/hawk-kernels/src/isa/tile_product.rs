//! Products of matrix tiles, of which a set has all methods or none.

/// Groups of 4 inputs in a block of [`TileProduct`].
pub(super) const TILE_QUADS: usize = 16;

/// A product of one block of 64 inputs of up to 16 rows with a panel.
#[derive(Clone, Copy)]
pub struct TileProduct {
    /// The first row's rounded inputs of the block.
    pub inputs: *const u8,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// The panel's weights of the block, `[16][16][4]` unsigned bytes.
    pub weights: *const u8,
    /// Rows.
    pub rows: usize,
    /// The sums, `[rows][16]`, exact.
    pub sums: *mut i32,
}

/// The methods of a set without tiles.
macro_rules! no_tiles {
    () => {
        const TILES: bool = false;

        #[inline(always)]
        unsafe fn configure_tiles(_: usize) {}
        #[inline(always)]
        unsafe fn multiply_tiles(_: TileProduct) {}
        #[inline(always)]
        unsafe fn release_tiles() {}
    };
}
pub(super) use no_tiles;
