//! Trains draft heads: the method of Hawk (arXiv 2510.25739, section 3).
//!
//! The target is frozen. [`dataset`] records its hidden states and laws, [`trainer`] fits the heads
//! to them, and [`figures`] measures the result with the heads that decoding loads. [`run`] puts
//! these together.

mod dataset;
mod figures;
pub(crate) mod images;
mod module;
mod observation;
mod projection;
pub(crate) mod run;
pub(crate) mod settings;
mod spatial;
mod trainer;
