//! The tree sizes that the autotuner chooses from.

use crate::request::tree::AUTO_NODES;

/// Nodes of a tree, root included. The first size is plain decoding.
pub(super) const SIZES: [usize; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, AUTO_NODES];
/// Number of sizes.
pub(super) const COUNT: usize = SIZES.len();
/// Index of plain decoding.
pub(super) const PLAIN: usize = 0;
/// Index of the size of the first trial, 8 nodes. One trial of it informs the sizes below.
pub(super) const FIRST: usize = 5;

/// Index of a size.
pub(super) fn index(nodes: usize) -> Option<usize> {
    SIZES.iter().position(|&size| size == nodes)
}
