//! Streams and passes on the CPU. Laws are made when they are asked for: the logits are at hand.

use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_spec::{Code, LawError, NodeId, Warper};

use super::output::Projection;
use super::rankers::{Asked, Rankers};
use super::stream::Stream;
use super::target::Target;
use super::workspace::{PassLimits, Workspace};
use crate::backend::Passes;
use crate::heads::{HeadWorkspace, Heads};
use crate::memory::Demand;
use crate::pass::{HeadRow, Laws, NodeOf, OwnInputs, PassPlan, Ranking, Shaping, StreamId};
use crate::rows::Rows;

pub(super) struct CpuPasses {
    target: Arc<Target>,
    heads: Option<(Arc<Heads>, HeadWorkspace)>,
    threads: Arc<Threads>,
    plan: PassPlan,
    /// By number. Closed ones have no rows.
    streams: Vec<Stream>,
    closed: Vec<usize>,
    workspace: Workspace,
    /// Logits of a row in the last pass.
    columns: usize,
    trees: Vec<Laws>,
    warper: Warper,
    scores: Vec<f32>,
    best: Vec<(f64, Code)>,
    rankers: Rankers,
}

impl CpuPasses {
    pub(super) fn new(
        target: Arc<Target>,
        heads: Option<Arc<Heads>>,
        threads: Arc<Threads>,
        plan: PassPlan,
    ) -> Result<Self> {
        let codes = plan.ids.len();
        // Refuses ids beyond the vocabulary before anything is allocated.
        Projection::new(target.output(), &threads, plan.ids.clone())?;
        let limits = PassLimits { rows: plan.rows, readouts: plan.readouts, tokens: plan.tokens, vocabulary: codes };
        demand(&target, &plan, limits).check()?;
        let with_workspace = |heads: Arc<Heads>| -> Result<_> {
            let workspace = heads.workspace(&target, plan.head_rows, codes)?;
            Ok((heads, workspace))
        };
        Ok(Self {
            heads: heads.filter(|_| plan.head_rows > 0).map(with_workspace).transpose()?,
            streams: Vec::with_capacity(plan.streams),
            closed: Vec::new(),
            workspace: target.workspace(limits)?,
            columns: 0,
            trees: Vec::new(),
            warper: Warper::new(plan.pipeline, codes),
            scores: vec![0.0; codes],
            best: Vec::with_capacity(Rankers::MOST),
            rankers: Rankers::new(threads.threads(), plan.pipeline, codes, plan.readouts),
            target,
            threads,
            plan,
        })
    }

    /// Compares what the open streams and one more have still to take with what is free now: other
    /// programs may have taken it since the passes were planned.
    fn check_memory(&self) -> Result<()> {
        let untaken = self.streams.iter().map(|stream| stream.kv().untaken());
        let tokens = untaken.fold(self.plan.tokens, usize::saturating_add);
        Demand::default().with("keys and values", &self.target.stream_bytes(tokens)).check()
    }

    /// Index of a node among all rows that the pass has read; none where there is no such node.
    fn readout(&self, stream: StreamId, node: usize) -> Option<usize> {
        let before: usize = self.streams.get(..stream.0)?.iter().map(|stream| stream.rows.read().len()).sum();
        (node < self.streams.get(stream.0)?.rows.read().len()).then_some(before + node)
    }

    /// The rows of a node's logits among all rows that the pass has read.
    fn readouts(&self, at: NodeOf) -> StdResult<(usize, Option<usize>), LawError> {
        let no_law = LawError::NoLaw { node: NodeId(at.node as u32) };
        let tree = self.trees.get(at.tree).ok_or(no_law.clone())?;
        let cond = self.readout(tree.cond, at.node).ok_or(no_law.clone())?;
        let uncond = match tree.uncond {
            Some(stream) => Some(self.readout(stream, at.node).ok_or(no_law)?),
            None => None,
        };
        Ok((cond, uncond))
    }

    /// Gives the dropped codes of a node the logit -inf.
    fn drop_codes(&mut self, at: NodeOf) -> StdResult<(), LawError> {
        if !self.plan.dropped.is_empty() {
            let (cond, uncond) = self.readouts(at)?;
            for readout in [Some(cond), uncond].into_iter().flatten() {
                self.workspace.logits[readout * self.columns..][self.plan.dropped.clone()].fill(f32::NEG_INFINITY);
            }
        }
        Ok(())
    }

