//! Janus-Pro: a Llama with a table and an aligner for the inputs of image codes, and a head of its
//! own for their logits.
//!
//! Two layouts are read: the original (`multi_modality`, deepseek-ai/Janus) and that of
//! transformers (`janus`). Ids of text come first, ids of image codes follow. The head over text
//! and the understanding of images are not loaded.

use std::ops::Range;

use hawk_spec::{Pipeline, Structure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ends::{Activation, EndTensors, InputTensors, LinearTensors, LogitTensors, MlpTensors};
use super::names::TensorNames;
use super::rules::{FamilyReader, FamilyRules};
use crate::config::family::{Family, JanusLayout, JanusSizes};
use crate::config::image::{
    Condition, HawkConfig, PromptTemplate, Sizes, TextPrompt, Unconditional, decoded, defaults, square_layout,
};
use crate::config::transformer::{LayerSizes, Raw, TransformerConfig};
use crate::config::vq::{Levels, VqConfig, VqLayout};
use crate::error::{Error, Result};
use crate::json::{from_json, from_value, size, unsupported};
use crate::source::ModelSource;
use crate::tokenizer::TextTokenizer;

/// `model_type` of transformers' layout.
const HUGGING_FACE: &str = "janus";
/// `model_type` of the original layout.
const ORIGINAL: &str = "multi_modality";

/// Defaults of `LlamaConfig` in transformers for missing keys; the published 7B relies on them.
fn llama_defaults() -> [(&'static str, Value); 7] {
    [
        ("hidden_size", json!(4096)),
        ("intermediate_size", json!(11008)),
        ("num_hidden_layers", json!(32)),
        ("num_attention_heads", json!(32)),
        ("vocab_size", json!(32000)),
        ("rms_norm_eps", json!(1e-6)),
        ("max_position_embeddings", json!(2048)),
    ]
}

/// The language part's keys, with the defaults of the library.
fn language(field: &str, keys: Option<Map<String, Value>>) -> Result<Raw> {
    let mut keys = keys.unwrap_or_default();
    for (key, value) in llama_defaults() {
        keys.entry(key).or_insert(value);
    }
    match keys.get("model_type").map_or(Some("llama"), Value::as_str) {
        Some("llama") => {}
        other => {
            let got = other.unwrap_or("no text").to_owned();
            return Err(unsupported("model_type", "llama", &got).at(field));
        }
    }
    from_value("a Llama's config", Value::Object(keys)).map_err(|e| e.at(field))
}

#[derive(Deserialize)]
struct HuggingFace {
    text_config: Option<Map<String, Value>>,
    #[serde(default)]
    vq_config: VqPart,
    #[serde(default)]
    vision_config: VisionPart,
}

#[derive(Deserialize)]
#[serde(default)]
struct VqPart {
    num_embeddings: u64,
    embed_dim: u64,
    num_hidden_layers: u64,
    projection_dim: u64,
    image_token_embed_dim: u64,
    hidden_act: String,
}

impl Default for VqPart {
    fn default() -> Self {
        Self {
            num_embeddings: 16384,
            embed_dim: 8,
            num_hidden_layers: 2,
            projection_dim: 2048,
            image_token_embed_dim: 2048,
            hidden_act: "gelu".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct VisionPart {
    image_size: u64,
    patch_size: u64,
}

impl Default for VisionPart {
    fn default() -> Self {
        Self { image_size: 384, patch_size: 16 }
    }
}

#[derive(Deserialize)]
struct Original {
    language_config: Option<Map<String, Value>>,
    gen_vision_config: Module<GenVision>,
    gen_aligner_config: Module<GenAligner>,
    gen_head_config: Module<GenHead>,
    #[serde(default)]
    vision_config: Module<VisionPart>,
}

/// A class with its parameters, as the original config lists the parts of the model.
#[derive(Default, Deserialize)]
struct Module<P> {
    #[serde(default)]
    cls: String,
    params: P,
}

#[derive(Deserialize)]
struct GenVision {
    image_token_size: u64,
    n_embed: u64,
}

#[derive(Deserialize)]
struct GenAligner {
    depth: u64,
    input_dim: u64,
    n_embed: u64,
    projector_type: String,
}

#[derive(Deserialize)]
struct GenHead {
    image_token_embed: u64,
    image_token_size: u64,
    n_embed: u64,
}

/// How its files are read.
pub(super) const READER: FamilyReader = FamilyReader {
    model_types: &[HUGGING_FACE, ORIGINAL],
    unlisted: &[],
    transformer: |model_type, bytes| match model_type {
        HUGGING_FACE => from_json::<HuggingFace>("a Janus's config", bytes)?.config(),
        _ => from_json::<Original>("a Janus's config", bytes)?.config(),
    },
    hawk_json: None,
    vq: Some(|model_type, model| match model_type {
        HUGGING_FACE => {
            VqConfig::from_keys(part_of(model, "vq_config")?, VqLayout::Janus).map_err(|e| e.at("vq_config"))
        }
        _ => original_vq(model),
    }),
};

/// A part of a config; empty if it is not there.
fn part_of(outer: &Map<String, Value>, field: &str) -> Result<Map<String, Value>> {
    match outer.get(field) {
        None => Ok(Map::new()),
        Some(Value::Object(keys)) => Ok(keys.clone()),
        Some(_) => Err(Error::input("not a part of a config").at(field).expected("an object")),
    }
}

/// The class VQ-16 has its sizes in its code; the table's stand in the config too.
fn original_vq(model: &Map<String, Value>) -> Result<VqConfig> {
    let vision = part_of(model, "gen_vision_config")?;
    let at = |e: Error| e.at("gen_vision_config");
    let params = part_of(&vision, "params").map_err(at)?;
    let get = |key: &str| params.get(key).cloned();
    let sizes = [("n_embed", get("image_token_size")), ("embed_dim", get("n_embed"))];
    let keys = sizes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let config = VqConfig::from_keys(keys.collect(), VqLayout::LlamaGen).map_err(at)?;
    Ok(VqConfig { levels: Levels::Below, ..config })
}

fn same(field: &str, given: u64, expected: (&str, usize)) -> Result<()> {
    if given == expected.1 as u64 {
        return Ok(());
    }
    let expected = format!("{}, as {} says", expected.1, expected.0);
    Err(Error::input("two parts of the model have different sizes").at(field).expected(expected).got(given))
}

/// Adds the ids of the codes.
fn with_codes(raw: Raw, sizes: JanusSizes) -> Result<TransformerConfig> {
    let mut config = raw.config(Family::Janus(sizes))?;
    config.vocab += sizes.codes;
    Ok(config)
}

fn side(field: &str, vision: &VisionPart) -> Result<usize> {
    let (pixels, patch) =
        (size("image_size", vision.image_size, 1 << 16), size("patch_size", vision.patch_size, 1 << 16));
    size("image_size / patch_size", (pixels.map_err(|e| e.at(field))? / patch.map_err(|e| e.at(field))?) as u64, 1024)
        .map_err(|e| e.at(field))
}

impl HuggingFace {
    fn config(self) -> Result<TransformerConfig> {
        let (raw, vq) = (language("text_config", self.text_config)?, self.vq_config);
        let at = |e: Error| e.at("vq_config");
        if vq.hidden_act != "gelu" {
            return Err(at(unsupported("hidden_act", "gelu", &vq.hidden_act)));
        }
        let sizes = JanusSizes {
            layout: JanusLayout::HuggingFace,
            codes: size("num_embeddings", vq.num_embeddings, 1 << 20).map_err(at)?,
            code_width: size("embed_dim", vq.embed_dim, 1 << 12).map_err(at)?,
            aligner_layers: size("num_hidden_layers", vq.num_hidden_layers, 16).map_err(at)?,
            head_width: size("projection_dim", vq.projection_dim, 1 << 17).map_err(at)?,
            side: side("vision_config", &self.vision_config)?,
        };
        let config = with_codes(raw, sizes)?;
        let hidden = ("text_config.hidden_size", config.hidden);
        same("vq_config.projection_dim", vq.projection_dim, hidden)?;
        same("vq_config.image_token_embed_dim", vq.image_token_embed_dim, hidden)?;
        Ok(config)
    }
}

impl Original {
    fn config(self) -> Result<TransformerConfig> {
        let raw = language("language_config", self.language_config)?;
        let (vision, aligner, head) =
            (self.gen_vision_config.params, self.gen_aligner_config.params, self.gen_head_config.params);
        let cls = &self.gen_vision_config.cls;
        if cls != "VQ-16" {
            return Err(unsupported("gen_vision_config.cls", "VQ-16", cls));
        }
        if aligner.projector_type != "mlp_gelu" {
            return Err(unsupported("gen_aligner_config.params.projector_type", "mlp_gelu", &aligner.projector_type));
        }
        let sizes = JanusSizes {
            layout: JanusLayout::Original,
            codes: size("gen_vision_config.params.image_token_size", vision.image_token_size, 1 << 20)?,
            code_width: size("gen_vision_config.params.n_embed", vision.n_embed, 1 << 12)?,
            aligner_layers: size("gen_aligner_config.params.depth", aligner.depth, 16)?,
            head_width: size("gen_head_config.params.image_token_embed", head.image_token_embed, 1 << 17)?,
            side: side("vision_config.params", &self.vision_config.params)?,
        };
        let config = with_codes(raw, sizes)?;
        let hidden = ("language_config.hidden_size", config.hidden);
        same("gen_aligner_config.params.n_embed", aligner.n_embed, hidden)?;
        same("gen_head_config.params.n_embed", head.n_embed, hidden)?;
        let width = ("gen_vision_config.params.n_embed", sizes.code_width);
        same("gen_aligner_config.params.input_dim", aligner.input_dim, width)?;
        let codes = ("gen_vision_config.params.image_token_size", sizes.codes);
        same("gen_head_config.params.image_token_size", head.image_token_size, codes)?;
        Ok(config)
    }
}

impl JanusSizes {
    fn table(&self) -> &'static str {
        match self.layout {
            JanusLayout::Original => "gen_embed.weight",
            JanusLayout::HuggingFace => "model.generation_embeddings.weight",
        }
    }

    fn aligner(&self, layer: usize) -> String {
        match (self.layout, layer) {
            // Activations are numbered too.
            (JanusLayout::Original, layer) => format!("gen_aligner.layers.{}", 2 * layer),
            (JanusLayout::HuggingFace, 0) => "model.generation_aligner.fc1".to_owned(),
            (JanusLayout::HuggingFace, layer) => format!("model.generation_aligner.hidden_layers.{}", layer - 1),
        }
    }

    /// The head's two layers.
    fn head(&self) -> [&'static str; 2] {
        match self.layout {
            JanusLayout::Original => ["gen_head.output_mlp_projector", "gen_head.vision_head"],
            JanusLayout::HuggingFace => ["model.generation_head.proj_out", "model.generation_head.vision_head"],
        }
    }
}

impl FamilyRules for JanusSizes {
    fn name(&self) -> &'static str {
        "Janus"
    }

    fn tensor_names(&self) -> TensorNames {
        match self.layout {
            JanusLayout::Original => TensorNames::HuggingFace("language_model.model."),
            JanusLayout::HuggingFace => TensorNames::HuggingFace("model.language_model."),
        }
    }

    /// The tables of text and of codes, and the head. The input of a code is the aligner's output
    /// for its row.
    fn ends(&self, c: &TransformerConfig) -> EndTensors {
        let inputs = |layer: usize| if layer == 0 { self.code_width } else { c.hidden };
        let aligner = |layer| LinearTensors::biased(&self.aligner(layer), c.hidden, inputs(layer));
        let aligner = (0..self.aligner_layers).map(aligner).collect();
        let [inner, outputs] = self.head();
        EndTensors {
            inputs: vec![
                InputTensors::Stored { name: self.tensor_names().embedding(), rows: self.text(c).len() },
                InputTensors::Computed {
                    name: self.table().to_owned(),
                    rows: self.codes,
                    width: self.code_width,
                    mlp: MlpTensors { layers: aligner, activation: Activation::Gelu },
                },
            ],
            logits: LogitTensors::Mlp {
                inner: LinearTensors::biased(inner, self.head_width, c.hidden),
                outputs: LinearTensors::biased(outputs, self.codes, self.head_width),
            },
            captions: None,
        }
    }
    fn readable(&self, c: &TransformerConfig) -> Range<usize> {
        c.vocab - self.codes..c.vocab
    }

    fn text(&self, c: &TransformerConfig) -> Range<usize> {
        0..c.vocab - self.codes
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::TEMPERATURE_FIRST
    }

    fn side(&self) -> Option<usize> {
        Some(self.side)
    }

    fn set_layer_sizes(&self, config: &mut Value, sizes: &LayerSizes) {
        match self.layout {
            JanusLayout::Original => {
                sizes.write(&mut config["language_config"]);
                for part in ["gen_aligner_config", "gen_head_config"] {
                    config[part]["params"]["n_embed"] = json!(sizes.hidden);
                }
            }
            JanusLayout::HuggingFace => {
                sizes.write(&mut config["text_config"]);
                for key in ["projection_dim", "image_token_embed_dim"] {
                    config["vq_config"][key] = json!(sizes.hidden);
                }
            }
        }
    }

    fn details(&self) -> Option<String> {
        let names = match self.layout {
            JanusLayout::Original => "deepseek-ai/Janus",
            JanusLayout::HuggingFace => "transformers",
        };
        Some(format!(
            "tensor names of {names}; code vectors of size {}, aligner of {} layers, output head of width {}",
            self.code_width, self.aligner_layers, self.head_width
        ))
    }

    fn hawk_config(
        &self,
        transformer: &TransformerConfig,
        source: &ModelSource,
        _names: &[String],
    ) -> Result<Option<HawkConfig>> {
        let (Some(name), Some(vq)) = (source.tokenizer_file(), source.vq()?) else { return Ok(None) };
        let tokenizer = TextTokenizer::from_bytes(&source.read_tokenizer()?.1);
        let config = tokenizer.and_then(|tokenizer| self.image_side(transformer, &tokenizer, &vq.config));
        config.map(Some).map_err(|e| e.at(source.describe(name)))
    }
}

impl JanusSizes {
    /// What a Janus fixes: its published sampling, the words of its conversation, ids by the names
    /// in the tokenizer.
    fn image_side(
        &self,
        transformer: &TransformerConfig,
        tokenizer: &TextTokenizer,
        vq: &VqConfig,
    ) -> Result<HawkConfig> {
        let structure = Structure::Opened { begin: tokenizer.id_of("<begin_of_image>")? };
        let template = PromptTemplate::new("<|User|>: {prompt}\n\n<|Assistant|>:")?;
        Ok(HawkConfig {
            layout: square_layout(self.side, self.readable(transformer), structure)?,
            family: transformer.family,
            image_size: decoded(self.side, vq)?,
            sizes: Sizes::Fixed,
            condition: Condition::Text(TextPrompt {
                bos: tokenizer.id_of("<｜begin▁of▁sentence｜>")?,
                template: template.trimmed(),
                after_text: Vec::new(),
                unconditional: Unconditional::Padded(tokenizer.id_of("<｜▁pad▁｜>")?),
            }),
            defaults: defaults(5.0, 1.0, 0, 1.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &Value) -> Result<TransformerConfig> {
        TransformerConfig::from_json(&serde_json::to_vec(json).unwrap())
    }

    /// As in deepseek-ai/Janus-Pro-7B: of the language part only what differs from the defaults of
    /// the library.
    fn seven() -> Value {
        json!({
            "model_type": "multi_modality",
            "language_config": {"model_type": "llama", "num_hidden_layers": 30, "vocab_size": 102400,
                                "max_position_embeddings": 16384, "torch_dtype": "bfloat16"},
            "vision_config": {"cls": "CLIPVisionTower", "params": {"image_size": 384}},
            "gen_vision_config": {"cls": "VQ-16", "params": {"image_token_size": 16384, "n_embed": 8}},
            "gen_aligner_config":
                {"params": {"depth": 2, "input_dim": 8, "n_embed": 4096, "projector_type": "mlp_gelu"}},
            "gen_head_config": {"params": {"image_token_embed": 4096, "image_token_size": 16384, "n_embed": 4096}},
        })
    }

    fn converted() -> Value {
        json!({
            "model_type": "janus",
            "text_config": {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
                            "intermediate_size": 5632, "vocab_size": 102400},
        })
    }

    #[test]
    fn the_published_sizes_are_filled_in() {
        let c = read(&seven()).unwrap();
        assert_eq!((c.hidden, c.intermediate, c.layers, c.heads, c.head_dim), (4096, 11008, 30, 32, 128));
        assert_eq!((c.vocab, c.text(), c.readable()), (118_784, 0..102_400, 102_400..118_784));
        assert_eq!((c.norm_eps, c.rope_base), (1e-6, 10_000.0));
        let Family::Janus(sizes) = c.family else { panic!("{c:?}") };
        assert_eq!((sizes.side, sizes.head_width, sizes.aligner_layers), (24, 4096, 2));
        let c = read(&converted()).unwrap();
        assert_eq!((c.hidden, c.layers, c.head_dim, c.vocab), (2048, 24, 128, 118_784));
        assert!(c.tensors().iter().any(|tensor| tensor.name == "model.generation_head.vision_head.bias"));
    }
}
