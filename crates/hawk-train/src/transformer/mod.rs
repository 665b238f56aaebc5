//! Trains targets: a Chameleon transformer that predicts the codes of a picture after its caption.
//!
//! The result is a whole model that every command loads.

mod batches;
mod centre;
mod codes;
#[cfg(feature = "tch")]
#[expect(deprecated, reason = "burn drops libtorch after 0.22; nothing else of it is as fast on a processor")]
mod fused;
mod model;
mod muon;
mod operations;
pub(crate) mod run;
pub(crate) mod settings;
mod sheet;
mod trainer;
mod vocabulary;
