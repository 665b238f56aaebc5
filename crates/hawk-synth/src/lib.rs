//! Models of the public shapes with random weights: to measure full size, and to test every layout, where the weights themselves cannot be had.
//!
//! Numbers are a function of the seed and a tensor's name, so that a file can be written in any order and again. They are spread so that
//! states keep their size from layer to layer and laws are neither flat nor certain; what such a model draws means nothing.

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
