//! Parsers of option values.

use std::num::NonZero;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{ImageSize, Precision};
use hawk_kernels::Threads;

/// The largest width and height that is accepted, in pixels.
const MAX_SIDE: u32 = 1 << 16;

/// A number format of weights.
pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["f32", "bf16", "f16", "int8"]).try_map(|name| name.parse())
}

/// A width and a height in pixels, as `768x512`.
pub(crate) fn image_size(typed: &str) -> Result<ImageSize, String> {
    let side = |side: &str| side.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    let sides = typed.split_once(['x', 'X']).map(|(width, height)| (side(width), side(height)));
    match sides {
        Some((Some(width), Some(height))) => Ok(ImageSize { height, width }),
        _ => Err(format!("expected WIDTHxHEIGHT in pixels, each 1 to {MAX_SIDE}, such as 768x512")),
    }
}

/// Reads a number of threads.
///
/// # Errors
/// It is none, or beyond what a pool may have.
pub(crate) fn threads(text: &str) -> Result<NonZero<usize>, String> {
    let known = text.parse().ok().filter(|threads: &NonZero<usize>| threads.get() <= Threads::MOST);
    known.ok_or_else(|| format!("expected a number of threads, 1 to {}", Threads::MOST))
}
