//! Checks that the readers of the config files share; each names the field, what is allowed and what was given.

use crate::{Error, Result};

/// A size in `1..=most`.
pub(crate) fn size(field: &str, value: u64, most: u64) -> Result<usize> {
    if (1..=most).contains(&value) {
        return Ok(value as usize);
    }
    Err(Error::input("a size is out of range").at(field).expected(format!("1 to {most}")).got(value))
}

/// A choice by name that this version does not know.
pub(crate) fn unsupported(field: &str, expected: &str, got: &str) -> Error {
    Error::input("a choice that is not supported").at(field).expected(expected).got(format!("{got:?}"))
}

/// A number that is finite and above 0.
pub(crate) fn positive(field: &str, value: f64) -> Result<f32> {
    if value.is_finite() && value > 0.0 {
        return Ok(value as f32);
    }
    Err(Error::input("a number is out of range").at(field).expected("finite and above 0").got(value))
}
