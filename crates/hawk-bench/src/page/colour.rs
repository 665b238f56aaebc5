//! The colours of decoders.

use crate::report::{Report, Row};

/// Colours of decoders beside plain decoding's.
const COLOURS: usize = 7;

/// The class of a decoder's colour: the same all over the page.
pub(super) fn colour(report: &Report, decoder: &str) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for row in report.rows.iter().filter(|row| guesses(row)) {
        if !seen.contains(&row.decoder.as_str()) {
            seen.push(&row.decoder);
        }
    }
    let place = seen.iter().position(|name| *name == decoder);
    format!("c{}", place.map_or(0, |place| place % COLOURS + 1))
}

/// Whether it is more than plain decoding.
pub(super) fn guesses(row: &Row) -> bool {
    row.decoder != hawk::Decoder::AR.name()
}
