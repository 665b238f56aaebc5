//! Events and results of a request.

use std::fmt;
use std::time::Duration;

use hawk_nn::{Error, Image, ReadBack, Result};
use hawk_spec::{Cell, Code, DecodeStats, Drawn, Source};

/// The source of a cell's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellSource {
    /// The target drew it.
    Target(Drawn),
    /// A draft was accepted.
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

/// An event of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The keys and values of the prompt are computed. The event comes once per request.
    PrefillDone {
        /// Number of tokens of the conditional prefix.
        prefix_tokens: usize,
    },
    /// A pass committed cells of an image.
    CellsCommitted {
        /// Number of the image.
        image: u32,
        /// First of the cells.
        first: Cell,
        /// Their codes.
        codes: &'a [Code],
        /// The source of each code.
        sources: &'a [CellSource],
    },
    /// An image is finished.
    ImageDone(&'a Generated),
    /// An image failed. The other images go on.
    ImageFailed(&'a Failure),
}

/// An image that failed.
#[derive(Debug)]
pub struct Failure {
    /// Number of the image.
    pub index: u32,
    /// The reason.
    pub error: Error,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Number of the image.
    pub index: u32,
    /// The pixels.
    pub image: Image,
    /// The codes in raster order.
    pub codes: Vec<Code>,
    /// The source of each cell's code.
    pub sources: Vec<CellSource>,
    /// Counts of the decode.
    pub stats: DecodeStats,
    /// Time from the end of prefill to the pixels. Images that share passes share the time.
    pub elapsed: Duration,
}

/// Times of the parts of the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Passes over the prompt alone.
    pub prefill: Duration,
    /// Drafters, and staging of rows.
    pub draft: Duration,
    /// Target passes.
    pub target: Duration,
    /// Guidance, warping, noise, rule.
    pub verify: Duration,
    /// Moving keys and values, statistics, events.
    pub commit: Duration,
    /// Codes to pixels.
    pub pixels: Duration,
}

/// The result of a request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The finished images, in the order in which they were finished. They are fewer than requested
    /// where the observer ended the run.
    pub images: Vec<Generated>,
    /// The images that failed.
    pub failures: Vec<Failure>,
    /// Times of the parts.
    pub timings: Timings,
    /// What was read back from a GPU.
    pub read_back: ReadBack,
}

impl Outcome {
    /// Refuses an outcome in which an image failed. Callers keep the finished images first.
    ///
    /// # Errors
    /// The error of the first image that failed.
    pub fn without_failures(self) -> Result<()> {
        self.failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.error))
    }
}
