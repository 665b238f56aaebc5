//! What a client asks for, and what it hears.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hawk::{CellSource, Code, Conditioning, Error, Request};
use tokio::sync::mpsc::UnboundedSender;

use super::encode::PictureFormat;
use crate::metrics::Metrics;

/// The images of one HTTP request.
pub(crate) struct Order {
    /// Who takes turns in the queue.
    pub(crate) client: String,
    /// Prompt, seed, images, sampling, decoding.
    pub(crate) request: Request,
    pub(crate) conditioning: Conditioning,
    pub(crate) format: PictureFormat,
    /// Pictures of each image before the whole one.
    pub(crate) partial_images: u32,
    pub(crate) cells: CellReports,
    pub(crate) arrived: Instant,
    /// When the order is given up.
    pub(crate) deadline: Instant,
    /// Images that are not painted yet.
    pub(crate) left: AtomicUsize,
    /// Closed where the client has left. It holds at most what the images of the order bring, so that a
    /// client that reads slowly delays nobody.
    pub(crate) reply: UnboundedSender<Progress>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Order {
    /// Notes that an image is painted.
    pub(crate) fn image_done(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.metrics.request_done(self.arrived.elapsed());
        }
    }

    /// Notes that the order was not taken. It counts as no request.
    pub(crate) fn refused(&self) {
        self.left.store(0, Ordering::Relaxed);
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if *self.left.get_mut() > 0 {
            self.metrics.request_aborted();
        }
    }
}

/// Whether a client hears of every pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellReports {
    /// It does not.
    Nothing,
    /// It gets the cells that each pass committed.
    EveryPass,
}

/// What a client hears.
pub(crate) enum Progress {
    /// The image has left the queue.
    Started { image: u32 },
    /// A pass committed cells.
    Cells(NewCells),
    /// A picture of the cells so far.
    Partial { image: u32, index: u32, cells: usize, base64: String },
    /// The image is finished.
    Whole(Box<Whole>),
    /// The order has failed.
    Failed(Failure),
}

/// Cells that a pass committed.
pub(crate) struct NewCells {
    pub(crate) image: u32,
    pub(crate) first: u32,
    pub(crate) codes: Vec<Code>,
    pub(crate) sources: Vec<CellSource>,
    /// Passes of this image so far.
    pub(crate) passes: u64,
    /// Time since the image left the queue.
    pub(crate) elapsed: Duration,
}

/// A finished image.
pub(crate) struct Whole {
    pub(crate) image: u32,
    pub(crate) base64: String,
    /// Tokens of the prompt and cells of the image.
    pub(crate) tokens: [u64; 2],
    pub(crate) passes: u64,
    pub(crate) acceptance_length: f64,
    /// Time from the end of prefill to the last cell.
    pub(crate) decoding: Duration,
}

/// Why an order has failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An image cannot be decoded or painted.
    Image(Error),
    /// It took longer than the server allows.
    Deadline,
    /// The server stops.
    Stopping,
}
