//! The weights of a transformer as its family describes them, in the matrices of any device.

pub(crate) mod captions;
pub(crate) mod dense;
pub(crate) mod embedding;
pub(crate) mod ends;
pub(crate) mod layer;
pub(crate) mod packer;
pub(crate) mod rotary;
pub(crate) mod whole;
