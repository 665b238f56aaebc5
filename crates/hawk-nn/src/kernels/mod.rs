//! Arithmetic on a few rows: packed weights, products, elementwise functions, and the threads that they run on.
//!
//! The promise of every kernel: a row of the result has the same bits whatever the number of rows, threads and lanes.

mod gemm;
mod math;
mod matrix;
mod pool;
mod simd;

pub(crate) use gemm::{Activations, CHUNK_ROWS, Epilogue, Panel, Product};
pub(crate) use math::{exp_on, lane_sum, layer_norm, rms_norm};
pub(crate) use matrix::PANEL;
pub(crate) use simd::{Kernel, LANES, Simd, dispatch_on};

pub use gemm::matmul;
pub use math::{exp_slice, silu};
pub use matrix::{Matrix, Precision};
pub use pool::Pool;
pub use simd::Isa;
