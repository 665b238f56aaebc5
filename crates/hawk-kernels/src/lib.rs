//! Arithmetic on a few rows for CPUs: packed weights, products, elementwise functions, and the threads that they run on.
//!
//! The promise of every kernel: a row of the result has the same bits whatever the number of rows, threads and lanes.

mod error;
mod gemm;
mod isa;
mod math;
mod matrix;
mod threads;
mod tile;

pub use error::{Error, Result};
pub use gemm::{Activations, Epilogue, Product, matmul};
pub use isa::{Isa, Kernel, LANES, Simd, dispatch_on};
pub use math::{LayerNorm, RmsNorm, Softmax, Turn, exp_slice, silu};
pub use matrix::{LAYOUT, Line, Matrix, MatrixSize, PANEL, Precision, bf16_slot};
pub use threads::Threads;
pub use tile::{CHUNK_ROWS, PLACES, Panels};
