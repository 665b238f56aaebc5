//! A pass that can be run over and over, and the check of its bits.

use std::ops::Range;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::{CpuStaged, PassLimits, Readout, Rows, Stream, Target, Workspace};
use hawk_spec::TokenId;
use hawk_synth::SplitMix64;

use super::model::Random;

/// Committed tokens of every stream of a timed pass.
pub const COMMITTED: usize = 256;

/// Rows of a stream in one pass of a prefill.
pub(super) const PREFILL: usize = 32;

/// The parents of the rows of a binary tree.
pub(super) fn parent(row: usize) -> Option<usize> {
    row.checked_sub(1).map(|above| above / 2)
}

/// A pass that can be repeated: streams of [`COMMITTED`] tokens, each with a small tree; every row
/// is read.
pub struct Step<'a> {
    target: &'a Target,
    vocabulary: Range<usize>,
    pub(super) workspace: Workspace,
    pub(super) streams: Vec<Stream>,
    /// Streams that the pass runs.
    used: usize,
}

impl<'a> Step<'a> {
    /// A pass over `rows` rows in all: one stream for a single row, else two streams of half the
    /// rows each, as for guidance. `vocabulary` are the ids that are read and that the random
    /// tokens are from.
    ///
    /// # Errors
    /// An empty vocabulary, ids beyond the target's, or no room in memory.
    pub fn new(target: &'a Target, pool: &Threads, vocabulary: Range<usize>, rows: usize) -> Result<Self> {
        let ids = target.config().readable();
        if vocabulary.is_empty() || vocabulary.start < ids.start || vocabulary.end > ids.end {
            let expected = format!("a range inside {ids:?}");
            return Err(Error::input("no ids of the vocabulary").expected(expected).got(format!("{vocabulary:?}")));
        }
        let used = if rows == 1 { 1 } else { 2 };
        let tokens = COMMITTED + rows.max(PREFILL);
        let most = rows.max(used * PREFILL);
        let limits = PassLimits { rows: most, readouts: rows, tokens, vocabulary: vocabulary.len() };
        let mut step = Self {
            target,
            vocabulary,
            workspace: target.workspace(limits)?,
            streams: (0..used).map(|_| target.stream(tokens)).collect::<Result<_>>()?,
            used,
        };
        step.prefill(pool)?;
        for stream in &mut step.streams {
            stream.rows = Rows::with_capacity(rows, rows);
        }
        step.lay_out(rows);
        Ok(step)
    }

    /// Makes it a pass over `rows` rows, at most as many as it was made for.
    pub(super) fn lay_out(&mut self, rows: usize) {
        self.used = if rows == 1 { 1 } else { self.streams.len() };
        for (i, stream) in self.streams[..self.used].iter_mut().enumerate() {
            let mut random = Random(SplitMix64(i as u64));
            stream.rows.clear();
            for row in 0..(rows + i) / self.used {
                stream.rows.push(random.token(&self.vocabulary), parent(row), Readout::Logits);
            }
        }
    }

    fn prefill(&mut self, pool: &Threads) -> Result<()> {
        let mut random = Random(SplitMix64(1));
        while self.streams[0].committed() < COMMITTED {
            let mut last = Vec::new();
            for stream in &mut self.streams {
                let tokens: Vec<TokenId> = (0..PREFILL).map(|_| random.token(&self.vocabulary)).collect();
                last.push(stream.rows.push_chain(tokens, None, Readout::Nothing));
            }
            self.pass(pool)?.commit(&last);
        }
        Ok(())
    }

    /// Runs the pass; whoever drops the result can run it again.
    ///
    /// # Errors
    /// None once it has run.
    pub fn pass(&mut self, pool: &Threads) -> Result<CpuStaged<'_>> {
        let streams = &mut self.streams[..self.used];
        self.target.forward(pool, &mut self.workspace, streams, self.vocabulary.clone())
    }
}

/// Checks that every row of a pass over `rows` rows has the same bits as its path run token by
/// token on one thread.
///
/// # Errors
/// A row has other bits.
pub fn check_bits(target: &Target, pool: &Threads, vocabulary: Range<usize>, rows: usize) -> Result<()> {
    let mut together = Step::new(target, pool, vocabulary.clone(), rows)?;
    let mut alone = Step::new(target, &Threads::new(1), vocabulary, rows)?;
    let single = Threads::new(1);
    let trees: Vec<Vec<TokenId>> = alone.streams.iter().map(|stream| stream.rows.tokens().to_vec()).collect();
    let staged = together.pass(pool)?;
    for (i, tokens) in trees.iter().enumerate() {
        for row in 0..tokens.len() {
            let mut path: Vec<usize> = std::iter::successors(Some(row), |row| parent(*row)).collect();
            path.reverse();
            let mut logits = Vec::new();
            for ancestor in path {
                alone.streams.iter_mut().for_each(|stream| stream.rows.clear());
                alone.streams[i].rows.push(tokens[ancestor], None, Readout::Logits);
                let step = alone.pass(&single)?;
                logits.splice(.., step.all_logits().iter().copied());
                let commits: Vec<Option<usize>> = (0..trees.len()).map(|j| (j == i).then_some(0)).collect();
                step.commit(&commits);
            }
            alone.streams[i].truncate(COMMITTED);
            if staged.logits(i, row) != Some(&logits[..]) {
                return Err(Error::environment("a row has other bits in company than alone")
                    .at(format!("pass over {rows} rows, stream {i}, row {row}")));
            }
        }
    }
    Ok(())
}
