//! Weights and arithmetic for inference.

mod error;

pub use error::{Error, Fault, Result};
