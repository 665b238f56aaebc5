//! CPU arithmetic for a few rows at a time: packed weights, products, elementwise functions, and
//! the threads that run them.
//!
//! Invariant of every kernel: a row of the result has the same bits for any number of rows, threads
//! and vector lanes.
//!
//! ```
//! use hawk_kernels::{Matrix, Precision, Threads, matmul};
//!
//! let identity = Matrix::pack(Precision::F32, 3, 3, &mut |row, out| {
//!     out.fill(0.0);
//!     out[row] = 1.0;
//! });
//! let mut y = [0.0; 3];
//! matmul(&Threads::new(2), &identity, &[1.0, 2.0, 3.0], 1, &mut y);
//! assert_eq!(y, [1.0, 2.0, 3.0]);
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Matrix`], [`Precision`] | weights packed for the kernels, and their number format |
//! | [`Product`], [`matmul`] | rows times a matrix |
//! | [`Guide`], [`TopP`], [`Search`] | from logits to the best codes under noise |
//! | [`Threads`] | helper threads for short parallel regions |
//! | [`Isa`], [`Simd`], [`Kernel`] | the instruction sets, and code that is written once over them |
//!
//! # What it does not do
//!
//! It reads no files and knows no model.

mod activations;
mod error;
mod gemm;
mod isa;
mod math;
mod matrix;
mod panels;
mod rank;
mod threads;
mod tile;
mod tiles;
mod weights;

pub use activations::{Activations, bf16_bits, round_in_place, rounded_bf16_bytes};
pub use error::{Error, Result};
pub use gemm::{Epilogue, Product, matmul};
pub use isa::{Isa, Kernel, LANES, Simd, dispatch_on, round_to_bf16};
pub use math::{LayerNorm, RmsNorm, Softmax, Turn, exp_slice, silu};
pub use matrix::{BLOCK, FileBytes, LAYOUT, Line, Matrix, MatrixSize, PANEL, Precision};
pub use rank::{BOUNDS, Divide, GROUP, Guide, Search, TopP, keep_largest};
pub use threads::{Chunks, Threads};
pub use tile::{CHUNK_ROWS, Numbers, PLACES, Panels};
