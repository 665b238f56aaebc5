//! From codes to pixels and back: the VQGAN of taming-transformers (Chameleon, Lumina-mGPT, Anole),
//! LlamaGen and Janus.

mod blocks;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod image;
mod layers;
mod load;
pub(crate) mod maps;
mod plane;
