//! Weights and arithmetic for inference.

mod attention;
mod checkpoint;
mod config;
mod error;
pub mod kernels;
mod kv;
mod source;
mod target;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{Family, NormPlacement, TransformerConfig};
pub use error::{Error, Fault, Result};
pub use kv::{KvStream, Rows};
pub use source::{Blob, EmbeddedFile, ModelSource};
pub use target::{Segment, Target, Workspace};
