//! The target: a loaded transformer of the Llama kind.

use std::ops::Range;

use hawk_files::{CaptionFeatures, Checkpoint, Error, InputTensors, Result, TransformerConfig};
use hawk_kernels::{Matrix, PANEL, Precision, Threads};

use super::id::TargetId;
use super::kv::{Kv, KvFormat};
use super::output::matrices;
use super::packed::MatrixSource;
use super::stream::Stream;
use crate::memory::Demand;
use crate::pass::{OwnInputs, PassCost};
use crate::weights::captions::Captions;
use crate::weights::embedding::Embedding;
use crate::weights::ends::OutputHead;
use crate::weights::layer::Layer;
use crate::weights::whole::Weights;

/// A loaded transformer.
pub struct Target {
    pub(super) id: TargetId,
    pub(super) config: TransformerConfig,
    pub(super) precision: Precision,
    pub(super) embedding: Embedding,
    /// Of families that read captions.
    pub(super) captions: Option<Captions>,
    pub(super) layers: Vec<Layer<Matrix>>,
    pub(super) norm: Vec<f32>,
    pub(super) output: OutputHead<Matrix>,
}

/// The memory of the weights. What is mapped from a packed file, or written into one, takes none that
/// other programs could not have.
fn weights_demand(config: &TransformerConfig, source: &MatrixSource<'_>) -> Demand {
    let tables = config.ends().inputs;
    let weight = if source.keeps_matrices() { source.precision.weight_bytes() } else { 0 };
    let tables: Vec<(&str, usize)> = tables
        .iter()
        .map(|table| match table {
            InputTensors::Stored { name, rows } => (name.as_str(), *rows),
            InputTensors::Computed { name, rows, .. } => (name.as_str(), *rows),
        })
        .collect();
    let (mut matrices, mut inputs) = (0_usize, 0_usize);
    for tensor in config.tensors() {
        let numbers = tensor.shape.iter().fold(1_usize, |numbers, &size| numbers.saturating_mul(size));
        if let Some((name, rows)) = tables.iter().find(|(name, _)| *name == tensor.name) {
            let width = if source.checkpoint.is_bf16(name) { 2 } else { 4 };
            inputs = inputs.saturating_add(rows.saturating_mul(config.hidden).saturating_mul(width));
        } else {
            matrices = matrices.saturating_add(numbers.saturating_mul(weight));
        }
    }
    Demand::default().with("the weights", &[matrices]).with("the embedding", &[inputs])
}

impl Target {
    /// Loads and packs a checkpoint, or maps one that is packed.
    ///
    /// # Errors
    /// A tensor is missing, has the wrong shape or number format or a number that is not finite, the
    /// checkpoint is packed for another precision, or the memory is too small.
    pub fn load(config: TransformerConfig, checkpoint: &Checkpoint, precision: Precision) -> Result<Self> {
        Self::load_from(config, &MatrixSource::new(checkpoint, precision))
    }

    pub(crate) fn load_from(config: TransformerConfig, source: &MatrixSource<'_>) -> Result<Self> {
        let config = config.for_weights(source.checkpoint)?;
        config.check_layers(source.checkpoint)?;
        weights_demand(&config, source).check()?;
        let Weights { config, embedding, captions, layers, norm, output } = Weights::load(config, source)?;
        let (id, precision) = (TargetId::next(), source.precision);
        Ok(Self { id, config, precision, embedding, captions, layers, norm, output })
    }

    /// What streams and workspaces are told apart by.
    pub(crate) fn id(&self) -> TargetId {
        self.id
    }

    /// Sizes and choices.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// From the last hidden state to logits.
    pub(crate) fn output(&self) -> &OutputHead<Matrix> {
        &self.output
    }

    /// How weights are stored and multiplied.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The inputs that the features of a caption become; [`Stream::with_inputs`] takes them.
    ///
    /// # Errors
    /// A family that reads no captions, or features that do not fit it.
    pub fn caption(&self, pool: &Threads, features: &CaptionFeatures) -> Result<OwnInputs> {
        match &self.captions {
            Some(captions) => captions.inputs(pool, features),
            None => Err(Error::input("the model reads no features of captions")
                .expected("a LlamaGen of the kind t2i")
                .got(self.config.family.name())),
        }
    }

    /// Bytes that a pass with all logits reads.
    pub fn weight_bytes(&self) -> usize {
        self.pass_cost(self.config.readable()).bytes
    }

    /// Bytes of the weights in memory, the embedding included.
    pub fn memory_bytes(&self) -> usize {
        self.weight_bytes() + self.embedding.bytes()
    }

    /// What a pass with the logits of these ids must read and multiply.
    pub fn pass_cost(&self, vocabulary: Range<usize>) -> PassCost {
        let mut cost = PassCost { bytes: 0, weights: 0 };
        for (matrix, panels) in self.matrices(vocabulary) {
            cost.bytes += matrix.bytes_of(panels.len());
            cost.weights += panels.len() * PANEL * matrix.k();
        }
        cost
    }

    /// The matrices that a pass multiplies with and the panels that it needs, in order: those of
    /// the layers, then those of the logits.
    pub fn matrices(&self, vocabulary: Range<usize>) -> impl Iterator<Item = (&Matrix, Range<usize>)> {
        let layers = self.layers.iter().flat_map(Layer::matrices);
        layers.map(|matrix| (matrix, 0..matrix.panels())).chain(matrices(&self.output, vocabulary))
    }

    /// A stream with room for `tokens` committed and staged tokens. Keys and values are f32 under
    /// [`Precision::F32`] and [`Precision::F16`], else bf16.
    ///
    /// # Errors
    /// The system has no room.
    pub fn stream(&self, tokens: usize) -> Result<Stream> {
        Stream::new(self.id, &self.config, tokens, self.kv_format())
    }

    /// The factors of the bytes of a stream's keys and values.
    pub(super) fn stream_bytes(&self, tokens: usize) -> [usize; 5] {
        Kv::bytes_of(&self.config, tokens, self.kv_format())
    }

    fn kv_format(&self) -> KvFormat {
        match self.precision {
            Precision::F32 | Precision::F16 => KvFormat::F32,
            Precision::Bf16 | Precision::Int8 => KvFormat::Bf16,
        }
    }
}