    /// What a ranker needs to know of a node; none where the tree is not ranked by law and noise.
    fn ask(&self, at: NodeOf, count: usize) -> Option<Asked> {
        let tree = self.trees.get(at.tree)?;
        let (Shaping::Sampling(sampling), Ranking::Noise(noise, purpose)) = (tree.shaping, tree.ranking) else {
            return None;
        };
        let (cond, uncond) = self.readouts(at).ok()?;
        let cell = *self.streams[tree.cond.0].rows.read_cells().get(at.node)?;
        Some(Asked { at, cond, uncond, sampling, noise: noise.at(cell, purpose), count })
    }

    /// Ranks all nodes of the trees whose drafters read them all, in one parallel region.
    fn rank_all(&mut self) -> StdResult<(), LawError> {
        for tree in 0..self.trees.len() {
            let Laws { cond, best, .. } = self.trees[tree];
            if !(1..=Rankers::MOST).contains(&best) {
                continue;
            }
            for node in 0..self.streams[cond.0].rows.read().len() {
                let at = NodeOf { tree, node };
                self.drop_codes(at)?;
                if let Some(asked) = self.ask(at, best) {
                    self.rankers.ask(asked);
                }
            }
        }
        if !self.rankers.is_empty() {
            self.rankers.run(&self.threads, &self.workspace.logits, self.columns);
        }
        Ok(())
    }

    /// Writes the best codes of a node to `best` without its scores. False where they are needed.
    fn rank_fast(&mut self, at: NodeOf, count: usize) -> StdResult<bool, LawError> {
        if self.rankers.is_empty() && self.trees.get(at.tree).is_some_and(|tree| tree.best > 0) {
            self.rank_all()?;
        }
        if let Some(known) = self.rankers.find(at, count, &mut self.best) {
            return Ok(known);
        }
        self.drop_codes(at)?;
        let Some(asked) = self.ask(at, count).filter(|asked| asked.count > 0) else { return Ok(false) };
        Ok(self.rankers.rank(&asked, &self.workspace.logits, self.columns, &mut self.best))
    }

    fn hidden_at(&self, at: NodeOf) -> Option<&[f32]> {
        let (readout, d) = (self.readout(self.trees.get(at.tree)?.cond, at.node)?, self.target.config().hidden);
        Some(&self.workspace.normed[readout * d..][..d])
    }

    fn no_heads(&self, rows: usize) -> Error {
        let expected = match &self.heads {
            None => "draft heads, and room for their rows".to_owned(),
            Some(_) => format!("at most {} rows", self.plan.head_rows),
        };
        Error::input("the draft heads cannot run").expected(expected).got(format!("{rows} rows"))
    }
}

impl Passes for CpuPasses {
    fn open(&mut self, own: OwnInputs) -> Result<StreamId> {
        if let Some(at) = self.closed.pop() {
            self.streams[at].restart(own);
            return Ok(StreamId(at));
        }
        if self.streams.len() >= self.plan.streams {
            let error =
                Error::input("too many streams").at("streams").expected(format!("at most {}", self.plan.streams));
            return Err(error.got(self.streams.len() + 1));
        }
        self.check_memory()?;
        let mut stream = self.target.stream(self.plan.tokens)?.with_inputs(own);
        stream.rows = Rows::with_capacity(self.plan.stream_rows, self.plan.stream_rows);
        self.streams.push(stream);
        Ok(StreamId(self.streams.len() - 1))
    }

    fn close(&mut self, stream: StreamId) {
        self.streams[stream.0].restart(OwnInputs::default());
        self.closed.push(stream.0);
    }

    fn committed(&self, stream: StreamId) -> usize {
        self.streams[stream.0].committed()
    }

    fn truncate(&mut self, stream: StreamId, tokens: usize) {
        self.streams[stream.0].truncate(tokens);
    }

    fn copy(&mut self, from: StreamId, to: StreamId, tokens: usize) {
        if let Ok([from, to]) = self.streams.get_disjoint_mut([from.0, to.0]) {
            to.copy_from(from, tokens);
        }
    }

    fn rows(&mut self, stream: StreamId) -> &mut Rows {
        &mut self.streams[stream.0].rows
    }

