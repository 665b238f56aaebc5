//! Reads and validates the `config.json` of a T5.

use candle_nn::Activation;
use candle_transformers::models::t5::{ActivationWithOptionalGating, Config};
use hawk_files::{Error, Result, from_json};
use serde::Deserialize;

/// The keys and defaults of Hugging Face's transformers.
#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    vocab_size: u64,
    d_model: u64,
    d_kv: u64,
    d_ff: u64,
    num_layers: u64,
    num_heads: u64,
    #[serde(default = "default_buckets")]
    relative_attention_num_buckets: u64,
    #[serde(default = "default_distance")]
    relative_attention_max_distance: u64,
    #[serde(default = "default_eps")]
    layer_norm_epsilon: f64,
    #[serde(default = "default_activation")]
    feed_forward_proj: String,
    /// What the reference library derives from `feed_forward_proj`, and takes from here where it is
    /// written down.
    dense_act_fn: Option<String>,
    is_gated_act: Option<bool>,
    #[serde(default)]
    pad_token_id: u64,
    #[serde(default = "default_eos")]
    eos_token_id: u64,
}

fn default_buckets() -> u64 {
    32
}

fn default_distance() -> u64 {
    128
}

fn default_eps() -> f64 {
    1e-6
}

fn default_activation() -> String {
    "relu".to_owned()
}

fn default_eos() -> u64 {
    1
}

/// Parses and validates `config.json`.
///
/// # Errors
/// The file is not JSON, belongs to another kind of model, or has a size out of range.
pub(crate) fn read(bytes: &[u8]) -> Result<Config> {
    let raw: RawConfig = from_json("the config of a T5", bytes)?;
    if raw.model_type != "t5" {
        return Err(Error::input("not a T5").at("model_type").expected("t5").got(format!("{:?}", raw.model_type)));
    }
    let (gated, activation, name) = match raw.feed_forward_proj.as_str() {
        // T5 1.1, flan-t5.
        "gated-gelu" => (true, Activation::NewGelu, "gelu_new"),
        "gated-silu" => (true, Activation::Silu, "silu"),
        "relu" => (false, Activation::Relu, "relu"),
        other => {
            let error = Error::input("unsupported activation").at("feed_forward_proj");
            return Err(error.expected("gated-gelu, gated-silu or relu").got(format!("{other:?}")));
        }
    };
    let contradicts = |field: &str, expected: &dyn std::fmt::Display, got: &dyn std::fmt::Display| {
        let expected = format!("{expected}, as in feed_forward_proj {}", raw.feed_forward_proj);
        Err(Error::input("two activations").at(field).expected(expected).got(got))
    };
    match (&raw.dense_act_fn, raw.is_gated_act) {
        (Some(other), _) if other != name => return contradicts("dense_act_fn", &name, other),
        (_, Some(other)) if other != gated => return contradicts("is_gated_act", &gated, &other),
        _ => {}
    }
    let buckets = size("relative_attention_num_buckets", raw.relative_attention_num_buckets, 4..=1 << 12)?;
    // Half of the buckets belong to each direction, and half of those to single distances.
    let distances = buckets as u64 / 4 + 1..=1 << 20;
    let vocab_size = size("vocab_size", raw.vocab_size, 1..=1 << 24)?;
    let ids = 0..=vocab_size as u64 - 1;
    if !(raw.layer_norm_epsilon.is_finite() && raw.layer_norm_epsilon > 0.0) {
        let error = Error::input("a value is out of range").at("layer_norm_epsilon");
        return Err(error.expected("finite and above 0").got(raw.layer_norm_epsilon));
    }
    Ok(Config {
        vocab_size,
        d_model: size("d_model", raw.d_model, 1..=1 << 16)?,
        d_kv: size("d_kv", raw.d_kv, 1..=1 << 12)?,
        d_ff: size("d_ff", raw.d_ff, 1..=1 << 18)?,
        num_layers: size("num_layers", raw.num_layers, 1..=1 << 10)?,
        num_heads: size("num_heads", raw.num_heads, 1..=1 << 10)?,
        relative_attention_num_buckets: buckets,
        relative_attention_max_distance: size(
            "relative_attention_max_distance",
            raw.relative_attention_max_distance,
            distances,
        )?,
        layer_norm_epsilon: raw.layer_norm_epsilon,
        feed_forward_proj: ActivationWithOptionalGating { gated, activation },
        pad_token_id: size("pad_token_id", raw.pad_token_id, ids.clone())?,
        eos_token_id: size("eos_token_id", raw.eos_token_id, ids)?,
        use_cache: false,
        ..Config::default()
    })
}

fn size(field: &str, value: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<usize> {
    if allowed.contains(&value) {
        return Ok(value as usize);
    }
    let expected = format!("{} to {}", allowed.start(), allowed.end());
    Err(Error::input("a size is out of range").at(field).expected(expected).got(value))
}
