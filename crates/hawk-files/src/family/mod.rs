//! What a family fixes: its configs, the names of its tensors, the tokens around an image. Each
//! family has a file, which answers the questions of `rules`; `table` lists the families.

pub(crate) mod chameleon;
pub(crate) mod ends;
mod hawk_json;
mod janus;
mod llama;
pub(crate) mod llamagen;
pub(crate) mod names;
pub(crate) mod rules;
mod table;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::ends::{EndTensors, InputTensors, LogitTensors};
use self::names::HeadNormTensors;
use self::table::READERS;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::inventory::WantedTensor;
use crate::checkpoint::tensor::Tensor;
use crate::config::transformer::TransformerConfig;
use crate::config::vq::VqConfig;
use crate::error::{Error, Result};
use crate::json::from_json;

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

/// The `model_type`s that a user may be told of.
fn known_model_types() -> String {
    let known: Vec<&str> = READERS.iter().flat_map(|reader| reader.model_types).copied().collect();
    match known.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

impl TransformerConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Not JSON, a field that is missing, out of range or contradicts another, or an unsupported
    /// feature.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let kind: Kind = from_json("a model's config", bytes)?;
        let model_type = kind.model_type.as_deref().unwrap_or_default();
        match READERS.iter().find(|reader| reader.reads(model_type)) {
            Some(reader) => (reader.transformer)(model_type, bytes),
            None => Err(Error::input("an unknown family")
                .at("model_type")
                .expected(known_model_types())
                .got(kind.model_type.as_deref().unwrap_or("nothing"))),
        }
    }

    /// The same config for these weights: where it says that the output projection is the embedding,
    /// and the weights have an output projection of their own with other numbers, both are kept, as
    /// the reference library keeps them.
    ///
    /// # Errors
    /// A tensor that cannot be read.
    pub fn for_weights(self, checkpoint: &Checkpoint) -> Result<Self> {
        let apart = Self { tied_embeddings: false, ..self.clone() };
        let (EndTensors { inputs, .. }, LogitTensors::Linear(own)) = (self.ends(), apart.ends().logits) else {
            return Ok(self);
        };
        let Some(InputTensors::Stored { name: table, .. }) = inputs.into_iter().next() else { return Ok(self) };
        let differ = self.tied_embeddings && own.weight != table && checkpoint.differ(&own.weight, &table)?;
        Ok(if differ { apart } else { self })
    }

    /// The ids whose logits the model gives; a pass takes any range inside.
    #[must_use]
    pub fn readable(&self) -> Range<usize> {
        self.family.rules().readable(self)
    }

    /// The ids that text may have.
    #[must_use]
    pub fn text(&self) -> Range<usize> {
        self.family.rules().text(self)
    }

    /// Every tensor that a transformer of this config is made of.
    #[must_use]
    pub fn tensors(&self) -> Vec<WantedTensor> {
        let names = self.family.rules().tensor_names();
        let mut wanted = self.ends().wanted(self.hidden);
        for layer in 0..self.layers {
            wanted.extend(names.layer_tensors(self, layer));
            for HeadNormTensors { weight, bias, heads } in self.head_norms(layer).into_iter().flatten() {
                wanted.extend([weight, bias].map(|name| WantedTensor::shared(name, vec![heads, self.head_dim])));
            }
        }
        wanted.push(WantedTensor::exact(names.norm(), vec![self.hidden]));
        wanted
    }

    /// The tensors beside the layers, and how they become inputs and logits.
    #[must_use]
    pub fn ends(&self) -> EndTensors {
        self.family.rules().ends(self)
    }

    /// The norms over the heads of a layer's queries and keys, in families that have them.
    #[must_use]
    pub fn head_norms(&self, layer: usize) -> Option<[HeadNormTensors; 2]> {
        self.family.rules().head_norms(self, layer)
    }

    /// Refuses weights of layers that the config does not mention: with them the model would be
    /// another one.
    ///
    /// # Errors
    /// There is such a tensor.
    pub fn check_layers(&self, checkpoint: &Checkpoint) -> Result<()> {
        let wanted: BTreeSet<String> = self.tensors().into_iter().map(|tensor| tensor.name).collect();
        let stem = self.family.rules().tensor_names().layers();
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

    /// The tensor of the output projection, `[ids, D]`; row 0 is the first of
    /// [`readable`](Self::readable).
    ///
    /// # Errors
    /// It is missing or does not fit the config, or logits of this family are more than one
    /// product.
    pub fn output_projection<'c>(&self, checkpoint: &'c Checkpoint) -> Result<Tensor<'c>> {
        match self.ends().logits {
            LogitTensors::Linear(linear) => checkpoint.tensor(&linear.weight, &linear.shape()),
            LogitTensors::Mlp { .. } => Err(Error::input("this family's head is more than one projection")
                .expected("a family whose logits are one product with the hidden state")
                .got(self.family.name())),
        }
    }
}

impl VqConfig {
    /// The VQ tokenizer that the `config.json` of a whole model describes: in some families its
    /// weights are among the model's.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_model_json(bytes: &[u8]) -> Result<Option<Self>> {
        let model: Map<String, Value> = from_json("a model's config", bytes)?;
        let Some(model_type) = model.get("model_type").and_then(Value::as_str) else { return Ok(None) };
        let reader = READERS.iter().find(|reader| reader.reads(model_type)).and_then(|reader| reader.vq);
        reader.map(|read| read(model_type, &model)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"model_type":"llama","hidden_size":64,"intermediate_size":144,"num_hidden_layers":2,
        "num_attention_heads":4,"vocab_size":100,"rms_norm_eps":1e-5,"rope_parameters":{"rope_theta":500.0,"rope_type":"default"}}"#;

    #[test]
    fn defaults_are_filled() {
        let config = TransformerConfig::from_json(GOOD.as_bytes()).unwrap();
        assert_eq!((config.kv_heads, config.head_dim, config.rope_base), (4, 16, 500.0));
    }
}
