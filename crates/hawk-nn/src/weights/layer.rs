//! The weights of a layer, packed from a checkpoint.

use hawk_files::{Checkpoint, HeadNormTensors, LayerPart, Result, RotaryPairs, Tensor, TransformerConfig};
use hawk_kernels::{MatrixSize, PANEL};

use super::packer::Packer;

/// Matrices of a layer.
pub const MATRICES: usize = 4;

/// Weights of one layer.
pub struct Layer<M> {
    /// Queries, keys and values: `[H E + 2 K E, D]`. Rotary pairs are `(i, i + E/2)`.
    pub qkv: M,
    /// The norms over each head of queries and keys, where the family has them.
    pub norms: Option<[HeadNorm; 2]>,
    /// From attended values to the hidden state: `[D, H E]`.
    pub output: M,
    /// The SwiGLU's gate and up projections in turn, [`PANEL`](hawk_kernels::PANEL) outputs each,
    /// the last filled up with zeros: `[2 inner, D]`.
    pub gate_up: M,
    /// `[D, inner]`, filled up with zeros.
    pub down: M,
    /// Factors of the norm of the attention, `[D]`.
    pub attention_norm: Vec<f32>,
    /// Factors of the norm of the SwiGLU, `[D]`.
    pub mlp_norm: Vec<f32>,
}

/// A LayerNorm per head: weights and biases `[heads][E]`.
pub struct HeadNorm {
    /// Factors.
    pub weight: Vec<f32>,
    /// Terms.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub eps: f32,
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

/// Where row `row` of a matrix with rotary pairs `(i, i + E/2)` is in one with pairs `(2i, 2i + 1)`.
fn neighbour_row(row: usize, head_dim: usize) -> usize {
    let (head, at, half) = (row / head_dim, row % head_dim, head_dim / 2);
    head * head_dim + if at < half { 2 * at } else { 2 * (at - half) + 1 }
}

impl<M> Layer<M> {
    pub(super) fn load(c: &TransformerConfig, source: &impl Packer<Matrix = M>, layer: usize) -> Result<Self> {
        let checkpoint = source.checkpoint();
        let (d, q, k) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let names = c.family.rules().tensor_names();
        let get = |part: LayerPart| source.packable(&names.layer(layer, part), &part.shape(c));
        let norm = |part: LayerPart| -> Result<_> {
            Ok(checkpoint.tensor(&names.layer(layer, part), &part.shape(c))?.to_f32())
        };
        let pack = |part: &str, outputs, inputs, fill: &mut dyn FnMut(usize, &mut [f32])| {
            source.matrix(&format!("layers.{layer}.{part}"), MatrixSize { outputs, inputs }, fill)
        };
        // Tensors are read when they are packed, so that few are in memory at once.
        let (gate, up) = (get(LayerPart::Gate)?, get(LayerPart::Up)?);
        // Panels of gate and up alternate; the last of each is filled up with zeros.
        let inner = c.intermediate.next_multiple_of(PANEL);
        let gate_up = pack("gate_up", 2 * inner, d, &mut |row, out| {
            let at = row / (2 * PANEL) * PANEL + row % PANEL;
            let tensor = if (row / PANEL).is_multiple_of(2) { &gate } else { &up };
            if at < c.intermediate { tensor.row_into(at, out) } else { out.fill(0.0) }
        })?;
        drop((gate, up));
        let parts = names.query_key_value().iter().map(|&part| Ok((get(part)?, part.shape(c)[0])));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let qkv = pack("qkv", q + 2 * k, d, &mut |row, out| {
            let turned = names.rotary_pairs() == RotaryPairs::Neighbours && row < q + k;
            rows_of(&parts, if turned { neighbour_row(row, c.head_dim) } else { row }, out);
        })?;
        drop(parts);
        let part = get(LayerPart::Output)?;
        let output = pack("output", d, q, &mut |row, out| part.row_into(row, out))?;
        let part = get(LayerPart::Down)?;
        let down = pack("down", d, inner, &mut |row, out| {
            let (weights, rest) = out.split_at_mut(c.intermediate);
            part.row_into(row, weights);
            rest.fill(0.0);
        })?;
        let head_norm = |tensors: &HeadNormTensors| HeadNorm::load(checkpoint, tensors, c.head_dim);
        Ok(Self {
            qkv,
            norms: match c.head_norms(layer) {
                Some([query, key]) => Some([head_norm(&query)?, head_norm(&key)?]),
                None => None,
            },
            output,
            gate_up,
            down,
            attention_norm: norm(LayerPart::AttentionNorm)?,
            mlp_norm: norm(LayerPart::MlpNorm)?,
        })
    }

    /// The matrices in the order of a pass.
    pub fn matrices(&self) -> [&M; MATRICES] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }
}

impl HeadNorm {
    /// Reads both published shapes: `[heads, E]`, and `[model parallel, E]`, whose rows serve
    /// several heads each.
    fn load(checkpoint: &Checkpoint, tensors: &HeadNormTensors, head_dim: usize) -> Result<Self> {
        let heads = tensors.heads;
        let of = |name: &str| -> Result<Vec<f32>> {
            let stored = checkpoint.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(heads);
            let rows = if stored > 0 && heads.is_multiple_of(stored) { stored } else { heads };
            let all = checkpoint.tensor(name, &[rows, head_dim])?.to_f32();
            Ok((0..heads).flat_map(|head| all[head / (heads / rows) * head_dim..][..head_dim].to_vec()).collect())
        };
        // torch's LayerNorm default, which the reference keeps whatever the config's eps.
        Ok(Self { weight: of(&tensors.weight)?, bias: of(&tensors.bias)?, eps: 1e-5 })
    }
}
