//! What goes into a batch, and what comes out.

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

/// One image or text to be decoded. Engines make jobs; every job has its own prompt, sampling,
/// decoder, tree and seed.
pub struct Job {
    /// What each stream starts with: cond, and uncond where guided.
    pub(crate) prefixes: Arc<[Prefix]>,
    pub(crate) shaping: Shaping,
    pub(crate) draws: Draws,
    pub(crate) decoding: Decoding,
    /// Most cells, at least 1.
    pub(crate) most: u32,
    pub(crate) drafter: Box<dyn Drafter>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("decoding", &self.decoding).field("most", &self.most).finish_non_exhaustive()
    }
}

/// A job's number in its batch. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) u64);

/// What a batch has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Slots.
    pub slots: usize,
    /// Streams of a slot: 2 where guided, else 1.
    pub streams: usize,
    /// Nodes of a slot's tree.
    pub nodes: usize,
    /// Tokens of a stream: the longest prefix and everything after it.
    pub tokens: usize,
    /// Draft-head rows of a slot in a step.
    pub head_rows: usize,
}

impl BatchLimits {
    /// Room for one slot with this job; [`tokens`](Self::tokens) for `sequence` tokens after the
    /// prefix.
    pub(crate) fn of(job: &Job, sequence: usize) -> Self {
        let longest = job.prefixes.iter().map(|prefix| prefix.tokens().len()).max().unwrap_or(0);
        Self {
            slots: 1,
            streams: job.prefixes.len(),
            nodes: job.decoding.shape().nodes(),
            tokens: longest + sequence,
            head_rows: job.drafter.needs().head_rows,
        }
    }
}

/// What happened to a job in the last step.
#[derive(Debug)]
pub struct BatchEvent {
    /// The job.
    pub job: JobId,
    /// What happened to it.
    pub happened: Happened,
}

/// Kinds of [`BatchEvent`].
#[derive(Debug)]
pub enum Happened {
    /// Its prompt is in the keys and values.
    PrefillDone,
    /// Cells were committed; [`Batch::new_cells`](crate::Batch::new_cells) has them until the next
    /// step.
    CellsCommitted,
    /// Nothing is left to decode; [`Batch::take`](crate::Batch::take) gives the result and frees
    /// the slot.
    Finished,
    /// The job failed and has left the batch. Other jobs go on.
    Failed(Error),
}

/// What a job came to.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The codes in raster order, or the text's tokens after the prompt.
    pub codes: Vec<Code>,
    /// Where each code came from.
    pub sources: Vec<CellSource>,
    /// What the decode did.
    pub stats: DecodeStats,
    /// From the first pass after prefill to the last one.
    pub elapsed: Duration,
}
