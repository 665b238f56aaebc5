//! The target: a transformer of the Llama kind that runs any tree of rows of several streams in one pass.

use std::ops::Range;

use crate::attention::{HeadNorm, Rope, Unit};
use crate::kernels::{Activations, Epilogue, Isa, Matrix, PANEL, Pool, Precision, Product, RmsNorm};
use crate::kv::{KvFormat, Stream};
use crate::projection::{Projection, panels_of};
use crate::{Checkpoint, Error, Family, NormPlacement, Result, Tensor, TransformerConfig};

/// Weights of one layer.
struct Layer {
    qkv: Matrix,
    norms: Option<[HeadNorm; 2]>,
    output: Matrix,
    gate_up: Matrix,
    down: Matrix,
    attention_norm: Vec<f32>,
    mlp_norm: Vec<f32>,
}

/// The embedding in the checkpoint's numbers: a row is read per token, the rest only takes memory.
enum Embedding {
    F32(Vec<f32>),
    Bf16(Vec<half::bf16>),
}

/// A loaded transformer.
pub struct Target {
    config: TransformerConfig,
    precision: Precision,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Matrix,
}

/// Memory of a pass; allocated once.
pub struct Workspace {
    limits: PassLimits,
    capacity: usize,
    rope: Rope,
    activations: Activations,
    hidden: Vec<f32>,
    /// Inputs of a block; at the end of a pass the final norm's output of the rows that are read.
    normed: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    gated: Vec<f32>,
    scores: Vec<f32>,
    logits: Vec<f32>,
}

/// How much a [`Workspace`] has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassLimits {
    /// Rows of all streams of a pass.
    pub rows: usize,
    /// Rows whose logits are read.
    pub readouts: usize,
    /// Tokens of the longest stream, committed and staged.
    pub tokens: usize,
    /// Logits of a row that are read: V, or fewer where only a range of the vocabulary is asked for.
    pub vocabulary: usize,
}

/// What a pass costs at least, whatever its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassCost {
    /// Weight bytes that are read.
    pub bytes: usize,
    /// Weights that every row is multiplied with.
    pub weights: usize,
}

/// A pass that has run and is not committed. Dropping it is the rollback; only [`Staged::commit`] grows a stream.
pub struct Staged<'p> {
    streams: &'p mut [Stream],
    hidden: &'p [f32],
    logits: &'p [f32],
    /// D.
    width: usize,
    vocabulary: usize,
}

impl Staged<'_> {
    /// The logits behind a row, over the ids that [`Target::forward`] was asked for; none where the row was not to be read.
    pub fn logits(&self, stream: usize, row: usize) -> Option<&[f32]> {
        self.readout(stream, row).map(|at| &self.logits[at * self.vocabulary..][..self.vocabulary])
    }

    /// The last hidden state (behind the final norm) of a row, `[D]`; none where the row was not to be read.
    pub fn hidden(&self, stream: usize, row: usize) -> Option<&[f32]> {
        self.readout(stream, row).map(|at| &self.hidden[at * self.width..][..self.width])
    }

    /// All logits, `[readouts, vocabulary]`, stream after stream, rows in order.
    pub fn all_logits(&self) -> &[f32] {
        &self.logits[..self.streams.iter().map(|stream| stream.rows.read().len()).sum::<usize>() * self.vocabulary]
    }

    fn readout(&self, stream: usize, row: usize) -> Option<usize> {
        let before: usize = self.streams[..stream].iter().map(|stream| stream.rows.read().len()).sum();
        self.streams[stream].rows.read().binary_search(&row).ok().map(|at| before + at)
    }

    /// Makes the path to a row of each stream its next committed tokens, ancestors first; `None` commits nothing. All rows are forgotten.
    ///
    /// # Panics
    /// There are not as many rows given as streams, or a row is none of the pass.
    pub fn commit(self, rows: &[Option<usize>]) {
        assert_eq!(rows.len(), self.streams.len());
        for (stream, row) in self.streams.iter_mut().zip(rows) {
            match row {
                Some(row) => stream.commit(*row),
                None => stream.rows.clear(),
            }
        }
    }
}

