//! Streams and passes on a device.

use std::ops::Range;
use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_files::{Error, NormPlacement, Result};
use hawk_kernels::Threads;
use hawk_nn::{HeadRow, Laws, NodeLaws, NodeOf, OwnInputs, PassPlan, Passes, Rows, StreamId};
use hawk_spec::{Code, LawError};

use crate::heads::{HeadRuns, Heads};
use crate::kernels::norm::NormInto;
use crate::kernels::numbers::Numbers;
use crate::kernels::product::Epilogue;
use crate::kernels::{attention, cache, elementwise, norm, place};
use crate::launch::{Product, cubes, units};
use crate::matrix::GpuMatrix;
use crate::memory::Buffer;
use crate::streams::{Bounds, Streams};
use crate::weights::Target;
use crate::workspace::{Widths, Workspace};

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

/// A pass under way.
struct Pass<'a> {
    target: &'a Target,
    w: &'a Workspace,
    /// Tokens that a stream has room for.
    tokens: usize,
    /// Number of rows.
    count: usize,
    /// Hidden states, `[count][stride]`.
    hidden: Buffer,
    rows: Buffer,
    paths: Buffer,
}

impl Pass<'_> {
    fn layer(&self, index: usize) {
        let (weights, norms) = (&self.target.weights.layers[index], &self.target.layers[index]);
        let (c, w, widths) = (self.target.config(), self.w, &self.w.widths);
        self.norm_in(&norms.attention);
        self.product(&weights.qkv, (&w.normed, widths.hidden), (&w.qkv, widths.qkv), Epilogue::Store);
        self.attend(index);
        self.residual(&weights.output, (&w.attended, widths.attended));
        self.norm_out(&norms.attention);
        self.norm_in(&norms.mlp);
        let inner = self.target.inner();
        self.product(&weights.gate_up, (&w.normed, widths.hidden), (&w.gate_up, 2 * inner), Epilogue::Store);
        // SAFETY: the buffers have the rows with these strides.
        unsafe {
            elementwise::swiglu::launch_unchecked(
                &self.target.memory.client,
                cubes(inner.div_ceil(elementwise::UNITS as usize), self.count),
                units(elementwise::UNITS),
                w.gate_up.arg(),
                w.gated.arg(),
                inner as u32,
                2 * inner as u32,
                widths.inner as u32,
                self.target.numbers,
            );
        }
        self.residual(&weights.down, (&w.gated, widths.inner));
        self.norm_out(&norms.mlp);
        debug_assert_eq!(weights.down.size.outputs, c.hidden);
    }

    fn product(&self, matrix: &GpuMatrix, x: (&Buffer, usize), y: (&Buffer, usize), epilogue: Epilogue) {
        let product = Product {
            matrix,
            numbers: self.target.numbers,
            epilogue,
            x: x.0,
            x_stride: x.1,
            y: y.0,
            y_stride: y.1,
            rows: 0..self.count,
            outputs: 0..matrix.size.outputs,
        };
        product.run(&self.target.memory);
    }

    /// The block's output, added to the hidden state, or kept where a norm comes after.
    fn residual(&self, matrix: &GpuMatrix, x: (&Buffer, usize)) {
        match self.target.config().norm_placement {
            NormPlacement::Before => self.product(matrix, x, (&self.hidden, self.w.widths.hidden), Epilogue::Add),
            NormPlacement::After => self.product(matrix, x, (&self.w.block, self.w.widths.hidden), Epilogue::Store),
        }
    }

    /// The input of a block: the norm of the hidden state, or the state itself where the norm comes after.
    fn norm_in(&self, weight: &Buffer) {
        let (c, w) = (self.target.config(), self.w);
        match c.norm_placement {
            NormPlacement::Before => self.norm(&self.hidden, weight, &w.normed, NormInto::Store),
            NormPlacement::After => gather(
                self.target,
                &Gather { x: &self.hidden, pick: &w.every, out: &w.normed, rows: self.count, stride: w.widths.hidden },
            ),
        }
    }

    /// Where the norm comes after the block, its output is added here.
    fn norm_out(&self, weight: &Buffer) {
        if self.target.config().norm_placement == NormPlacement::After {
            self.norm(&self.w.block, weight, &self.hidden, NormInto::Add);
        }
    }

    fn norm(&self, x: &Buffer, weight: &Buffer, out: &Buffer, into: NormInto) {
        self.norm_of((x, &self.w.every, self.count), weight, out, into, self.target.numbers);
    }

    /// The norms of the rows `pick` of `x`, `count` of them.
    fn norm_of(
        &self,
        (x, pick, count): (&Buffer, &Buffer, usize),
        weight: &Buffer,
        out: &Buffer,
        into: NormInto,
        numbers: Numbers,
    ) {
        let c = self.target.config();
        // SAFETY: `pick` names rows of `x`, and both have the rows with this stride.
        unsafe {
            norm::norm::launch_unchecked(
                &self.target.memory.client,
                cubes(count, 1),
                units(norm::UNITS),
                x.arg(),
                weight.arg(),
                pick.arg(),
                out.arg(),
                c.hidden as u32,
                self.w.widths.hidden as u32,
                c.norm_eps,
                into,
                numbers,
            );
        }
    }

    fn attend(&self, index: usize) {
        let (c, w, client) = (self.target.config(), self.w, &self.target.memory.client);
        let (norms, eps) = match &self.target.layers[index].heads {
            Some((norms, eps)) => (norms, *eps),
            None => (&self.target.norm, 0.0),
        };
        // SAFETY: rows name slots of streams, positions of the tables and paths; the buffers have the rows with these strides.
        unsafe {
            place::place::launch_unchecked(
                client,
                cubes(self.count, c.heads + c.kv_heads),
                units(place::UNITS),
                w.qkv.arg(),
                norms.arg(),
                w.tables.arg(),
                self.rows.arg(),
                w.keys[index].arg(),
                w.values[index].arg(),
                c.heads as u32,
                c.kv_heads as u32,
                self.tokens as u32,
                w.widths.qkv as u32,
                w.positions as u32,
                eps,
                c.head_dim as u32,
                self.target.layers[index].heads.is_some(),
                self.target.numbers,
            );
            attention::attention::launch_unchecked(
                client,
                cubes(self.count, c.heads),
                units(norm::UNITS),
                w.qkv.arg(),
                w.keys[index].arg(),
                w.values[index].arg(),
                self.rows.arg(),
                self.paths.arg(),
                w.scores.arg(),
                w.attended.arg(),
                c.heads as u32,
                c.kv_heads as u32,
                self.tokens as u32,
                w.widths.qkv as u32,
                w.widths.attended as u32,
                1.0 / (c.head_dim as f32).sqrt(),
                c.head_dim as u32,
                self.target.numbers,
            );
        }
    }

    /// The final norm and the output projection of the rows `read`.
    fn read_out(&self, projection: &Projection, read: Buffer, readouts: usize) {
        let w = self.w;
        self.norm_of((&self.hidden, &read, readouts), &self.target.norm, &w.last, NormInto::Store, Numbers::F32);
        let stride = w.widths.hidden;
        gather(self.target, &Gather { x: &w.last, pick: &w.every, out: &w.last_rounded, rows: readouts, stride });
        projection.run(self.target, &w.last_rounded, &w.head, &w.logits, readouts);
    }
}

