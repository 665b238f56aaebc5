//! The target: a transformer of the Llama kind that runs any tree of rows of several streams in one pass.
//!
//! What families share is here and in `weights`, `pass`, `names`; each family's file holds what only it has.

mod dense;
mod janus;
mod llama;
mod llamagen;
mod names;
mod pass;
mod weights;

use std::collections::BTreeSet;
use std::ops::Range;

pub use janus::{JanusSizes, Layout as JanusLayout};
pub(crate) use llamagen::SIZES as LLAMAGEN_SIZES;
pub use llamagen::{CaptionFeatures, LlamaGenCondition, LlamaGenSizes};
pub use pass::Staged;

pub(crate) use dense::{Dense, gelu};
pub(crate) use janus::janus_config;
pub(crate) use llamagen::llamagen_config;
pub(crate) use weights::MATRICES;

use crate::attention::Rope;
use crate::inventory::WantedTensor;
use crate::kernels::{Activations, Isa, Matrix, PANEL, Pool, Precision};
use crate::kv::{KvFormat, OwnInputs, Stream};
use crate::projection::{OutputHead, Projection};
use crate::{Checkpoint, Error, Family, Result, TransformerConfig};
use llamagen::Captions;
use names::Names;
use pass::Pass;
use weights::{Embedding, Layer, Table};

/// A loaded transformer.
pub struct Target {
    config: TransformerConfig,
    precision: Precision,
    embedding: Embedding,
    /// Of families that read captions.
    captions: Option<Captions>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    output: OutputHead,
}

/// What a family loads from.
#[derive(Clone, Copy)]
pub(crate) struct Loading<'a> {
    config: &'a TransformerConfig,
    checkpoint: &'a Checkpoint,
    precision: Precision,
}

/// What a family has before and behind its layers.
pub(crate) struct Ends {
    /// Inputs of the ids from 0 on.
    tables: Vec<Table>,
    output: OutputHead,
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
    /// Between the layers of the output head, where it has two.
    head: Vec<f32>,
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

impl TransformerConfig {
    /// Every tensor that [`Target::load`] asks a checkpoint for.
    #[must_use]
    pub fn tensors(&self) -> Vec<WantedTensor> {
        let names = Names::of(self.family);
        let mut wanted = match self.family {
            Family::Chameleon | Family::Llama => llama::tensors(self),
            Family::Janus(sizes) => sizes.tensors(self),
            Family::LlamaGen(sizes) => sizes.tensors(self),
        };
        for layer in 0..self.layers {
            wanted.extend(names.layer_tensors(self, layer));
            wanted.extend(llama::head_norms(self, layer));
        }
        wanted.push(WantedTensor::exact(names.norm(), vec![self.hidden]));
        wanted
    }

    /// Refuses weights of layers that the config says nothing of: without them it would be another model.
    fn check_layers(&self, checkpoint: &Checkpoint) -> Result<()> {
        let wanted: BTreeSet<String> = self.tensors().into_iter().map(|tensor| tensor.name).collect();
        let stem = Names::of(self.family).layers();
        let unknown = |name: &&str| {
            name.starts_with(&stem)
                && [".weight", ".bias"].iter().any(|end| name.ends_with(end))
                && !wanted.contains(*name)
        };
        match checkpoint.names().find(unknown) {
            None => Ok(()),
            Some(name) => Err(Error::input("the weights have a tensor in their layers that the config does not know")
                .at("num_hidden_layers or model_type")
                .at(checkpoint.place())
                .expected(format!("{} layers of the family {}", self.layers, self.family.name()))
                .got(name)),
        }
    }
}

impl Target {
    /// Loads and packs a checkpoint, or maps one that is packed.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape or number format; the checkpoint is packed for another precision.
    pub fn load(config: TransformerConfig, checkpoint: &Checkpoint, precision: Precision) -> Result<Self> {
        config.check_layers(checkpoint)?;
        let loading = Loading { config: &config, checkpoint, precision };
        let Ends { tables, output } = match config.family {
            Family::Chameleon | Family::Llama => llama::load(&loading)?,
            Family::Janus(sizes) => sizes.load(&loading)?,
            Family::LlamaGen(sizes) => sizes.load(&loading)?,
        };
        Ok(Self {
            layers: (0..config.layers)
                .map(|i| Layer::load(&config, checkpoint, precision, i))
                .collect::<Result<_>>()?,
            norm: checkpoint.tensor(&Names::of(config.family).norm(), &[config.hidden])?.to_f32(),
            captions: Captions::of(loading)?,
            embedding: Embedding::new(config.hidden, tables),
            output,
            config,
            precision,
        })
    }

    /// Sizes and choices.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// From the last hidden state to logits.
    pub(crate) fn output(&self) -> &OutputHead {
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
    pub fn caption(&self, pool: &Pool, features: &CaptionFeatures) -> Result<OwnInputs> {
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

    /// The matrices that a pass multiplies with, in their order, and their panels that it needs: those of a layer, layer by layer, and those of
    /// the logits.
    pub(crate) fn matrices(&self, vocabulary: Range<usize>) -> impl Iterator<Item = (&Matrix, Range<usize>)> {
        let layers = self.layers.iter().flat_map(Layer::matrices);
        layers.map(|matrix| (matrix, 0..matrix.panels())).chain(self.output.matrices(vocabulary))
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
        let widest = c.hidden.max(inner).max(q).max(self.output.inner_width());
        Workspace {
            limits,
            capacity,
            rope: Rope::new(c, capacity),
            activations: Activations::new(self.precision, rows, widest),
            hidden: vec![0.0; rows * c.hidden],
            normed: vec![0.0; rows * c.hidden],
            qkv: vec![0.0; rows * (q + 2 * c.kv_heads * c.head_dim)],
            attended: vec![0.0; rows * q],
            // Also the scratch row of a norm that comes after its block.
            gated: vec![0.0; (rows * inner).max(c.hidden)],
            scores: vec![0.0; rows * c.heads * capacity],
            head: vec![0.0; limits.readouts * self.output.inner_width()],
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
            stream.check(self.config.vocab, d, workspace.rope.positions())?;
            assert!(stream.capacity() <= workspace.capacity, "the workspace was made for shorter streams");
            for token in stream.rows.tokens() {
                let out = &mut workspace.hidden[at * d..][..d];
                self.embedding.row_into(token.index(), stream.inputs(), out);
                at += 1;
            }
        }
        let mut pass = Pass { target: self, pool, isa: Isa::detect(), workspace, streams, rows };
        for layer in 0..self.layers.len() {
            pass.layer(layer);
        }
        pass.read_out(&projection);
        let (hidden, columns) = (&workspace.normed[..readouts * d], projection.columns());
        Ok(Staged::new(streams, hidden, &workspace.logits[..readouts * columns], columns))
    }
}
