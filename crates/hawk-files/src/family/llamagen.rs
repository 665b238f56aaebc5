//! LlamaGen: a Llama over image codes alone, with rotary positions by row and column. An image
//! follows a class or the features of a caption.
//!
//! Tensors are named as in FoundationVision/LlamaGen. Ids of codes come first. Behind them are the
//! ids of classes, the last of which means no class, or of the vectors that stand for no caption.

use std::ops::Range;

use hawk_spec::{Pipeline, Structure, TokenId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ends::{Activation, CaptionTensors, EndTensors, InputTensors, LinearTensors, LogitTensors, MlpTensors};
use super::names::TensorNames;
use super::rules::{FamilyReader, FamilyRules};
use crate::config::family::{Family, LlamaGenCondition, LlamaGenSizes};
use crate::config::image::{
    CaptionPrompt, ClassPrompt, Condition, HawkConfig, Sizes, decoded, defaults, square_layout,
};
use crate::config::transformer::{LayerSizes, NormPlacement, Rotary, TransformerConfig};
use crate::config::vq::VqConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, positive, size, unsupported};
use crate::source::ModelSource;

impl LlamaGenCondition {
    /// Positions before the first cell.
    fn positions(self) -> usize {
        match self {
            Self::Classes(_) => 1,
            Self::Captions { most, .. } => most,
        }
    }

    /// Ids behind those of the codes.
    fn ids(self) -> usize {
        match self {
            Self::Classes(classes) => classes + 1,
            Self::Captions { most, .. } => most,
        }
    }
}

/// The arguments of the reference under their own names, with its defaults; `gpt_type` is its
/// `model_type`.
#[derive(Deserialize)]
struct Raw {
    gpt_type: String,
    /// `GPT-B` and so on, in place of the three sizes.
    gpt_model: Option<String>,
    dim: Option<u64>,
    n_layer: Option<u64>,
    n_head: Option<u64>,
    n_kv_head: Option<u64>,
    multiple_of: Option<u64>,
    ffn_dim_multiplier: Option<f64>,
    rope_base: Option<f64>,
    norm_eps: Option<f64>,
    vocab_size: Option<u64>,
    block_size: u64,
    num_classes: Option<u64>,
    caption_dim: Option<u64>,
    cls_token_num: Option<u64>,
}

/// Layers, heads, width of the published sizes.
pub(crate) const SIZES: [(&str, [u64; 3]); 8] = [
    ("GPT-B", [12, 12, 768]),
    ("GPT-L", [24, 16, 1024]),
    ("GPT-XL", [36, 20, 1280]),
    ("GPT-XXL", [48, 24, 1536]),
    ("GPT-XXXL", [48, 40, 2560]),
    ("GPT-1B", [22, 32, 2048]),
    ("GPT-3B", [24, 32, 3200]),
    ("GPT-7B", [32, 32, 4096]),
];

/// How its files are read.
pub(super) const READER: FamilyReader = FamilyReader {
    model_types: &["llamagen"],
    unlisted: &[],
    transformer: |_, bytes| from_json::<Raw>("a LlamaGen's config", bytes)?.config(),
    hawk_json: None,
    vq: None,
};

