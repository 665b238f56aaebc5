//! Where the families keep the tensors that they share, and which of them stand together in one.

use crate::checkpoint::inventory::WantedTensor;
use crate::config::transformer::TransformerConfig;

/// A matrix of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerPart {
    /// Norm before attention.
    AttentionNorm,
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Queries, keys and values, one below the other.
    Fused,
    /// From the heads back to the hidden state.
    Output,
    /// Norm before the SwiGLU.
    MlpNorm,
    /// The SwiGLU's gate.
    Gate,
    /// What the gate is multiplied with.
    Up,
    /// From the SwiGLU back to the hidden state.
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
pub enum TensorNames {
    /// As transformers' Llama, behind this stem.
    HuggingFace(&'static str),
    /// As Meta's Llama, query, key and value in one.
    Meta,
}

/// The norm over each head of the queries, or of the keys, of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadNormTensors {
    /// Name of the weights, `[heads, E]`; or of fewer rows, each of which serves several heads.
    pub weight: String,
    /// Name of the biases, of the same shape.
    pub bias: String,
    /// Number of heads.
    pub heads: usize,
}

impl TensorNames {
    /// The final norm.
    #[must_use]
    pub fn norm(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}norm.weight"),
            Self::Meta => "norm.weight".to_owned(),
        }
    }

    /// The first table of inputs.
    #[must_use]
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

    /// A tensor of a layer.
    #[must_use]
    pub fn layer(self, layer: usize, part: LayerPart) -> String {
        let (stem, part) = match self {
            Self::HuggingFace(stem) => (stem, hugging_face(part)),
            Self::Meta => ("", meta(part)),
        };
        format!("{stem}layers.{layer}.{part}.weight")
    }

    /// The tensors that queries, keys and values are made by.
    #[must_use]
    pub fn query_key_value(self) -> &'static [LayerPart] {
        match self {
            Self::HuggingFace(_) => &[LayerPart::Query, LayerPart::Key, LayerPart::Value],
            Self::Meta => &[LayerPart::Fused],
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
        let rest = [LayerPart::Output, LayerPart::MlpNorm, LayerPart::Gate, LayerPart::Up, LayerPart::Down];
        let parts = [LayerPart::AttentionNorm].iter().chain(qkv).chain(&rest);
        parts.map(|&part| WantedTensor::exact(self.layer(layer, part), part.shape(c))).collect()
    }
}

impl LayerPart {
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

fn hugging_face(part: LayerPart) -> &'static str {
    match part {
        LayerPart::AttentionNorm => "input_layernorm",
        LayerPart::Query => "self_attn.q_proj",
        LayerPart::Key => "self_attn.k_proj",
        LayerPart::Value => "self_attn.v_proj",
        LayerPart::Fused => "self_attn.qkv_proj",
        LayerPart::Output => "self_attn.o_proj",
        LayerPart::MlpNorm => "post_attention_layernorm",
        LayerPart::Gate => "mlp.gate_proj",
        LayerPart::Up => "mlp.up_proj",
        LayerPart::Down => "mlp.down_proj",
    }
}

fn meta(part: LayerPart) -> &'static str {
    match part {
        LayerPart::AttentionNorm => "attention_norm",
        LayerPart::Query => "attention.wq",
        LayerPart::Key => "attention.wk",
        LayerPart::Value => "attention.wv",
        LayerPart::Fused => "attention.wqkv",
        LayerPart::Output => "attention.wo",
        LayerPart::MlpNorm => "ffn_norm",
        LayerPart::Gate => "feed_forward.w1",
        LayerPart::Up => "feed_forward.w3",
        LayerPart::Down => "feed_forward.w2",
    }
}
