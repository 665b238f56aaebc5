//! Autoregressive image generation.
