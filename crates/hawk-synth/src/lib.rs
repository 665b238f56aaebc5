//! Models of the public shapes with random weights, and models of any shape that compute what a
//! smaller one does. They measure full size and test every layout where the public weights cannot
//! be had.
//!
//! Weights are a function of the seed and the name of the tensor, so that a file can be written in
//! any order and again. They are scaled so that hidden states keep their size from layer to layer
//! and laws are neither flat nor certain. What a model of random weights draws means nothing.

#![forbid(unsafe_code)]

mod config;
mod grown;
mod model;
mod random;
mod shapes;
mod tokenizer;
mod weights;
mod write;

pub use config::PassSizes;
pub use grown::{Grown, GrownSizes};
pub use model::SynthModel;
pub use random::SplitMix64;
pub use write::{synthesize, synthesize_heads};