impl Raw {
    fn config(&self) -> Result<TransformerConfig> {
        let [layers, heads, hidden] = self.sizes()?;
        if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
            return Err(Error::input("rows and columns need pairs of a head each")
                .at("dim / n_head")
                .expected("a multiple of 4")
                .got(format!("{hidden} / {heads}")));
        }
        let codes = size("vocab_size", self.vocab_size.unwrap_or(16384), 1 << 20)?;
        let (condition, side) = (self.condition()?, self.side()?);
        let conditions = condition.positions();
        TransformerConfig {
            family: Family::LlamaGen(LlamaGenSizes { codes, side, condition }),
            hidden,
            intermediate: self.intermediate(hidden)?,
            layers,
            heads,
            kv_heads: self.n_kv_head.map_or(Ok(heads), |n| size("n_kv_head", n, 1 << 10))?,
            head_dim: hidden / heads,
            vocab: codes + condition.ids(),
            norm_eps: positive("norm_eps", self.norm_eps.unwrap_or(1e-5))?,
            rope_base: positive("rope_base", self.rope_base.unwrap_or(10_000.0))?,
            rotary: Rotary::Grid { conditions, side },
            norm_placement: NormPlacement::Before,
            tied_embeddings: false,
            max_positions: conditions + side * side,
        }
        .consistent()
        // A Hugging Face config would name the field otherwise.
        .map_err(|e| e.at("n_head"))
    }

    /// Layers, heads, width.
    fn sizes(&self) -> Result<[usize; 3]> {
        let named = match self.gpt_model.as_deref() {
            None => None,
            Some(name) => match SIZES.iter().find(|(known, _)| *known == name) {
                Some((_, sizes)) => Some(sizes),
                None => return Err(unsupported("gpt_model", &SIZES.map(|(name, _)| name).join(" or "), name)),
            },
        };
        let fields = [("n_layer", self.n_layer, 1 << 10), ("n_head", self.n_head, 1 << 10), ("dim", self.dim, 1 << 17)];
        let mut sizes = [0; 3];
        for (at, (field, given, most)) in fields.into_iter().enumerate() {
            let named = named.map(|sizes| sizes[at]);
            let value = match (given, named) {
                (Some(given), Some(named)) if given != named => {
                    let expected = format!("{named}, as gpt_model says");
                    return Err(Error::input("two sizes of one model").at(field).expected(expected).got(given));
                }
                (given, named) => given.or(named),
            };
            let missing = || Error::input("a size is missing").at(field).hint("`gpt_model` names a published size");
            sizes[at] = size(field, value.ok_or_else(missing)?, most)?;
        }
        Ok(sizes)
    }

    /// Two thirds of four times the width, rounded up to a multiple.
    fn intermediate(&self, hidden: usize) -> Result<usize> {
        let multiple = size("multiple_of", self.multiple_of.unwrap_or(256), 1 << 16)?;
        let factor = positive("ffn_dim_multiplier", self.ffn_dim_multiplier.unwrap_or(1.0))?;
        let width = match self.ffn_dim_multiplier {
            None => 8 * hidden / 3,
            Some(_) => (f64::from(factor.min(1024.0)) * (8 * hidden / 3) as f64) as usize,
        };
        size("ffn_dim_multiplier", width.next_multiple_of(multiple) as u64, 1 << 19)
    }

    fn side(&self) -> Result<usize> {
        let cells = size("block_size", self.block_size, 1 << 20)?;
        let side = cells.isqrt();
        if side * side == cells {
            return Ok(side);
        }
        Err(Error::input("the grid must be a square").at("block_size").expected("a square number").got(cells))
    }

    fn condition(&self) -> Result<LlamaGenCondition> {
        match self.gpt_type.as_str() {
            "c2i" => match self.cls_token_num {
                None | Some(1) => {
                    Ok(LlamaGenCondition::Classes(size("num_classes", self.num_classes.unwrap_or(1000), 1 << 20)?))
                }
                Some(other) => Err(Error::input("a class is one token").at("cls_token_num").expected(1).got(other)),
            },
            "t2i" => Ok(LlamaGenCondition::Captions {
                width: size("caption_dim", self.caption_dim.unwrap_or(2048), 1 << 16)?,
                most: size("cls_token_num", self.cls_token_num.unwrap_or(120), 1 << 12)?,
            }),
            other => Err(unsupported("gpt_type", "c2i or t2i", other)),
        }
    }
}

impl FamilyRules for LlamaGenSizes {
    fn name(&self) -> &'static str {
        "LlamaGen"
    }

    fn tensor_names(&self) -> TensorNames {
        TensorNames::Meta
    }

    /// The tables of codes and conditions, and the output projection.
    fn ends(&self, c: &TransformerConfig) -> EndTensors {
        let d = c.hidden;
        let (conditions, captions) = match self.condition {
            LlamaGenCondition::Classes(classes) => {
                let name = "cls_embedding.embedding_table.weight".to_owned();
                (InputTensors::Stored { name, rows: classes + 1 }, None)
            }
            LlamaGenCondition::Captions { width, most } => {
                let layers = vec![
                    LinearTensors::unbiased("cls_embedding.cap_proj.fc1", d, width),
                    LinearTensors::unbiased("cls_embedding.cap_proj.fc2", d, d),
                ];
                let mlp = MlpTensors { layers, activation: Activation::GeluTanh };
                let name = "cls_embedding.uncond_embedding".to_owned();
                let nothing = InputTensors::Computed { name, rows: most, width, mlp: mlp.clone() };
                (nothing, Some(CaptionTensors { mlp, width, most }))
            }
        };
        let codes = InputTensors::Stored { name: self.tensor_names().embedding(), rows: self.codes };
        EndTensors {
            inputs: vec![codes, conditions],
            logits: LogitTensors::Linear(LinearTensors::unbiased("output", self.codes, d)),
            captions,
        }
    }
    fn readable(&self, _: &TransformerConfig) -> Range<usize> {
        0..self.codes
    }

    fn text(&self, _: &TransformerConfig) -> Range<usize> {
        0..0
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::TEMPERATURE_FIRST
    }

    fn side(&self) -> Option<usize> {
        Some(self.side)
    }

    /// The width of the SwiGLU has no key. It is rounded up to a multiple, here of itself.
    fn set_layer_sizes(&self, config: &mut Value, sizes: &LayerSizes) {
        config["gpt_model"] = Value::Null;
        for (key, size) in [
            ("dim", sizes.hidden),
            ("n_layer", sizes.layers),
            ("n_head", sizes.heads),
            ("n_kv_head", sizes.kv_heads),
            ("multiple_of", sizes.intermediate),
        ] {
            config[key] = json!(size);
        }
        let half = sizes.intermediate as f64 / (8 * sizes.hidden / 3) as f64 / 2.0;
        config["ffn_dim_multiplier"] = json!(half);
        config["norm_eps"] = json!(sizes.norm_eps);
    }

    fn details(&self) -> Option<String> {
        Some(match self.condition {
            LlamaGenCondition::Classes(classes) => format!("draws {classes} classes"),
            LlamaGenCondition::Captions { width, most } => {
                format!("draws captions of at most {most} features of size {width}")
            }
        })
    }

    fn hawk_config(
        &self,
        transformer: &TransformerConfig,
        source: &ModelSource,
        _names: &[String],
    ) -> Result<Option<HawkConfig>> {
        source.vq()?.map(|vq| self.image_side(transformer, &vq.config)).transpose()
    }
}

