//! From codes to pixels and back: a taming-transformers VQGAN (Chameleon, Lumina-mGPT, Anole), as LlamaGen and Janus have it too.

mod blocks;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod image;
mod layers;
mod load;
mod plane;
