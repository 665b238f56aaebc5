//! Captions to the features that LlamaGen's text-to-image models read: a T5 encoder, and the cleaning of captions that stands before it.
//!
//! ```no_run
//! use hawk_nn::{ModelSource, kernels::Precision};
//! use hawk_t5::{Cleaner, T5Encoder};
//!
//! let mut encoder = T5Encoder::load(&ModelSource::Dir("flan-t5-xl".into()), Precision::Bf16)?;
//! let caption = Cleaner::new()?.clean("A red house!")?;
//! let file = encoder.features(&caption, 120)?.to_safetensors()?;
//! # Ok::<(), hawk_nn::Error>(())
//! ```
//!
//! The encoder's arithmetic is candle's: it runs once a caption and takes part in no invariant of speculative decoding. Nothing here draws,
//! decodes or downloads.

mod clean;
mod config;
mod encoder;

pub use clean::Cleaner;
pub use encoder::{Features, T5Encoder};
