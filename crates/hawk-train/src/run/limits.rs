//! Range checks of settings.

use std::fmt::Display;
use std::ops::RangeInclusive;

use hawk_files::{Error, Result};

/// The error for a setting outside of its range.
pub(crate) fn out_of_range(setting: &str, expected: impl Display, got: impl Display) -> Error {
    Error::input("a training setting is out of range").at(setting).expected(expected).got(got)
}

/// # Errors
/// `got` is outside of `allowed`.
pub(crate) fn check_count(setting: &str, got: usize, allowed: RangeInclusive<usize>) -> Result<()> {
    if allowed.contains(&got) {
        return Ok(());
    }
    Err(out_of_range(setting, format!("{} to {}", allowed.start(), allowed.end()), got))
}

/// # Errors
/// `got` is not above 0, or is above `most`, or is not a number.
pub(crate) fn check_positive(setting: &str, got: f64, most: f64) -> Result<()> {
    if got > 0.0 && got <= most { Ok(()) } else { Err(out_of_range(setting, format!("above 0, at most {most}"), got)) }
}
