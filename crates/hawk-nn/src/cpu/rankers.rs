//! Rankers on all threads: the nodes of a pass whose best codes will all be read are ranked in one
//! parallel region.

use std::sync::{Mutex, PoisonError};

use hawk_kernels::{Isa, Threads};
use hawk_spec::{CellNoise, Code, Pipeline, Sampling};

use super::ranking::{Question, Ranker};
use crate::pass::NodeOf;

/// A node, and how its codes are ranked.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) at: NodeOf,
    /// Rows of its logits.
    pub(crate) cond: usize,
    pub(crate) uncond: Option<usize>,
    pub(crate) sampling: Sampling,
    pub(crate) noise: CellNoise,
    /// Number of best codes, 1 to [`Rankers::MOST`].
    pub(crate) count: usize,
}

impl Asked {
    fn question<'a>(&self, logits: &'a [f32], columns: usize) -> Question<'a> {
        let row = |row: usize| &logits[row * columns..][..columns];
        let Self { sampling, noise, count, .. } = *self;
        Question { cond: row(self.cond), uncond: self.uncond.map(row), sampling, noise, count }
    }
}

/// A thread's ranker, and the best codes of its nodes.
struct Worker {
    ranker: Ranker,
    best: Vec<(f64, Code)>,
    all: Vec<(f64, Code)>,
    /// For each of its nodes the range of its codes in `all`; none where the ranker gave up.
    ranges: Vec<Option<(usize, usize)>>,
}

/// Rankers, one per thread, and the nodes that they have ranked in a pass.
pub(crate) struct Rankers {
    workers: Vec<Mutex<Worker>>,
    /// Node i belongs to worker i mod W.
    asked: Vec<Asked>,
}

impl Rankers {
    /// Most best codes of a node.
    pub(crate) const MOST: usize = 16;

    /// Memory for passes with up to `readouts` nodes.
    pub(crate) fn new(threads: usize, pipeline: Pipeline, codes: usize, readouts: usize) -> Self {
        let worker = |_| {
            Mutex::new(Worker {
                ranker: Ranker::new(Isa::detect(), pipeline, codes),
                best: Vec::with_capacity(Self::MOST),
                all: Vec::with_capacity(readouts * Self::MOST),
                ranges: Vec::with_capacity(readouts),
            })
        };
        Self { workers: (0..threads).map(worker).collect(), asked: Vec::with_capacity(readouts) }
    }

    /// Begins a pass.
    pub(crate) fn clear(&mut self) {
        self.asked.clear();
    }

    /// Whether no node was asked for in this pass.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Adds a node to those of [`run`](Self::run).
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// Ranks all nodes that were asked for. `logits` is `[readouts, columns]`.
    pub(crate) fn run(&self, threads: &Threads, logits: &[f32], columns: usize) {
        let count = self.workers.len();
        threads.run(count, &|number| {
            let mut worker = self.workers[number].lock().unwrap_or_else(PoisonError::into_inner);
            let Worker { ranker, best, all, ranges } = &mut *worker;
            all.clear();
            ranges.clear();
            for asked in self.asked.iter().skip(number).step_by(count) {
                let start = all.len();
                let known = ranker.rank(asked.question(logits, columns), best);
                if known {
                    all.extend_from_slice(best);
                }
                ranges.push(known.then_some((start, all.len())));
            }
        });
    }

    /// Writes the best codes of a node that was ranked by [`run`](Self::run) to `best`. None where
    /// it was not, or not so many; false where its ranker gave up.
    pub(crate) fn find(&mut self, at: NodeOf, count: usize, best: &mut Vec<(f64, Code)>) -> Option<bool> {
        let index = self.asked.iter().position(|asked| asked.at == at && asked.count >= count)?;
        let workers = self.workers.len();
        let worker = self.workers[index % workers].get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some((start, end)) = worker.ranges[index / workers] else { return Some(false) };
        best.clear();
        best.extend(worker.all[start..end].iter().take(count));
        Some(true)
    }

    /// Ranks one node, as [`find`](Self::find).
    pub(crate) fn rank(&mut self, asked: &Asked, logits: &[f32], columns: usize, best: &mut Vec<(f64, Code)>) -> bool {
        let worker = self.workers[0].get_mut().unwrap_or_else(PoisonError::into_inner);
        worker.ranker.rank(asked.question(logits, columns), best)
    }
}
