//! Weights and arithmetic for inference.

mod error;
pub mod kernels;

pub use error::{Error, Fault, Result};
