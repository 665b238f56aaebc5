//! Prompts and rules of painted pictures.

mod attribute;
mod discs;
mod features;
mod fit;
mod land;
mod objects;
mod plane;
pub(super) mod prompts;
mod rules;
pub(super) mod run;
mod solve;
