//! The land: what lies behind, up to the horizon and a little in front of it, and the ground in
//! front.

mod city;
mod desert;
mod forest;
mod grass;
pub(super) mod ground;
mod mountains;
mod parts;
mod water;

pub(super) use parts::{back, front, horizon};
