//! The configs of a model, validated.

pub(crate) mod family;
pub(crate) mod heads;
pub(crate) mod image;
pub(crate) mod spatial;
pub(crate) mod text;
pub(crate) mod transformer;
pub(crate) mod vq;
