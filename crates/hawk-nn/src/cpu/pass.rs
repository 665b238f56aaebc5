//! One pass through the layers.

use std::ops::Range;

use hawk_files::{Error, NormPlacement, Result};
use hawk_kernels::{Chunks, Epilogue, Isa, Product, RmsNorm, Threads};

use super::attention::Unit;
use super::output::Projection;
use super::parts::Part;
use super::staged::Staged;
use super::stream::Stream;
use super::target::Target;
use super::workspace::Workspace;

impl Target {
    /// Runs the rows of all streams. Nothing is committed: [`Staged::commit`] does that.
    ///
    /// `vocabulary` are the ids whose logits are computed, for the rows that are to be read.
    ///
    /// # Errors
    /// A token or a range outside the vocabulary, more rows or tokens than there is room for, a
    /// workspace or stream of another model.
    pub fn forward<'p>(
        &self,
        pool: &Threads,
        workspace: &'p mut Workspace,
        streams: &'p mut [Stream],
        vocabulary: Range<usize>,
    ) -> Result<Staged<'p>> {
        let columns = self.run(pool, workspace, streams, vocabulary)?;
        let readouts: usize = streams.iter().map(|stream| stream.rows.read().len()).sum();
        let hidden = &workspace.normed[..readouts * self.config.hidden];
        Ok(Staged::new(streams, hidden, &workspace.logits[..readouts * columns], columns))
    }

    /// Runs the rows of all streams and leaves them there. Of the rows that are read, stream after stream, the last hidden states are then in
    /// the workspace's `normed`, `[readouts, D]`, and the logits in its `logits`, `[readouts, columns]`. Returns the columns.
    pub(super) fn run(
        &self,
        pool: &Threads,
        workspace: &mut Workspace,
        streams: &mut [Stream],
        vocabulary: Range<usize>,
    ) -> Result<usize> {
        self.id.owns("workspace", workspace.target)?;
        let rows: usize = streams.iter().map(|stream| stream.rows.len()).sum();
        let readouts: usize = streams.iter().map(|stream| stream.rows.read().len()).sum();
        let limits = workspace.limits;
        for (what, most, given) in [
            ("too many rows in a pass", limits.rows, rows),
            ("too many rows to be read in a pass", limits.readouts, readouts),
            ("too many logits of a row", limits.vocabulary, vocabulary.len()),
        ] {
            if given > most {
                return Err(Error::input(what).expected(format!("at most {most}")).got(given));
            }
        }
        let projection = Projection::new(&self.output, pool, vocabulary)?;
        let mut pass = self.begin(pool, workspace, streams)?;
        for layer in 0..self.layers.len() {
            pass.layer(layer);
        }
        pass.read_out(&projection);
        streams.iter_mut().for_each(Stream::rows_have_run);
        Ok(projection.columns())
    }

    /// Checks the rows of all streams and puts their inputs into the workspace: a pass before its first layer.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub(super) fn begin<'a>(
        &'a self,
        pool: &'a Threads,
        workspace: &'a mut Workspace,
        streams: &'a [Stream],
    ) -> Result<Pass<'a>> {
        let rows = streams.iter().map(|stream| stream.rows.len()).sum();
        let (d, mut at) = (self.config.hidden, 0);
        workspace.parts.begin();
        for stream in streams {
            stream.check(self.id, self.config.vocab, d, workspace.rope.positions())?;
            if stream.capacity() > workspace.capacity {
                return Err(Error::input("the workspace was made for shorter streams")
                    .expected(format!("streams of at most {} tokens", workspace.capacity))
                    .got(stream.capacity()));
            }
            for token in stream.rows.tokens() {
                let out = &mut workspace.hidden[at * d..][..d];
                self.embedding.row_into(token.index(), stream.inputs(), out);
                at += 1;
            }
        }
        Ok(Pass { target: self, pool, isa: Isa::detect(), workspace, streams, rows })
    }
}

/// A pass under way.
pub(super) struct Pass<'a> {
    pub(super) target: &'a Target,
    pub(super) pool: &'a Threads,
    pub(super) isa: Isa,
    pub(super) workspace: &'a mut Workspace,
    pub(super) streams: &'a [Stream],
    pub(super) rows: usize,
}

