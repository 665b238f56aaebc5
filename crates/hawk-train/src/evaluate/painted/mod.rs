//! Prompts and rules of painted pictures.

mod attribute;
mod discs;
mod features;
mod fit;
mod land;
mod objects;
mod prompts;
mod rules;
mod run;
mod solve;

pub(super) use prompts::painting;
pub(super) use run::evaluate;
