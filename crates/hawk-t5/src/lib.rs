//! Turns captions into the features that LlamaGen's text-to-image models read: cleans the caption,
//! then runs a T5 encoder.
//!
//! ```no_run
//! use hawk_files::ModelSource;
//! use hawk_kernels::Precision;
//! use hawk_t5::{Cleaner, T5Encoder};
//!
//! let mut encoder = T5Encoder::load(&ModelSource::Dir("flan-t5-xl".into()), Precision::Bf16)?;
//! let caption = Cleaner::new()?.clean("A red house!")?;
//! let file = encoder.features(&caption, 120)?.to_safetensors()?;
//! # Ok::<(), hawk_files::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Cleaner`] | removes from a caption what LlamaGen's training removed |
//! | [`T5Encoder`] | a T5 encoder with its tokenizer |
//! | [`Features`] | the last hidden states of a caption, and their file |
//!
//! # What it does not do
//!
//! It does not draw, decode or download. candle does the arithmetic, once for each caption; no
//! invariant of speculative decoding depends on it.

mod clean;
mod config;
mod encoder;

pub use clean::Cleaner;
pub use encoder::{Features, T5Encoder};
