//! `config.json` of every family: alone, and against the weights beside it.

use hawk_nn::kernels::Precision;
use hawk_nn::{Checkpoint, Error, ModelSource, Target, TransformerConfig};
use serde_json::{Value, json};

use crate::{goldens, lies, read_json, refusal, set};

fn read(bytes: &[u8]) -> Result<(), Error> {
    TransformerConfig::from_json(bytes).map(drop)
}

#[test]
fn every_field_of_hugging_faces_config_that_lies_is_named() {
    let good = json!({
        "model_type": "chameleon", "hidden_size": 64, "intermediate_size": 144, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 500.0, "swin_norm": false,
        "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}, "rope_scaling": {"type": "default"},
        "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": false, "hidden_act": "silu",
    });
    let rows = [
        ("/model_type", json!("gpt2"), "model_type & gpt2"),
        ("/model_type", Value::Null, "model_type & nothing"),
        ("/hidden_size", json!(0), "hidden_size & 1 to"),
        ("/hidden_size", json!(-64), "hidden_size & -64"),
        ("/hidden_size", json!(64.5), "hidden_size & 64.5"),
        ("/hidden_size", json!(u64::MAX), "hidden_size & 1 to"),
        ("/intermediate_size", json!(0), "intermediate_size & 1 to"),
        ("/intermediate_size", json!(1_u64 << 40), "intermediate_size & 1 to"),
        ("/num_hidden_layers", json!(0), "num_hidden_layers & 1 to"),
        ("/num_hidden_layers", json!(1_000_000), "num_hidden_layers & 1 to"),
        ("/num_attention_heads", json!(0), "num_attention_heads & 1 to"),
        ("/num_attention_heads", json!(3), "num_key_value_heads & a divisor of 3"),
        ("/num_key_value_heads", json!(0), "num_key_value_heads & 1 to"),
        ("/num_key_value_heads", json!(3), "num_key_value_heads & a divisor of 4"),
        ("/num_key_value_heads", json!(8), "num_key_value_heads & a divisor of 4"),
        ("/head_dim", json!(0), "head_dim & 1 to"),
        ("/head_dim", json!(15), "head_dim & even"),
        ("/head_dim", json!(1 << 20), "head_dim & 1 to"),
        ("/vocab_size", json!(0), "vocab_size & 1 to"),
        ("/vocab_size", json!(99_999_999_999_u64), "vocab_size & 1 to"),
        ("/max_position_embeddings", json!(0), "max_position_embeddings & 1 to"),
        ("/max_position_embeddings", json!(1 << 30), "max_position_embeddings & 1 to"),
        ("/rms_norm_eps", json!(0), "rms_norm_eps"),
        ("/rms_norm_eps", json!(-1e-5), "rms_norm_eps"),
        ("/rms_norm_eps", json!(1e-60), "rms_norm_eps & in f32"),
        ("/rms_norm_eps", json!(1e60), "rms_norm_eps & in f32"),
        ("/rope_theta", json!(7.0), "rope_theta & 500"),
        ("/rope_parameters/rope_theta", json!(7.0), "rope_theta & 7"),
        ("/rope_parameters/rope_type", json!("yarn"), "rope_parameters & yarn"),
        ("/rope_scaling/type", json!("linear"), "rope_scaling & linear"),
        ("/rope_scaling/type", json!(7), "rope_scaling & type & 7"),
        ("/rope_scaling/rope_type", json!("llama3"), "rope_scaling & rope_type & llama3"),
        ("/rope_scaling/factor", json!(8.0), "rope_scaling & factor & 8"),
        ("/rope_scaling/rope_theta", json!(7.0), "rope_scaling & 500"),
        ("/rope_parameters/mrope_section", json!([1, 2]), "rope_parameters & mrope_section"),
        ("/rope_parameters/partial_rotary_factor", json!(0.5), "rope_parameters & partial_rotary_factor & 0.5"),
        ("/partial_rotary_factor", json!(0.5), "partial_rotary_factor & 0.5"),
        ("/sliding_window", json!(4096), "sliding_window & 4096"),
        ("/attention_chunk_size", json!(8192), "attention_chunk_size & 8192"),
        ("/layer_types", json!(["full_attention", "sliding_attention"]), "layer_types & sliding_attention"),
        ("/quantization_config", json!({"quant_method": "gptq"}), "quantization_config & gptq"),
        ("/is_causal", json!(false), "is_causal & false"),
        ("/swin_norm", json!("after"), "swin_norm"),
        ("/attention_bias", json!(true), "attention_bias"),
        ("/mlp_bias", json!(true), "mlp_bias"),
        ("/tie_word_embeddings", json!(1), "tie_word_embeddings"),
        ("/hidden_act", json!("gelu"), "hidden_act & gelu"),
    ];
    lies(&good, &read, &rows);
    // As published models write them.
    for (pointer, value) in [
        ("/rope_scaling/rope_type", json!("default")),
        ("/rope_scaling/rope_theta", json!(500)),
        ("/rope_scaling/factor", json!(1.0)),
        ("/rope_scaling", Value::Null),
        ("/partial_rotary_factor", json!(1)),
        ("/sliding_window", Value::Null),
        ("/layer_types", json!(["full_attention", "full_attention"])),
        ("/hidden_act", json!("swish")),
        ("/is_causal", json!(true)),
        ("/is_decoder", json!(false)),
    ] {
        let mut config = good.clone();
        set(&mut config, pointer, Some(value));
        let read = TransformerConfig::from_json(config.to_string().as_bytes());
        assert_eq!(read.unwrap(), TransformerConfig::from_json(good.to_string().as_bytes()).unwrap(), "{pointer}");
    }
    let mut one_base = good;
    one_base["rope_parameters"] = json!({});
    for (theta, words) in [(json!(0), "rope_theta"), (json!(-1), "rope_theta"), (json!(1e300), "rope_theta & in f32")] {
        one_base["rope_theta"] = theta;
        refusal(read(one_base.to_string().as_bytes()), words, words);
    }
    for text in ["", "7", "[]", "{", "{}{}", "\u{feff}{}", &"[".repeat(100_000)] {
        refusal(read(text.as_bytes()), "model", text.get(..10).unwrap_or(text));
    }
}

