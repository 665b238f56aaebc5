//! `config.json` of a transformer, validated: the Hugging Face layout. [`crate::family`] has what
//! only one family does.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::family::Family;
use crate::error::{Error, Result};
use crate::json::{positive, same, size};

/// What turns queries and keys by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotary {
    /// The position in the sequence, without end.
    Line,
    /// Row and column of the cell, half of the pairs each. At positions before the first cell
    /// queries and keys are zero.
    Grid {
        /// Positions before the first cell.
        conditions: usize,
        /// Rows, and columns.
        side: usize,
    },
}

/// Where a layer's norms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlacement {
    /// `x + f(norm(x))`.
    Before,
    /// `x + norm(f(x))`, `swin_norm` of Chameleon 30B.
    After,
}

/// Sizes and choices of a transformer. All sizes are at least 1.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerConfig {
    /// The family.
    pub family: Family,
    /// D, width of the hidden state.
    pub hidden: usize,
    /// Width inside the SwiGLU.
    pub intermediate: usize,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// K; divides H.
    pub kv_heads: usize,
    /// E; even.
    pub head_dim: usize,
    /// V, the number of token ids. In families with a head of their own for image codes the codes
    /// follow the ids of text.
    pub vocab: usize,
    /// Added to variances.
    pub norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// What turns queries and keys.
    pub rotary: Rotary,
    /// Where the norms stand.
    pub norm_placement: NormPlacement,
    /// Whether the output projection is the embedding.
    pub tied_embeddings: bool,
    /// Positions that the model was trained for; not a limit of the arithmetic.
    pub max_positions: usize,
}

/// The sizes of a transformer's layers, as they are written into a config.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerSizes {
    /// D, width of the hidden state.
    pub hidden: usize,
    /// Width inside the SwiGLU.
    pub intermediate: usize,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// K; divides H.
    pub kv_heads: usize,
    /// Added to variances.
    pub norm_eps: f64,
}

impl LayerSizes {
    /// Writes them into an object of the Hugging Face layout, or begins one. The output projection
    /// is a tensor of its own then.
    pub(crate) fn write(&self, keys: &mut Value) {
        for (key, size) in [
            ("hidden_size", self.hidden),
            ("intermediate_size", self.intermediate),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
        ] {
            keys[key] = json!(size);
        }
        keys["rms_norm_eps"] = json!(self.norm_eps);
        keys["tie_word_embeddings"] = json!(false);
    }
}

/// Keys of the Hugging Face layout, of a whole model or of its language part.
#[derive(Deserialize)]
pub(crate) struct Raw {
    hidden_size: u64,
    intermediate_size: u64,
    num_hidden_layers: u64,
    num_attention_heads: u64,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    vocab_size: u64,
    max_position_embeddings: Option<u64>,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_parameters: Option<Map<String, Value>>,
    rope_scaling: Option<Map<String, Value>>,
    #[serde(default)]
    swin_norm: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    /// Settings that the reference library follows and that only one value of is known here.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Keys that change what a Llama of the reference library computes, each with the value under which
/// it computes what is computed here. `null` is always that value.
fn without_effect() -> [(&'static str, Option<Value>); 5] {
    [
        ("partial_rotary_factor", Some(json!(1.0))),
        // The cache forgets what lies before a window.
        ("sliding_window", None),
        ("attention_chunk_size", None),
        ("quantization_config", None),
        ("is_causal", Some(json!(true))),
    ]
}

impl TransformerConfig {
    pub(crate) fn consistent(self) -> Result<Self> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of {} heads", self.heads);
            return Err(Error::input("heads do not share keys evenly")
                .at("num_key_value_heads")
                .expected(expected)
                .got(self.kv_heads));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return Err(Error::input("rotary positions need pairs")
                .at("head_dim")
                .expected("an even size")
                .got(self.head_dim));
        }
        Ok(self)
    }
}

