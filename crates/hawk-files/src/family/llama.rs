//! Llama, and what Chameleon shares with it: text and codes in one table and one output projection.

use hawk_kernels::MatrixSize;
use hawk_spec::Pipeline;

use super::ends::{EndTensors, InputTensors, LinearTensors, LogitTensors};
use super::names::TensorNames;
use super::rules::{FamilyReader, FamilyRules};
use crate::config::family::Family;
use crate::config::image::HawkConfig;
use crate::config::transformer::{Raw, TransformerConfig};
use crate::error::Result;
use crate::json::from_json;
use crate::source::ModelSource;

/// How its files are read.
pub(super) const READER: FamilyReader = FamilyReader {
    model_types: &["llama"],
    unlisted: &[],
    transformer: |_, bytes| from_json::<Raw>("a model's config", bytes)?.config(Family::Llama),
    hawk_json: Some(("llama", Family::Llama)),
    vq: None,
};

/// The names of the layers' tensors.
pub(super) const NAMES: TensorNames = TensorNames::HuggingFace("model.");

/// The rules of Llama.
pub(super) struct Llama;

impl FamilyRules for Llama {
    fn name(&self) -> &'static str {
        "Llama"
    }

    fn tensor_names(&self) -> TensorNames {
        NAMES
    }

    fn ends(&self, transformer: &TransformerConfig) -> EndTensors {
        ends(transformer)
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::LUMINA
    }

    fn writes_text(&self) -> bool {
        true
    }

    fn is_language_model(&self) -> bool {
        true
    }

    fn hawk_config(&self, _: &TransformerConfig, _: &ModelSource, _: &[String]) -> Result<Option<HawkConfig>> {
        Ok(None)
    }
}

/// One table, and one output projection.
pub(super) fn ends(c: &TransformerConfig) -> EndTensors {
    let table = NAMES.embedding();
    let weight = if c.tied_embeddings { table.clone() } else { "lm_head.weight".to_owned() };
    let size = MatrixSize { outputs: c.vocab, inputs: c.hidden };
    EndTensors {
        inputs: vec![InputTensors::Stored { name: table, rows: c.vocab }],
        logits: LogitTensors::Linear(LinearTensors { weight, bias: None, size }),
        captions: None,
    }
}
