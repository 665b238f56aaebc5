//! Streams and passes on a device.

use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_files::{Error, Result};
use hawk_kernels::Threads;
use hawk_nn::{HeadRow, Laws, NodeLaws, NodeOf, OwnInputs, PassPlan, Passes, Rows, StreamId};
use hawk_spec::{Code, LawError};

use crate::heads::{HeadRuns, Heads};
use crate::kernels::{cache, place};
use crate::launch::{cubes, units};
use crate::pass::Pass;
use crate::projection::Projection;
use crate::streams::{Bounds, Streams};
use crate::weights::Target;
use crate::workspace::Workspace;

pub(crate) struct GpuPasses {
    target: Arc<Target>,
    threads: Arc<Threads>,
    heads: Option<HeadRuns>,
    streams: Streams,
    workspace: Workspace,
    projection: Projection,
    laws: NodeLaws,
    /// Logits of the last pass, `[readouts, codes]`.
    logits: Vec<f32>,
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
            laws: NodeLaws::new(&plan, threads.threads()),
            logits: Vec::new(),
            hidden: Vec::new(),
            head_rows: plan.head_rows,
            streams: Streams::new(plan),
            workspace,
            threads,
            target,
        })
    }

    /// The inputs of the rows of all streams, `[rows][stride]`.
    fn inputs(&self) -> Vec<f32> {
        let (d, stride) = (self.target.config().hidden, self.workspace.widths.hidden);
        let mut inputs = Vec::new();
        for stream in &self.streams.all {
            for token in stream.rows.tokens() {
                let first = inputs.len();
                inputs.resize(first + stride, 0.0);
                self.target.weights.embedding.row_into(token.index(), stream.own.vectors(), &mut inputs[first..][..d]);
            }
        }
        inputs
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
                hidden: memory.upload(self.inputs()),
                rows: memory.upload(rows),
                paths: memory.upload(paths),
            };
            for layer in 0..self.target.layers.len() {
                pass.layer(layer);
            }
            let read = self.streams.read();
            self.logits.clear();
            if !read.is_empty() {
                let readouts = read.len();
                pass.read_out(&self.projection, memory.upload(read), readouts);
                let logits = memory.read(&self.workspace.logits, readouts * self.workspace.widths.codes)?;
                self.logits.extend_from_slice(bytemuck::cast_slice(&logits));
            }
        }
        self.streams.rows_have_run();
        Ok(())
    }

    /// The last hidden states of the last pass.
    fn read_hidden(&mut self) -> Result<()> {
        if self.hidden.is_empty() && self.laws.rows() > 0 {
            let words = self.laws.rows() * self.workspace.widths.hidden;
            let hidden = self.target.memory.read(&self.workspace.last, words)?;
            self.hidden.extend_from_slice(bytemuck::cast_slice(&hidden));
        }
        Ok(())
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
        self.laws.clear();
        self.hidden.clear();
        self.run()?;
        self.laws.begin(trees, self.streams.all.iter().map(|stream| &stream.rows));
        Ok(())
    }

    fn scores(&mut self, at: NodeOf) -> StdResult<&[f32], LawError> {
        self.laws.scores(&mut self.logits, at)
    }

    fn best(&mut self, at: NodeOf, count: usize) -> StdResult<&[(f64, Code)], LawError> {
        self.laws.best(&self.threads, &mut self.logits, at, count)
    }

    fn hidden(&mut self, at: NodeOf) -> Option<&[f32]> {
        let row = self.laws.row(at)?;
        self.read_hidden().ok()?;
        Some(&self.hidden[row * self.workspace.widths.hidden..][..self.target.config().hidden])
    }

    fn run_heads(&mut self, rows: &[HeadRow]) -> Result<()> {
        if rows.len() > self.head_rows || self.heads.is_none() {
            return Err(self.no_heads(rows.len()));
        }
        let states = rows.iter().map(|row| {
            self.laws.row(row.at).ok_or_else(|| {
                Error::input("a draft head reads a node that the pass has not").got(format!("{:?}", row.at))
            })
        });
        let states = states.collect::<Result<Vec<_>>>()?;
        let Some(heads) = &mut self.heads else { return Ok(()) };
        heads.run(&self.target, &self.projection, rows, &states, &self.workspace.last)
    }

    fn head_logits(&self, row: usize) -> &[f32] {
        self.heads.as_ref().map_or(&[], |heads| heads.logits(row))
    }

    fn commit(&mut self, stream: StreamId, row: usize) {
        self.streams.commit(stream, row);
    }

    fn roll_back(&mut self) {
        self.laws.clear();
        self.streams.roll_back();
    }
}
