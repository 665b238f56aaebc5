//! Passes of any backend, timed and checked behind the seam.

use std::ops::Range;
use std::time::{Duration, Instant};

use hawk_files::{Error, Result};
use hawk_nn::{Backend, Laws, NodeOf, OwnInputs, PassPlan, Passes, Readout, Staged, StreamId, Walked};
use hawk_spec::{Pipeline, TokenId};
use hawk_synth::SplitMix64;

use super::model::Random;
use super::pass::{COMMITTED, PREFILL, parent};
use super::times::{PassTimes, ROUNDS, median_of};

/// Streams of [`COMMITTED`] tokens on a backend: two, as for guidance.
struct Seam {
    passes: Box<dyn Passes>,
    streams: [StreamId; 2],
    ids: Range<usize>,
}

impl Seam {
    fn new(backend: &dyn Backend, ids: Range<usize>, rows: usize) -> Result<Self> {
        let plan = PassPlan {
            ids: ids.clone(),
            dropped: 0..0,
            pipeline: Pipeline::LUMINA,
            streams: 2,
            rows: rows.max(2 * PREFILL),
            stream_rows: rows.max(PREFILL),
            readouts: rows,
            tokens: COMMITTED + rows.max(PREFILL),
            head_rows: 0,
        };
        let mut passes = backend.passes(plan)?;
        let streams = [passes.open(OwnInputs::default())?, passes.open(OwnInputs::default())?];
        let mut random = Random(SplitMix64(1));
        while passes.committed(streams[0]) < COMMITTED {
            for stream in streams {
                let tokens: Vec<TokenId> = (0..PREFILL).map(|_| random.token(&ids)).collect();
                passes.rows(stream).push_chain(tokens, None, Readout::Nothing);
            }
            Staged::run(&mut *passes, &[])?.commit(streams.map(|stream| (stream, PREFILL - 1)));
        }
        Ok(Self { passes, streams, ids })
    }

    /// Tokens of the rows of a stream in a pass over `rows` rows in all; a single row is the second stream's.
    fn tokens(&self, stream: usize, rows: usize) -> Vec<TokenId> {
        let mut random = Random(SplitMix64(stream as u64));
        (0..(rows + stream) / 2).map(|_| random.token(&self.ids)).collect()
    }

    /// Runs a pass over `rows` rows in all and rolls it back.
    fn pass(&mut self, rows: usize) -> Result<Staged<'_>> {
        for stream in 0..2 {
            for (row, token) in self.tokens(stream, rows).into_iter().enumerate() {
                self.passes.rows(self.streams[stream]).push(token, parent(row), Readout::Logits);
            }
        }
        let trees = self.streams.map(laws);
        Staged::run(&mut *self.passes, &trees)
    }
}

fn laws(cond: StreamId) -> Laws {
    Laws { walked: Walked::Best, ..Laws::logits(cond) }
}

/// Times passes over each number of rows for about `effort` each, the best code of every row read back. Every round times at
/// least one pass of each.
///
/// # Errors
/// The backend has no room, `ids` are beyond its vocabulary, or `rows` is empty or contains 0.
pub fn time_backend(
    backend: &dyn Backend,
    ids: &Range<usize>,
    rows: &[usize],
    effort: Duration,
) -> Result<Vec<PassTimes>> {
    let Some(&most) = rows.iter().max().filter(|_| !rows.contains(&0)) else {
        return Err(Error::input("no rows to time").expected("numbers from 1 on").got(format!("{rows:?}")));
    };
    let mut seam = Seam::new(backend, ids.clone(), most)?;
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (&rows, times) in rows.iter().zip(&mut times) {
            drop(seam.pass(rows)?);
            let begin = Instant::now();
            loop {
                let start = Instant::now();
                drop(seam.pass(rows)?);
                times.push(start.elapsed().as_secs_f64() * 1e3);
                if begin.elapsed() >= effort / ROUNDS {
                    break;
                }
            }
        }
    }
    Ok(rows.iter().zip(times).map(|(&rows, times)| median_of(rows, times)).collect())
}

/// Checks that rows of a pass over `rows` rows, at least two, have the same bits as their paths run token by token.
///
/// # Errors
/// As [`time_backend`], or a row has other bits.
pub fn check_backend(backend: &dyn Backend, ids: &Range<usize>, rows: usize) -> Result<()> {
    let (mut together, mut alone) = (Seam::new(backend, ids.clone(), rows)?, Seam::new(backend, ids.clone(), rows)?);
    let mut staged = together.pass(rows)?;
    for stream in 0..2 {
        let tokens = alone.tokens(stream, rows);
        // The last row, and one in the middle.
        for node in [tokens.len() / 2, tokens.len() - 1] {
            let mut path: Vec<usize> = std::iter::successors(Some(node), |row| parent(*row)).collect();
            path.reverse();
            let (mut logits, own) = (Vec::new(), alone.streams[stream]);
            for row in path {
                alone.passes.rows(own).push(tokens[row], None, Readout::Logits);
                let mut staged = Staged::run(&mut *alone.passes, &[laws(own)])?;
                let law = staged.read().scores(NodeOf { tree: 0, node: 0 });
                logits.splice(.., law.map_err(|e| Error::environment(e.to_string()))?.iter().copied());
                staged.commit([(own, 0)]);
            }
            alone.passes.truncate(own, COMMITTED);
            let law = staged.read().scores(NodeOf { tree: stream, node });
            if law.map_err(|e| Error::environment(e.to_string()))? != logits {
                return Err(Error::environment("a row has other bits in company than alone")
                    .at(format!("pass over {rows} rows, stream {stream}, row {node}")));
            }
        }
    }
    Ok(())
}
