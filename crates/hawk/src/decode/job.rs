//! The inputs and outputs of a batch.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hawk_nn::{Error, Shaping};
use hawk_spec::{Code, DecodeStats};

use super::draws::Draws;
use crate::drafter::contract::Drafter;
use crate::prompt::Prefix;
use crate::request::decoding::Decoding;
use crate::request::event::CellSource;

/// One image or text to decode. Models make jobs. Every job has its own prompt, sampling, decoder,
/// tree and seed.
pub struct Job {
    /// The prefix of each stream: cond, and uncond where guided.
    pub(crate) prefixes: Arc<[Prefix]>,
    pub(crate) shaping: Shaping,
    pub(crate) draws: Draws,
    pub(crate) decoding: Decoding,
    /// Most cells, at least 1.
    pub(crate) most: u32,
    /// Most tokens after the prefix, structure tokens included.
    pub(crate) sequence_tokens: usize,
    pub(crate) drafter: Box<dyn Drafter>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("decoding", &self.decoding).field("most", &self.most).finish_non_exhaustive()
    }
}

/// The number of a job in its batch. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) u64);

/// The capacity of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Number of slots.
    pub slots: usize,
    /// Streams per slot: 2 with guidance, else 1.
    pub streams: usize,
    /// Most nodes of a tree.
    pub nodes: usize,
    /// Most tokens of a stream: the longest prefix and all tokens after it.
    pub tokens: usize,
    /// Most rows of draft heads per slot and step.
    pub head_rows: usize,
}

impl BatchLimits {
    /// The capacity for this job alone.
    pub(crate) fn of(job: &Job) -> Self {
        let longest = job.prefixes.iter().map(|prefix| prefix.tokens().len()).max().unwrap_or(0);
        Self {
            slots: 1,
            streams: job.prefixes.len(),
            nodes: job.decoding.shape().nodes(),
            tokens: longest + job.sequence_tokens,
            head_rows: job.drafter.needs().head_rows,
        }
    }
}

/// An event of a job in the last step.
#[derive(Debug)]
pub struct BatchEvent {
    /// The job.
    pub job: JobId,
    /// The event.
    pub happened: Happened,
}

/// Kinds of [`BatchEvent`].
#[derive(Debug)]
pub enum Happened {
    /// The keys and values of its prompt are computed.
    PrefillDone,
    /// Cells were committed. [`Batch::new_cells`](crate::Batch::new_cells) returns them until the
    /// next step.
    CellsCommitted,
    /// All cells are committed. [`Batch::take`](crate::Batch::take) returns the result and frees
    /// the slot.
    Finished,
    /// The job failed and has left the batch. Other jobs go on.
    Failed(Error),
}

/// The result of a job.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The codes in raster order, or the text's tokens after the prompt.
    pub codes: Vec<Code>,
    /// The source of each code.
    pub sources: Vec<CellSource>,
    /// Counts of the decode.
    pub stats: DecodeStats,
    /// Time from the end of prefill to [`Batch::take`](crate::Batch::take).
    pub elapsed: Duration,
}