/// The language model's part of a Janus's config.
fn language_of_a_janus() -> Value {
    json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 144, "num_hidden_layers": 2,
        "num_attention_heads": 4, "vocab_size": 100, "rms_norm_eps": 1e-6, "max_position_embeddings": 128,
    })
}

fn lies_of_a_language(field: &'static str) -> [(String, Value, &'static str); 8] {
    [
        ("model_type", json!("qwen2"), "model_type & qwen2"),
        ("hidden_size", json!(0), "hidden_size"),
        ("intermediate_size", json!(-1), "intermediate_size & -1"),
        ("num_hidden_layers", json!(0), "num_hidden_layers"),
        ("num_attention_heads", json!(0), "num_attention_heads"),
        ("vocab_size", json!(1 << 30), "vocab_size"),
        ("rms_norm_eps", json!(0), "rms_norm_eps"),
        ("max_position_embeddings", json!(0), "max_position_embeddings"),
    ]
    .map(|(key, lie, words)| (format!("/{field}/{key}"), lie, words))
}

#[test]
fn every_field_of_a_januss_config_that_lies_is_named() {
    let (language, of_language) = (language_of_a_janus(), lies_of_a_language);
    let check = |good: &Value, language: [(String, Value, &str); 8], own: &[(&str, Value, &str)]| {
        let language = language.iter().map(|(pointer, lie, words)| (pointer.as_str(), lie.clone(), *words));
        lies(good, &read, &language.chain(own.iter().cloned()).collect::<Vec<_>>());
    };
    let original = json!({
        "model_type": "multi_modality", "language_config": language,
        "vision_config": {"params": {"image_size": 384, "patch_size": 16}},
        "gen_vision_config": {"cls": "VQ-16", "params": {"image_token_size": 96, "n_embed": 8}},
        "gen_aligner_config": {"params": {"depth": 2, "input_dim": 8, "n_embed": 64, "projector_type": "mlp_gelu"}},
        "gen_head_config": {"params": {"image_token_embed": 32, "image_token_size": 96, "n_embed": 64}},
    });
    check(
        &original,
        of_language("language_config"),
        &[
            ("/model_type", json!("janus_pro"), "model_type & janus_pro"),
            ("/language_config", json!(7), "language_config"),
            ("/vision_config/params/image_size", json!(0), "vision_config & image_size"),
            ("/vision_config/params/image_size", json!(15), "vision_config & image_size / patch_size"),
            ("/vision_config/params/image_size", json!(65_536), "vision_config & image_size / patch_size"),
            ("/vision_config/params/patch_size", json!(0), "vision_config & patch_size"),
            ("/gen_vision_config/cls", json!("VQ-8"), "gen_vision_config.cls & VQ-8"),
            ("/gen_vision_config/params/image_token_size", json!(0), "gen_vision_config.params.image_token_size"),
            (
                "/gen_vision_config/params/image_token_size",
                json!(8192),
                "gen_head_config.params.image_token_size & 8192",
            ),
            ("/gen_vision_config/params/n_embed", json!(1 << 20), "gen_vision_config.params.n_embed"),
            ("/gen_vision_config/params/n_embed", json!(4), "input_dim & 4"),
            ("/gen_aligner_config/params/depth", json!(0), "gen_aligner_config.params.depth"),
            ("/gen_aligner_config/params/depth", json!(1 << 20), "gen_aligner_config.params.depth"),
            ("/gen_aligner_config/params/input_dim", json!(9), "gen_aligner_config.params.input_dim & 8"),
            ("/gen_aligner_config/params/n_embed", json!(32), "gen_aligner_config.params.n_embed & 64"),
            ("/gen_aligner_config/params/projector_type", json!("linear"), "projector_type & linear"),
            ("/gen_head_config/params/image_token_embed", json!(0), "gen_head_config.params.image_token_embed"),
            ("/gen_head_config/params/image_token_size", json!(95), "gen_head_config.params.image_token_size & 96"),
            ("/gen_head_config/params/n_embed", json!(32), "gen_head_config.params.n_embed & 64"),
            ("/gen_head_config/params", json!(7), "gen_head_config.params"),
        ],
    );
    let converted = json!({
        "model_type": "janus", "text_config": language, "vision_config": {"image_size": 384, "patch_size": 16},
        "vq_config": {"num_embeddings": 96, "embed_dim": 8, "num_hidden_layers": 2, "projection_dim": 64,
                      "image_token_embed_dim": 64, "hidden_act": "gelu"},
    });
    check(
        &converted,
        of_language("text_config"),
        &[
            ("/model_type", json!("janus_flow"), "model_type & janus_flow"),
            ("/text_config", json!(7), "text_config"),
            ("/vision_config/image_size", json!(8), "vision_config & image_size / patch_size"),
            ("/vision_config/patch_size", json!(0), "vision_config & patch_size"),
            ("/vq_config/num_embeddings", json!(0), "vq_config & num_embeddings"),
            ("/vq_config/embed_dim", json!(0), "vq_config & embed_dim"),
            ("/vq_config/num_hidden_layers", json!(99), "vq_config & num_hidden_layers"),
            ("/vq_config/projection_dim", json!(32), "vq_config.projection_dim & 64"),
            ("/vq_config/image_token_embed_dim", json!(32), "vq_config.image_token_embed_dim & 64"),
            ("/vq_config/hidden_act", json!("relu"), "vq_config & hidden_act & relu"),
        ],
    );
}

