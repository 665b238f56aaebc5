//! Models of the public shapes with random weights. They measure full size and test every layout
//! where the public weights cannot be had.
//!
//! Weights are a function of the seed and the name of the tensor, so that a file can be written in
//! any order and again. They are scaled so that hidden states keep their size from layer to layer
//! and laws are neither flat nor certain. What such a model draws means nothing.

#![forbid(unsafe_code)]

mod config;
mod model;
mod random;
mod shapes;
mod tokenizer;
mod weights;
mod write;

pub use model::SynthModel;
pub use random::SplitMix64;
pub use write::{synthesize, synthesize_heads};
