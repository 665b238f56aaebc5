//! What a family fixes: its configs, the names of its tensors, the tokens around an image. Each
//! family has a file; this file chooses among them.

pub(crate) mod chameleon;
pub(crate) mod ends;
mod janus;
mod llama;
pub(crate) mod llamagen;
pub(crate) mod names;

use std::collections::BTreeSet;

use serde::Deserialize;

use self::chameleon::HeadNormTensors;
use self::ends::{EndTensors, LogitTensors};
use self::names::TensorNames;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::inventory::WantedTensor;
use crate::checkpoint::tensor::Tensor;
use crate::config::family::Family;
use crate::config::image::HawkConfig;
use crate::config::transformer::{Raw, TransformerConfig};
use crate::error::{Error, Result};
use crate::json::from_json;
use crate::places::folder_names;
use crate::source::ModelSource;
use crate::tokenizer::TextTokenizer;

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

impl TransformerConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Not JSON, a field that is missing, out of range or contradicts another, or an unsupported
    /// feature.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let kind: Kind = from_json("a model's config", bytes)?;
        let family = match kind.model_type.as_deref() {
            Some("chameleon" | "lumina_mgpt") => Family::Chameleon,
            Some("llama") => Family::Llama,
            Some(name @ ("janus" | "multi_modality")) => return janus::janus_config(name, bytes),
            Some("llamagen") => return llamagen::llamagen_config(bytes),
            other => {
                return Err(Error::input("an unknown family")
                    .at("model_type")
                    .expected("chameleon, llama, janus, multi_modality or llamagen")
                    .got(other.unwrap_or("nothing")));
            }
        };
        from_json::<Raw>("a model's config", bytes)?.config(family)
    }

    /// Every tensor that a transformer of this config is made of.
    #[must_use]
    pub fn tensors(&self) -> Vec<WantedTensor> {
        let names = TensorNames::of(self.family);
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
        match self.family {
            Family::Chameleon | Family::Llama => llama::ends(self),
            Family::Janus(sizes) => sizes.ends(self),
            Family::LlamaGen(sizes) => sizes.ends(self),
        }
    }

    /// The norms over the heads of a layer's queries and keys, in families that have them.
    #[must_use]
    pub fn head_norms(&self, layer: usize) -> Option<[HeadNormTensors; 2]> {
        match self.family {
            Family::Chameleon => Some(chameleon::head_norms(self, layer)),
            Family::Llama | Family::Janus(_) | Family::LlamaGen(_) => None,
        }
    }

    /// Refuses weights of layers that the config does not mention: with them the model would be
    /// another one.
    ///
    /// # Errors
    /// There is such a tensor.
    pub fn check_layers(&self, checkpoint: &Checkpoint) -> Result<()> {
        let wanted: BTreeSet<String> = self.tensors().into_iter().map(|tensor| tensor.name).collect();
        let stem = TensorNames::of(self.family).layers();
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

impl HawkConfig {
    /// The content of `hawk.json`, or what it would be for a public model without one. None if the
    /// folder lacks the text tokenizer or VQ tokenizer that it is derived from.
    ///
    /// # Errors
    /// A file that is damaged, or a tokenizer that is not the family's.
    pub fn of_model(source: &ModelSource, transformer: &TransformerConfig) -> Result<Option<Self>> {
        Self::of_named_model(source, transformer, &folder_names(source))
    }

    /// As [`HawkConfig::of_model`], for a model of these names, the likeliest first.
    pub(crate) fn of_named_model(
        source: &ModelSource,
        transformer: &TransformerConfig,
        names: &[String],
    ) -> Result<Option<Self>> {
        if source.contains("hawk.json") {
            let config = Self::from_json(&source.read("hawk.json")?).and_then(|config| {
                config.check(transformer)?;
                Ok(config)
            });
            return config.map(Some).map_err(|e| e.at(source.describe("hawk.json")));
        }
        let derived = match transformer.family {
            Family::Llama => None,
            Family::Chameleon => return Self::of_chameleon(source, transformer, names),
            Family::Janus(sizes) => match (source.tokenizer_file(), source.vq()?) {
                (Some(name), Some(vq)) => {
                    let tokenizer = TextTokenizer::from_bytes(&source.read_tokenizer()?.1);
                    let config = tokenizer.and_then(|t| Self::janus(transformer, sizes, &t, &vq.config));
                    Some(config.map_err(|e| e.at(source.describe(name)))?)
                }
                _ => None,
            },
            Family::LlamaGen(sizes) => match source.vq()? {
                Some(vq) => Some(Self::llamagen(transformer, sizes, &vq.config)?),
                None => None,
            },
        };
        let checked = derived.map(|config| config.check(transformer).map(|()| config)).transpose();
        checked.map_err(|e| e.at(source.describe("config.json")))
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
