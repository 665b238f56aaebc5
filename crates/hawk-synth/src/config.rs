//! Configs and tokenizers of the synthetic models, as the public ones have them.

use serde_json::{Value, json};

use crate::model::SynthModel;
use crate::tokenizer;

/// A small file: name and content.
pub(crate) type SmallFile = (&'static str, Value);

/// Sizes of a transformer.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) vocab: usize,
}

/// Sizes of a VQ tokenizer.
#[derive(Clone, Copy)]
pub(crate) struct VqSizes {
    pub(crate) base: usize,
    pub(crate) factors: [usize; 5],
    pub(crate) latent: usize,
    pub(crate) embed: usize,
    pub(crate) codes: usize,
}

/// Whose layout a model has, with the sizes of its VQ tokenizer.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Lumina(VqSizes),
    Anole(VqSizes),
    Janus(VqSizes),
    LlamaGen(VqSizes),
    /// Text alone.
    Llama,
}

/// The sizes that decide what a pass of a model reads and multiplies. Every head has keys and values of
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassSizes {
    /// D, the hidden size; also the width of queries, keys and values.
    pub hidden: usize,
    /// Width inside the SwiGLU.
    pub intermediate: usize,
    /// L.
    pub layers: usize,
    /// Ids whose logits a pass computes: the image codes, or the vocabulary of a model of text.
    pub codes: usize,
}

impl SynthModel {
    /// What a pass of the model reads and multiplies.
    #[must_use]
    pub fn pass_sizes(self) -> PassSizes {
        let Sizes { hidden, intermediate, layers, vocab, .. } = self.sizes();
        let codes = match self.kind() {
            Kind::Lumina(vq) | Kind::Anole(vq) | Kind::Janus(vq) | Kind::LlamaGen(vq) => vq.codes,
            Kind::Llama => vocab,
        };
        PassSizes { hidden, intermediate, layers, codes }
    }

    pub(crate) fn sizes(self) -> Sizes {
        let sizes = |hidden, intermediate, layers, heads, vocab| Sizes { hidden, intermediate, layers, heads, vocab };
        match self {
            Self::Lumina7b | Self::Anole7b => sizes(4096, 11008, 32, 32, 65536),
            Self::JanusPro1b => sizes(2048, 5632, 24, 16, 102_400),
            Self::JanusPro7b => sizes(4096, 11008, 30, 32, 102_400),
            Self::LlamaGenXl => sizes(1280, 3584, 36, 20, 16384),
            Self::Llama2 => sizes(4096, 11008, 32, 32, 32000),
            Self::TinyLlama => sizes(64, 96, 2, 4, tokenizer::LLAMA_IDS as usize),
            Self::TinyLumina | Self::TinyAnole => sizes(64, 96, 2, 4, tokenizer::Ids::TINY.vocab as usize),
            Self::TinyJanusPro => sizes(64, 96, 2, 4, 300),
            Self::TinyLlamaGen => sizes(64, 256, 2, 4, 64),
        }
    }

    pub(crate) fn kind(self) -> Kind {
        let vq = |base, factors, latent, embed, codes| VqSizes { base, factors, latent, embed, codes };
        let full = |embed, codes| vq(128, [1, 1, 2, 2, 4], 256, embed, codes);
        let tiny = |codes| vq(32, [1; 5], 32, 8, codes);
        match self {
            Self::Lumina7b => Kind::Lumina(full(256, 8192)),
            Self::Anole7b => Kind::Anole(full(256, 8192)),
            Self::JanusPro1b | Self::JanusPro7b => Kind::Janus(full(8, 16384)),
            Self::LlamaGenXl => Kind::LlamaGen(full(8, 16384)),
            Self::TinyLumina => Kind::Lumina(tiny(tokenizer::Ids::TINY.codes as usize)),
            Self::TinyAnole => Kind::Anole(tiny(tokenizer::Ids::TINY.codes as usize)),
            Self::TinyJanusPro => Kind::Janus(tiny(64)),
            Self::TinyLlamaGen => Kind::LlamaGen(tiny(64)),
            Self::Llama2 | Self::TinyLlama => Kind::Llama,
        }
    }

    pub(crate) fn is_tiny(self) -> bool {
        match self {
            Self::TinyLumina | Self::TinyAnole | Self::TinyJanusPro | Self::TinyLlamaGen | Self::TinyLlama => true,
            Self::Lumina7b | Self::Anole7b | Self::JanusPro1b | Self::JanusPro7b | Self::LlamaGenXl | Self::Llama2 => {
                false
            }
        }
    }

    fn ids(self) -> tokenizer::Ids {
        if self.is_tiny() { tokenizer::Ids::TINY } else { tokenizer::Ids::CHAMELEON }
    }
}

