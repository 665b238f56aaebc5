//! The time of a target pass beside what the machine could do at best.
//!
//! No pass over R rows can be faster than its roof: the weights must be read once and multiplied with R rows. [`Ceilings`] measures what
//! the pool's threads can read and multiply, [`check_bits`] asserts that a pass computes what it promises, [`time_passes`] times it.

#[allow(unsafe_code, reason = "kernels that read and multiply")]
mod ceilings;
mod model;
mod pass;
mod times;

pub use ceilings::Ceilings;
pub use model::synthetic;
pub use pass::{COMMITTED, Step, check_bits};
pub use times::{PassTimes, reading_ms, time_passes};
