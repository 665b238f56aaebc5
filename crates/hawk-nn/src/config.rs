//! `config.json` of a transformer in the Hugging Face layout, validated.

use serde::Deserialize;

use crate::validate::size;
use crate::{Error, Result};

/// A family of transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Chameleon, Anole, Lumina-mGPT: Llama with a LayerNorm on queries and keys.
    Chameleon,
    /// Llama and its likes.
    Llama,
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
    /// V.
    pub vocab: usize,
    /// Added to variances.
    pub norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Where the norms stand.
    pub norm_placement: NormPlacement,
    /// Whether the output projection is the embedding.
    pub tied_embeddings: bool,
    /// Positions that the model was trained for; not a limit of the arithmetic.
    pub max_positions: usize,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    model_type: Option<String>,
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

fn positive(field: &str, value: f64) -> Result<f32> {
    if value.is_finite() && value > 0.0 {
        return Ok(value as f32);
    }
    Err(Error::input("a number is out of range").at(field).expected("finite and above 0").got(value))
}

impl TransformerConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Not JSON, a field that is missing, out of range, in contradiction to another, or a feature that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| Error::input(format!("not a model's config: {e}")))?;
        raw.supported()?;
        let family = match raw.model_type.as_deref() {
            Some("chameleon" | "lumina_mgpt") => Family::Chameleon,
            Some("llama") => Family::Llama,
            other => {
                let got = other.unwrap_or("nothing");
                return Err(Error::input("an unknown family").at("model_type").expected("chameleon or llama").got(got));
            }
        };
        let heads = size("num_attention_heads", raw.num_attention_heads, 1 << 10)?;
        let hidden = size("hidden_size", raw.hidden_size, 1 << 17)?;
        let config = Self {
            family,
            hidden,
            intermediate: size("intermediate_size", raw.intermediate_size, 1 << 19)?,
            layers: size("num_hidden_layers", raw.num_hidden_layers, 1 << 10)?,
            heads,
            kv_heads: raw.num_key_value_heads.map_or(Ok(heads), |n| size("num_key_value_heads", n, 1 << 10))?,
            head_dim: raw.head_dim.map_or(Ok(hidden / heads), |n| size("head_dim", n, 1 << 12))?,
            vocab: size("vocab_size", raw.vocab_size, 1 << 24)?,
            norm_eps: positive("rms_norm_eps", raw.rms_norm_eps)?,
            rope_base: raw.rope_base()?,
            norm_placement: if raw.swin_norm { NormPlacement::After } else { NormPlacement::Before },
            tied_embeddings: raw.tie_word_embeddings,
            max_positions: size("max_position_embeddings", raw.max_position_embeddings.unwrap_or(4096), 1 << 24)?,
        };
        config.consistent()
    }

    fn consistent(self) -> Result<Self> {
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

    #[test]
    fn wrong_fields_are_named() {
        for (from, to, named) in [
            ("\"hidden_size\":64,", "", "hidden_size"),
            ("\"hidden_size\":64", "\"hidden_size\":0", "hidden_size"),
            ("\"hidden_size\":64", "\"hidden_size\":-1", "-1"),
            ("\"vocab_size\":100", "\"vocab_size\":99999999999", "vocab_size"),
            ("\"vocab_size\"", "\"num_key_value_heads\":3,\"vocab_size\"", "num_key_value_heads"),
            ("\"vocab_size\"", "\"head_dim\":15,\"vocab_size\"", "head_dim"),
            ("\"vocab_size\"", "\"rope_theta\":7,\"vocab_size\"", "rope_theta"),
            ("\"vocab_size\"", "\"hidden_act\":\"gelu\",\"vocab_size\"", "hidden_act"),
            ("\"vocab_size\"", "\"mlp_bias\":true,\"vocab_size\"", "mlp_bias"),
            ("1e-5", "0", "rms_norm_eps"),
            ("\"default\"", "\"yarn\"", "yarn"),
            ("\"llama\"", "\"gpt2\"", "gpt2"),
        ] {
            let json = GOOD.replace(from, to);
            assert_ne!(json, GOOD);
            let error = TransformerConfig::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