    fn forward(&mut self, trees: &[Laws]) -> Result<()> {
        self.trees.clear();
        self.trees.extend_from_slice(trees);
        self.rankers.clear();
        let ids = self.plan.ids.clone();
        self.columns = self.target.run(&self.threads, &mut self.workspace, &mut self.streams, ids)?;
        Ok(())
    }

    fn scores(&mut self, at: NodeOf) -> StdResult<&[f32], LawError> {
        let (cond, uncond) = self.readouts(at)?;
        self.drop_codes(at)?;
        let columns = self.columns;
        let logits = |readout: usize| &self.workspace.logits[readout * columns..][..columns];
        match self.trees[at.tree].shaping {
            Shaping::Logits => self.scores.copy_from_slice(logits(cond)),
            Shaping::Sampling(sampling) => {
                self.warper.warp(&sampling, logits(cond), uncond.map(logits), &mut self.scores)?;
            }
        }
        Ok(&self.scores)
    }

    fn best(&mut self, at: NodeOf, count: usize) -> StdResult<&[(f64, Code)], LawError> {
        if self.rank_fast(at, count)? {
            return Ok(&self.best);
        }
        self.scores(at)?;
        let tree = self.trees[at.tree];
        let cell = self.streams[tree.cond.0].rows.read_cells()[at.node];
        match tree.ranking {
            Ranking::Noise(noise, purpose) if count == 1 => {
                let code = noise.at(cell, purpose).argmax(&self.scores)?;
                let value = f64::from(self.scores[code.index()]) + noise.at(cell, purpose).gumbel(code);
                self.best.clear();
                self.best.push((value, code));
            }
            Ranking::Noise(noise, purpose) => {
                noise.at(cell, purpose).rank(&self.scores, count, &mut self.best);
            }
            Ranking::Score => rank(&self.scores, count, &mut self.best)?,
        }
        Ok(&self.best)
    }

    fn hidden(&mut self, at: NodeOf) -> Option<&[f32]> {
        self.hidden_at(at)
    }

    fn run_heads(&mut self, rows: &[HeadRow]) -> Result<()> {
        if rows.len() > self.plan.head_rows {
            return Err(self.no_heads(rows.len()));
        }
        // Taken out, because the hidden states lie in `self` as well.
        let Some((heads, mut workspace)) = self.heads.take() else { return Err(self.no_heads(rows.len())) };
        workspace.clear();
        let mut missing = None;
        for row in rows {
            match self.hidden_at(row.at) {
                Some(hidden) => {
                    workspace.push(row.head, hidden);
                }
                None => missing = Some(row.at),
            }
        }
        let run = match missing {
            None => heads.run(&self.target, &self.threads, &mut workspace, self.plan.ids.clone()),
            Some(at) => Err(Error::input("a draft head reads a node that the pass has not").got(format!("{at:?}"))),
        };
        self.heads = Some((heads, workspace));
        run
    }

    fn head_logits(&self, row: usize) -> &[f32] {
        self.heads.as_ref().map_or(&[], |(_, workspace)| workspace.logits(row))
    }

    fn commit(&mut self, stream: StreamId, row: usize) {
        self.streams[stream.0].commit(row);
    }

    fn roll_back(&mut self) {
        self.streams.iter_mut().for_each(Stream::clear);
    }
}

/// The memory of passes within a plan.
fn demand(target: &Target, plan: &PassPlan, limits: PassLimits) -> Demand {
    let stream = target.stream_bytes(plan.tokens);
    let streams = Demand::default().with("keys and values", &[&stream[..], &[plan.streams]].concat());
    target.workspace_bytes(limits).iter().fold(streams, |demand, factors| demand.with("the rows of a pass", factors))
}

/// The codes of the highest scores, best first, ties to the lower code.
fn rank(scores: &[f32], count: usize, best: &mut Vec<(f64, Code)>) -> StdResult<(), LawError> {
    best.clear();
    for (code, &value) in (0..).map(Code).zip(scores) {
        if value.is_nan() || value == f32::INFINITY {
            return Err(LawError::NotALogit { code, value });
        }
        let value = f64::from(value);
        let place = best.partition_point(|&(better, _)| better >= value);
        if place < count && value > f64::NEG_INFINITY {
            best.truncate(count - 1);
            best.insert(place, (value, code));
        }
    }
    Ok(())
}
