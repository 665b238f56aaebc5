//! Where the families keep the tensors that they share, and which of them stand together in one.

use crate::checkpoint::inventory::WantedTensor;
use crate::config::family::{Family, JanusLayout};
use crate::config::transformer::TransformerConfig;

/// A matrix of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    AttentionNorm,
    Query,
    Key,
    Value,
    /// Query, key and value, one below the other.
    Fused,
    Output,
    MlpNorm,
    Gate,
    Up,
    Down,
}

/// Which two numbers of a head a rotary angle turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotaryPairs {
    /// `(i, i + E/2)`.
    Halves,
    /// `(2i, 2i + 1)`.
    Neighbours,
}

/// How a family names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As transformers' Llama, behind this stem.
    HuggingFace(&'static str),
    /// As Meta's Llama, query, key and value in one.
    Meta,
}

impl Names {
    pub fn of(family: Family) -> Self {
        match family {
            Family::Chameleon | Family::Llama => Self::HuggingFace("model."),
            Family::Janus(sizes) => match sizes.layout {
                JanusLayout::Original => Self::HuggingFace("language_model.model."),
                JanusLayout::HuggingFace => Self::HuggingFace("model.language_model."),
            },
            Family::LlamaGen(_) => Self::Meta,
        }
    }

    pub fn norm(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}norm.weight"),
            Self::Meta => "norm.weight".to_owned(),
        }
    }

    pub fn embedding(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}embed_tokens.weight"),
            Self::Meta => "tok_embeddings.weight".to_owned(),
        }
    }

    /// What the names of all tensors of layers begin with.
    pub fn layers(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}layers."),
            Self::Meta => "layers.".to_owned(),
        }
    }

    pub fn layer(self, layer: usize, part: Part) -> String {
        let (stem, part) = match self {
            Self::HuggingFace(stem) => (stem, hugging_face(part)),
            Self::Meta => ("", meta(part)),
        };
        format!("{stem}layers.{layer}.{part}.weight")
    }

    /// The tensors that queries, keys and values are made by.
    #[must_use]
    pub fn query_key_value(self) -> &'static [Part] {
        match self {
            Self::HuggingFace(_) => &[Part::Query, Part::Key, Part::Value],
            Self::Meta => &[Part::Fused],
        }
    }

    /// Which numbers of a head a rotary angle turns together.
    #[must_use]
    pub fn rotary_pairs(self) -> RotaryPairs {
        match self {
            Self::HuggingFace(_) => RotaryPairs::Halves,
            Self::Meta => RotaryPairs::Neighbours,
        }
    }

    /// The tensors of a layer with their shapes, without the norms on queries and keys.
    pub fn layer_tensors(self, c: &TransformerConfig, layer: usize) -> Vec<WantedTensor> {
        let qkv = self.query_key_value();
        let rest = [Part::Output, Part::MlpNorm, Part::Gate, Part::Up, Part::Down];
        let parts = [Part::AttentionNorm].iter().chain(qkv).chain(&rest);
        parts.map(|&part| WantedTensor::exact(self.layer(layer, part), part.shape(c))).collect()
    }
}

impl Part {
    /// Its shape.
    #[must_use]
    pub fn shape(self, c: &TransformerConfig) -> Vec<usize> {
        let (d, q, k) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        match self {
            Self::AttentionNorm | Self::MlpNorm => vec![d],
            Self::Query => vec![q, d],
            Self::Key | Self::Value => vec![k, d],
            Self::Fused => vec![q + 2 * k, d],
            Self::Output => vec![d, q],
            Self::Gate | Self::Up => vec![c.intermediate, d],
            Self::Down => vec![d, c.intermediate],
        }
    }
}

fn hugging_face(part: Part) -> &'static str {
    match part {
        Part::AttentionNorm => "input_layernorm",
        Part::Query => "self_attn.q_proj",
        Part::Key => "self_attn.k_proj",
        Part::Value => "self_attn.v_proj",
        Part::Fused => "self_attn.qkv_proj",
        Part::Output => "self_attn.o_proj",
        Part::MlpNorm => "post_attention_layernorm",
        Part::Gate => "mlp.gate_proj",
        Part::Up => "mlp.up_proj",
        Part::Down => "mlp.down_proj",
    }
}

fn meta(part: Part) -> &'static str {
    match part {
        Part::AttentionNorm => "attention_norm",
        Part::Query => "attention.wq",
        Part::Key => "attention.wk",
        Part::Value => "attention.wv",
        Part::Fused => "attention.wqkv",
        Part::Output => "attention.wo",
        Part::MlpNorm => "ffn_norm",
        Part::Gate => "feed_forward.w1",
        Part::Up => "feed_forward.w3",
        Part::Down => "feed_forward.w2",
    }
}