/// Rows to be copied, rounded as products read them.
struct Gather<'a> {
    x: &'a Buffer,
    pick: &'a Buffer,
    out: &'a Buffer,
    rows: usize,
    stride: usize,
}

fn gather(target: &Target, gather: &Gather<'_>) {
    // SAFETY: `pick` names rows of `x`, and both buffers have the rows with this stride.
    unsafe {
        elementwise::gather::launch_unchecked(
            &target.memory.client,
            cubes(target.config().hidden.div_ceil(elementwise::UNITS as usize), gather.rows),
            units(elementwise::UNITS),
            gather.x.arg(),
            gather.pick.arg(),
            gather.out.arg(),
            target.config().hidden as u32,
            gather.stride as u32,
            target.numbers,
        );
    }
}

/// From last hidden states to the logits of the codes.
pub(crate) struct Projection {
    pub(crate) widths: Widths,
    /// Outputs of the codes.
    outputs: Range<usize>,
}

impl Projection {
    /// `states` `[rows][hidden]` to `logits` `[rows][codes]`; `inner` is memory of as many rows.
    pub(crate) fn run(&self, target: &Target, states: &Buffer, inner: &Buffer, logits: &Buffer, rows: usize) {
        let (output, memory, numbers) = (&target.weights.output, &target.memory, target.numbers);
        let per_row = |width: usize| cubes(width.div_ceil(elementwise::UNITS as usize), rows);
        let mut x = (states, self.widths.hidden);
        if let Some(layer) = &output.inner {
            let width = layer.size.outputs;
            let product = Product {
                matrix: &layer.weights,
                numbers,
                epilogue: Epilogue::Store,
                x: x.0,
                x_stride: x.1,
                y: inner,
                y_stride: self.widths.head,
                rows: 0..rows,
                outputs: 0..width,
            };
            product.run(memory);
            // SAFETY: `inner` has the rows with this stride, and the bias as many numbers as there are outputs.
            unsafe {
                elementwise::gelu_bias::launch_unchecked(
                    &memory.client,
                    per_row(width),
                    units(elementwise::UNITS),
                    inner.arg(),
                    target.inner_bias.arg(),
                    width as u32,
                    self.widths.head as u32,
                    numbers,
                );
            }
            x = (inner, self.widths.head);
        }
        let product = Product {
            matrix: &output.outputs.weights,
            numbers,
            epilogue: Epilogue::Store,
            x: x.0,
            x_stride: x.1,
            y: logits,
            y_stride: self.widths.codes,
            rows: 0..rows,
            outputs: self.outputs.clone(),
        };
        product.run(memory);
        if !output.outputs.bias.is_empty() {
            // SAFETY: `logits` has the rows with this stride, and the bias the outputs.
            unsafe {
                elementwise::add_bias::launch_unchecked(
                    &memory.client,
                    per_row(self.outputs.len()),
                    units(elementwise::UNITS),
                    logits.arg(),
                    target.output_bias.arg(),
                    self.outputs.start as u32,
                    self.outputs.len() as u32,
                    self.widths.codes as u32,
                );
            }
        }
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
