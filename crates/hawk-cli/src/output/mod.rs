//! What the program writes: lines, progress bars, images in the terminal, files.

pub(crate) mod destination;
pub(crate) mod files;
pub(crate) mod preview;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod terminal;
pub(crate) mod text_report;
#[cfg(feature = "train")]
pub(crate) mod training;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Mutex;

use hawk::{Error, Result};
use terminal::escaped;

/// The first failure of standard output.
static FAILED: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Prints a line. Text from files cannot control the terminal. [`finish`] reports a failure.
pub(crate) fn say(line: impl Display) {
    show(&format!("{}\n", escaped(&line.to_string())));
}

/// Prints text with its control characters: an image. [`finish`] reports a failure.
pub(crate) fn show(text: &str) {
    let mut out = std::io::stdout().lock();
    note_failure(out.write_all(text.as_bytes()));
}

/// Prints generated text as it comes. A terminal gets it without control characters, a file or a
/// pipe as it is.
///
/// # Errors
/// The text could not be printed; whoever prints it may stop. [`finish`] reports a failure.
pub(crate) fn stream(piece: &str) -> std::result::Result<(), StreamEnded> {
    let mut out = std::io::stdout().lock();
    let shown = if out.is_terminal() { escaped(piece) } else { piece.into() };
    let put = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
    let ended = put.as_ref().map(|&()| ()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => StreamEnded::ReaderGone,
        _ => StreamEnded::Failed,
    });
    note_failure(put);
    ended
}

/// Why standard output takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnded {
    /// Whoever read it has gone away (`| head`).
    ReaderGone,
    /// A write failed: a full disk.
    Failed,
}

/// Prints a line for people to standard error, beside the results.
pub(crate) fn note(line: impl Display) {
    // Nobody is left to be told that standard error fails.
    let _ = writeln!(std::io::stderr(), "{}", escaped(&line.to_string()));
}

fn note_failure(put: std::io::Result<()>) {
    if let (Err(error), Ok(mut first)) = (put, FAILED.lock()) {
        first.get_or_insert(error);
    }
}

/// Reports whether all that was printed has arrived. A reader that has gone away (`| head`) is no
/// failure.
///
/// # Errors
/// Standard output failed, for example because a disk is full.
pub(crate) fn finish() -> Result<()> {
    note_failure(std::io::stdout().flush());
    match FAILED.lock().ok().and_then(|mut first| first.take()) {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::environment(format!("cannot write: {error}")).at("standard output"))
        }
        _ => Ok(()),
    }
}