impl LlamaGenSizes {
    /// What a LlamaGen fixes: its published sampling, and conditions behind the codes.
    fn image_side(&self, transformer: &TransformerConfig, vq: &VqConfig) -> Result<HawkConfig> {
        let behind = TokenId(self.codes as u32);
        let (condition, cfg, top_k) = match self.condition {
            LlamaGenCondition::Classes(classes) => {
                (Condition::Class(ClassPrompt { first: behind, classes: classes as u32 }), 4.0, 2000)
            }
            LlamaGenCondition::Captions { most, .. } => {
                let own = TokenId(transformer.vocab as u32);
                (Condition::Caption(CaptionPrompt { own, none: behind, most: most as u32 }), 7.5, 1000)
            }
        };
        Ok(HawkConfig {
            layout: square_layout(self.side, self.readable(transformer), Structure::Plain)?,
            family: transformer.family,
            image_size: decoded(self.side, vq)?,
            sizes: Sizes::Fixed,
            condition,
            defaults: defaults(cfg, 1.0, top_k, 1.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &Value) -> Result<TransformerConfig> {
        let mut json = json!({"model_type": "llamagen", "gpt_type": "c2i", "gpt_model": "GPT-B", "block_size": 256});
        for (key, value) in changes.as_object().unwrap() {
            json[key] = value.clone();
        }
        TransformerConfig::from_json(&serde_json::to_vec(&json).unwrap())
    }

    #[test]
    fn the_published_sizes_are_filled_in() {
        let c = read(&json!({})).unwrap();
        assert_eq!((c.hidden, c.layers, c.heads, c.head_dim, c.intermediate), (768, 12, 12, 64, 2048));
        assert_eq!((c.vocab, c.readable(), c.max_positions), (16384 + 1001, 0..16384, 257));
        let c = read(&json!({"gpt_model": "GPT-3B", "block_size": 576})).unwrap();
        assert_eq!((c.hidden, c.head_dim, c.intermediate), (3200, 100, 8704));
        let c = read(&json!({"gpt_type": "t2i", "gpt_model": "GPT-XL", "block_size": 1024})).unwrap();
        assert_eq!((c.hidden, c.intermediate, c.vocab, c.max_positions), (1280, 3584, 16504, 1144));
        let c = read(&json!({"gpt_model": null, "dim": 64, "n_head": 4, "n_layer": 2, "n_kv_head": 2,
                             "ffn_dim_multiplier": 1.5}));
        assert_eq!(c.map(|c| (c.intermediate, c.kv_heads)).unwrap(), (256, 2));
    }

    #[test]
    fn every_field_that_lies_is_named() {
        for (changes, named) in [
            (json!({"gpt_type": "v2i"}), "v2i"),
            (json!({"gpt_type": null}), "LlamaGen"),
            (json!({"gpt_model": "GPT-9"}), "GPT-9"),
            (json!({"gpt_model": null}), "gpt_model"),
            (json!({"dim": 1024}), "768, as gpt_model says"),
            (json!({"n_layer": 0}), "n_layer"),
            (json!({"gpt_model": null, "dim": 64, "n_head": 5, "n_layer": 2}), "64 / 5"),
            (json!({"gpt_model": null, "dim": 12, "n_head": 2, "n_layer": 2}), "12 / 2"),
            (json!({"gpt_model": null, "dim": 64, "n_head": 0, "n_layer": 2}), "n_head"),
            (json!({"n_kv_head": 5}), "n_head"),
            (json!({"multiple_of": 0}), "multiple_of"),
            (json!({"ffn_dim_multiplier": -1.0}), "ffn_dim_multiplier"),
            (json!({"ffn_dim_multiplier": 1e9}), "ffn_dim_multiplier"),
            (json!({"rope_base": 0}), "rope_base"),
            (json!({"norm_eps": -1}), "norm_eps"),
            (json!({"vocab_size": 0}), "vocab_size"),
            (json!({"block_size": 255}), "block_size"),
            (json!({"block_size": 0}), "block_size"),
            (json!({"num_classes": 0}), "num_classes"),
            (json!({"cls_token_num": 120}), "cls_token_num"),
            (json!({"gpt_type": "t2i", "cls_token_num": 0}), "cls_token_num"),
            (json!({"gpt_type": "t2i", "caption_dim": 0}), "caption_dim"),
        ] {
            let error = read(&changes).unwrap_err().to_string();
            assert!(error.contains(named), "{changes}: {error}");
        }
    }
}
