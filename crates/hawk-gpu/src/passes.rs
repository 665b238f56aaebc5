//! Streams and passes on a device.

use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::{HeadRow, Laws, NodeOf, OwnInputs, PassPlan, Passes, ReadBack, Rows, StreamId};
use hawk_spec::{Code, LawError};

use crate::heads::{HeadRuns, Heads};
use crate::kernels::{cache, place};
use crate::launch::{cubes, units};
use crate::memory::Unread;
use crate::pass::Pass;
use crate::projection::Projection;
use crate::readouts::Readouts;
use crate::streams::{Bounds, Streams};
use crate::weights::Target;
use crate::workspace::Workspace;

/// Most rows of draft heads that run with a pass, before it is known which of its nodes are accepted. With more, a run of
/// their own at accepted nodes is taken to be cheaper; no hardware has measured it.
const HEAD_ROWS_WITH_A_PASS: usize = 64;

pub(crate) struct GpuPasses {
    target: Arc<Target>,
    heads: Option<HeadRuns>,
    streams: Streams,
    workspace: Workspace,
    projection: Projection,
    readouts: Readouts,
    /// The last hidden states of the last pass, once they were asked for.
    hidden: Vec<f32>,
    head_rows: usize,
}

impl GpuPasses {
    pub(crate) fn new(
        target: Arc<Target>,
        heads: Option<Arc<Heads>>,
        threads: Arc<Threads>,
        plan: PassPlan,
    ) -> Result<Self> {
        let outputs = target.weights.output.outputs_of(plan.ids.clone())?;
        let workspace = Workspace::new(&target, &plan)?;
        let (widths, memory) = (workspace.widths, &target.memory);
        let heads = heads.filter(|_| plan.head_rows > 0);
        Ok(Self {
            heads: heads.map(|heads| HeadRuns::new(heads, memory, &plan, widths)),
            projection: Projection { widths, outputs },
            readouts: Readouts::new(memory, &plan, threads),
            hidden: Vec::new(),
            head_rows: plan.head_rows,
            streams: Streams::new(plan),
            workspace,
            target,
        })
    }

    /// Moves the keys and values of committed rows to their places.
    fn settle(&mut self) {
        let Some((moves, count)) = self.streams.take_moves() else { return };
        let (memory, w, c) = (&self.target.memory, &self.workspace, self.target.config());
        let (words, moves) = (w.widths.words, memory.upload(moves));
        for (keys, values) in w.keys.iter().zip(&w.values) {
            // SAFETY: moves are between slots of streams.
            unsafe {
                cache::move_slots::launch_unchecked(
                    &memory.client,
                    cubes((c.kv_heads * words).div_ceil(cache::UNITS as usize), 1),
                    units(cache::UNITS),
                    keys.arg(),
                    values.arg(),
                    moves.arg(),
                    count as u32,
                    c.kv_heads as u32,
                    self.streams.tokens() as u32,
                    words as u32,
                );
            }
        }
    }

    fn run(&mut self) -> Result<()> {
        let (memory, c) = (Arc::clone(&self.target.memory), self.target.config());
        self.streams.check(&Bounds { vocabulary: c.vocab, hidden: c.hidden, positions: self.workspace.positions })?;
        self.settle();
        let (rows, paths) = self.streams.describe();
        let count = rows.len() / place::ROW as usize;
        if count > 0 {
            let pass = Pass {
                target: &self.target,
                w: &self.workspace,
                tokens: self.streams.tokens(),
                count,
                rows: memory.upload(rows),
                paths: memory.upload(paths),
            };
            pass.embed(self.streams.tokens_of_rows(self.target.embedding.ids(), self.target.config().hidden));
            for layer in 0..self.target.layers.len() {
                pass.layer(layer);
            }
            let read = self.streams.read();
            if !read.is_empty() {
                let readouts = read.len();
                pass.read_out(&self.projection, memory.upload(read), readouts);
            }
        }
        self.streams.rows_have_run();
        Ok(())
    }

    /// The last hidden states of the last pass.
    fn read_hidden(&mut self) -> Result<()> {
        if self.hidden.is_empty() && self.readouts.laws.rows() > 0 {
            let words = self.readouts.laws.rows() * self.workspace.widths.hidden;
            let hidden = self.target.memory.read(&self.workspace.last, words)?;
            self.readouts.read_back.bytes += hidden.len() as u64;
            self.hidden.extend_from_slice(bytemuck::cast_slice(&hidden));
        }
        Ok(())
    }

    /// Forgets what was read of the last pass.
    fn forget(&mut self) {
        self.readouts.clear();
        self.hidden.clear();
        self.heads.iter_mut().for_each(HeadRuns::clear);
    }

    /// Runs all draft heads at the nodes of the trees whose drafters may ask them, where these are few rows.
    fn heads_with_the_pass(&mut self, trees: &[Laws]) -> Option<Unread> {
        let heads = self.heads.as_mut()?;
        let laws = &self.readouts.laws;
        let asked = trees.iter().enumerate().filter(|(_, laws)| laws.asks_heads);
        let nodes = asked.flat_map(|(tree, _)| (0..laws.nodes(tree)).map(move |node| NodeOf { tree, node }));
        let states: Vec<(NodeOf, usize)> = nodes.filter_map(|at| Some((at, laws.row(at)?))).collect();
        let count = states.len() * heads.heads();
        if count == 0 || count > self.head_rows.min(HEAD_ROWS_WITH_A_PASS) {
            return None;
        }
        let rows =
            (0..heads.heads()).flat_map(|head| states.iter().map(move |&(at, state)| (HeadRow { at, head }, state)));
        Some(heads.run(&self.target, &self.projection, rows.collect(), &self.workspace.last))
    }

