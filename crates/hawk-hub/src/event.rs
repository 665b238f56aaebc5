//! The progress of a download.

use std::time::Duration;

/// What is told of events.
pub(crate) type Tell<'a> = dyn FnMut(Event<'_>) + 'a;

/// The progress of [`pull`](crate::pull).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file begins. Events about bytes that follow are about this file.
    FileStarted {
        /// The file's number, from 1.
        number: usize,
        /// How many files there are.
        files: usize,
        /// The file's path in the repository.
        name: &'a str,
        /// The file's size.
        bytes: u64,
        /// How many of its bytes are in the cache already.
        cached_bytes: u64,
    },
    /// So many more bytes arrived.
    BytesReceived(u64),
    /// An attempt failed for this reason; the next one resumes after the pause.
    Retrying {
        /// The reason.
        why: &'a str,
        /// The time until the next attempt.
        pause: Duration,
    },
    /// Another process fetches this file into the same cache. The pull goes on when it is done or ended.
    WaitingForAnother {
        /// The file's path in the repository.
        name: &'a str,
    },
}