#[test]
fn every_field_of_a_llamagens_config_that_lies_is_named() {
    let common = json!({
        "model_type": "llamagen", "gpt_type": "c2i", "gpt_model": null, "dim": 64, "n_layer": 2, "n_head": 4,
        "n_kv_head": 2, "multiple_of": 16, "ffn_dim_multiplier": 1.5, "rope_base": 10_000.0, "norm_eps": 1e-5,
        "vocab_size": 96, "block_size": 36, "num_classes": 10, "cls_token_num": 1,
    });
    lies(
        &common,
        &read,
        &[
            ("/model_type", json!("llamagen2"), "model_type & llamagen2"),
            ("/gpt_type", json!("v2i"), "gpt_type & v2i"),
            ("/gpt_model", json!("GPT-9"), "gpt_model & GPT-9"),
            ("/gpt_model", json!("GPT-B"), "n_layer & 12, as gpt_model says"),
            ("/dim", json!(0), "dim"),
            ("/dim", json!(12), "dim / n_head & 12 / 4"),
            ("/dim", json!(1_u64 << 40), "dim & 1 to"),
            ("/n_layer", json!(0), "n_layer"),
            ("/n_head", json!(5), "dim / n_head & 64 / 5"),
            ("/n_head", json!(0), "n_head"),
            ("/n_kv_head", json!(3), "n_head"),
            ("/n_kv_head", json!(0), "n_kv_head"),
            ("/multiple_of", json!(0), "multiple_of"),
            ("/multiple_of", json!(1 << 30), "multiple_of"),
            ("/ffn_dim_multiplier", json!(-1.0), "ffn_dim_multiplier"),
            ("/ffn_dim_multiplier", json!(1e-60), "ffn_dim_multiplier & in f32"),
            ("/rope_base", json!(0), "rope_base"),
            ("/rope_base", json!(1e60), "rope_base & in f32"),
            ("/norm_eps", json!(-1), "norm_eps"),
            ("/vocab_size", json!(0), "vocab_size"),
            ("/vocab_size", json!(1 << 30), "vocab_size"),
            ("/block_size", json!(35), "block_size & square"),
            ("/block_size", json!(1_u64 << 40), "block_size & 1 to"),
            ("/num_classes", json!(0), "num_classes"),
            ("/num_classes", json!(u64::MAX), "num_classes"),
            ("/cls_token_num", json!(120), "cls_token_num & 1"),
        ],
    );
    let mut caption = common;
    caption["gpt_type"] = json!("t2i");
    for (key, lie) in
        [("caption_dim", 0), ("caption_dim", 1_u64 << 40), ("cls_token_num", 0), ("cls_token_num", 1_u64 << 40)]
    {
        let mut caption = caption.clone();
        caption[key] = json!(lie);
        refusal(read(caption.to_string().as_bytes()), key, &format!("{key} = {lie}"));
    }
}