impl Raw {
    pub(crate) fn config(self, family: Family) -> Result<TransformerConfig> {
        self.supported()?;
        let heads = size("num_attention_heads", self.num_attention_heads, 1 << 10)?;
        let hidden = size("hidden_size", self.hidden_size, 1 << 17)?;
        // Defaults of the reference library.
        let positions = if family == Family::Llama { 2048 } else { 4096 };
        let config = TransformerConfig {
            family,
            hidden,
            intermediate: size("intermediate_size", self.intermediate_size, 1 << 19)?,
            layers: size("num_hidden_layers", self.num_hidden_layers, 1 << 10)?,
            heads,
            kv_heads: self.num_key_value_heads.map_or(Ok(heads), |n| size("num_key_value_heads", n, 1 << 10))?,
            head_dim: self.head_dim.map_or(Ok(hidden / heads), |n| size("head_dim", n, 1 << 12))?,
            vocab: size("vocab_size", self.vocab_size, 1 << 24)?,
            norm_eps: positive("rms_norm_eps", self.rms_norm_eps)?,
            rope_base: self.rope_base()?,
            rotary: Rotary::Line,
            norm_placement: if self.swin_norm { NormPlacement::After } else { NormPlacement::Before },
            tied_embeddings: self.tie_word_embeddings,
            max_positions: size("max_position_embeddings", self.max_position_embeddings.unwrap_or(positions), 1 << 24)?,
        };
        config.consistent()
    }

    fn supported(&self) -> Result<()> {
        for (field, value) in [("attention_bias", self.attention_bias), ("mlp_bias", self.mlp_bias)] {
            if value {
                return Err(Error::input("biases are not supported").at(field).expected("false").got("true"));
            }
        }
        // Two names of one function.
        if let Some(act) = self.hidden_act.as_deref().filter(|act| !["silu", "swish"].contains(act)) {
            return Err(Error::input("an activation that is not supported").at("hidden_act").expected("silu").got(act));
        }
        for (field, harmless) in without_effect() {
            let given = self.others.get(field).filter(|value| !value.is_null());
            if let Some(given) = given.filter(|given| !harmless.as_ref().is_some_and(|known| same(given, known))) {
                let expected = harmless.map_or("null".to_owned(), |value| value.to_string());
                return Err(Error::input("a setting that is not supported").at(field).expected(expected).got(given));
            }
        }
        let attention = |kind: &&Value| kind.as_str() != Some("full_attention");
        let layers = self.others.get("layer_types").and_then(Value::as_array);
        match layers.into_iter().flatten().find(attention) {
            None => Ok(()),
            Some(kind) => Err(Error::input("a kind of attention that is not supported")
                .at("layer_types")
                .expected("full_attention")
                .got(kind)),
        }
    }

    /// Both spellings: `rope_theta`, and `rope_parameters.rope_theta` of newer configs.
    fn rope_base(&self) -> Result<f32> {
        let mut base = self.rope_theta.map(|theta| ("rope_theta", theta));
        for (field, rope) in [("rope_parameters", &self.rope_parameters), ("rope_scaling", &self.rope_scaling)] {
            for (key, value) in rope.iter().flatten().filter(|(_, value)| !value.is_null()) {
                let refuse = |expected: &str| {
                    let error = Error::input("scaled rotary positions are not supported").at(key).at(field);
                    Err(error.expected(expected).got(value))
                };
                match key.as_str() {
                    "rope_type" | "type" if value == "default" => {}
                    "rope_type" | "type" => return refuse("rope_type default"),
                    "rope_theta" => match (value.as_f64(), base) {
                        (Some(theta), None) => base = Some((field, theta)),
                        (Some(theta), Some((_, known))) if theta == known => {}
                        (Some(theta), Some((place, known))) => {
                            return Err(Error::input("two rotary bases")
                                .at("rope_theta")
                                .expected(format!("{known}, as in {place}"))
                                .got(format!("{theta} in {field}")));
                        }
                        (None, _) => return refuse("a number"),
                    },
                    "factor" | "partial_rotary_factor" if same(value, &json!(1.0)) => {}
                    _ => return refuse("rope_theta and rope_type default alone"),
                }
            }
        }
        positive("rope_theta", base.map_or(10_000.0, |(_, theta)| theta))
    }
}