    fn no_heads(&self, rows: usize) -> Error {
        let expected = match &self.heads {
            None => "draft heads, and room for their rows".to_owned(),
            Some(_) => format!("at most {} rows", self.head_rows),
        };
        Error::input("the draft heads cannot run").expected(expected).got(format!("{rows} rows"))
    }
}

impl Drop for GpuPasses {
    fn drop(&mut self) {
        self.target.memory.give_back(self.workspace.planned);
    }
}

impl Passes for GpuPasses {
    fn open(&mut self, own: OwnInputs) -> Result<StreamId> {
        self.streams.open(own)
    }

    fn close(&mut self, stream: StreamId) {
        self.streams.close(stream);
    }

    fn committed(&self, stream: StreamId) -> usize {
        self.streams.all[stream.0].committed
    }

    fn truncate(&mut self, stream: StreamId, tokens: usize) {
        let stream = &mut self.streams.all[stream.0];
        stream.committed = stream.committed.min(tokens);
    }

    fn copy(&mut self, from: StreamId, to: StreamId, tokens: usize) {
        if from == to {
            return;
        }
        assert!(tokens <= self.streams.all[from.0].committed, "a copy of more tokens than are committed");
        self.settle();
        let (memory, w, c) = (&self.target.memory, &self.workspace, self.target.config());
        let words = w.widths.words;
        for (keys, values) in w.keys.iter().zip(&w.values).filter(|_| tokens > 0) {
            // SAFETY: both streams have slots for the tokens.
            unsafe {
                cache::copy_slots::launch_unchecked(
                    &memory.client,
                    cubes(tokens.div_ceil(cache::UNITS as usize), c.kv_heads * words),
                    units(cache::UNITS),
                    keys.arg(),
                    values.arg(),
                    from.0 as u32,
                    to.0 as u32,
                    tokens as u32,
                    c.kv_heads as u32,
                    self.streams.tokens() as u32,
                    words as u32,
                );
            }
        }
        self.streams.all[to.0].committed = tokens;
    }

    fn rows(&mut self, stream: StreamId) -> &mut Rows {
        &mut self.streams.all[stream.0].rows
    }

    fn forward(&mut self, trees: &[Laws]) -> Result<()> {
        self.forget();
        self.run()?;
        let rows = self.streams.all.iter().map(|stream| &stream.rows);
        let memory = Arc::clone(&self.target.memory);
        let lists = self.readouts.begin(&memory, &self.workspace.logits, trees, rows);
        let heads = self.heads_with_the_pass(trees);
        if lists.is_none() && heads.is_none() && self.readouts.laws.rows() > 0 {
            // Nothing but a wait, which tells faults.
            memory.read(&self.workspace.logits, 1)?;
            return Ok(());
        }
        let [lists, head_lists] = memory.read_all([lists, heads])?;
        if let Some(lists) = lists {
            self.readouts.take(&lists);
        }
        if let Some((heads, lists)) = self.heads.as_mut().zip(head_lists) {
            self.readouts.read_back.bytes += lists.len() as u64;
            heads.take(&lists);
        }
        Ok(())
    }

    fn scores(&mut self, at: NodeOf) -> StdResult<&[f32], LawError> {
        self.readouts.scores(&self.target.memory, &self.workspace.logits, at)
    }

    fn best(&mut self, at: NodeOf, count: usize) -> StdResult<&[(f64, Code)], LawError> {
        self.readouts.best(&self.target.memory, &self.workspace.logits, at, count)
    }

    fn hidden(&mut self, at: NodeOf) -> Option<&[f32]> {
        let row = self.readouts.laws.row(at)?;
        self.read_hidden().ok()?;
        Some(&self.hidden[row * self.workspace.widths.hidden..][..self.target.config().hidden])
    }

    fn run_heads(&mut self, rows: &[HeadRow]) -> Result<()> {
        if rows.len() > self.head_rows || self.heads.is_none() {
            return Err(self.no_heads(rows.len()));
        }
        let Some(heads) = self.heads.as_mut().filter(|_| !rows.is_empty()) else { return Ok(()) };
        let (memory, read_back) = (&self.target.memory, &mut self.readouts.read_back);
        if !heads.knows(rows) {
            let count = heads.heads();
            let with_state = |row: &HeadRow| match self.readouts.laws.row(row.at) {
                _ if row.head >= count => {
                    let expected = format!("below {count}");
                    Err(Error::input("there is no such draft head").at("head").expected(expected).got(row.head))
                }
                Some(state) => Ok((*row, state)),
                None => {
                    Err(Error::input("a draft head reads a node that the pass has not").got(format!("{:?}", row.at)))
                }
            };
            let rows = rows.iter().map(with_state).collect::<Result<_>>()?;
            let Unread { buffer, words } = heads.run(&self.target, &self.projection, rows, &self.workspace.last);
            let lists = memory.read(&buffer, words)?;
            read_back.bytes += lists.len() as u64;
            heads.take(&lists);
        }
        read_back.bytes += heads.tell(memory, rows)? as u64;
        Ok(())
    }

    fn head_logits(&self, row: usize) -> &[f32] {
        self.heads.as_ref().map_or(&[], |heads| heads.logits(row))
    }

    fn read_back(&self) -> ReadBack {
        self.readouts.read_back
    }

    fn commit(&mut self, stream: StreamId, row: usize) {
        self.streams.commit(stream, row);
    }

    fn roll_back(&mut self) {
        self.forget();
        self.streams.roll_back();
    }
}
