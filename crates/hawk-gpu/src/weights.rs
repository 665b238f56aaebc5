//! A transformer's weights on a device.

use std::ops::Range;
use std::sync::Arc;

use hawk_files::{Checkpoint, InputTensors, Result, TransformerConfig};
use hawk_kernels::{MatrixSize, Precision};
use hawk_nn::{HeadNorm, PassCost, Weights};

use crate::embedding::Embedding;
use crate::kernels::numbers::Numbers;
use crate::kernels::product::Format;
use crate::matrix::{GpuMatrix, Uploader};
use crate::memory::{Buffer, Memory};

/// A loaded transformer.
pub(crate) struct Target {
    pub(crate) memory: Arc<Memory>,
    pub(crate) precision: Precision,
    /// How matrices are stored, and what products read and caches hold.
    pub(crate) format: Format,
    pub(crate) numbers: Numbers,
    /// Without the inputs of tokens, which are `embedding`.
    pub(crate) weights: Weights<GpuMatrix>,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<LayerNorms>,
    pub(crate) norm: Buffer,
    /// Biases of the output head's layers; one zero each where there are none.
    pub(crate) inner_bias: Buffer,
    pub(crate) output_bias: Buffer,
    /// Bytes that were planned.
    planned: u64,
}

/// What a layer has beside its matrices.
pub(crate) struct LayerNorms {
    pub(crate) attention: Buffer,
    pub(crate) mlp: Buffer,
    /// Weights, then biases, of the norms over heads, `[2][H + K][E]`, and what is added to variances.
    pub(crate) heads: Option<(Buffer, f32)>,
}

/// Bytes of the weights, and of the largest matrix.
pub(crate) fn bytes_of(config: &TransformerConfig, format: Format) -> (u64, u64) {
    let tables: Vec<String> = config
        .ends()
        .inputs
        .into_iter()
        .map(|table| match table {
            InputTensors::Stored { name, .. } | InputTensors::Computed { name, .. } => name,
        })
        .collect();
    let (mut all, mut largest) = (0_u64, 0_u64);
    // The tables are planned when they are uploaded, but for one that is the output projection as well.
    let uploaded = |name: &String| config.tied_embeddings || !tables.contains(name);
    for tensor in config.tensors().iter().filter(|tensor| uploaded(&tensor.name)) {
        let inputs = tensor.shape.last().copied().unwrap_or(1);
        let outputs = tensor.shape.iter().rev().skip(1).product::<usize>();
        let bytes = (outputs * format.row_bytes(inputs)) as u64;
        all += bytes;
        // Gate and up projections lie together, as do queries, keys and values.
        largest = largest.max(2 * bytes);
    }
    (all, largest)
}

impl Target {
    pub(crate) fn load(
        memory: &Arc<Memory>,
        config: TransformerConfig,
        from: &Checkpoint,
        precision: Precision,
    ) -> Result<Self> {
        let format = Format::of(precision);
        let config = config.for_weights(from)?;
        config.check_layers(from)?;
        let (planned, largest) = bytes_of(&config, format);
        memory.plan("the weights", planned, largest)?;
        let weights = Weights::load(config, &Uploader { memory, checkpoint: from, precision });
        let mut weights = weights.inspect_err(|_| memory.give_back(planned))?;
        let embedding = Embedding::upload(memory, weights.embedding.take(), weights.config.hidden);
        let (embedding, more) = embedding.inspect_err(|_| memory.give_back(planned))?;
        let planned = planned + more;
        let layers = weights.layers.iter().map(|layer| LayerNorms {
            attention: memory.upload(layer.attention_norm.clone()),
            mlp: memory.upload(layer.mlp_norm.clone()),
            heads: layer.norms.as_ref().map(|norms| (memory.upload(joined(norms)), norms[0].eps)),
        });
        let bias = |bias: &[f32]| memory.upload(if bias.is_empty() { vec![0.0] } else { bias.to_vec() });
        Ok(Self {
            layers: layers.collect(),
            norm: memory.upload(weights.norm.clone()),
            inner_bias: bias(weights.output.inner.as_ref().map_or(&[], |inner| &inner.bias)),
            output_bias: bias(&weights.output.outputs.bias),
            memory: Arc::clone(memory),
            precision,
            format,
            numbers: format.numbers(),
            weights,
            embedding,
            planned,
        })
    }

    pub(crate) fn config(&self) -> &TransformerConfig {
        &self.weights.config
    }

    /// What a pass with the logits of these ids must read and multiply.
    pub(crate) fn cost(&self, ids: Range<usize>) -> PassCost {
        let output = &self.weights.output;
        let layers = self.weights.layers.iter().flat_map(|layer| layer.matrices());
        let inner = output.inner.iter().map(|inner| &inner.weights);
        let whole = layers.chain(inner).map(|matrix| (matrix, matrix.size.outputs));
        let mut cost = PassCost { bytes: 0, weights: 0 };
        for (matrix, outputs) in whole.chain([(&output.outputs.weights, ids.len())]) {
            cost.bytes += matrix.bytes_of(outputs);
            cost.weights += outputs * matrix.size.inputs;
        }
        cost
    }

    /// Outputs inside the SwiGLU, filled up.
    pub(crate) fn inner(&self) -> usize {
        let MatrixSize { inputs, .. } = self.weights.layers[0].down.size;
        inputs
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.memory.give_back(self.planned);
    }
}

/// Weights, then biases, of the norms of queries and keys.
fn joined([queries, keys]: &[HeadNorm; 2]) -> Vec<f32> {
    [&queries.weight, &keys.weight, &queries.bias, &keys.bias].into_iter().flatten().copied().collect()
}
