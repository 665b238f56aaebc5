//! Trains VQ tokenizers in three stages.
//!
//! The first stage trains an autoencoder with noisy latents. The second starts with a codebook from
//! k-means over the latents and trains on crops. The third trains on whole pictures. Quantising
//! from the first step leaves most codes unused.

pub(crate) mod figures;
mod loss;
mod model;
mod operations;
mod quantise;
pub(crate) mod run;
pub(crate) mod settings;
mod similarity;
mod trainer;