fn rows_of(tensors: &[(Tensor<'_>, usize)], row: usize, out: &mut [f32]) {
    let mut row = row;
    for (tensor, rows) in tensors {
        if row < *rows {
            return tensor.row_into(row, out);
        }
        row -= rows;
    }
}

impl Target {
    /// Loads and packs a checkpoint, or maps one that is packed.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape or number format; the checkpoint is packed for another precision.
    pub fn load(config: TransformerConfig, checkpoint: &Checkpoint, precision: Precision) -> Result<Self> {
        let (d, v) = (config.hidden, config.vocab);
        let embed = checkpoint.tensor("model.embed_tokens.weight", &[v, d])?;
        let head = checkpoint.packable(config.output_projection_name(), &[v, d])?;
        Ok(Self {
            layers: (0..config.layers)
                .map(|i| Layer::load(&config, checkpoint, precision, i))
                .collect::<Result<_>>()?,
            norm: checkpoint.tensor("model.norm.weight", &[d])?.to_f32(),
            head: checkpoint.matrix("head", precision, [v, d], &mut |row, out| head.row_into(row, out))?,
            config,
            precision,
            embedding: Embedding::read(&embed),
        })
    }

    /// Sizes and choices.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// From the last hidden state to the vocabulary, `[V, D]`.
    pub(crate) fn output_projection(&self) -> &Matrix {
        &self.head
    }

    /// Bytes that a pass with all logits reads.
    pub fn weight_bytes(&self) -> usize {
        self.pass_cost(0..self.config.vocab).bytes
    }

    /// Bytes of the weights in memory, the embedding included.
    pub fn memory_bytes(&self) -> usize {
        let embedding = match &self.embedding {
            Embedding::F32(table) => size_of_val(&table[..]),
            Embedding::Bf16(table) => size_of_val(&table[..]),
        };
        self.weight_bytes() + embedding
    }

    /// What a pass with the logits of these ids must read and multiply.
    pub fn pass_cost(&self, vocabulary: Range<usize>) -> PassCost {
        let layers = self.layers.iter().flat_map(Layer::matrices);
        let mut cost = PassCost { bytes: 0, weights: 0 };
        for (matrix, panels) in
            layers.map(|matrix| (matrix, 0..matrix.panels())).chain([(&self.head, panels_of(vocabulary))])
        {
            cost.bytes += matrix.bytes_of(panels.len());
            cost.weights += panels.len() * PANEL * matrix.k();
        }
        cost
    }

    /// A stream with room for `tokens` committed and staged tokens. Its keys and values are bf16 under
    /// [`Precision::Int8`], else f32: bf16 weights are often exact, and then so is the pass.
    pub fn stream(&self, tokens: usize) -> Stream {
        let format = if self.precision == Precision::Int8 { KvFormat::Bf16 } else { KvFormat::F32 };
        Stream::with_kv(&self.config, tokens, format)
    }

    /// Memory for passes within these limits.
    pub fn workspace(&self, limits: PassLimits) -> Workspace {
        let (c, rows) = (&self.config, limits.rows);
        let (q, capacity) = (c.heads * c.head_dim, limits.tokens.next_multiple_of(PANEL));
        let inner = c.intermediate.next_multiple_of(PANEL);
        let widest = c.hidden.max(inner).max(q);
        Workspace {
            limits,
            capacity,
            rope: Rope::new(c.rope_base, c.head_dim, capacity),
            activations: Activations::new(self.precision, rows, widest),
            hidden: vec![0.0; rows * c.hidden],
            normed: vec![0.0; rows * c.hidden],
            qkv: vec![0.0; rows * (q + 2 * c.kv_heads * c.head_dim)],
            attended: vec![0.0; rows * q],
            // Also the scratch row of a norm that comes after its block.
            gated: vec![0.0; (rows * inner).max(c.hidden)],
            scores: vec![0.0; rows * c.heads * capacity],
            logits: vec![0.0; limits.readouts * Projection::room(self, limits.vocabulary)],
        }
    }

    /// Runs the rows of all streams. Nothing is committed: [`Staged::commit`] does that.
    ///
    /// `vocabulary` are the ids whose logits are computed, for the rows that are to be read.
    ///
    /// # Errors
    /// A token or a range outside the vocabulary, more rows or tokens than there is room for.
    pub fn forward<'p>(
        &self,
        pool: &Pool,
        workspace: &'p mut Workspace,
        streams: &'p mut [Stream],
        vocabulary: Range<usize>,
    ) -> Result<Staged<'p>> {
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
        let projection = Projection::new(self, pool, vocabulary)?;
        let (d, mut at) = (self.config.hidden, 0);
        for stream in &*streams {
            stream.check(self.config.vocab)?;
            assert!(stream.capacity() <= workspace.capacity, "the workspace was made for shorter streams");
            for token in stream.rows.tokens() {
                self.embedding.row_into(token.index(), &mut workspace.hidden[at * d..][..d]);
                at += 1;
            }
        }
        let mut pass = Pass { target: self, pool, isa: Isa::detect(), workspace, streams, rows };
        for layer in 0..self.layers.len() {
            pass.layer(layer);
        }
        pass.read_out(&projection);
        Ok(Staged {
            streams,
            hidden: &workspace.normed[..readouts * d],
            logits: &workspace.logits[..readouts * projection.columns()],
            width: d,
            vocabulary: projection.columns(),
        })
    }
}