impl Pass<'_> {
    pub(super) fn layer(&mut self, index: usize) {
        let layer = &self.target.layers[index];
        let placement = self.target.config.norm_placement;
        self.norm_in(placement, &layer.attention_norm);
        self.workspace.parts.end(Part::Norms);
        let w = &mut *self.workspace;
        Product::new(self.pool, self.isa, &layer.qkv).run(&mut w.activations, &w.normed, self.rows, &mut w.qkv);
        w.parts.end(Part::Products);
        self.attend(index);
        self.workspace.parts.end(Part::Attention);
        let w = &mut *self.workspace;
        let output = Product::new(self.pool, self.isa, &layer.output);
        residual(placement, output, w, self.rows, Input::Attended);
        w.parts.end(Part::Products);
        self.norm_out(placement, &layer.attention_norm);
        self.norm_in(placement, &layer.mlp_norm);
        self.workspace.parts.end(Part::Norms);
        let w = &mut *self.workspace;
        let gate = Product { epilogue: Epilogue::SiluGate, ..Product::new(self.pool, self.isa, &layer.gate_up) };
        gate.run(&mut w.activations, &w.normed, self.rows, &mut w.gated);
        let down = Product::new(self.pool, self.isa, &layer.down);
        residual(placement, down, w, self.rows, Input::Gated);
        w.parts.end(Part::Products);
        self.norm_out(placement, &layer.mlp_norm);
    }

    /// The input of a block: the norm of the hidden state, or the state itself where the norm comes after.
    fn norm_in(&mut self, placement: NormPlacement, weight: &[f32]) {
        let (d, eps, w) = (self.target.config.hidden, self.target.config.norm_eps, &mut *self.workspace);
        let used = self.rows * d;
        match placement {
            NormPlacement::Before => {
                let (hidden, normed, isa) = (&w.hidden[..used], Chunks::new(&mut w.normed[..used], d), self.isa);
                self.pool.run_rows(self.rows, d, &|row| {
                    // SAFETY: a row has a norm once.
                    let out = unsafe { normed.chunk(row) };
                    RmsNorm { x: &hidden[row * d..][..d], weight, eps, out }.on(isa);
                });
            }
            NormPlacement::After => w.normed[..used].copy_from_slice(&w.hidden[..used]),
        }
    }

    /// Where the norm comes after the block, its output lies in `normed` and is added here.
    fn norm_out(&mut self, placement: NormPlacement, weight: &[f32]) {
        if placement == NormPlacement::Before {
            return;
        }
        let (d, eps, w) = (self.target.config.hidden, self.target.config.norm_eps, &mut *self.workspace);
        for (x, hidden) in w.normed[..self.rows * d].chunks(d).zip(w.hidden.chunks_mut(d)) {
            let scratch = &mut w.gated[..d];
            RmsNorm { x, weight, eps, out: scratch }.on(self.isa);
            hidden.iter_mut().zip(scratch).for_each(|(hidden, x)| *hidden += *x);
        }
    }

    fn attend(&mut self, layer: usize) {
        // SAFETY: `units` gives each unit to one thread.
        self.units(layer, &|unit| unsafe { unit.run() });
    }

    /// Calls `work` with every unit of a layer, each on one thread: queries, keys and values of the rows of one stream
    /// in one kv head.
    pub(super) fn units(&mut self, layer: usize, work: &(impl Fn(&Unit<'_>) + Sync)) {
        let c = &self.target.config;
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let stride = q + 2 * kv;
        let w = &mut *self.workspace;
        let shared = Shared { qkv: w.qkv.as_mut_ptr(), scores: w.scores.as_mut_ptr(), out: w.attended.as_mut_ptr() };
        let (rope, isa, group, streams) = (&w.rope, self.isa, c.heads / c.kv_heads, Streams(self.streams));
        let norms = self.target.layers[layer].norms.as_ref();
        let capacity_stride = w.capacity;
        self.pool.run(streams.0.len() * c.kv_heads, &|chunk| {
            let (shared, streams) = (&shared, &streams);
            let (stream, head) = (chunk / c.kv_heads, chunk % c.kv_heads);
            let before: usize = streams.0[..stream].iter().map(|stream| stream.rows.len()).sum();
            let stream = &streams.0[stream];
            // SAFETY: a chunk is one kv head of one stream: it alone touches that head's keys and values, its columns of the rows of
            // its stream, and its scores; the streams themselves are only read besides.
            unsafe {
                let row = shared.qkv.add(before * stride);
                let unit = Unit {
                    isa,
                    rows: &stream.rows,
                    rope,
                    norms,
                    kv_head: head,
                    group,
                    head_dim: c.head_dim,
                    committed: stream.committed(),
                    start: stream.start(),
                    capacity: stream.capacity(),
                    kv: stream.kv().head(layer, head),
                    queries: row.add(head * group * c.head_dim),
                    key: row.add(q + head * c.head_dim),
                    value: row.add(q + kv + head * c.head_dim),
                    stride,
                    scores: shared.scores.add((before * c.heads + head * group) * capacity_stride),
                    score_stride: c.heads * capacity_stride,
                    out: shared.out.add(before * q + head * group * c.head_dim),
                    out_stride: q,
                };
                work(&unit);
            }
        });
    }

    /// The final norm and the output projection of the rows that are read.
    pub(super) fn read_out(self, projection: &Projection<'_>) {
        let (c, w) = (&self.target.config, self.workspace);
        let (d, mut first, mut readouts) = (c.hidden, 0, 0);
        for stream in self.streams {
            for row in stream.rows.read() {
                let out = &mut w.normed[readouts * d..][..d];
                let x = &w.hidden[(first + row) * d..][..d];
                RmsNorm { x, weight: &self.target.norm, eps: c.norm_eps, out }.on(self.isa);
                readouts += 1;
            }
            first += stream.rows.len();
        }
        w.parts.end(Part::Norms);
        projection.run(&mut w.activations, &mut w.head, &w.normed, readouts, &mut w.logits);
        w.parts.end(Part::Products);
    }
}

/// Which buffer a block's last product reads.
enum Input {
    Attended,
    Gated,
}

/// The block's output, added to the hidden state, or kept in `normed` where a norm comes after.
fn residual(placement: NormPlacement, product: Product<'_>, w: &mut Workspace, rows: usize, input: Input) {
    let x = match input {
        Input::Attended => &w.attended,
        Input::Gated => &w.gated,
    };
    match placement {
        NormPlacement::Before => {
            Product { epilogue: Epilogue::Add, ..product }.run(&mut w.activations, x, rows, &mut w.hidden);
        }
        NormPlacement::After => product.run(&mut w.activations, x, rows, &mut w.normed),
    }
}

struct Shared {
    qkv: *mut f32,
    scores: *mut f32,
    out: *mut f32,
}

// SAFETY: the chunks of the attention region touch disjoint parts (see there).
unsafe impl Sync for Shared {}

/// The streams of a pass, seen from its threads.
struct Streams<'a>(&'a [Stream]);

// SAFETY: keys and values are written head by head, each by the one thread that has the head's chunk; the rest is only read.
unsafe impl Sync for Streams<'_> {}
