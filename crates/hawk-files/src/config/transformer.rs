//! `config.json` of a transformer, validated: the Hugging Face layout. [`crate::family`] has what
//! only one family does.

use serde::Deserialize;
use serde_json::{Value, json};

use super::family::Family;
use crate::error::{Error, Result};
use crate::json::{positive, size};

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
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    #[serde(default)]
    swin_norm: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
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
            max_positions: size("max_position_embeddings", self.max_position_embeddings.unwrap_or(4096), 1 << 24)?,
        };
        config.consistent()
    }

    fn supported(&self) -> Result<()> {
        for (field, value) in [("attention_bias", self.attention_bias), ("mlp_bias", self.mlp_bias)] {
            if value {
                return Err(Error::input("biases are not supported").at(field).expected("false").got("true"));
            }
        }
        if let Some(act) = self.hidden_act.as_deref().filter(|act| *act != "silu") {
            return Err(Error::input("an activation that is not supported").at("hidden_act").expected("silu").got(act));
        }
        Ok(())
    }

    /// Both spellings: `rope_theta`, and `rope_parameters.rope_theta` of newer configs.
    fn rope_base(&self) -> Result<f32> {
        for (field, rope) in [("rope_parameters", &self.rope_parameters), ("rope_scaling", &self.rope_scaling)] {
            let kind = rope.as_ref().and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
            if kind != "default" {
                return Err(Error::input("scaled rotary positions are not supported")
                    .at(field)
                    .expected("rope_type default")
                    .got(kind));
            }
        }
        let inner = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        match (self.rope_theta, inner) {
            (Some(a), Some(b)) if a != b => {
                Err(Error::input("two rotary bases").at("rope_theta").expected(format!("rope_parameters' {b}")).got(a))
            }
            (a, b) => positive("rope_theta", a.or(b).unwrap_or(10_000.0)),
        }
    }
}
