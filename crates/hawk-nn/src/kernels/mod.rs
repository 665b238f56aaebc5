//! Arithmetic on a few rows: packed weights, products, elementwise functions, and the threads that they run on.
//!
//! The promise of every kernel: a row of the result has the same bits whatever the number of rows, threads and lanes.

mod gemm;
mod math;
mod matrix;
mod pool;
mod simd;
mod tile;

pub(crate) use gemm::{Activations, Epilogue, Product};
pub(crate) use math::{LayerNorm, RmsNorm, Softmax, Turn};
pub(crate) use matrix::{LAYOUT, Line, PANEL, bf16_slot};
pub(crate) use simd::{Kernel, LANES, Simd, dispatch_on};
pub(crate) use tile::{CHUNK_ROWS, PLACES, Panels};

pub use gemm::matmul;
pub use math::{exp_slice, silu};
pub use matrix::{Matrix, Precision};
pub use pool::Pool;
pub use simd::Isa;
