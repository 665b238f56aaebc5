//! Panels of int8 weights against blocks of up to 16 rows, in matrix tiles.

use crate::activations::InputBlock;
use crate::isa::{Simd, TileProduct};
use crate::matrix::{BLOCK, PANEL};
use crate::tile::Panels;
use crate::weights::{Int8Weights, Pitches, Place, Weights};

/// Rows from which on tiles are used: fewer leave most of a tile empty.
pub(crate) const LEAST_ROWS: usize = 5;
/// Most rows of a tile.
const TILE_ROWS: usize = 16;

/// Products through tiles. Every sum has the bits of [`Int8Weights`]: exact inside a block, and the
/// blocks are added in order.
///
/// # Safety
/// The CPU has the instruction set, and the fields of `panels` and its [`Numbers`](crate::Numbers)
/// hold what they promise.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd>(panels: &Panels, scales: *const u16, inputs: *const InputBlock) {
    const BLOCK_BYTES: usize = BLOCK * PANEL;
    let blocks = panels.steps * Int8Weights::STEP_BYTES / BLOCK_BYTES;
    let pitches = Pitches { row_sums: panels.row_pitch, panel_sums: panels.panel_pitch, blocks };
    let first = Place { sums: panels.sums, inputs, scales };
    let mut products = [[0; PANEL]; TILE_ROWS];
    for start in (0..panels.rows).step_by(TILE_ROWS) {
        let rows = TILE_ROWS.min(panels.rows - start);
        // SAFETY: the caller's promise.
        unsafe {
            S::configure_tiles(rows);
            for (block, panel) in (0..blocks).flat_map(|block| (0..panels.panels).map(move |panel| (block, panel))) {
                let weights = panels.w.add(panel * panels.pitch + block * BLOCK_BYTES);
                // Each panel fetches its next block but one.
                for line in 0..BLOCK_BYTES / 64 {
                    S::prefetch(weights.wrapping_add(2 * BLOCK_BYTES + line * 64));
                }
                S::multiply_tiles(TileProduct {
                    inputs: panels.x.add(start * panels.stride + block * (BLOCK / 4 * S::QUAD_BYTES)),
                    stride: panels.stride,
                    weights,
                    rows,
                    sums: products.as_mut_ptr().cast(),
                });
                for (row, products) in products.iter().enumerate().take(rows) {
                    let place = first.at(pitches, start + row, panel);
                    let place = Place {
                        sums: place.sums,
                        inputs: place.inputs.wrapping_add(block),
                        scales: place.scales.wrapping_add(block * PANEL),
                    };
                    let sums = S::add_i32(S::load_i32(products.as_ptr()), Int8Weights::begin::<S>(place));
                    Int8Weights::end::<S>(sums, Int8Weights::scale::<S>(place), place);
                }
            }
            S::release_tiles();
        }
    }
}