#[test]
fn configs_that_contradict_their_weights_are_refused() {
    for (model, rows) in [
        (
            "chameleon",
            &[
                ("/model_type", json!("llama"), "model_type & _norm"),
                ("/hidden_size", json!(32), "[200, 32] & [200, 64]"),
                ("/intermediate_size", json!(143), "[143, 64]"),
                ("/num_hidden_layers", json!(2), "num_hidden_layers & layers.2"),
                ("/num_hidden_layers", json!(4), "layers.3"),
                ("/num_attention_heads", json!(2), "num_key_value_heads"),
                ("/num_key_value_heads", json!(2), "k_proj & [32, 64]"),
                ("/head_dim", json!(8), "_proj & [32, 64]"),
                ("/vocab_size", json!(199), "[199, 64]"),
            ][..],
        ),
        (
            "llama-gqa",
            &[
                ("/model_type", json!("chameleon"), "q_norm & missing"),
                ("/num_key_value_heads", json!(4), "k_proj & [64, 64]"),
                ("/num_hidden_layers", json!(1), "num_hidden_layers & layers.1"),
            ],
        ),
        (
            "janus",
            &[
                ("/text_config/num_hidden_layers", json!(1), "num_hidden_layers & layers.1"),
                ("/text_config/vocab_size", json!(161), "[161, 64]"),
                ("/vq_config/num_embeddings", json!(95), "[95, 8]"),
                ("/vq_config/embed_dim", json!(9), "9]"),
                ("/vq_config/num_hidden_layers", json!(3), "generation_aligner & missing"),
            ],
        ),
        (
            "llamagen-c2i",
            &[
                ("/gpt_type", json!("t2i"), "uncond_embedding"),
                ("/n_layer", json!(1), "layers.1"),
                ("/dim", json!(96), "[96, 96] & [96, 80]"),
                ("/n_kv_head", json!(2), "wqkv & [160, 80]"),
                ("/multiple_of", json!(256), "[256, 80]"),
                ("/vocab_size", json!(95), "[95, 80]"),
                ("/num_classes", json!(9), "[10, 80] & [11, 80]"),
            ],
        ),
        (
            "llamagen-t2i",
            &[
                ("/caption_dim", json!(25), "25]"),
                ("/cls_token_num", json!(13), "[13, 24]"),
                ("/gpt_type", json!("c2i"), "cls_token_num"),
            ],
        ),
    ] {
        let source = ModelSource::Dir(goldens(model));
        let good = read_json(&goldens(model).join("config.json"));
        let load = |config: &Value| {
            let config = TransformerConfig::from_json(config.to_string().as_bytes())?;
            Target::load(config, &Checkpoint::open(&source, "")?, Precision::F32)
        };
        load(&good).unwrap();
        for (pointer, lie, words) in rows {
            let mut config = good.clone();
            set(&mut config, pointer, Some(lie.clone()));
            refusal(load(&config), words, &format!("{model}: {pointer} = {lie}"));
        }
    }
}
