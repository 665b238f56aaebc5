//! Drafters: what proposes cells after the anchor.
//!
//! A new drafter is one file that implements [`Drafter`](contract::Drafter) and describes itself in
//! a [`DrafterKind`](contract::DrafterKind), its `mod` line here, and its entry in `DECODERS` in
//! `registry.rs`.

mod cache;
mod calibration;
pub(crate) mod candidates;
pub(crate) mod context;
pub(crate) mod contract;
mod copies;
mod guess;
mod heads;
pub(crate) mod mode;
mod plain;
mod registry;
mod scd;
mod soar;
