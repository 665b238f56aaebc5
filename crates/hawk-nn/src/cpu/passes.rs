//! Streams and passes on the CPU.

use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_spec::{Code, LawError};

use super::output::Projection;
use super::stream::Stream;
use super::target::Target;
use super::workspace::{PassLimits, Workspace};
use crate::backend::Passes;
use crate::heads::{HeadWorkspace, Heads};
use crate::laws::NodeLaws;
use crate::memory::Demand;
use crate::pass::{HeadRow, Laws, NodeOf, OwnInputs, PassPlan, StreamId};
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
    laws: NodeLaws,
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
            laws: NodeLaws::new(&plan, threads.threads()),
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

    fn hidden_at(&self, at: NodeOf) -> Option<&[f32]> {
        let (readout, d) = (self.laws.row(at)?, self.target.config().hidden);
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
        self.laws.clear();
        self.target.run(&self.threads, &mut self.workspace, &mut self.streams, self.plan.ids.clone())?;
        self.laws.begin(trees, self.streams.iter().map(|stream| &stream.rows));
        Ok(())
    }

    fn scores(&mut self, at: NodeOf) -> StdResult<&[f32], LawError> {
        self.laws.scores(&mut self.workspace.logits, at)
    }

    fn best(&mut self, at: NodeOf, count: usize) -> StdResult<&[(f64, Code)], LawError> {
        self.laws.best(&self.threads, &mut self.workspace.logits, at, count)
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
        self.laws.clear();
        self.streams.iter_mut().for_each(Stream::clear);
    }
}

/// The memory of passes within a plan.
fn demand(target: &Target, plan: &PassPlan, limits: PassLimits) -> Demand {
    let stream = target.stream_bytes(plan.tokens);
    let streams = Demand::default().with("keys and values", &[&stream[..], &[plan.streams]].concat());
    target.workspace_bytes(limits).iter().fold(streams, |demand, factors| demand.with("the rows of a pass", factors))
}
