//! Llama and Chameleon: text and codes in one table and one output projection.

use super::names::Names;
use crate::checkpoint::inventory::WantedTensor;
use crate::config::family::Family;
use crate::config::transformer::TransformerConfig;

/// Everything beside the layers, for an inventory.
pub(super) fn tensors(c: &TransformerConfig) -> Vec<WantedTensor> {
    let mut wanted = vec![WantedTensor::exact(Names::of(c.family).embedding(), vec![c.vocab, c.hidden])];
    if !c.tied_embeddings {
        wanted.push(WantedTensor::exact("lm_head.weight".to_owned(), vec![c.vocab, c.hidden]));
    }
    wanted
}

/// Chameleon's norms on queries and keys in a layer.
pub(super) fn head_norms(c: &TransformerConfig, layer: usize) -> Vec<WantedTensor> {
    let parts: &[(&str, usize)] = match c.family {
        Family::Chameleon => &[("q", c.heads), ("k", c.kv_heads)],
        Family::Llama | Family::Janus(_) | Family::LlamaGen(_) => &[],
    };
    let of = |&(part, heads): &(&str, usize)| {
        ["weight", "bias"].map(|kind| {
            let name = format!("model.layers.{layer}.self_attn.{part}_norm.{kind}");
            WantedTensor::shared(name, vec![heads, c.head_dim])
        })
    };
    parts.iter().flat_map(of).collect()
}
