//! What the program writes: lines, progress bars, images in the terminal, files.

pub(crate) mod files;
pub(crate) mod preview;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod text_report;
#[cfg(feature = "train")]
pub(crate) mod training;

use std::fmt::Display;
use std::io::Write;

/// Prints a line. A reader that has gone away (`| head`) is no failure.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
