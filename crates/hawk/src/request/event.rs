//! What the engine tells while it decodes, and what it gives back.

use std::fmt;
use std::time::Duration;

use hawk_nn::{Error, Image};
use hawk_spec::{Cell, Code, DecodeStats, Drawn, Source};

/// Where a cell's code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellSource {
    /// Drawn by the target.
    Target(Drawn),
    /// An accepted draft.
    Drafted(Source),
}

impl fmt::Display for CellSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CellSource::Target(Drawn::Recovered) => f.pad("recovered"),
            CellSource::Target(Drawn::Bonus) => f.pad("bonus"),
            CellSource::Drafted(source) => source.fmt(f),
        }
    }
}

/// What happens while images are decoded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The prompt is in the keys and values. Told once per request.
    PrefillDone {
        /// Tokens of the conditional stream's prefix.
        prefix_tokens: usize,
    },
    /// A pass has committed cells of an image.
    CellsCommitted {
        /// Index of the image.
        image: u32,
        /// The first of the cells.
        first: Cell,
        /// Their codes.
        codes: &'a [Code],
        /// Where each code came from.
        sources: &'a [CellSource],
    },
    /// An image is finished.
    ImageDone(&'a Generated),
    /// An image failed; the others go on.
    ImageFailed(&'a Failure),
}

/// An image that could not be finished.
#[derive(Debug)]
pub struct Failure {
    /// Index of the image.
    pub index: u32,
    /// Why.
    pub error: Error,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Index of the image.
    pub index: u32,
    /// The pixels.
    pub image: Image,
    /// Its cells in raster order.
    pub codes: Vec<Code>,
    /// Where each cell's code came from.
    pub sources: Vec<CellSource>,
    /// What the decode did.
    pub stats: DecodeStats,
    /// From its first pass to its pixels. Images that share passes share that time.
    pub elapsed: Duration,
}

/// Where the time of the steps went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading the prompt.
    pub prefill: Duration,
    /// Drafters, and laying out the rows.
    pub draft: Duration,
    /// Target passes.
    pub target: Duration,
    /// Guidance, warping, noise, the rule.
    pub verify: Duration,
    /// Moving keys and values, statistics, events.
    pub commit: Duration,
    /// Codes to pixels.
    pub pixels: Duration,
}

/// The result of a request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The finished images, in the order in which they were finished. Fewer than asked for where
    /// the observer ended the run.
    pub images: Vec<Generated>,
    /// The images that failed.
    pub failures: Vec<Failure>,
    /// Where the time went.
    pub timings: Timings,
}
