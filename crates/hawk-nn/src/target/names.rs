//! Where the families keep the tensors that they share, and which of them stand together in one.

use crate::inventory::WantedTensor;
use crate::target::janus::Layout;
use crate::{Checkpoint, Family, Result, Tensor, TransformerConfig};

/// A matrix of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
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

/// How a family names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// As transformers' Llama, behind this stem.
    HuggingFace(&'static str),
    /// As Meta's Llama, query, key and value in one.
    Meta,
}

impl Names {
    pub(crate) fn of(family: Family) -> Self {
        match family {
            Family::Chameleon | Family::Llama => Self::HuggingFace("model."),
            Family::Janus(sizes) => match sizes.layout {
                Layout::Original => Self::HuggingFace("language_model.model."),
                Layout::HuggingFace => Self::HuggingFace("model.language_model."),
            },
            Family::LlamaGen(_) => Self::Meta,
        }
    }

    pub(crate) fn norm(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}norm.weight"),
            Self::Meta => "norm.weight".to_owned(),
        }
    }

    pub(crate) fn embedding(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}embed_tokens.weight"),
            Self::Meta => "tok_embeddings.weight".to_owned(),
        }
    }

    /// What the names of all tensors of layers begin with.
    pub(crate) fn layers(self) -> String {
        match self {
            Self::HuggingFace(stem) => format!("{stem}layers."),
            Self::Meta => "layers.".to_owned(),
        }
    }

    pub(crate) fn layer(self, layer: usize, part: Part) -> String {
        let (stem, part) = match self {
            Self::HuggingFace(stem) => (stem, hugging_face(part)),
            Self::Meta => ("", meta(part)),
        };
        format!("{stem}layers.{layer}.{part}.weight")
    }

    /// The tensors of a layer with their shapes, without the norms on queries and keys.
    pub(crate) fn layer_tensors(self, c: &TransformerConfig, layer: usize) -> Vec<WantedTensor> {
        let qkv: &[Part] = match self {
            Self::HuggingFace(_) => &[Part::Query, Part::Key, Part::Value],
            Self::Meta => &[Part::Fused],
        };
        let rest = [Part::Output, Part::MlpNorm, Part::Gate, Part::Up, Part::Down];
        let parts = [Part::AttentionNorm].iter().chain(qkv).chain(&rest);
        parts.map(|&part| WantedTensor::exact(self.layer(layer, part), shape(c, part))).collect()
    }

    /// A tensor of a layer that fills one of its matrices.
    pub(crate) fn get<'c>(
        self,
        c: &TransformerConfig,
        checkpoint: &'c Checkpoint,
        layer: usize,
        part: Part,
    ) -> Result<Tensor<'c>> {
        checkpoint.packable(&self.layer(layer, part), &shape(c, part))
    }

    /// The numbers of a layer's norm.
    pub(crate) fn norm_of(
        self,
        c: &TransformerConfig,
        checkpoint: &Checkpoint,
        layer: usize,
        part: Part,
    ) -> Result<Vec<f32>> {
        Ok(checkpoint.tensor(&self.layer(layer, part), &shape(c, part))?.to_f32())
    }
}

fn shape(c: &TransformerConfig, part: Part) -> Vec<usize> {
    let (d, q, k) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
    match part {
        Part::AttentionNorm | Part::MlpNorm => vec![d],
        Part::Query => vec![q, d],
        Part::Key | Part::Value => vec![k, d],
        Part::Fused => vec![q + 2 * k, d],
        Part::Output => vec![d, q],
        Part::Gate | Part::Up => vec![c.intermediate, d],
        Part::Down => vec![d, c.intermediate],
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
