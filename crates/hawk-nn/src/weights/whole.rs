//! All weights of a transformer.

use hawk_files::{Result, TransformerConfig};

use super::captions::Captions;
use super::embedding::Embedding;
use super::ends::{Ends, OutputHead};
use super::layer::Layer;
use super::packer::Packer;

/// The weights of a transformer, its matrices in a device's form.
pub struct Weights<M> {
    /// Sizes and variants, as the checkpoint has them.
    pub config: TransformerConfig,
    /// Inputs of the ids.
    pub embedding: Embedding,
    /// Of families that read captions.
    pub captions: Option<Captions>,
    /// The layers, in order.
    pub layers: Vec<Layer<M>>,
    /// Factors of the final norm, `[D]`.
    pub norm: Vec<f32>,
    /// From the last hidden state to logits.
    pub output: OutputHead<M>,
}

impl<M> Weights<M> {
    /// Reads a checkpoint that has these layers ([`TransformerConfig::for_weights`],
    /// [`TransformerConfig::check_layers`]).
    ///
    /// # Errors
    /// A tensor is missing, has the wrong shape or number format or a number that is not finite, or
    /// the device cannot take a matrix.
    pub fn load(config: TransformerConfig, packer: &impl Packer<Matrix = M>) -> Result<Self> {
        let Ends { tables, output, captions } = Ends::load(&config, packer)?;
        let norm = config.family.rules().tensor_names().norm();
        Ok(Self {
            layers: (0..config.layers).map(|i| Layer::load(&config, packer, i)).collect::<Result<_>>()?,
            norm: packer.checkpoint().tensor(&norm, &[config.hidden])?.to_f32(),
            embedding: Embedding::new(config.hidden, tables),
            captions,
            output,
            config,
        })
    }
}
