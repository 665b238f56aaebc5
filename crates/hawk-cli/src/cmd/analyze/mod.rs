//! `hawk analyze`: the figures of the paper on any model.

pub(crate) mod attention;
pub(crate) mod divergence;
pub(crate) mod heads;
pub(crate) mod rejection;
pub(crate) mod report;
pub(crate) mod sampling;
mod shared;
pub(crate) mod table;
