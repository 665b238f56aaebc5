//! Times a target pass and compares it with the roofline bound of the machine.
//!
//! A pass over R rows must read the weights once and multiply them with R rows. [`Ceilings`]
//! measures how fast the threads can read and multiply. [`check_bits`] checks the result of a pass,
//! [`time_passes`] times it.

mod cached;
#[allow(unsafe_code, reason = "kernels that read and multiply")]
mod ceilings;
mod model;
mod parts;
mod pass;
mod seam;
mod times;

pub use cached::{CachedRow, cached_products};
pub use ceilings::Ceilings;
pub use model::synthetic;
pub use parts::{PartsRow, region_ms, time_parts};
pub use pass::{COMMITTED, Step, check_bits};
pub use seam::{check_backend, time_backend};
pub use times::{PassTimes, reading_ms, time_passes};
