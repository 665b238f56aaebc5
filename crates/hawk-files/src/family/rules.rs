//! What a family answers: everything in which families differ.

use std::ops::Range;

use hawk_spec::Pipeline;
use serde_json::{Map, Value};

use super::ends::EndTensors;
use super::names::{HeadNormTensors, TensorNames};
use crate::config::family::Family;
use crate::config::image::HawkConfig;
use crate::config::transformer::{LayerSizes, TransformerConfig};
use crate::config::vq::VqConfig;
use crate::error::Result;
use crate::source::ModelSource;

/// What a family fixes. [`Family::rules`] gives those of a model. What has a default is as in a
/// Llama.
pub trait FamilyRules {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// How it names the tensors of its layers.
    fn tensor_names(&self) -> TensorNames;

    /// The tensors beside the layers, and how they become inputs and logits.
    fn ends(&self, transformer: &TransformerConfig) -> EndTensors;

    /// The norms over the heads of a layer's queries and keys, if it has them.
    fn head_norms(&self, _: &TransformerConfig, _layer: usize) -> Option<[HeadNormTensors; 2]> {
        None
    }

    /// The ids whose logits the model gives.
    fn readable(&self, transformer: &TransformerConfig) -> Range<usize> {
        0..transformer.vocab
    }

    /// The ids that text may have.
    fn text(&self, transformer: &TransformerConfig) -> Range<usize> {
        0..transformer.vocab
    }

    /// The order of guidance and warping of its images.
    fn pipeline(&self) -> Pipeline;

    /// Whether it writes text.
    fn writes_text(&self) -> bool {
        false
    }

    /// Whether a model without `hawk.json` is a language model.
    fn is_language_model(&self) -> bool {
        false
    }

    /// Rows, and columns, of the grid that `config.json` fixes, if it fixes one.
    fn side(&self) -> Option<usize> {
        None
    }

    /// Writes other sizes of the layers into a `config.json` that was read as this family's.
    fn set_layer_sizes(&self, config: &mut Value, sizes: &LayerSizes) {
        sizes.write(config);
    }

    /// What only this family has, in one line for people.
    fn details(&self) -> Option<String> {
        None
    }

    /// What `hawk.json` would be for a public model without one, whose names are `names`, the
    /// likeliest first. None if the model lacks a file that it is derived from.
    ///
    /// # Errors
    /// A file that is damaged, or a tokenizer that is not the family's.
    fn hawk_config(
        &self,
        transformer: &TransformerConfig,
        source: &ModelSource,
        names: &[String],
    ) -> Result<Option<HawkConfig>>;
}

/// Reads the VQ tokenizer that a whole model's config of this `model_type` describes.
pub(super) type VqReader = fn(&str, &Map<String, Value>) -> Result<VqConfig>;

/// How a family's files are recognized and read.
pub(super) struct FamilyReader {
    /// The `model_type`s of its `config.json`.
    pub(super) model_types: &'static [&'static str],
    /// Further ones, which are not suggested to a user.
    pub(super) unlisted: &'static [&'static str],
    /// Reads `config.json` of this `model_type`.
    pub(super) transformer: fn(&str, &[u8]) -> Result<TransformerConfig>,
    /// Its word in `hawk.json`; none if it needs no such file.
    pub(super) hawk_json: Option<(&'static str, Family)>,
    /// Reads the VQ tokenizer that `config.json` of this `model_type` describes; none in families
    /// whose VQ tokenizer has a config of its own.
    pub(super) vq: Option<VqReader>,
}

impl FamilyReader {
    /// Whether it reads this `model_type`.
    pub(super) fn reads(&self, model_type: &str) -> bool {
        self.model_types.iter().chain(self.unlisted).any(|known| *known == model_type)
    }
}