/// All small files of a model.
pub(crate) fn files(model: SynthModel) -> Vec<SmallFile> {
    match model.kind() {
        Kind::Lumina(vq) => {
            let mut config = chameleon(model.sizes());
            config["architectures"] = json!(["ChameleonXLLMXForConditionalGeneration"]);
            config["mask_image_logits"] = json!(false);
            vec![
                ("config.json", config),
                ("tokenizer.json", tokenizer::chameleon(model.ids())),
                ("vq/config.json", vq_config(vq)),
            ]
        }
        Kind::Anole(vq) => vec![
            ("config.json", chameleon(model.sizes())),
            ("tokenizer.json", tokenizer::chameleon(model.ids())),
            ("vq/config.json", vq_config(vq)),
        ],
        Kind::Janus(vq) => {
            let mut files = vec![
                ("config.json", janus(model, vq)),
                ("tokenizer.json", tokenizer::janus(model.sizes().vocab as u32)),
            ];
            // The original layout has only one size of VQ tokenizer. Another size has a folder of
            // its own.
            if model.is_tiny() {
                files.push(("vq/config.json", llamagen_vq(vq)));
            }
            files
        }
        Kind::LlamaGen(vq) => vec![("config.json", llamagen(model)), ("vq/config.json", llamagen_vq(vq))],
        Kind::Llama => vec![
            ("config.json", llama(model)),
            ("generation_config.json", json!({ "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0 })),
            ("tokenizer.json", tokenizer::llama()),
        ],
    }
}

fn vq_config(vq: VqSizes) -> Value {
    json!({
        "embed_dim": vq.embed, "n_embed": vq.codes, "ch": vq.base, "ch_mult": vq.factors, "num_res_blocks": 2,
        "attn_resolutions": [], "z_channels": vq.latent, "double_z": false, "resolution": 512, "out_ch": 3,
    })
}

fn chameleon(sizes: Sizes) -> Value {
    json!({
        "architectures": ["ChameleonForConditionalGeneration"], "model_type": "chameleon", "torch_dtype": "bfloat16",
        "hidden_size": sizes.hidden, "intermediate_size": sizes.intermediate, "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.heads, "vocab_size": sizes.vocab,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 4096,
        "swin_norm": false, "model_parallel_size": 1, "attention_bias": false, "mlp_bias": false,
        "tie_word_embeddings": false,
    })
}

/// As LLaMA 2 is published.
fn llama(model: SynthModel) -> Value {
    let sizes = model.sizes();
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16",
        "hidden_size": sizes.hidden, "intermediate_size": sizes.intermediate, "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.heads, "vocab_size": sizes.vocab,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_scaling": null, "bos_token_id": 1, "eos_token_id": 2,
        "max_position_embeddings": if model.is_tiny() { 512 } else { 4096 }, "tie_word_embeddings": false,
    })
}

fn janus(model: SynthModel, vq: VqSizes) -> Value {
    let sizes = model.sizes();
    let mut language = json!({
        "model_type": "llama", "num_hidden_layers": sizes.layers, "vocab_size": sizes.vocab,
        "max_position_embeddings": 16384, "torch_dtype": "bfloat16",
    });
    // The published 7B leaves out what is the default of its library.
    if model != SynthModel::JanusPro7b {
        language["hidden_size"] = json!(sizes.hidden);
        language["intermediate_size"] = json!(sizes.intermediate);
        language["num_attention_heads"] = json!(sizes.heads);
        language["num_key_value_heads"] = json!(sizes.heads);
    }
    let part = |class: &str, params: Value| json!({ "cls": class, "params": params });
    json!({
        "model_type": "multi_modality", "architectures": ["MultiModalityCausalLM"], "torch_dtype": "bfloat16",
        "gen_vision_config": part("VQ-16", json!({ "image_token_size": vq.codes, "n_embed": vq.embed })),
        "gen_aligner_config": part("MlpProjector", json!({
            "depth": 2, "input_dim": vq.embed, "n_embed": sizes.hidden, "projector_type": "mlp_gelu",
        })),
        "gen_head_config": part("vision_head", json!({
            "image_token_embed": sizes.hidden, "image_token_size": vq.codes, "n_embed": sizes.hidden,
        })),
        "language_config": language,
    })
}

fn llamagen(model: SynthModel) -> Value {
    let sizes = model.sizes();
    // Stage 2 of the published one: 32 x 32 cells.
    let cells = if model.is_tiny() { 16 } else { 1024 };
    json!({
        "model_type": "llamagen", "gpt_type": "t2i", "dim": sizes.hidden, "n_layer": sizes.layers, "n_head": sizes.heads,
        "vocab_size": sizes.vocab, "caption_dim": CAPTION, "cls_token_num": CAPTION_TOKENS, "block_size": cells,
    })
}

fn llamagen_vq(vq: VqSizes) -> Value {
    json!({
        "model_type": "llamagen_vq", "ch": vq.base, "ch_mult": vq.factors, "z_channels": vq.latent,
        "embed_dim": vq.embed, "n_embed": vq.codes,
    })
}

/// Width of a caption's features, as flan-t5-xl gives them.
pub(crate) const CAPTION: usize = 2048;
/// Positions of a caption.
pub(crate) const CAPTION_TOKENS: usize = 120;
