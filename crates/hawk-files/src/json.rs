//! Checks that the readers of config files share. Each names the field, the allowed range and the
//! value.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::source::not_a_pointer;

/// Reads JSON into a type. Errors name the key that is missing or of the wrong type. `what` names
/// the kind of file.
///
/// # Errors
/// Not JSON, or not of this type.
pub fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    not_a_pointer(bytes)?;
    let cut = |error: Error| match serde_json::from_slice::<IgnoredAny>(bytes) {
        Err(e) if e.is_eof() => error.hint("it ends too early: was the download or the copy cut off?"),
        _ => error,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = from_value(what, &mut reader).map_err(cut)?;
    reader.end().map_err(|e| Error::input(format!("not {what}: {e}")))?;
    Ok(value)
}

/// As [`from_json`], of what was parsed already, or of any other format.
pub(crate) fn from_value<'de, T: DeserializeOwned, D>(what: &str, reader: D) -> Result<T>
where
    D: serde::Deserializer<'de>,
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(reader).map_err(|e| {
        let error = Error::input(format!("not {what}: {}", e.inner()));
        // A file that is cut off has places without a name.
        let place = e.path().to_string();
        let place = place.trim_end_matches('?').trim_end_matches('.');
        if place.is_empty() { error } else { error.at(place) }
    })
}

/// Whether two values are equal, 1 and 1.0 too.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|number| b.as_f64() == Some(number))
}

/// A size in `1..=most`.
pub(crate) fn size(field: &str, value: u64, most: u64) -> Result<usize> {
    if (1..=most).contains(&value) {
        return Ok(value as usize);
    }
    Err(Error::input("a size is out of range").at(field).expected(format!("1 to {most}")).got(value))
}

/// A choice by name that this version does not know.
#[must_use]
pub fn unsupported(field: &str, expected: &str, got: &str) -> Error {
    Error::input("a choice that is not supported").at(field).expected(expected).got(format!("{got:?}"))
}

/// A number that is finite and above 0, as f32 too.
pub(crate) fn positive(field: &str, value: f64) -> Result<f32> {
    let rounded = value as f32;
    if rounded.is_finite() && rounded > 0.0 {
        return Ok(rounded);
    }
    Err(Error::input("a number is out of range").at(field).expected("finite and above 0 in f32").got(value))
}
