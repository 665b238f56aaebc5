//! A pass under way: the kernels of each layer, one after another.

use hawk_files::NormPlacement;

use crate::embedding::Tokens;
use crate::kernels::norm::NormInto;
use crate::kernels::numbers::Numbers;
use crate::kernels::product::Epilogue;
use crate::kernels::{attention, elementwise, norm, place, reduce};
use crate::launch::{Gather, Product, RowsIn, cubes, units};
use crate::matrix::GpuMatrix;
use crate::memory::Buffer;
use crate::projection::Projection;
use crate::weights::Target;
use crate::workspace::Workspace;

/// A pass under way.
pub(crate) struct Pass<'a> {
    pub(crate) target: &'a Target,
    pub(crate) w: &'a Workspace,
    /// Tokens that a stream has room for.
    pub(crate) tokens: usize,
    /// Number of rows.
    pub(crate) count: usize,
    /// What kernels need to know of the rows
    /// ([`Streams::describe`](crate::streams::Streams::describe)).
    pub(crate) rows: Buffer,
    pub(crate) paths: Buffer,
}

impl Pass<'_> {
    /// The inputs of the tokens become the hidden states.
    pub(crate) fn embed(&self, tokens: Tokens) {
        self.target.embedding.run(&self.target.memory, tokens, &self.w.hidden, self.w.widths.hidden);
    }

    pub(crate) fn layer(&self, index: usize) {
        let (weights, norms) = (&self.target.weights.layers[index], &self.target.layers[index]);
        let (w, widths) = (self.w, &self.w.widths);
        let (normed, inner) = (RowsIn { buffer: &w.normed, stride: widths.hidden }, self.target.inner());
        self.norm_in(&norms.attention);
        self.product(&weights.qkv, normed, RowsIn { buffer: &w.qkv, stride: widths.qkv }, Epilogue::Store);
        self.attend(index);
        self.residual(&weights.output, RowsIn { buffer: &w.attended, stride: widths.attended });
        self.norm_out(&norms.attention);
        self.norm_in(&norms.mlp);
        self.product(&weights.gate_up, normed, RowsIn { buffer: &w.gate_up, stride: 2 * inner }, Epilogue::Store);
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
        self.residual(&weights.down, RowsIn { buffer: &w.gated, stride: widths.inner });
        self.norm_out(&norms.mlp);
    }

    fn product(&self, matrix: &GpuMatrix, x: RowsIn<'_>, y: RowsIn<'_>, epilogue: Epilogue) {
        let product = Product { matrix, epilogue, x, y, rows: 0..self.count, outputs: 0..matrix.size.outputs };
        product.run(&self.target.memory);
    }

    /// The block's output, added to the hidden state, or kept where a norm comes after.
    fn residual(&self, matrix: &GpuMatrix, x: RowsIn<'_>) {
        let stride = self.w.widths.hidden;
        match self.target.config().norm_placement {
            NormPlacement::Before => self.product(matrix, x, RowsIn { buffer: &self.w.hidden, stride }, Epilogue::Add),
            NormPlacement::After => self.product(matrix, x, RowsIn { buffer: &self.w.block, stride }, Epilogue::Store),
        }
    }

    /// The input of a block: the norm of the hidden state, or the state itself where the norm comes
    /// after.
    fn norm_in(&self, weight: &Buffer) {
        match self.target.config().norm_placement {
            NormPlacement::Before => {
                self.norm(Norm { x: &self.w.hidden, weight, out: &self.w.normed, into: NormInto::Store });
            }
            NormPlacement::After => self.rounded(&self.w.hidden, &self.w.normed, self.count),
        }
    }

    /// Where the norm comes after the block, its output is added here.
    fn norm_out(&self, weight: &Buffer) {
        if self.target.config().norm_placement == NormPlacement::After {
            self.norm(Norm { x: &self.w.block, weight, out: &self.w.hidden, into: NormInto::Add });
        }
    }

    fn norm(&self, norm: Norm<'_>) {
        self.norm_of(norm, Picked { rows: &self.w.every, count: self.count }, self.target.numbers);
    }

    /// The norms of some rows.
    fn norm_of(&self, Norm { x, weight, out, into }: Norm<'_>, picked: Picked<'_>, numbers: Numbers) {
        let c = self.target.config();
        // SAFETY: rows of `x` are picked, and both buffers have the rows with this stride.
        unsafe {
            norm::norm::launch_unchecked(
                &self.target.memory.client,
                cubes(picked.count, 1),
                units(reduce::UNITS),
                x.arg(),
                weight.arg(),
                picked.rows.arg(),
                out.arg(),
                c.hidden as u32,
                self.w.widths.hidden as u32,
                c.norm_eps,
                into,
                numbers,
            );
        }
    }

    /// The first rows of hidden states, rounded as products read them.
    fn rounded(&self, x: &Buffer, out: &Buffer, rows: usize) {
        let (width, stride) = (self.target.config().hidden, self.w.widths.hidden);
        let gather = Gather { x, pick: &self.w.every, out, rows, width, stride, numbers: self.target.numbers };
        gather.run(&self.target.memory);
    }

    fn attend(&self, index: usize) {
        let (c, w, client) = (self.target.config(), self.w, &self.target.memory.client);
        let (norms, eps) = match &self.target.layers[index].heads {
            Some((norms, eps)) => (norms, *eps),
            None => (&self.target.norm, 0.0),
        };
        // SAFETY: rows name slots of streams, positions of the tables and paths; the buffers have
        // the rows with these strides.
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
                units(reduce::UNITS),
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
    pub(crate) fn read_out(&self, projection: &Projection, read: Buffer, readouts: usize) {
        let w = self.w;
        let norm = Norm { x: &self.w.hidden, weight: &self.target.norm, out: &w.last, into: NormInto::Store };
        self.norm_of(norm, Picked { rows: &read, count: readouts }, Numbers::F32);
        self.rounded(&w.last, &w.last_rounded, readouts);
        projection.run(self.target, &w.last_rounded, &w.head, &w.logits, readouts);
    }
}

/// A norm of rows of hidden states.
struct Norm<'a> {
    x: &'a Buffer,
    weight: &'a Buffer,
    out: &'a Buffer,
    into: NormInto,
}

/// The numbers of some rows.
struct Picked<'a> {
    rows: &'a Buffer,
    count: usize,
}
