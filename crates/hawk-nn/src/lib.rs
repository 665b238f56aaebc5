//! Weights and arithmetic for inference.

mod checkpoint;
mod config;
mod error;
pub mod kernels;
mod source;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{Family, NormPlacement, TransformerConfig};
pub use error::{Error, Fault, Result};
pub use source::{Blob, EmbeddedFile, ModelSource};