impl Embedding {
    fn read(table: &Tensor<'_>) -> Self {
        match table.bf16_numbers() {
            Some(numbers) => Self::Bf16(numbers.collect()),
            None => Self::F32(table.to_f32()),
        }
    }

    fn row_into(&self, row: usize, out: &mut [f32]) {
        let range = row * out.len()..(row + 1) * out.len();
        match self {
            Self::F32(table) => out.copy_from_slice(&table[range]),
            Self::Bf16(table) => out.iter_mut().zip(&table[range]).for_each(|(out, x)| *out = x.to_f32()),
        }
    }
}

impl Layer {
    fn load(c: &TransformerConfig, checkpoint: &Checkpoint, precision: Precision, layer: usize) -> Result<Self> {
        let (d, q, k) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let get = |part: &str, shape: &[usize]| checkpoint.packable(&name(part), shape);
        let norm = |part: &str| Ok(checkpoint.tensor(&name(part), &[d])?.to_f32());
        let pack = |part: &str, size, fill: &mut dyn FnMut(usize, &mut [f32])| {
            checkpoint.matrix(&format!("layers.{layer}.{part}"), precision, size, fill)
        };
        let qkv = [
            (get("self_attn.q_proj", &[q, d])?, q),
            (get("self_attn.k_proj", &[k, d])?, k),
            (get("self_attn.v_proj", &[k, d])?, k),
        ];
        let (gate, up) = (get("mlp.gate_proj", &[c.intermediate, d])?, get("mlp.up_proj", &[c.intermediate, d])?);
        let (output, down) = (get("self_attn.o_proj", &[d, q])?, get("mlp.down_proj", &[d, c.intermediate])?);
        // Panels of gate and up alternate; the last of each is filled up with zeros.
        let inner = c.intermediate.next_multiple_of(PANEL);
        let gate_up = pack("gate_up", [2 * inner, d], &mut |row, out| {
            let at = row / (2 * PANEL) * PANEL + row % PANEL;
            let tensor = if (row / PANEL).is_multiple_of(2) { &gate } else { &up };
            if at < c.intermediate { tensor.row_into(at, out) } else { out.fill(0.0) }
        })?;
        let head_norm = |part: &str, heads: usize| HeadNorm::load(c, checkpoint, (layer, part), heads);
        Ok(Self {
            qkv: pack("qkv", [q + 2 * k, d], &mut |row, out| rows_of(&qkv, row, out))?,
            norms: match c.family {
                Family::Chameleon => Some([head_norm("q", c.heads)?, head_norm("k", c.kv_heads)?]),
                Family::Llama => None,
            },
            output: pack("output", [d, q], &mut |row, out| output.row_into(row, out))?,
            gate_up,
            down: pack("down", [d, inner], &mut |row, out| {
                let (weights, rest) = out.split_at_mut(c.intermediate);
                down.row_into(row, weights);
                rest.fill(0.0);
            })?,
            attention_norm: norm("input_layernorm")?,
            mlp_norm: norm("post_attention_layernorm")?,
        })
    }

    fn matrices(&self) -> [&Matrix; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }
}

impl HeadNorm {
    /// Both published shapes: `[heads, E]`, and `[model parallel, E]` whose rows serve several heads each.
    fn load(c: &TransformerConfig, checkpoint: &Checkpoint, part: (usize, &str), heads: usize) -> Result<Self> {
        let of = |kind: &str| -> Result<Vec<f32>> {
            let name = format!("model.layers.{}.self_attn.{}_norm.{kind}", part.0, part.1);
            let stored = checkpoint.shape(&name).and_then(|shape| shape.first().copied()).unwrap_or(heads);
            let rows = if stored > 0 && heads.is_multiple_of(stored) { stored } else { heads };
            let all = checkpoint.tensor(&name, &[rows, c.head_dim])?.to_f32();
            Ok((0..heads).flat_map(|head| all[head / (heads / rows) * c.head_dim..][..c.head_dim].to_vec()).collect())
        };
        // torch's LayerNorm default, which the reference keeps whatever the config's eps.
        Ok(Self { weight: of("weight")?, bias: of("bias")?, eps: 1e-5 })
    }
}

/// A pass under way.
struct Pass<'a> {
    target: &'a Target,
    pool: &'a Pool,
    isa: Isa,
    workspace: &'a mut Workspace,
    streams: &'a [Stream],
    rows: usize,
}

impl Pass<'_> {
    fn layer(&mut self, index: usize) {
        let layer = &self.target.layers[index];
        let placement = self.target.config.norm_placement;
        self.norm_in(placement, &layer.attention_norm);
        let w = &mut *self.workspace;
        Product::new(self.pool, self.isa, &layer.qkv).run(&mut w.activations, &w.normed, self.rows, &mut w.qkv);
        self.attend(index);
        let w = &mut *self.workspace;
        let output = Product::new(self.pool, self.isa, &layer.output);
        residual(placement, output, w, self.rows, Input::Attended);
        self.norm_out(placement, &layer.attention_norm);
        self.norm_in(placement, &layer.mlp_norm);
        let w = &mut *self.workspace;
        let gate = Product { epilogue: Epilogue::SiluGate, ..Product::new(self.pool, self.isa, &layer.gate_up) };
        gate.run(&mut w.activations, &w.normed, self.rows, &mut w.gated);
        let down = Product::new(self.pool, self.isa, &layer.down);
        residual(placement, down, w, self.rows, Input::Gated);
        self.norm_out(placement, &layer.mlp_norm);
    }

    /// The input of a block: the norm of the hidden state, or the state itself where the norm comes after.
    fn norm_in(&mut self, placement: NormPlacement, weight: &[f32]) {
        let (d, eps, w) = (self.target.config.hidden, self.target.config.norm_eps, &mut *self.workspace);
        let used = self.rows * d;
        match placement {
            NormPlacement::Before => {
                for (x, out) in w.hidden[..used].chunks(d).zip(w.normed.chunks_mut(d)) {
                    RmsNorm { x, weight, eps, out }.on(self.isa);
                }
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
                unit.run();
            }
        });
    }

    /// The final norm and the output projection of the rows that are read.
    fn read_out(self, projection: &Projection<'_>) {
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
        projection.run(&mut w.activations, &w.normed, readouts, &mut w.logits);
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
